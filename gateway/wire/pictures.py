"""How many pictures an answer of OpenAI's images API holds, and of what size and quality they are. It is looked at in
passing: one of them may have many megabytes.

Source: openai-python 3.54 (types/images_response.py, types/image_gen_completed_event.py), read 2026-11.
"""

import re

import msgspec

from gateway.contract.usage import Usage

_SEAM = 128
"""Bytes; more than the longest that is looked for."""
# A quotation mark inside a text is escaped, so no prompt that is repeated can pass for a field.
_FIELD = rb'"(?P<name>%b)"\s{0,8}:\s{0,8}"'
_TRAIT = rb'"(?P<trait>size|quality)"\s{0,8}:\s{0,8}"(?P<said>[\w.:-]{1,32})"'
_IN_BODY = re.compile(_FIELD % rb"b64_json|url" + rb'[^"]|' + _TRAIT)
_IN_STREAM = re.compile(_FIELD % b"type" + rb'image_(?:generation|edit)\.completed"|' + _TRAIT)
_GIVEN = re.compile(r"[\w.:-]{1,32}", re.ASCII)


class PicturesSeen:
    """What has passed by of one answer, wherever it was cut."""

    def __init__(self, *, is_stream: bool) -> None:
        self._pattern = _IN_STREAM if is_stream else _IN_BODY
        self._counts: dict[bytes, int] = {}
        self._traits: dict[bytes, str | None] = {}
        self._seam = b""

    def feed(self, data: bytes) -> None:
        joined, seen = self._seam + data, len(self._seam)
        for found in self._pattern.finditer(joined):
            if found.end() <= seen:
                continue
            if (name := found["name"]) is not None:
                self._counts[name] = self._counts.get(name, 0) + 1
            else:
                self._traits[found["trait"]] = trait(found["said"].decode())
        self._seam = joined[-_SEAM:]

    def beside(self, told: Usage | None) -> Usage | None:
        """With what the provider has told of tokens. None: it has told nothing, and there are no pictures."""
        # A picture may have both, its data and an address.
        images = max(self._counts.values(), default=0)
        return pictured(told, images, self._traits.get(b"size"), self._traits.get(b"quality")) if images else told


def pictured(told: Usage | None, images: int, size: str | None = None, quality: str | None = None) -> Usage:
    """So many pictures, beside what was told of tokens."""
    return msgspec.structs.replace(told or Usage(), images=images, image_size=size, image_quality=quality)


def trait(text: str | None) -> str | None:
    """A size or a quality as prices name them; None: it is left to the model, or none that a price could name."""
    if text is None or text == "auto" or _GIVEN.fullmatch(text) is None:
        return None
    return text.lower()
