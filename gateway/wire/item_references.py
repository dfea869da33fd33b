"""Items of the Responses API that hold no content, so that the provider looks them up by their ids.

Source: openai-python 3.57 (types/responses/response_input_item_param.py), and platform.openai.com/docs/guides/
image-generation (multi-turn editing by the id of a picture); read 2026-11.
"""

from collections.abc import Iterable, Mapping

import msgspec

REFERENCE = "item_reference"
_CONTENT: Mapping[str, tuple[str, ...]] = {
    REFERENCE: (),
    "": ("role", "content"),  # a reference need not say that it is one, and neither need a message
    "reasoning": ("content", "encrypted_content"),
    "image_generation_call": ("result",),
}
"""Type -> fields, with any of which an item says all there is to say."""
_EMPTY = frozenset({b"", b"null", b"[]", b'""'})
_SIGNS = (b'"id"', b"\\u")
_text = msgspec.json.Decoder(str | None)


def may_refer(given: bytes) -> bool:
    """Whether there is anything to look for in an input: names of fields may be written with escapes."""
    return any(sign in given for sign in _SIGNS)


def looked_up(items: Iterable[Mapping[str, msgspec.Raw]]) -> list[str]:
    """Their ids, each once. What is none by its type is for the provider to refuse."""
    found: dict[str, None] = {}
    for item in items:
        fields = _CONTENT.get(_string(item, "type") or "")
        if fields is None or any(bytes(item.get(name, b"")) not in _EMPTY for name in fields):
            continue
        if id_ := _string(item, "id"):
            found[id_] = None
    return [*found]


def _string(item: Mapping[str, msgspec.Raw], name: str) -> str | None:
    try:
        text: str | None = _text.decode(item.get(name, b"null"))
        return text
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
