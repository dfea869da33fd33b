"""Large things are freed in small steps, and only they."""

import weakref

from gateway.config.release import release
from gateway.config.snapshot import Snapshot


class Kept:
    """Something of which one can tell whether it is still there."""


def test_frees_what_nobody_else_holds():
    value = Kept()
    is_there = weakref.ref(value)
    held = [{"a": [(value,)]}]
    del value

    release(held)

    assert (held, is_there()) == ([], None)


def test_leaves_what_others_hold_as_it_is():
    """A request under way may still use what was replaced."""
    inner = [1, [2]]
    snapshot = Snapshot(documents={("team", "a"): inner})

    release([{"inner": inner}, snapshot])

    assert inner == [1, [2]]
    assert snapshot.documents == {("team", "a"): [1, [2]]}


def test_what_holds_itself_does_not_hold_it_up():
    circle = []
    circle.append(circle)
    held = [circle]
    del circle

    release(held)

    assert held == []
