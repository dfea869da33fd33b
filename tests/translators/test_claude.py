"""What each Claude can do, by its name."""

import pytest

from gateway.translators.chat import Reasoning
from gateway.translators.claude import claude_of


@pytest.mark.parametrize(
    ("model", "max_output", "samplers", "budget", "adaptive", "off", "forces", "schemas", "later_system"),
    [
        ("anthropic.claude-v2:1", 4096, 3, False, False, "disabled", False, False, False),
        ("claude-3-opus-20240229", 4096, 3, False, False, "disabled", True, False, False),
        ("claude-3-5-sonnet-20241022", 8192, 3, False, False, "disabled", True, False, False),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", 64_000, 3, True, False, "disabled", True, False, False),
        ("claude-opus-4-20250514", 32_000, 3, True, False, "disabled", True, False, False),
        ("claude-opus-4-1-20250805", 32_000, 1, True, False, "disabled", True, False, False),
        ("claude-sonnet-4-5@20250929", 64_000, 1, True, False, "disabled", True, True, False),
        ("claude-haiku-4-5", 64_000, 1, True, False, "disabled", True, True, False),
        ("claude-sonnet-4-6", 64_000, 1, True, True, "disabled", True, True, False),
        ("anthropic/claude-opus-4.6", 128_000, 1, True, True, "disabled", True, True, False),
        ("claude-opus-4-7", 128_000, 0, False, True, "disabled", True, True, False),
        ("claude-opus-4-8", 128_000, 0, False, True, "disabled", True, True, True),
        ("claude-mythos-preview", 128_000, 0, True, True, None, True, True, False),
        ("claude-sonnet-5", 128_000, 0, False, True, "disabled", True, True, True),
        ("claude-fable-5", 128_000, 0, False, True, None, True, True, True),
        ("claude-fable-5-1", 128_000, 0, False, True, None, False, True, True),
        ("claude-opus-5-5", 128_000, 0, False, True, None, False, True, True),
        ("claude-sonnet-5-5", 128_000, 0, False, True, "between_tools", False, True, True),
        ("claude-haiku-5-5", 128_000, 0, False, True, "disabled", False, True, True),
        ("my-own-name", 128_000, 0, False, True, "disabled", False, True, True),
    ],
)
def test_what_it_can_do(model, max_output, samplers, budget, adaptive, off, forces, schemas, later_system):
    """A name that says no version is taken for the newest: what it refuses is an error, what others ignore is not."""
    claude = claude_of(model)

    assert (claude.max_output, claude.samplers, claude.takes_budget, claude.is_adaptive, claude.off) == (
        max_output,
        samplers,
        budget,
        adaptive,
        off,
    )
    assert (claude.forces_tools, claude.has_schemas, claude.has_later_system) == (forces, schemas, later_system)


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("claude-haiku-4-5", ()),
        ("claude-opus-4-5", ("low", "medium", "high")),
        ("claude-sonnet-4-6", ("low", "medium", "high", "max")),
        ("claude-opus-4-7", ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_efforts(model, efforts):
    assert claude_of(model).efforts == efforts


@pytest.mark.parametrize(
    ("model", "wanted", "effort"),
    [
        ("claude-haiku-4-5", "high", None),
        ("claude-opus-4-5", "minimal", "low"),
        ("claude-opus-4-5", "medium", "medium"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-sonnet-4-6", "xhigh", "high"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
    ],
)
def test_an_effort_is_the_one_asked_for_or_the_next_lower(model, wanted, effort):
    assert claude_of(model).effort(wanted) == effort


@pytest.mark.parametrize(
    ("model", "display", "thinking"),
    [
        ("claude-sonnet-4-6", None, {"type": "adaptive"}),
        ("claude-opus-4-7", None, {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-4-7", "omitted", {"type": "adaptive", "display": "omitted"}),
    ],
)
def test_whoever_asks_for_thoughts_sees_them(model, display, thinking):
    """From 4.7 on they are hidden unless they are asked for."""
    assert claude_of(model).thinking("adaptive", Reasoning("high", display=display)) == thinking
