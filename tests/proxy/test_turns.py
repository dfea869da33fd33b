"""What a connection remembers of its conversation."""

import msgspec
import pytest

from gateway.proxy.turns import MAX_TURNS, Room, Turns


def raws(*texts):
    return [msgspec.Raw(text) for text in texts]


def test_a_turn_has_all_that_led_to_it():
    turns = Turns(Room())
    turns.remember("a", raws(b"1", b"2"), after=None)
    turns.remember("b", raws(b"3"), after="a")

    assert turns.until("b") == raws(b"1", b"2", b"3")
    assert turns.until("a") == raws(b"1", b"2")


def test_only_the_latest_can_be_gone_on_from():
    turns = Turns(Room())
    for number in range(MAX_TURNS + 1):
        turns.remember(str(number), raws(b"%d" % number), after=str(number - 1))

    assert "0" not in turns
    assert turns.until(str(MAX_TURNS)) == raws(*(b"%d" % number for number in range(MAX_TURNS + 1)))


def test_what_is_forgotten_is_not_there():
    turns = Turns(Room())
    turns.remember("a", raws(b"1"), after=None)
    turns.forget("a")
    turns.forget("a")

    assert "a" not in turns
    with pytest.raises(KeyError):
        turns.until("a")


def test_one_that_is_too_large_begins_anew():
    """No memory is taken for what nobody could go on from."""
    room = Room()
    turns = Turns(room, max_bytes=4)
    turns.remember("a", raws(b"123"), after=None)
    turns.remember("b", raws(b"45"), after="a")

    assert ("a" in turns, "b" in turns, room.taken) == (False, False, 0)


def test_all_connections_share_the_room():
    room = Room(max_bytes=4)
    one, other = Turns(room), Turns(room)
    one.remember("a", raws(b"123"), after=None)
    other.remember("b", raws(b"45"), after=None)

    assert ("a" in one, "b" in other, room.taken) == (True, False, 3)
    one.clear()
    assert room.taken == 0
