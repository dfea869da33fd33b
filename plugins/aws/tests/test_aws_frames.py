"""AWS's frames, with botocore as the referee."""

import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from gateway_aws.frames import MAX_HEADERS, Frame, Frames, headers_of, opened
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BrokeOff

NAMES = st.text(min_size=1, max_size=20).filter(lambda text: len(text.encode()) < 256)
VALUES = st.one_of(
    st.text(max_size=40).map(lambda text: b"\x07" + struct.pack(">H", len(text.encode())) + text.encode()),
    st.binary(max_size=40).map(lambda data: b"\x06" + struct.pack(">H", len(data)) + data),
    st.sampled_from([b"\x00", b"\x01", b"\x02\x05", b"\x03\x00\x05", b"\x04\x00\x00\x00\x05"]),
    st.sampled_from([b"\x05" + bytes(8), b"\x08" + bytes(8), b"\x09" + bytes(16)]),
)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=4)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=200)), max_size=4)


def written(headers, payload):
    named = ((name.encode(), value) for name, value in headers.items())
    data = b"".join(b"%c%b%b" % (len(name), name, value) for name, value in named)
    head = struct.pack(">II", 16 + len(data) + len(payload), len(data))
    head += struct.pack(">I", zlib.crc32(head))
    whole = head + data + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def read(*pieces):
    frames = Frames()
    return [frame for piece in pieces for frame in frames.feed(piece)]


def read_by_botocore(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(FRAMES)
def test_reads_what_botocore_reads(frames):
    data = b"".join(written(*frame) for frame in frames)

    found = [(frame[12 : 12 + int.from_bytes(frame[4:8])], opened(frame).payload) for frame in read(data)]

    theirs = read_by_botocore(data)
    assert [payload for _, payload in found] == [payload for _, payload in theirs]
    assert [headers_of(headers) for headers, _ in found] == [
        {name: value for name, value in headers.items() if isinstance(value, str)} for headers, _ in theirs
    ]


def test_cut_at_every_byte(frame):
    data = frame("messageStart", {"role": "assistant"}) + frame("contentBlockDelta", {"delta": {"text": "hi"}})
    whole = read(data)

    assert len(whole) == 2
    assert all(read(data[:at], data[at:]) == whole for at in range(len(data)))
    assert read(*(data[at : at + 1] for at in range(len(data)))) == whole


def test_says_what_a_frame_is(frame):
    exception = frame("throttlingException", {"message": "slow down"}, kind="exception")

    assert opened(exception) == Frame("exception", "throttlingException", b'{"message":"slow down"}')
    assert opened(frame("messageStop", b"{}")) == Frame("event", "messageStop", b"{}")


def test_a_flipped_bit_is_found_and_what_came_before_is_not_lost(frame):
    """Each bit of a frame is covered by one of the checksums, for botocore as well."""
    good, bad = frame("messageStart", {"role": "assistant"}), frame("messageStop", {"stopReason": "end_turn"})
    for at in range(len(bad)):
        broken = bytearray(bad)
        broken[at] ^= 4
        data = good + bytes(broken) + bytes(64)
        found = Frames().feed(data)

        assert next(found) == good
        with pytest.raises(BrokeOff):
            next(found)
        with pytest.raises(ParserError):
            read_by_botocore(data)


@given(st.binary(max_size=300))
def test_anything_else_is_refused_or_waited_for(data):
    """Never another error, and never more than what came."""
    frames = Frames()
    try:
        found = list(frames.feed(data))
    except BrokeOff:
        return
    assert found == []


@pytest.mark.parametrize("lengths", [(15, 0), (16, 1), (2**32 - 1, 0), (MAX_HEADERS + 100, MAX_HEADERS + 1)])
def test_lengths_that_none_can_have_are_refused_at_once(lengths):
    """And not waited for, and held, gigabyte after gigabyte."""
    head = struct.pack(">II", *lengths)

    with pytest.raises(BrokeOff, match="length"):
        read(head + struct.pack(">I", zlib.crc32(head)))


@given(st.binary(max_size=60))
def test_headers_of_any_bytes_are_read_or_refused(data):
    head = struct.pack(">II", 16 + len(data), len(data))
    head += struct.pack(">I", zlib.crc32(head))
    [whole] = read(head + data + struct.pack(">I", zlib.crc32(head + data)))

    try:
        payload = opened(whole).payload
    except BrokeOff:
        payload = b""
    assert payload == b""


def test_many_small_pieces_of_a_large_frame_take_no_longer_each(frame):
    """What is held is looked at once for each piece, at its beginning only."""
    data = frame("contentBlockDelta", bytes(2_000_000))

    assert read(*(data[at : at + 1000] for at in range(0, len(data), 1000))) == [data]
