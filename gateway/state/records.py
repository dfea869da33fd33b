"""Carries request records from the requests to the sinks. None of them waits for another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import structlog

from gateway.contract import Record, Sink
from gateway.contract.part import Figure, Part, Status, counter
from gateway.logs import traceback_text
from gateway.state.feed import LastingFeed
from gateway.state.pump import FLUSH_S, Pump

MAX_WAITING = 100_000
CLOSE_S = 5.0

log = structlog.get_logger(__name__)


class Records(Part):
    """A pump for each sink. When one cannot keep up, the newest records are dropped for it, and counted.

    Args:
        lasting: sinks that are to get all records, sooner or later, each by its name.
        spool: a directory for what those do not take; None: it waits in memory.
        max_waiting: records, for each sink.
        flush_s: a record waits at most this long for its batch to fill.
    """

    name = "log"

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        lasting: Mapping[str, Sink] = MappingProxyType({}),
        spool: Path | None = None,
        max_waiting: int = MAX_WAITING,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._lasting = [
            LastingFeed(name, sink, spool=spool / name if spool is not None else None, max_waiting=max_waiting)
            for name, sink in lasting.items()
        ]
        self._feeds: list[Feed | LastingFeed] = [
            *(Feed(sink, max_waiting=max_waiting, flush_s=flush_s) for sink in sinks),
            *self._lasting,
        ]
        self.add: Callable[[Record], None] = self._feeds[0].add if len(self._feeds) == 1 else self._add_to_all
        """Never waits and never raises. With one sink, as most have, nothing stands in between."""

    @property
    def dropped(self) -> int:
        return sum(feed.dropped for feed in self._feeds)

    @property
    def status(self) -> Status:
        return Status("; ".join(feed.problem for feed in self._feeds if feed.problem is not None) or None)

    def figures(self) -> Iterable[Figure]:
        yield counter("gateway_records_dropped", "Request records that no sink took.", self.dropped)
        if self._lasting:
            waiting: dict[tuple[str, ...], float] = {(feed.name,): feed.waiting for feed in self._lasting}
            yield Figure("gateway_records_waiting", "Request records in memory.", "gauge", waiting, ("sink",))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for feed in self._lasting:
            feed.start()
        try:
            yield
        finally:
            await self.close()

    async def flush(self) -> None:
        """Writes out what there is."""
        await asyncio.gather(*(feed.flush() for feed in self._feeds))

    async def close(self, *, deadline_s: float = CLOSE_S) -> None:
        """After the last `add`. What no sink has taken by then is lost, and counted."""
        await asyncio.gather(*(feed.close(deadline_s) for feed in self._feeds))

    def _add_to_all(self, record: Record) -> None:
        for feed in self._feeds:
            feed.add(record)


class Feed:
    """What goes to one sink. `problem`: why records were lost; None: the last batch arrived."""

    def __init__(self, sink: Sink, *, max_waiting: int, flush_s: float) -> None:
        self.dropped = 0
        self.problem: str | None = None
        self._sink = sink
        self.name = type(sink).__name__
        self._pump: Pump[Record] = Pump(self._write, self._drop, max_waiting=max_waiting, flush_s=flush_s)
        self.add = self._pump.add
        self.flush = self._pump.flush

    async def close(self, deadline_s: float) -> None:
        await self._pump.close(deadline_s)
        if missed := len(self._pump.waiting):
            self._lose(missed, "it takes too long")
            self._pump.waiting.clear()

    async def _write(self) -> bool:
        waiting = self._pump.waiting
        if batch := waiting.copy():  # what comes meanwhile waits for its batch to fill
            try:
                await self._sink.write(batch)
            except Exception as error:
                self._lose(len(batch), getattr(error, "strerror", None) or type(error).__name__, traceback_text())
            else:
                self.problem = None
            del waiting[: len(batch)]
        return False

    def _drop(self, _: Record) -> None:
        self.dropped += 1
        self.problem = self.problem or f"{self.name} loses records: it takes too long"

    def _lose(self, count: int, reason: str, traceback: str | None = None) -> None:
        self.dropped += count
        self.problem = f"{self.name} loses records: {reason}"
        log.error("records lost", sink=self.name, records=count, reason=reason, traceback=traceback)
