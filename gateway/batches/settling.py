"""Asks a provider how a batch of its own is, and bills it when it has ended."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import msgspec
import structlog

from gateway.batches.bills import BatchBills
from gateway.batches.calls import about_batches, content_of
from gateway.batches.lines import Splitter
from gateway.batches.output import Model, Output
from gateway.contract import Call, Caller, Reply, Target
from gateway.contract.batches import OVER, Watch
from gateway.contract.objects import AccountObject, ObjectKind, Objects
from gateway.contract.windows import utc_now
from gateway.errors import BrokeOff, NotFound, Refused, Unreachable
from gateway.middleware.account import standing_for
from gateway.proxy.account import AccountResponder

MAX_OUTPUT_BYTES = 8 * 1024**3
GONE = frozenset({404, 410})

Open = Callable[[Call, Target], AbstractAsyncContextManager[Reply]]

log = structlog.get_logger(__name__)


class Settling:
    """
    Args:
        responder: gives what asks providers, and remembers what they say.
        open_: opens an answer that is read as it comes.
        serving: account -> one target of it, if it has batches.
        model_of: account, the provider's name for a model -> it.
    """

    def __init__(
        self,
        bills: BatchBills,
        *,
        objects: Objects,
        responder: Callable[[], AccountResponder],
        open_: Open,
        serving: Callable[[str], Sequence[Target]],
        model_of: Callable[[str, str], Model],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.bills = bills
        self.objects = objects
        self.responder = responder
        self._open = open_
        self._serving = serving
        self._model_of = model_of
        self._clock = clock

    async def look(self, watch: Watch) -> bool:
        """Whether there is nothing more to do: it is billed, or nobody knows it any more.

        Raises:
            GatewayError: the provider, or the database, cannot be asked now.
        """
        try:
            batch = await self.objects.find(ObjectKind.BATCH, watch.id, None)
        except NotFound:
            return True
        if await self.bills.has(batch):
            return True
        served = self._serving(batch.account)
        if not served:
            raise Unreachable(f"the account {batch.account} is not there, or has no batches now")
        fields = _decoded(batch.data)
        if not _is_over(fields):
            target = standing_for(served[0], "batches")
            try:
                fields = _decoded(await self.responder().look(about_batches(batch), batch, target))
            except Refused as error:
                if error.status not in GONE:
                    raise
                log.warning("batch gone at its provider", batch=batch.id, account=batch.account)
                await self.give_up(watch)
                return True
        if not _is_over(fields):
            return False
        await self.bills.write(batch, await self._used(batch, fields, standing_for(served[0], "files")), self._clock())
        return True

    async def give_up(self, watch: Watch) -> None:
        """It is in the ledger, and nobody knows what it costs."""
        try:
            batch = await self.objects.find(ObjectKind.BATCH, watch.id, None)
        except NotFound:
            return
        output = self._new(batch)
        output.add("", None)
        await self.bills.write(batch, output, self._clock())

    async def _used(self, batch: AccountObject, fields: Mapping[str, Any], target: Target) -> Output:
        """By its output file; else by what the batch itself says; else nobody knows."""
        output = self._new(batch)
        file_id = fields.get("output_file_id")
        if isinstance(file_id, str):
            try:
                # Its own, as some servers repeat whatever fields a caller sends.
                file = await self.objects.find(ObjectKind.FILE, file_id, Caller(batch.owner))
                await self._read(output, file, target)
            except NotFound:
                log.warning("output of a batch is gone", batch=batch.id, account=batch.account)
            except Refused as error:
                if error.status not in GONE:
                    raise
                log.warning("output of a batch is gone", batch=batch.id, account=batch.account)
        if output.is_told:
            return output
        whole = self._new(batch)
        usage = fields.get("usage")
        whole.add(fields.get("model"), usage if _is_some(usage) else None)
        if whole.is_told:
            return whole
        counts = fields.get("request_counts")
        has_answers = isinstance(counts, dict) and counts.get("completed") not in (None, 0)
        return (output if output.tabs else whole) if has_answers or output.tabs else self._new(batch)

    async def _read(self, output: Output, file: AccountObject, target: Target) -> None:
        splitter, size = Splitter(), 0
        async with self._open(content_of(file), target) as reply:
            while data := await reply.read():
                size += len(data)
                if size > MAX_OUTPUT_BYTES:
                    raise BrokeOff(f"the output file is over {MAX_OUTPUT_BYTES:,} bytes")
                if lines := splitter.feed(data):
                    await asyncio.to_thread(output.look, lines)
        await asyncio.to_thread(output.look, splitter.end())

    def _new(self, batch: AccountObject) -> Output:
        return Output(lambda name: self._model_of(batch.account, name), self._clock())


def _decoded(data: bytes | None) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(data or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _is_over(fields: Mapping[str, Any]) -> bool:
    status = fields.get("status")
    return isinstance(status, str) and status in OVER


def _is_some(usage: object) -> bool:
    """OpenAI says that it was nothing at all as long as it has not counted."""
    return isinstance(usage, dict) and any(isinstance(count, int) and count > 0 for count in usage.values())
