"""JSON with files in it, as base64. Those that are too large for memory are read when it is sent.

Source: RFC 4648, section 4.
"""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from gateway.contract.request import FormPart, Stored

_GROUP = 3
"""Bytes that become four characters."""


class File:
    """Stands for a file, inside of a value that is to become JSON."""

    __slots__ = ("part",)

    def __init__(self, part: FormPart) -> None:
        self.part = part


def inlined(value: Any, mark: str) -> tuple[int, bytes | AsyncIterator[bytes]]:
    """The length of a document in bytes, and its bytes, or the pieces of them.

    Args:
        value: may hold `File`s.
        mark: letters and digits that stand in none of its texts; 32 by chance will do.
    """
    files: list[bytes | Stored] = []

    def marked(file: object) -> str:
        if not isinstance(file, File):
            raise NotImplementedError(type(file).__name__)
        files.append(file.part.data)
        return mark

    first, *others = msgspec.json.encode(value, enc_hook=marked).split(mark.encode())
    behind = [*zip(files, others, strict=True)]
    length = len(first) + sum(_encoded_length(len(file)) + len(text) for file, text in behind)
    if any(not isinstance(file, bytes) for file, _ in behind):
        return length, _pieces(first, behind)
    encoded = (each for file, text in behind if isinstance(file, bytes) for each in (b64encode(file), text))
    return length, b"".join([first, *encoded])


def _encoded_length(size: int) -> int:
    return -(-size // _GROUP) * 4


async def _pieces(first: bytes, behind: list[tuple[bytes | Stored, bytes]]) -> AsyncIterator[bytes]:
    yield first
    for file, text in behind:
        if isinstance(file, bytes):
            yield b64encode(file)
        else:
            rest = b""
            async for data in file:
                rest += data
                whole = len(rest) - len(rest) % _GROUP
                yield b64encode(rest[:whole])
                rest = rest[whole:]
            yield b64encode(rest)
        yield text
