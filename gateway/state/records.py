"""Carries request records from the requests to the sinks, without either waiting for the other."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from gateway.contract import Record, Sink
from gateway.logs import traceback_text

log = structlog.get_logger(__name__)


BATCH = 200
"""Few enough to be written out while they are still in the processor's cache."""


class Records:
    """A bounded buffer, written out in batches. When a sink cannot keep up, the newest records are dropped and counted.

    Args:
        flush_s: a record waits at most this long for its batch to fill.
    """

    def __init__(self, sinks: Sequence[Sink], *, max_buffered: int = 100_000, flush_s: float = 0.2) -> None:
        self.sinks = sinks
        self.max_buffered = max_buffered
        self.flush_s = flush_s
        self.dropped = 0
        self.problem: str | None = None
        """Why the last batch was lost; None: it was not."""
        self._buffer: list[Record] = []
        self._flushing: asyncio.Task[None] | None = None
        self._batch_is_full = asyncio.Event()

    def add(self, record: Record) -> None:
        """Never waits and never raises."""
        if len(self._buffer) >= self.max_buffered:
            self.dropped += 1
            return
        self._buffer.append(record)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_soon())
        elif len(self._buffer) == BATCH:
            self._batch_is_full.set()

    async def flush(self) -> None:
        """Writes out what there is."""
        while self._buffer:
            batch, self._buffer = self._buffer, []
            self._batch_is_full.clear()
            problem = None
            for sink in self.sinks:
                try:
                    await sink.write(batch)
                except Exception as error:
                    reason = getattr(error, "strerror", None) or type(error).__name__
                    problem = f"{type(sink).__name__} loses records: {reason}"
                    self.dropped += len(batch)
                    log.error("records lost", sink=type(sink).__name__, records=len(batch), traceback=traceback_text())
            self.problem = problem

    async def close(self) -> None:
        if self._flushing is not None:
            self._batch_is_full.set()  # not cancelled: a sink may have a batch in its hands
            await asyncio.wait([self._flushing])
        await self.flush()

    async def _flush_soon(self) -> None:
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._batch_is_full.wait(), self.flush_s)
            await self.flush()
        finally:
            self._flushing = None
