"""Deadlines that are nearly always met."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `act` with each item that stays in for `after_s`, or up to a quarter of that longer.

    One timer for all items, and none while there are none: a timer each would cost a request more than most of what is
    done for it.
    """

    def __init__(self, after_s: float, act: Callable[[T], None]) -> None:
        self.after_s = after_s
        self._act = act
        self._due: dict[T, float] = {}  # in the order in which they are due
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, item: T, loop: asyncio.AbstractEventLoop) -> None:
        self._due[item] = loop.time() + self.after_s
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self.after_s, self._turn, loop)

    def discard(self, item: T) -> None:
        self._due.pop(item, None)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._due:
            item, due_at = next(iter(self._due.items()))
            if due_at > now:
                loop.call_later(self.after_s / 4, self._turn, loop)
                return
            del self._due[item]
            self._act(item)
        self._loop = None
