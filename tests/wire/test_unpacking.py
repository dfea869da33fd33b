import gzip
import zlib

import pytest

from gateway.errors import BrokeOff
from gateway.wire.unpacking import MAX_UNPACKED, PIECE, Unpacker, packing_of

TEXT = b'{"id":"x","choices":[]}' * 40
EMPTY_MEMBER = gzip.compress(b"")


def raw(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def take(unpacker):
    """What can be unpacked of what was fed."""
    pieces = []
    while not unpacker.is_hungry:
        pieces.append(unpacker.step())
    return b"".join(pieces)


def unpacked(packing, data, step=1 << 20):
    unpacker = Unpacker(packing)
    out = b""
    for at in range(0, len(data), step):
        unpacker.feed(data[at : at + step])
        out += take(unpacker)
    unpacker.end()
    return out


@pytest.mark.parametrize(
    ("header", "packing"),
    [
        ("", ""),
        ("identity", ""),
        ("Identity , ", ""),
        ("none", ""),
        ("UTF-8", ""),
        ("GZip", "gzip"),
        (" gzip, identity", "gzip"),
        ("identity,x-gzip", "x-gzip"),
        ("br", "br"),
        ("deflate, GZIP", "deflate, gzip"),
    ],
)
def test_says_how_a_body_is_packed(header, packing):
    assert packing_of(header) == packing


@pytest.mark.parametrize("step", [1 << 20, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("packing", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("gzip", gzip.compress(TEXT) + EMPTY_MEMBER * 50),
        ("gzip", EMPTY_MEMBER + gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT) + bytes(600)),
        ("gzip", gzip.compress(TEXT) + b"\r\nmore than was packed"),
        ("gzip", gzip.compress(TEXT) + b"\x1f"),
        ("gzip", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, 1)),
        ("deflate", zlib.compress(TEXT, 9)),
        ("deflate", zlib.compress(TEXT) + b"\n"),
        ("deflate", raw(TEXT)),
        ("deflate", raw(TEXT) + b"\n"),
        ("deflate", b"\x01\x98\x03\x67\xfc" + TEXT),
        ("deflate", gzip.compress(TEXT)),
    ],
    ids=[
        "gzip",
        "x-gzip",
        "two members",
        "empty members behind",
        "an empty member in front",
        "padding",
        "garbage behind",
        "one byte behind",
        "zlib called gzip",
        "zlib",
        "zlib, fast",
        "zlib, best",
        "zlib and more",
        "raw deflate",
        "raw deflate and more",
        "raw deflate, stored",
        "gzip called deflate",
    ],
)
def test_reads_what_clients_read(packing, data, step):
    """Raw deflate and a second member were refused, though each client of the provider's own reads them."""
    assert unpacked(packing, data, step) == TEXT


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_nothing_needs_no_unpacking(packing):
    assert unpacked(packing, b"") == b""


@pytest.mark.parametrize("step", [1 << 20, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("packing", "data"),
    [
        ("gzip", gzip.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT)[:30]),
        ("gzip", b"\x1f"),
        ("gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:15] + b"\xff" * 20),
        ("gzip", raw(TEXT)),
        ("gzip", TEXT),
        ("deflate", TEXT),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("deflate", zlib.compress(TEXT)[:-4] + b"\0" * 4),
        ("deflate", raw(TEXT)[:-1]),
        ("deflate", b"\x78"),
    ],
    ids=[
        "gzip without its last byte",
        "half of gzip",
        "one byte of gzip",
        "half a second member",
        "gzip, wrong checksum",
        "garbage in a second member",
        "raw deflate called gzip",
        "text called gzip",
        "text called deflate",
        "zlib without its last byte",
        "zlib, wrong checksum",
        "raw deflate without its last byte",
        "one byte of zlib",
    ],
)
def test_what_is_broken_broke_off(packing, data, step):
    """Half an answer is never taken for a whole one."""
    with pytest.raises(BrokeOff):
        unpacked(packing, data, step)


@pytest.mark.parametrize("packing", ["br", "zstd", "compress", "gzip, gzip", "x" * 5000])
def test_what_is_not_known_broke_off(packing):
    with pytest.raises(BrokeOff, match=r"^the provider packed its answer as '.{2,20}', which was not asked for$"):
        Unpacker(packing)


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zlib.compress, raw, lambda data: gzip.compress(data) * 2],
    ids=["gzip", "zlib", "raw", "two"],
)
def test_much_is_unpacked_in_small_pieces(pack):
    """A thousand times as much may come out: it must neither fill the memory nor hold up all other requests."""
    unpacker = Unpacker("deflate")
    unpacker.feed(pack(bytes(MAX_UNPACKED // 2)))
    sizes = []
    while not unpacker.is_hungry:
        sizes.append(len(unpacker.step()))
    unpacker.end()

    assert sum(sizes) in (MAX_UNPACKED // 2, MAX_UNPACKED)
    assert max(sizes) == PIECE


def test_too_much_broke_off():
    unpacker = Unpacker("gzip")
    unpacker.feed(gzip.compress(bytes(MAX_UNPACKED + 1)))

    with pytest.raises(BrokeOff, match=r"^the provider's packed answer is too large when unpacked$"):
        take(unpacker)


def test_each_member_is_a_step_of_its_own():
    """Each member costs a decompressor, so that 20 kB of empty ones would hold up the loop for long."""
    unpacker = Unpacker("gzip")
    unpacker.feed(EMPTY_MEMBER * 1000)
    steps = 0
    while not unpacker.is_hungry:
        assert unpacker.step() == b""
        steps += 1

    assert steps == 1000


def test_full_pieces_lose_nothing_at_the_end():
    """zlib may have taken all there is while some of it waits inside for room."""
    for size in range(PIECE - 3, PIECE + 4):
        assert len(unpacked("deflate", raw(bytes(size)))) == size
        assert len(unpacked("gzip", gzip.compress(bytes(size)))) == size
