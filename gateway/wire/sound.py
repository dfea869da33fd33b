"""How long a recording is, as far as its first bytes tell."""

from math import ceil

BYTES_PER_S = 8000
"""Of speech in MP3 at 64 kbit/s, for files that do not tell."""
_FIRST_CHUNK = 12
_MAX_CHUNKS = 50
"""In front of the sound itself, where files have two or three."""


def duration_s(beginning: bytes, size: int) -> int:
    """Seconds; a begun one counts.

    Args:
        beginning: the first KiB of the file.
        size: of all of it, in bytes.

    Source: "Multimedia Programming Interface and Data Specifications 1.0", IBM and Microsoft, 1991 (WAVE).
    """
    per_s, begin = BYTES_PER_S, 0
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WAVE":
        at = _FIRST_CHUNK
        for _ in range(_MAX_CHUNKS):
            name, length = beginning[at : at + 4], int.from_bytes(beginning[at + 4 : at + 8], "little")
            if name == b"fmt ":
                per_s = int.from_bytes(beginning[at + 16 : at + 20], "little") or BYTES_PER_S
            elif name == b"data":
                begin = at + 8
                break
            at += 8 + length + length % 2
    return max(1, ceil((size - begin) / per_s))
