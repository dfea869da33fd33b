"""Pictures, recordings and documents inside JSON, as base64."""

import re
from collections.abc import Iterator

SMALLEST = 1000
"""Bytes of base64; a shorter one hardly differs from text."""
MOST_LOOKED_AT = 10_000
"""Places of each kind; whoever sends more of them has the rest counted as text."""

_NAME_ENDS = (b'url"', b'data"', b'image"')
"""Of the fields that hold them. Base64 elsewhere, in a message's text say, is read by the model letter by letter."""
_FILE = re.compile(rb'(?:url|data|image)"\s*+:\s*+"(?:data:[^",]{0,200},)?([A-Za-z0-9+/=_\\-]{1000,}+)"')


def attachments(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the base64 of each begins and ends. The work grows with the size of `data`, whatever is in it.

    Source: image_url, input_audio and file of OpenAI's chat API; `data` of Anthropic's and Google's parts, `image` of
    embeddings from Jina and Cohere; read 2026-11.
    """
    if not _may_hold_base64(data):
        return
    for end in _NAME_ENDS:
        at = 0
        for _ in range(MOST_LOOKED_AT):
            at = data.find(end, at)
            if at < 0:
                break
            found = _FILE.match(data, at)
            if found is not None:
                yield found.span(1)
            at = found.end() if found is not None else at + len(end)


def _may_hold_base64(data: bytes) -> bool:
    """Prose has a space in every half of what would be long enough: to see that takes a tenth of looking for names."""
    half = SMALLEST // 2
    return any(data.find(b" ", at, at + half) < 0 for at in range(0, len(data), half))


def without_attachments(data: bytes) -> bytes:
    parts = []
    at = 0
    for begin, end in sorted(attachments(data)):
        parts.append(data[at:begin])
        at = end
    return b"".join([*parts, data[at:]])
