"""Deadlines that are nearly always met."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

PARTS = 4
"""Turns in which a deadline passes: time is told by counting them, so that nobody has to ask for it."""

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `act` with each item that stays in for `after_s`, or up to a quarter of that longer.

    One timer for all items, and none while there are none: a timer each would cost a request more than most of what is
    done for it.
    """

    def __init__(self, after_s: float, act: Callable[[T], None]) -> None:
        self.after_s = after_s
        self._act = act
        self._due: dict[T, int] = {}  # in the order in which they are due
        self._turns = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, item: T, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            self._due[item] = self._turns + PARTS + 1  # the turn under way has begun some time ago
            return
        self._due[item] = self._turns + PARTS
        self._loop = loop
        loop.call_later(self.after_s / PARTS, self._turn, loop)

    def discard(self, item: T) -> None:
        self._due.pop(item, None)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        while self._due:
            item, due = next(iter(self._due.items()))
            if due > self._turns:
                loop.call_later(self.after_s / PARTS, self._turn, loop)
                return
            del self._due[item]
            self._act(item)
        self._loop = None
