"""How long recordings are."""

import pytest

from gateway.wire.sound import duration_s

WAV = b"RIFF\0\0\0\0WAVE"
FORMAT = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
"""16,000 bytes a second."""


@pytest.mark.parametrize(
    ("beginning", "size", "seconds"),
    [
        (WAV + FORMAT + b"data\xff\xff\xff\xff", 44 + 32_000, 2),
        (WAV + FORMAT + b"data\xff\xff\xff\xff", 44 + 32_001, 3),
        (WAV + b"LIST\x03\0\0\0abc\0" + FORMAT + b"data\0\0\0\0", 56 + 16_000, 1),
        (WAV + FORMAT[:16], 16_000, 2),
        (WAV + FORMAT.replace(b"\x80\x3e", b"\0\0") + b"data\0\0\0\0", 44 + 16_000, 2),
        (WAV + 1000 * b"\0", 16_000, 2),
        (WAV, 16_000, 2),
        (b"ID3\x04", 80_001, 11),
        (b"", 0, 1),
    ],
)
def test_seconds(beginning, size, seconds):
    """Of WAV as its header says, though the length in it may be wrong; of others as long as they would be in MP3."""
    assert duration_s(beginning, size) == seconds
