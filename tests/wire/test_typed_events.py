"""Streams of pictures, transcripts and speech."""

import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.wire.typed_events import TypedStreamReading

DELTA = b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"hel"}\n\n'
DONE = (
    b'event: transcript.text.done\ndata: {"type":"transcript.text.done","text":"say \\"type\\":\\"x.done\\"",'
    b'"usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},'
    b'"output_tokens":3,"total_tokens":17}}\n\n'
)
STREAM = DELTA + b": keep-alive\n\n" + DELTA + DONE
USAGE = Usage(input=4, audio_input=10, output=3)


def reading():
    return TypedStreamReading(("transcript.text.done", "x.done"))


def test_wherever_it_is_cut():
    for cut in range(len(STREAM) + 1):
        read = reading()
        out = b"".join(read.feed(piece) for piece in (STREAM[:cut], STREAM[cut:]) if piece) + read.end()
        assert (out, read.usage(), read.is_complete(), read.told_error()) == (STREAM, USAGE, True, None)


def test_it_begins_with_the_first_event():
    read = reading()

    for cut in range(1, len(DELTA)):
        assert read.feed(DELTA[cut - 1 : cut]) == DELTA[cut - 1 : cut]
        assert not read.has_begun
    read.feed(DELTA[-1:])

    assert (read.has_begun, read.events) == (True, 1)


def test_a_large_event_is_not_held():
    read = reading()
    assert read.feed(b'data: {"type":"image","b64_json":"' + 100_000 * b"A").endswith(b"A")

    assert read.has_begun


def test_without_its_last_event_it_is_cut_short():
    """A text that speaks of the end is none."""
    read = reading()
    read.feed(DELTA + b'data: {"type":"transcript.text.delta","delta":"\\"type\\":\\"x.done\\""}\n\n')
    read.end()

    assert not read.is_complete()


def test_done_is_an_end_as_well():
    read = reading()
    read.feed(DELTA)

    assert read.feed(b"data: [DONE]\n\nmore") == b"data: [DONE]\n\n"
    assert (read.is_over, read.is_complete()) == (True, True)


def test_done_alone_is_no_beginning():
    read = reading()
    read.feed(b": hello\n\ndata: [DONE]\n\n")

    assert (read.is_over, read.has_begun) == (True, False)


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"type":"error","error":{"message":"no pictures of that"}}\n\n',
        b'data: {"error":{"message":"no pictures of that"}}\n\n',
        b'{"error":{"message":"no pictures of that"}}',
    ],
)
def test_an_error_comes_first(event):
    read = reading()

    with pytest.raises(Refused, match="no pictures of that"):
        _ = read.feed(event) + read.end()


def test_an_error_comes_later():
    read = reading()
    read.feed(DELTA)
    read.feed(b'event: error\ndata: {"type":"error","error":{"message":"out of ears"}}\n\n')

    assert isinstance(read.told_error(), BrokeOff)
    assert read.told_error().message == "out of ears"
