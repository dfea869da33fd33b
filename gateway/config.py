"""The configuration in force, and how a newer one takes its place."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from gateway.contract import Caller, Target
from gateway.errors import ConfigError, Fault, UnknownModel
from gateway.manifests import load
from gateway.plugins import providers_by_type
from gateway.snapshot import Snapshot, compile_snapshot, manifests_from, secrets_from

DEBOUNCE_MS = 200

log = structlog.get_logger(__name__)


class Config:
    """Holds one `Snapshot` and swaps it as a whole. A configuration that cannot be used leaves the one before in force.

    Args:
        path: of a file or directory; None when the environment is all there is.

    Raises:
        ConfigError: the first one cannot be used.
    """

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self.path = path
        self.generation = 0
        self.reload_failures = 0
        self.faults: tuple[Fault, ...] = ()
        """Why the last reload failed; empty when it did not."""
        self._environ = environ
        self._providers = providers_by_type()
        self.snapshot = Snapshot()
        self._swap(self._compile())

    # What a request asks: the protocol `Models`.

    def find(self, name: str, caller: Caller | None) -> Sequence[Target]:
        target = self.snapshot.find(name)
        if target is None:
            raise UnknownModel(name, self.names(caller))
        return (target,)

    def names(self, caller: Caller | None) -> Sequence[str]:
        return tuple(self.snapshot.targets)

    # Reloading.

    async def reload(self) -> None:
        """Compiles what the files say now and puts it in force, or says why it cannot."""
        try:
            snapshot = await asyncio.to_thread(self._compile)
        except ConfigError as error:
            self.reload_failures += 1
            self.faults = error.faults
            log.error("configuration not reloaded", faults=[*map(str, error.faults)], in_force=self.generation)
        else:
            self._swap(snapshot)
            log.info("configuration reloaded", generation=self.generation, models=len(snapshot.targets))

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """While inside, a change of the files leads to a reload."""
        if self.path is None:
            yield
            return
        watching = asyncio.create_task(self._watch(self.path))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, path: Path) -> None:
        from watchfiles import awatch  # only now: it is not needed for the first answer

        places, concerns_us = watched_places(path, self._environ.get("GATEWAY_SECRETS_DIR"))
        async for _ in awatch(*places, watch_filter=concerns_us, debounce=DEBOUNCE_MS, step=50):
            await self.reload()

    def _compile(self) -> Snapshot:
        manifests = load(self.path) if self.path is not None else manifests_from(self._environ)
        return compile_snapshot(manifests, self._providers, secrets_from(self._environ))

    def _swap(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.generation += 1
        self.faults = ()
        for warning in snapshot.warnings:
            log.warning("manifest", problem=str(warning))


def watched_places(path: Path, secrets: str | None) -> tuple[list[Path], Callable[[object, str], bool]]:
    """Directories to watch, and which changes in them matter.

    Never the file itself: editors replace files, and Kubernetes swaps the symlink `..data` beside them.
    """
    directory = path.absolute() if path.is_dir() else path.absolute().parent
    directories = [directory]
    if secrets and Path(secrets).is_dir():
        directories.append(Path(secrets).absolute())
    names = None if path.is_dir() else {path.name, "..data"}

    def concerns_us(_: object, changed: str) -> bool:
        where = Path(changed)
        if names is not None and directory in where.parents:
            return where.parent == directory and where.name in names
        return True

    return directories, concerns_us
