"""A bounded buffer between those who must not wait and those who take their time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

BATCH = 200
"""Few enough to be written out while they are still in the processor's cache, and in one transaction without keeping
others waiting."""
FLUSH_S = 0.2

Item = TypeVar("Item")


class Pump(Generic[Item]):
    """Carries what is added to `turn`, in a task that begins with the first of it and ends when there is no more to do.

    Args:
        turn: takes from the front of `waiting` what it could deal with; True: it is to be called again though nothing
            may be waiting. It is called by one task at a time, and never raises.
        drop: told of what has no room, the newest: the oldest tell how it began.
        flush_s: nothing waits longer for its batch to fill, to `batch` items.
    """

    def __init__(
        self,
        turn: Callable[[], Awaitable[bool]],
        drop: Callable[[Item], None],
        *,
        max_waiting: int,
        flush_s: float = FLUSH_S,
        batch: int = BATCH,
    ) -> None:
        self.waiting: list[Item] = []
        self.is_closing = False
        self._turn = turn
        self._drop = drop
        self._max_waiting = max_waiting
        self._flush_s = flush_s
        self._batch = batch
        self._working: asyncio.Task[None] | None = None
        self._in_turn = asyncio.Lock()
        self._is_full = asyncio.Event()

    def add(self, item: Item) -> None:
        """Never waits and never raises."""
        waiting = self.waiting
        if len(waiting) >= self._max_waiting:
            self._drop(item)
            return
        waiting.append(item)
        if self._working is None:
            self.start()
        elif len(waiting) == self._batch:
            self._is_full.set()

    def batches(self, most: int) -> Iterator[Sequence[Item]]:
        """What waits now, to be dealt with in batches of at most so many: each is removed when the next is asked for.
        What comes meanwhile waits for its batch to fill. Else, under steady traffic, each would be of the few that came
        while the one before was dealt with."""
        left = len(self.waiting)
        while batch := self.waiting[: min(left, most)]:
            yield batch
            del self.waiting[: len(batch)]
            left -= len(batch)

    def start(self) -> None:
        """Though nothing may be waiting."""
        if self._working is None:
            self._working = asyncio.create_task(self._work())

    async def flush(self) -> bool:
        """A turn now."""
        async with self._in_turn:
            return await self._turn()

    async def close(self, deadline_s: float) -> None:
        """After the last `add`, and one more turn: what is `waiting` then was not taken in time."""
        self.is_closing = True
        self._is_full.set()
        if self._working is not None:  # not cancelled at once: somebody may have a batch in his hands
            await asyncio.wait([self._working], timeout=deadline_s)
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        self._is_full.clear()
        self.is_closing = False

    async def _work(self) -> None:
        try:
            has_more = True
            while has_more:
                is_last = self.is_closing
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_full.wait(), self._flush_s)
                self._is_full.clear()
                has_more = (await self.flush() or bool(self.waiting)) and not is_last
        finally:
            self._working = None
