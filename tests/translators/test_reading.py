"""What readings of other formats have in common."""

import pytest

from gateway.errors import BrokeOff
from gateway.translators.reading import EventReading

STREAM = b": hi\n\nevent: a\ndata: 1\n\n\n\ndata:2\ndata: 3\n\nid: 4\n\ndata: 5\n\n"


class Plain(EventReading):
    def event(self, data):
        self.has_begun = True
        return data + b";"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_wherever_they_are_cut(line_end):
    stream = STREAM.replace(b"\n", line_end)

    for cut in range(len(stream) + 1):
        for second in (cut, min(cut + 1, len(stream))):
            reading = Plain()
            pieces = (stream[:cut], stream[cut:second], stream[second:])
            out = b"".join(reading.feed(piece) for piece in pieces if piece) + reading.end()
            assert (out, reading.events) == (b"1;2\n3;5;", 3)


def test_an_event_without_end_is_given_up():
    reading = Plain()
    assert [reading.feed(1024 * 1024 * b"x") for _ in range(4)] == [b""] * 4

    with pytest.raises(BrokeOff, match="too large to be translated"):
        reading.feed(b"x")


@pytest.mark.parametrize("filler", [b"\n", b"\r", b":\n\n", b"\r\n"])
def test_what_says_nothing_is_passed_over(filler):
    """A MiB of blank lines took a second, for the event loop to wait."""
    reading = Plain()

    assert reading.feed(filler * 1_000_000) == b""
    assert (reading.feed(b"\n\ndata: 1\n\n"), reading.events) == (b"1;", 1)
