"""What one connection remembers of its conversation, so that the next turn need not be stored anywhere to go on."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

MAX_TURNS = 4
"""That a connection may go on from: the last, and some before it, from which another branch may be begun."""
MAX_CONNECTION_BYTES = 20 * 1024 * 1024
MAX_BYTES = 256 * 1024 * 1024
"""Of all connections of a process."""
SHARE_OF_ONE = 2
"""One of so many is the most of one caller: who fills the room would have all others forgotten."""
TURN_BYTES, ITEM_BYTES = 4096, 128
"""That each takes at least: of turns without anything in them, and of items of a byte, there would be millions, to be
walked through with each turn."""


class Room:
    """How much all of them remember together, and each caller."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        return sum(self._taken.values())

    def take(self, owner: str, size: int) -> None:
        """`size`: below 0, it is given back."""
        self._taken[owner] += size
        if not self._taken[owner]:
            del self._taken[owner]

    def is_full_for(self, owner: str) -> bool:
        return self.taken > self.max_bytes or self._taken[owner] > self.max_bytes // SHARE_OF_ONE


class _Turn(msgspec.Struct, frozen=True, eq=False):
    """What one turn has added, in and out, to the one before it."""

    before: "_Turn | None"
    items: tuple[msgspec.Raw, ...]
    size: int

    def back(self) -> "Iterator[_Turn]":
        """From this one to the first."""
        turn: _Turn | None = self
        while turn is not None:
            yield turn
            turn = turn.before


class Turns:
    """The latest responses of a connection, each with all that led to it. What finds no room is not remembered: who
    goes on from there is told so, and sends the conversation."""

    def __init__(self, room: Room, *, owner: str = "", max_bytes: int = MAX_CONNECTION_BYTES) -> None:
        self._room = room
        self._owner = owner
        self._max_bytes = max_bytes
        self._size = 0
        self._turns: OrderedDict[str, _Turn] = OrderedDict()

    def __contains__(self, id_: str) -> bool:
        return id_ in self._turns

    def until(self, id_: str) -> list[msgspec.Raw]:
        """All items up to that response, its own included. Raises KeyError: it is not remembered."""
        return [item for turn in reversed([*self._turns[id_].back()]) for item in turn.items]

    def remember(self, id_: str, items: Sequence[msgspec.Raw], *, after: str | None) -> None:
        """
        Args:
            items: what came in, and what the response has said.
            after: the response that it continues.
        """
        before = self._turns.get(after) if after is not None else None
        size = TURN_BYTES + sum(ITEM_BYTES + len(memoryview(item)) for item in items)
        self._turns[id_] = _Turn(before, tuple(items), size)
        while len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)
        self._measure()
        if self._size > self._max_bytes or self._room.is_full_for(self._owner):
            self.clear()

    def forget(self, id_: str) -> None:
        self._turns.pop(id_, None)
        self._measure()

    def clear(self) -> None:
        self._turns.clear()
        self._measure()

    def _measure(self) -> None:
        seen = {id(turn): turn.size for last in self._turns.values() for turn in last.back()}
        size = sum(seen.values())
        self._room.take(self._owner, size - self._size)
        self._size = size
