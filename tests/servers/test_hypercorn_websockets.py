"""How much of unfinished messages Hypercorn's WebSockets hold."""

import pytest
from hypercorn.protocol.ws_stream import FrameTooLargeError
from wsproto.events import BytesMessage, TextMessage

from gateway.servers.hypercorn import ALWAYS_BYTES, Unfinished, UnfinishedMessage


def piece(size):
    return BytesMessage(data=b"x" * size, message_finished=False)


def test_a_message_that_is_too_large_is_let_go():
    """It grew on, by all that the client sent after it had been refused."""
    unfinished = Unfinished(ALWAYS_BYTES)
    message = UnfinishedMessage(unfinished, ALWAYS_BYTES + 3)
    message.extend(piece(ALWAYS_BYTES + 3))
    assert unfinished.size == 3

    for size in (1, 1, ALWAYS_BYTES):
        with pytest.raises(FrameTooLargeError):
            message.extend(piece(size))

    assert (message.value, message.length, unfinished.size) == (None, 0, 0)


def test_all_of_them_together_have_an_end_but_small_ones_always_pass():
    unfinished = Unfinished(10)
    first, second, third = (UnfinishedMessage(unfinished) for _ in range(3))
    first.extend(piece(ALWAYS_BYTES))
    first.extend(piece(7))
    second.extend(piece(ALWAYS_BYTES + 3))

    with pytest.raises(FrameTooLargeError):
        second.extend(piece(1))
    third.extend(piece(ALWAYS_BYTES))
    assert unfinished.size == 7

    first.clear()
    third.extend(piece(10))
    assert unfinished.size == 10


def test_a_message_is_what_was_sent():
    unfinished = Unfinished(10)
    message = UnfinishedMessage(unfinished)
    for text in ("Gr", "üße", ""):
        message.extend(TextMessage(data=text))

    assert message.to_message() == {"type": "websocket.receive", "bytes": None, "text": "Grüße"}
    message.clear()
    assert (message.length, unfinished.size) == (0, 0)
