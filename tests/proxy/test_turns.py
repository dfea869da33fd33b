"""What a connection remembers of its conversation."""

import msgspec
import pytest

from gateway.proxy.turns import ITEM_BYTES, MAX_TURNS, TURN_BYTES, Room, Turns


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
    turns = Turns(room, max_bytes=2 * (TURN_BYTES + ITEM_BYTES) + 4)
    turns.remember("a", raws(b"123"), after=None)
    turns.remember("b", raws(b"45"), after="a")

    assert ("a" in turns, "b" in turns, room.taken) == (False, False, 0)


def test_nothing_is_not_remembered_for_nothing():
    """Turns without items, one after the other: each is as cheap as a message, and all are walked through each time."""
    room = Room()
    turns = Turns(room, max_bytes=100 * TURN_BYTES)
    for number in range(101):
        turns.remember(str(number), [], after=str(number - 1))

    assert ("100" in turns, room.taken) == (False, 0)


def test_all_connections_share_the_room():
    size = TURN_BYTES + ITEM_BYTES + 3
    room = Room(max_bytes=4 * size)
    full = [Turns(room, owner=name) for name in "abcd"]
    for turns in full:
        turns.remember("a", raws(b"123"), after=None)
    last = Turns(room, owner="e")
    last.remember("b", raws(b"45"), after=None)

    assert (["a" in turns for turns in full], "b" in last, room.taken) == ([True] * 4, False, 4 * size)
    full[0].clear()
    assert room.taken == 3 * size


def test_one_caller_cannot_fill_the_room():
    """Who holds some connections open would have the conversations of all others forgotten."""
    room = Room(max_bytes=4 * TURN_BYTES)
    mine, again, others = Turns(room, owner="a"), Turns(room, owner="a"), Turns(room, owner="b")
    mine.remember("1", [], after=None)
    mine.remember("2", [], after="1")
    again.remember("3", [], after=None)
    others.remember("4", [], after=None)

    assert ("2" in mine, "3" in again, "4" in others) == (True, False, True)
