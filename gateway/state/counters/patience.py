"""How long others are waited for who may be late."""

import asyncio
from collections import deque
from time import monotonic
from typing import Any

SLICES = 5
PUNCTUAL_S = 0.005


class Patience:
    """Fails futures with TimeoutError that are not done `after_s` after they were added, or up to a fifth longer.

    Time in which this process was busy does not count: the answer may have come, and nobody has looked. So time is cut
    into slices, and those count that end when they should. There is one timer for all, and none while nobody waits.
    """

    def __init__(self, after_s: float) -> None:
        self._slice_s = after_s / SLICES
        self._waiting: deque[tuple[asyncio.Future[Any], int, int]] = deque()
        """Oldest first, each with how many slices may have counted by then, and have passed."""
        self._counted = 0
        self._passed = 0
        self._due_s = 0.0
        self._is_watching = False

    def add(self, future: asyncio.Future[Any]) -> None:
        begun = 1 if self._is_watching else 0  # the slice under way does not count for those who come within it
        self._waiting.append((future, self._counted + SLICES + begun, self._passed + 5 * SLICES + begun))
        if not self._is_watching:
            self._is_watching = True
            self._begin(future.get_loop())

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the clock of the loop, which stands still while the loop is busy.
        self._due_s = monotonic() + self._slice_s
        loop.call_later(self._slice_s, self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._passed += 1
        self._counted += abs(monotonic() - self._due_s) <= PUNCTUAL_S
        while self._waiting:
            future, counted, passed = self._waiting[0]
            if not future.done():
                if self._counted < counted and self._passed < passed:
                    self._begin(loop)
                    return
                future.set_exception(TimeoutError())
            self._waiting.popleft()
        self._is_watching = False
