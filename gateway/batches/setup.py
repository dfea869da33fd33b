"""Joins what runs batches."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.batches.bills import BatchBills, BillsLedger, Written, model_of
from gateway.batches.files import LocalFiles
from gateway.batches.local import LocalAccounts
from gateway.batches.pipeline import Pipeline
from gateway.batches.runner import Runner
from gateway.batches.runs import MemoryRuns
from gateway.batches.settling import Open, Settling
from gateway.batches.watches import MemoryWatches
from gateway.batches.watching import Watching
from gateway.config.live import Config
from gateway.contract import Dialect
from gateway.contract.batches import Runs, Watches
from gateway.contract.entry import Entry
from gateway.contract.objects import Objects
from gateway.control.control import Control
from gateway.proxy.account import AccountResponder
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import ASGIApp
from gateway.proxy.drain import Drain
from gateway.settings import Settings


class Batches(msgspec.Struct, frozen=True):
    local: LocalAccounts
    runner: Runner


def batches_from(
    settings: Settings,
    control: Control | None,
    objects: Objects,
    config: Config,
    drain: Drain,
    *,
    dialects: Iterable[Dialect],
    app: Callable[[], ASGIApp],
) -> Batches | None:
    """None: there is no directory for them.

    Args:
        app: gives the one that takes requests whose caller is known.
    """
    if settings.files_dir is None:
        return None
    files = LocalFiles(settings.files_dir, max_bytes=settings.files_disk_bytes)
    runs = _runs(control)
    pipeline = Pipeline(app, dialects, name_of=config.name_of)
    runner = Runner(
        runs,
        files,
        objects=objects,
        caller_of=config.callers.of_subject,
        ask=pipeline.ask,
        is_stopping=lambda: drain.is_stopping,
    )
    local = LocalAccounts(files, runs, endpoints=pipeline.endpoints, wake=runner.wake, cancelled=runner.cancelled)
    return Batches(local, runner)


def watching_from(
    control: Control | None,
    objects: Objects,
    config: Config,
    admission: Admission,
    *,
    open_: Open,
    responder: Callable[[], AccountResponder],
) -> Watching:
    """Bills what batches at providers cost.

    Args:
        open_: opens an answer that is read as it comes.
        responder: gives the one that asks providers.
    """
    ledger: BillsLedger
    watches: Watches
    if control is None:
        ledger = Written(lambda entry: admission.ledger.add(entry) if admission.ledger is not None else None)
        watches = MemoryWatches()
    else:
        from gateway.state.database.batch_watches import StoredWatches

        ledger, watches = Ledger(control), StoredWatches(control.url)
    bills = BatchBills(admission, caller_of=config.callers.of_subject, ledger=ledger)
    settling = Settling(
        bills,
        objects=objects,
        responder=responder,
        open_=open_,
        serving=lambda account: config.serving("batches", None, account),
        model_of=lambda *of: model_of(config.snapshot.targets, config.snapshot.find, *of),
    )
    return Watching(watches, look=settling.look, give_up=settling.give_up)


class Ledger:
    """The one in the database, written at once."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def knows(self, id_: str) -> bool:
        return await self._control.ledger.entry(id_) is not None

    async def write(self, entries: Sequence[Entry]) -> int:
        return await self._control.ledger.write(entries, at=self._control.now())


def _runs(control: Control | None) -> Runs:
    if control is None:
        return MemoryRuns()
    from gateway.state.database.batch_runs import StoredRuns  # with SQLAlchemy, which takes 0.3 s

    return StoredRuns(control.url)
