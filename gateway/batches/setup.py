"""Joins what runs batches."""

from collections.abc import Callable, Iterable

import msgspec

from gateway.batches.files import LocalFiles
from gateway.batches.local import LocalAccounts
from gateway.batches.pipeline import Pipeline
from gateway.batches.runner import Runner
from gateway.batches.runs import MemoryRuns
from gateway.config.live import Config
from gateway.contract import Dialect
from gateway.contract.batches import Runs
from gateway.contract.objects import Objects
from gateway.control.control import Control
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


def _runs(control: Control | None) -> Runs:
    if control is None:
        return MemoryRuns()
    from gateway.state.database.batch_runs import StoredRuns  # with SQLAlchemy, which takes 0.3 s

    return StoredRuns(control.url)
