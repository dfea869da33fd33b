"""Names that another server takes for others."""

import pytest

from gateway.wire.disguised import disguised, disguised_in


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["model", "Model"], "model"),
        (["Model"], "model"),
        (["model", "MAX_TOKENS"], "max_tokens"),
        (["model", "me\u017f\u017fages"], "messages"),
        (["model", "max_to\u212aens"], "max_tokens"),
        (["model", "custom", "Custom"], "custom"),
        (["model", "messages", "max_tokens", "top_p", "user"], None),
        (["model", "generationConfig", "systemInstruction", "X", "\u00c4"], None),
    ],
)
def test_one_name_for_another(names, found):
    """As servers in Go match them: whatever their case, by Unicode's folding, the long s and the sign of Kelvin too."""
    assert disguised(dict.fromkeys(names)) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([{"role": "user", "content": "hi", "Content": "x"}], "content"),
        ([{"role": "user", "CONTENT": "x"}], "content"),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "Text": "x"}]}], "text"),
        ([{"type": "tool_result", "content": [{"content": [{"tExt": "x"}]}]}], "text"),
        ([{"role": "user", "parts": [{"Text": "x"}]}], "text"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "input": {"Name": "x", "Content": "y"}}]}], None),
        ([{"role": "user", "content": "hi", "cacheControl": {"Type": "x"}}], None),
        ("Content", None),
    ],
)
def test_what_is_said_under_another_name(said, found):
    """Arguments of tools are named as their schema has it."""
    assert disguised_in(said) == found
