"""Brings records to one place, in batches, and never keeps anybody waiting."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog
from google.protobuf.message import Message

from gateway.contract import Record
from gateway.logs import traceback_text
from gateway.state.pump import Pump
from gateway.state.telemetry.counts import Counts
from gateway.state.telemetry.settings import Signal
from gateway.state.telemetry.transports import Transport, Unsent

MAX_WAITING = 20_000
BATCH = 500
"""Records in one message."""
BATCH_BYTES = 2**19
"""Of texts in it: larger messages hold up the event loop, and receivers of gRPC take 4 MiB by default."""
SLICE = 20
"""Records that are encoded in one turn of the event loop: about a millisecond."""
FLUSH_S = 1.0
PAUSES_S = (1.0, 2.0, 4.0)
"""Before each further attempt. A receiver may ask for more, up to `LONGEST_S`."""
LONGEST_S = 10.0

log = structlog.get_logger(__name__)


class Encoding(Protocol):
    """How records are told in one signal."""

    def size_of(self, record: Record) -> int:
        """Bytes of what is told besides the record itself."""

    async def prepare(self, records: Sequence[Record]) -> None:
        """Before they are added to a message, to do what takes a while."""

    def message(self) -> Any:
        """An empty one."""

    def add(self, records: Sequence[Record], message: Any) -> None: ...


class Exporter:
    """What cannot be sent is dropped and counted, the newest first when there are too many.

    Args:
        encoding: makes a message of records, a few at a time.
        wants: of a record.
    """

    def __init__(
        self,
        signal: Signal,
        transport: Transport,
        encoding: Encoding,
        *,
        counts: Counts,
        wants: Callable[[Record], bool] = lambda _: True,
        max_waiting: int = MAX_WAITING,
        flush_s: float = FLUSH_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self.signal = signal
        self._transport = transport
        self._encoding = encoding
        self._counts = counts
        self._wants = wants
        self._pauses_s = pauses_s
        self._pump: Pump[Record] = Pump(self._turn, self._drop, max_waiting=max_waiting, flush_s=flush_s)

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            if self._wants(record):
                self._counts.accepted[self.signal] += 1
                self._pump.add(record)

    async def flush(self) -> None:
        await self._pump.flush()

    async def close(self, deadline_s: float) -> None:
        """After the last `add`. What has not arrived by then is lost, and counted."""
        await self._pump.close(deadline_s)
        if missed := len(self._pump.waiting):
            self._counts.lost(self.signal, "shutdown", missed)
            self._pump.waiting.clear()
        await self._transport.close()

    async def _turn(self) -> bool:
        waiting = self._pump.waiting
        left = len(waiting)  # what comes meanwhile waits for its batch to fill
        while batch := self._fitting(waiting[: min(left, BATCH)]):
            await self._send(batch)
            del waiting[: len(batch)]
            left -= len(batch)
        return False

    def _fitting(self, records: Sequence[Record]) -> Sequence[Record]:
        """As many of the first as have room in one message, and at least one, if there is any."""
        size = 0
        for number, record in enumerate(records):
            size += self._encoding.size_of(record)
            if size > BATCH_BYTES and number:
                return records[:number]
        return records

    async def _send(self, batch: Sequence[Record]) -> None:
        try:
            message = await self._encoded(batch)
            await self._delivered(message)
        except Unsent as error:
            self._counts.lost(self.signal, error.reason, len(batch))
        except Exception:  # a record that cannot be encoded, or a library's
            log.error("telemetry failed", signal=self.signal, traceback=traceback_text())
            self._counts.lost(self.signal, "error", len(batch))
        else:
            self._counts.arrived(self.signal, len(batch))

    async def _encoded(self, batch: Sequence[Record]) -> Message:
        await self._encoding.prepare(batch)
        message = self._encoding.message()
        for begin in range(0, len(batch), SLICE):
            self._encoding.add(batch[begin : begin + SLICE], message)
            await asyncio.sleep(0)
        return message

    async def _delivered(self, message: Message) -> None:
        """Raises Unsent: after all attempts, or once nobody waits any longer."""
        for pause_s in (*self._pauses_s, None):
            try:
                await self._transport.send(message)
            except Unsent as error:
                if not error.may_retry or pause_s is None or self._pump.is_closing:
                    raise
                await asyncio.sleep(min(max(pause_s, error.after_s or 0.0), LONGEST_S))
            else:
                return

    def _drop(self, _: Record) -> None:
        self._counts.lost(self.signal, "queue_full", 1)
