"""What goes to a sink that must not lose anything: it may be slow, or away for a while."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from gateway.contract import Record, Sink
from gateway.errors import GatewayError
from gateway.logs import redact_text, traceback_text
from gateway.state.pump import Pump
from gateway.state.spool import MAX_BYTES, Spool

BATCH = 1000
MOST = 4000
"""Of one batch, when there are so many: the more there are, the more of them are in the same sums."""
FLUSH_S = 0.5
"""A process that is killed loses what came in since, and what was on its way."""
WRITE_S = 15.0
"""Who takes longer for a batch is away."""
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 10.0

log = structlog.get_logger(__name__)


class LastingFeed:
    """A pump for one sink. What the sink does not take goes to the spool at once; without a spool, or when that is full
    or broken, it waits in memory, and when `max_waiting` do, the newest are dropped, and counted. All of it is written
    when the sink is back, the newest first; what was on its way when the sink failed, it may get twice.

    Args:
        name: of the sink, for people.
        spool: a directory, which processes may share; None: there is no spool.
        flush_s: a record waits at most this long for its batch to fill.
        write_s: how long the sink may take for a batch.
        random: from 0 to 1, so that replicas do not come back all at once.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        spool: Path | None = None,
        max_waiting: int,
        max_spool_bytes: int = MAX_BYTES,
        flush_s: float = FLUSH_S,
        write_s: float = WRITE_S,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.dropped = 0
        self.name = name
        self._sink = sink
        self._write_s = write_s
        self._random = random
        self._spool = _spool(spool, max_spool_bytes) if spool is not None else None
        self._is_spooled = spool is not None  # as long as nobody has looked
        self._pump: Pump[Record] = Pump(self._turn, self._drop, max_waiting=max_waiting, flush_s=flush_s, batch=BATCH)
        self._sink_problem: str | None = None
        self._spool_problem: str | None = None
        self._failures = 0
        self._retry_at_s = 0.0  # by the clock of the event loop
        self.add = self._pump.add

    @property
    def waiting(self) -> int:
        """Records in memory."""
        return len(self._pump.waiting)

    @property
    def problem(self) -> str | None:
        """Why the sink is behind; None: it is not."""
        return "; ".join(filter(None, (self._sink_problem, self._spool_problem))) or None

    def start(self) -> None:
        """Replays what a process before this one left."""
        if self._spool is not None:
            self._pump.start()

    async def flush(self) -> None:
        await self._pump.flush()

    async def close(self, deadline_s: float) -> None:
        """After the last `add`. What is left by then goes to the spool, or is lost and counted."""
        await self._pump.close(deadline_s)
        await self._spill()
        for record in self._pump.waiting:
            self._drop(record)
        self._pump.waiting.clear()
        if self._spool is not None:
            self._spool.close()
        if (close := getattr(self._sink, "close", None)) is not None:
            await close()

    async def _turn(self) -> bool:
        if asyncio.get_running_loop().time() >= self._retry_at_s or self._pump.is_closing:
            try:
                for batch in self._pump.batches(MOST):
                    await self._write(batch)
                if not self._pump.is_closing:
                    await self._replay_some()
                problem = None
            except TimeoutError:
                problem = "it takes too long"
            except GatewayError as error:
                problem = error.message
            except Exception as error:  # a plugin's
                problem = getattr(error, "strerror", None) or type(error).__name__
                if problem != self._sink_problem:
                    log.error("sink failed", sink=self.name, traceback=traceback_text())
            self._note(problem)
        if self._sink_problem is not None:
            await self._spill()
        return self._is_spooled and not self._pump.is_closing

    async def _write(self, batch: Sequence[Record]) -> None:
        async with asyncio.timeout(self._write_s):
            await self._sink.write(batch)

    async def _replay_some(self) -> None:
        """Of what is in the spool, the oldest file."""
        if self._spool is None or not self._is_spooled:
            return
        try:
            oldest = await asyncio.to_thread(self._spool.oldest)
        except OSError as error:
            self._is_spooled = False  # until something is put into it again
            self._spool_problem = f"the spool of {self.name} cannot be read: {error.strerror or error}"
            return
        if oldest is None:
            self._is_spooled = False
            self._spool_problem = None
            return
        path, records = oldest
        for at in range(0, len(records), MOST):
            await self._write(records[at : at + MOST])
        try:
            await asyncio.to_thread(self._spool.remove, path)
        except OSError as error:
            self._is_spooled = False
            self._spool_problem = f"the spool of {self.name} cannot be emptied: {error.strerror or error}"

    async def _spill(self) -> None:
        """To the spool, as many as it takes."""
        waiting = self._pump.waiting
        while self._spool is not None and (batch := waiting[:BATCH]):
            try:
                count = await asyncio.to_thread(self._spool.append, batch)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                self._spool_problem = f"the spool of {self.name} cannot be written: {reason}"
                return
            del waiting[:count]
            self._is_spooled = self._is_spooled or count > 0
            if count < len(batch):
                self._spool_problem = f"the spool of {self.name} is full"
                return
            self._spool_problem = None

    def _note(self, reason: str | None) -> None:
        before = self._sink_problem
        if reason is None:
            self._failures = 0
            self._sink_problem = None
            if before is not None:
                log.info("sink takes records again", sink=self.name, waiting=self.waiting, dropped=self.dropped)
            return
        self._failures += 1
        delay_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10), LAST_RETRY_S) * (0.5 + self._random() / 2)
        self._retry_at_s = asyncio.get_running_loop().time() + delay_s
        self._sink_problem = f"{self.name} takes no records: {redact_text(reason)}"
        if before is None:
            log.error("sink takes no records", sink=self.name, reason=reason, waiting=self.waiting)

    def _drop(self, _: Record) -> None:
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8, ...: it may be many
            log.error("records dropped", sink=self.name, dropped=self.dropped, problem=self.problem)


def _spool(directory: Path, max_bytes: int) -> Spool[Record]:
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Record)
    return Spool(directory, encode=encoder.encode, decode=decoder.decode, max_bytes=max_bytes)
