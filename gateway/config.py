"""The configuration in force, and how a newer one takes its place."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from gateway.contract import Caller, Target
from gateway.errors import ConfigError, Fault, UnknownModel
from gateway.manifests import Secrets, load
from gateway.plugins import providers_by_type
from gateway.snapshot import Snapshot, compile_snapshot, manifests_from

DEBOUNCE_MS = 400
STEP_MS = 200
LOOK_MS = 5000
"""A change that brings no event, as on network file systems, is seen after this long."""

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
        secrets = environ.get("GATEWAY_SECRETS_DIR")
        self._secrets = Path(secrets) if secrets else None
        self._providers = providers_by_type()
        self.snapshot = Snapshot()
        self._swap(self._compile())

    # What a request asks: the protocol `Models`.

    def find(self, name: str, caller: Caller | None) -> Sequence[Target]:
        target = self.snapshot.targets.get(name) or self.snapshot.find(name)
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
            if self.snapshot.targets and not snapshot.targets:
                # A file that is written in place is empty for a moment.
                raise ConfigError([Fault(str(self.path), 0, "", "no models are left; the ones before stay in force")])
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

        seen = await asyncio.to_thread(self._fingerprint)
        while True:
            places = self._watched(path)
            try:
                async for _ in awatch(
                    *places, debounce=DEBOUNCE_MS, step=STEP_MS, rust_timeout=LOOK_MS, yield_on_timeout=True
                ):
                    now = await asyncio.to_thread(self._fingerprint)
                    if now != seen:
                        seen = now
                        await self.reload()
                        break  # what replaced a file has to be watched anew
            except FileNotFoundError:  # it is being replaced just now
                await asyncio.sleep(LOOK_MS / 1000)

    def _watched(self, path: Path) -> list[Path]:
        """A plain file by itself: beside it, logs may be written all the time. A link with its directory, where
        Kubernetes swaps what it leads to."""
        places = [path.absolute().parent if path.is_symlink() else path]
        if self._secrets is not None and self._secrets.is_dir():
            places.append(self._secrets)
        return places

    def _fingerprint(self) -> list[tuple[str, int, int]]:
        """Tells whether any of the files was written or replaced."""
        found = []
        for place in filter(None, (self.path, self._secrets)):
            files = sorted(place.rglob("*")) if place.is_dir() else [place]
            for file in files:
                with suppress(OSError):
                    stat = file.stat()
                    found.append((str(file), stat.st_mtime_ns, stat.st_ino))
        return found

    def _compile(self) -> Snapshot:
        manifests = load(self.path) if self.path is not None else manifests_from(self._environ)
        return compile_snapshot(manifests, self._providers, Secrets(self._environ, self._secrets))

    def _swap(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.generation += 1
        self.faults = ()
        for warning in snapshot.warnings:
            log.warning("manifest", problem=str(warning))
