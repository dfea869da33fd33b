"""Event streams, cut into events and looked into."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sse import EventSplitter, data_of, ends_event, is_foreign

LF = 'data: {"a":"é"}\n\n: ping\n\nevent: x\ndata: one\ndata: two\n\ndata: [DONE]\n\n'.encode()
CRLF = LF.replace(b"\n", b"\r\n")
CR = LF.replace(b"\n", b"\r")
MIXED = b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\ndata: 4\r\n\r\ndata: 5\n\n\ndata: 6\r\r"
UNFINISHED = LF + b'data: {"cut'

STREAMS = [LF, CRLF, CR, MIXED, UNFINISHED]


def split(chunks):
    events = EventSplitter()
    whole = [event for chunk in chunks for event in events.feed(chunk)]
    return whole, events.end()


def data_in(chunks):
    events, rest = split(chunks)
    return [data for event in [*events, rest] if (data := data_of(event))]


@pytest.mark.parametrize("stream", STREAMS)
def test_gives_back_every_byte_wherever_the_stream_is_cut(stream):
    """A relay that loses or doubles a byte changes what the model said. Two of the cuts lie inside a character."""
    for cut in range(len(stream) + 1):
        events, rest = split([stream[:cut], stream[cut:]])
        assert b"".join(events) + rest == stream


@pytest.mark.parametrize("stream", STREAMS)
def test_finds_the_same_data_wherever_the_stream_is_cut(stream):
    for cut in range(len(stream) + 1):
        assert data_in([stream[:cut], stream[cut:]]) == data_in([stream])


@pytest.mark.parametrize("stream", STREAMS)
def test_finds_the_same_data_in_chunks_of_one_byte(stream):
    assert data_in(bytes([byte]) for byte in stream) == data_in([stream])


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: x", b": c", b"y"]), max_size=20), st.data())
def test_gives_back_every_byte_of_any_stream(parts, data):
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))

    events, rest = split(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True))

    assert b"".join(events) + rest == stream


@pytest.mark.parametrize("stream", [LF, CRLF, CR])
def test_cuts_after_each_blank_line(stream):
    events, rest = split([stream])

    assert [data_of(event) for event in events] == ['{"a":"é"}'.encode(), b"", b"one\ntwo", b"[DONE]"]
    assert rest == b""


def test_takes_no_crlf_for_two_line_ends():
    """Else each line of a stream with CR LF would be an event of its own."""
    assert split([b"event: x\r\ndata: 1\r\n\r\n"]) == ([b"event: x\r\ndata: 1\r\n\r\n"], b"")


def test_says_how_much_is_held_back():
    events = EventSplitter()

    events.feed(b"data: 1\n\ndata")

    assert len(events) == 4


def test_gives_the_rest_once():
    events = EventSplitter()
    events.feed(b"data: 1")

    assert [events.end(), events.end()] == [b"data: 1", b""]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  two spaces\n\n", b" two spaces"),
        (b"id: 1\nevent: e\nretry: 3\ndata: x\n\n", b"x"),
        (b"data: 1\r\ndata: 2\r\n\r\n", b"1\n2"),
        (b"data:\n\n", b""),
        (b": comment\n\n", b""),
        (b"database: no\n\n", b""),
        (b"\ndata: after a line end left over\n\n", b"after a line end left over"),
        (b"", b""),
    ],
)
def test_joins_the_data_lines_of_an_event(event, data):
    """One space after the colon belongs to the format; some vendors leave it out."""
    assert data_of(event) == data


@pytest.mark.parametrize(
    ("data", "ends"),
    [
        (b"data: 1\n\n", True),
        (b"data: 1\r\n\r\n", True),
        (b"data: 1\r\r", True),
        (b"\n\n", True),
        (b"data: 1\n", False),
        (b"data: 1\r\n", False),
        (b"data: 1", False),
        (b"", False),
    ],
)
def test_knows_when_another_event_may_follow(data, ends):
    """A comment in the middle of an event would tear it apart."""
    assert ends_event(data) is ends


@pytest.mark.parametrize(
    ("event", "foreign"),
    [
        (b'event: status\ndata: {"message":"loading"}\n\n', True),
        (b"event:ping\r\ndata: ping\r\n\r\n", True),
        (b"id: 7\nevent: keepalive\ndata: {}\n\n", True),
        (b'event: add\ndata: {"choices":[]}\n\n', False),
        (b'event: message\ndata: {"message":"busy"}\n\n', False),
        (b"event: ServerError\ndata: busy\n\n", False),
        (b"event: \ndata: busy\n\n", False),
        (b'data: {"message":"event: status"}\n\n', False),
    ],
)
def test_events_of_others_are_known_by_their_names(event, foreign):
    """A name alone does not tell: some call the API's own events something else."""
    assert is_foreign(event, re.compile(rb'"choices"')) == foreign
