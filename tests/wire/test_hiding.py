"""What is secret does not come back, however an answer is cut."""

import pytest

from gateway.wire.hiding import HidingReading

SAID = b"key-of-acc key-of-account! key-of-key-of-account aa key-of"
SHOWN = b"key-of-acc **************! key-of-************** aa key-of"


@pytest.mark.parametrize("cut", range(len(SAID) + 1))
def test_however_it_is_cut(cut):
    reading = HidingReading([b"key-of-account", b"another-secret"])

    assert reading.feed(SAID[:cut]) + reading.feed(SAID[cut:]) + reading.end() == SHOWN


def test_byte_by_byte():
    reading = HidingReading([b"key-of-account", b"count"])

    assert b"".join(reading.feed(SAID[at : at + 1]) for at in range(len(SAID))) + reading.end() == SHOWN


def test_all_else_passes_at_once():
    reading = HidingReading([b"key-of-account"])

    assert (reading.feed(b"data: 1\n\n"), reading.feed(b"ke"), reading.feed(b"pt"), reading.end()) == (
        b"data: 1\n\n",
        b"",
        b"kept",
        b"",
    )
