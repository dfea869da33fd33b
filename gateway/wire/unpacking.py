"""Content encodings that nobody asked for, as some proxies add one, undone piece by piece."""

import zlib

from gateway.errors import BrokeOff

PLAIN = frozenset({"", "identity", "none", "utf-8"})
"""What stands in Content-Encoding though nothing is packed. The last two are not registered, but seen."""

MAX_UNPACKED = 16 * 1024 * 1024
"""Of what comes at once, at most half a megabyte, more than this is an attack."""

STEP = 16 * 1024
PIECE = 256 * 1024
"""Bytes that are unpacked in one step, and to which: so long the loop does nothing else."""

GZIP = b"\x1f\x8b"


def packing_of(header: str) -> str:
    """How a body is packed, from its Content-Encoding: "gzip", "br", "gzip, gzip"; empty when it is not."""
    return ", ".join(coding for part in header.split(",") if (coding := part.strip().lower()) not in PLAIN)


class Unpacker:
    """Takes what is fed apart: one step after the other while it is not hungry, then it is fed again.

    Read as generously as clients do: zlib or raw under "deflate", several gzip members, anything behind the last.

    Args:
        packing: as `packing_of` gives it.

    Raises:
        BrokeOff: it is none that is known, or the data is not in it.
    """

    def __init__(self, packing: str) -> None:
        if packing not in ("gzip", "x-gzip", "deflate"):
            raise BrokeOff(f"the provider packed its answer as {packing[:20]!r}, which was not asked for")
        self.is_hungry = True
        self._may_be_raw = packing == "deflate"
        self._packed = memoryview(b"")
        self._zlib: zlib._Decompress | None = None  # of the member that has begun
        self._members = 0
        self._is_over = False
        self._room = MAX_UNPACKED

    def feed(self, data: bytes) -> None:
        if self._is_over:
            return
        self._packed = memoryview(bytes(self._packed) + data if self._packed else data)
        self._room = MAX_UNPACKED
        self.is_hungry = False

    def step(self) -> bytes:
        """The next piece, which may be empty."""
        member = self._zlib = self._zlib or self._begin()
        if member is None:
            self.is_hungry = True
            return b""
        part = self._packed[:STEP]
        try:
            piece = member.decompress(part, PIECE)
        except zlib.error as error:
            raise BrokeOff("the provider's packed answer cannot be unpacked") from error
        self._room -= len(piece)
        if self._room < 0:
            raise BrokeOff("the provider's packed answer is too large when unpacked")
        self._packed = self._packed[len(part) - len(member.unconsumed_tail) - len(member.unused_data) :]
        if member.eof:
            self._zlib = None
            self._members += 1
        # With a full piece, more may wait inside though all that was fed is taken.
        self.is_hungry = not self._packed and len(piece) < PIECE
        return piece

    def _begin(self) -> "zlib._Decompress | None":
        """For the next member, when the two bytes are there that say how it is packed."""
        start = bytes(self._packed[:2])
        if self._members and not GZIP.startswith(start):
            self._is_over = True
            self._packed = memoryview(b"")
            return None
        if len(start) < 2:
            return None
        is_raw = self._may_be_raw and not _has_header(start)
        return zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32)  # 32: gzip or zlib

    def end(self) -> None:
        """All was fed."""
        if self._zlib is not None or (self._packed and not self._members):
            raise BrokeOff("the provider broke off in the middle of its packed answer")


def _has_header(start: bytes) -> bool:
    """Whether data is gzip or zlib. What both hold, "raw" deflate, never begins so. Source: RFC 1950, section 2.2."""
    return start == GZIP or (start[0] & 0x0F == 8 and int.from_bytes(start, "big") % 31 == 0)
