"""AWS's event streams: binary frames with headers, a payload and two checksums.

    total length  4 bytes, of all of the frame
    headers       4 bytes, how long they are
    checksum      4 bytes, CRC-32 of these eight
    headers       name length 1, name, type 1, value; a text has a length of 2
    payload
    checksum      4 bytes, CRC-32 of all before it

Source: smithy.io/2.0/aws/amazon-eventstream.html, and botocore/eventstream.py of botocore 1.44.5; read 2026-11.
"""

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from gateway.errors import BrokeOff

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_HEADERS = 128 * 1024
MAX_FRAME = 16 + MAX_HEADERS + 24 * 1024 * 1024
"""Bytes, as botocore has it."""

_PRELUDE = Struct(">III")
_CHECKSUM = Struct(">I")
_LENGTH = Struct(">H")
_TEXT = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Type of a header's value -> its bytes; the others begin with their length."""
_LEAST = _PRELUDE.size + _CHECKSUM.size


class Frame(NamedTuple):
    """`kind`: `event`, `exception` or `error`; `name`: which one of those."""

    kind: str
    name: str
    payload: bytes


class Frames:
    """Takes bytes as they come, and gives whole frames, checked. Holds no more than one frame."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises BrokeOff: these are no frames, or damaged ones; those before it have been given by then."""
        held = self._held
        held += data
        at = 0
        try:
            while len(held) - at >= _PRELUDE.size:
                total, headers, checksum = _PRELUDE.unpack_from(held, at)
                if crc32(held[at : at + 8]) != checksum:
                    raise BrokeOff("the provider's answer is no event stream of AWS, or a damaged one")
                if not _LEAST + headers <= total <= MAX_FRAME or headers > MAX_HEADERS:
                    raise BrokeOff("the provider sent a frame of a length that none can have")
                if len(held) - at < total:
                    break
                frame = bytes(held[at : at + total])
                (checksum,) = _CHECKSUM.unpack_from(frame, total - 4)
                if crc32(memoryview(frame)[:-4]) != checksum:
                    raise BrokeOff("the provider sent a frame that was damaged on the way")
                at += total
                yield frame
        finally:
            del held[:at]

    @property
    def is_empty(self) -> bool:
        """Nothing of a frame is left over."""
        return not self._held


def opened(frame: bytes) -> Frame:
    """What is in a frame that `Frames` has given. Raises BrokeOff: its headers cannot be read."""
    end = _PRELUDE.size + int.from_bytes(frame[4:8])
    kind, name = _kind_of(frame[_PRELUDE.size : end])
    return Frame(kind, name, frame[end:-4])


@lru_cache(maxsize=64)
def _kind_of(data: bytes) -> tuple[str, str]:
    """Most frames of a stream have the same headers."""
    try:
        headers = headers_of(data)
    except (IndexError, ValueError) as error:
        raise BrokeOff("the provider sent a frame whose headers cannot be read") from error
    kind = headers.get(":message-type", "event")
    if kind == "error":
        return kind, headers.get(":error-code", "")
    return kind, headers.get(f":{kind}-type", "")


def headers_of(data: bytes) -> dict[str, str]:
    """Those that are text. Raises ValueError or IndexError: they are no headers."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(data):
        begin = at + 1
        at = begin + data[at]
        name, kind = data[begin:at].decode(), data[at]
        at += 1
        if (size := _SIZES.get(kind)) is None:
            if kind not in (6, _TEXT):
                raise ValueError("a header of a type that is not known")
            size = int.from_bytes(data[at : at + _LENGTH.size])
            at += _LENGTH.size
        if at + size > len(data):
            raise ValueError("a header that is cut off")
        if name in headers:
            raise ValueError("a header that is there twice")
        if kind == _TEXT:
            headers[name] = data[at : at + size].decode()
        at += size
    return headers
