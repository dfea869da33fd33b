"""What a provider's own batch has cost: a bill for its owner, once it has ended.

Its requests do not pass the gateway, so what they use cannot be reserved; they draw on budgets when it is over, also
beyond their end. There is one bill for each model of a batch, nearly always one, whoever sees first that it has ended:
its id is that of the batch, and the ledger has one of each.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from gateway.batches.output import Model, Output
from gateway.contract import Caller, Target
from gateway.contract.entry import Entry
from gateway.contract.objects import AccountObject
from gateway.proxy.admission import Admission

MAX_REMEMBERED = 10_000

log = structlog.get_logger(__name__)


class BillsLedger(Protocol):
    """Each method may raise Unavailable."""

    async def knows(self, id_: str) -> bool:
        """Whether there is a bill of that id."""

    async def write(self, entries: Sequence[Entry]) -> int:
        """All or none. Returns how many of them are new."""


class Written:
    """What was billed before, for a gateway without a database."""

    def __init__(self, add: Callable[[Entry], None]) -> None:
        self._add = add
        self._ids: OrderedDict[str, None] = OrderedDict()

    async def knows(self, id_: str) -> bool:
        return id_ in self._ids

    async def write(self, entries: Sequence[Entry]) -> int:
        new = [entry for entry in entries if entry.request_id not in self._ids]
        for entry in new:
            self._add(entry)
            self._ids[entry.request_id] = None
            if len(self._ids) > MAX_REMEMBERED:
                self._ids.popitem(last=False)
        return len(new)


class BatchBills:
    """
    Args:
        caller_of: a subject as a caller with what it may do now; None: it is nobody any more.
    """

    def __init__(
        self,
        admission: Admission,
        *,
        caller_of: Callable[[str], Caller | None],
        ledger: BillsLedger,
    ) -> None:
        self.admission = admission
        self.caller_of = caller_of
        self._ledger = ledger

    async def has(self, batch: AccountObject) -> bool:
        """Whether it is billed already."""
        return await self._ledger.knows(id_of(batch))

    async def write(self, batch: AccountObject, output: Output, at: datetime) -> None:
        """Counts it once, and not before it is safe in the ledger. Raises Unavailable."""
        caller = self.caller_of(batch.owner) or Caller(batch.owner)
        entries = []
        for number, tab in enumerate(output.tabs):
            id_ = id_of(batch) + (f"/{number}" if number else "")
            entries.append(self.admission.beside(caller, tab.model.name, tab.usage, tab.bill(), id_=id_, at=at))
        if entries and await self._ledger.write(entries):
            for entry in entries:
                await self.admission.draw(entry)
            log.info("batch billed", batch=batch.id, account=batch.account, bills=len(entries))


def id_of(batch: AccountObject) -> str:
    """Of its bill."""
    return f"{batch.provider_id}@{batch.account}"


def model_of(targets: Mapping[str, Target], find: Callable[[str], Target | None], account: str, name: str) -> Model:
    """By the provider's name for it.

    Args:
        find: `account/model` -> that, also where an account offers all there are.
    """
    target = target_of(targets, account, name) or (find(f"{account}/{name}") if name else None)
    return Model(target.name, target.price) if target is not None else Model(f"{account}/{name}")


def target_of(targets: Mapping[str, Target], account: str, model: str) -> Target | None:
    """Of an account, by the provider's name for it; OpenAI says which release of it answered (`gpt-5-2025-08-07`), and
    the longest name that it begins with is that of the model."""
    own = [each for each in targets.values() if each.account == account and each.model]
    fits = [each for each in own if model == each.model or model.startswith(f"{each.model}-2")]
    return max(fits, key=lambda each: len(each.model), default=None)
