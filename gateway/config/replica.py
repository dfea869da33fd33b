"""Keeps what this process knows up to what the database says. Requests never wait for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from gateway.config.live import Config, Stored
from gateway.contract.part import Part, Status
from gateway.contract.windows import utc_now
from gateway.errors import ConfigError, Fault, Unavailable
from gateway.logs import traceback_text
from gateway.manifests import Manifest
from gateway.state.background import background
from gateway.state.bus import Bus
from gateway.state.database.rows import StoredManifest, Versions

if TYPE_CHECKING:
    from gateway.state.database.store import Store  # SQLAlchemy takes 0.3 s

POLL_S = 0.5
"""Between two looks at the version row, so that a change is in force within a second on all replicas, with Redis or
without it. With it, a change is announced and in force at once."""
STALE_S = 2.0
"""After this long without an answer from the database, a token that is not known here may still be known there."""
FLUSH_USED_S = 30.0

log = structlog.get_logger(__name__)


class Replica(Part):
    """Follows the database. `is_loaded`: it was read at least once; `problem`: why it cannot be read now, or None."""

    name = "database"

    def __init__(
        self, store: "Store", config: Config, *, bus: Bus | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self.store = store
        self.config = config
        self.bus = bus
        self.is_loaded = False
        self.problem: str | None = None
        self._clock = clock
        self._versions: Versions | None = None
        self._heard_at = clock()
        self._loading = asyncio.Lock()
        self._wake = asyncio.Event()

    @property
    def status(self) -> Status:
        return Status(self.problem, is_ready=self.is_loaded)

    def is_stale(self) -> bool:
        """Whether the database has not answered lately, so that what is not known here may exist all the same."""
        return not self.is_loaded or self._clock() - self._heard_at > STALE_S

    async def refresh(self) -> None:
        """Brings everything up to date.

        Raises:
            Unavailable: the database cannot be reached, or has no tables yet.
            ConfigError: it was made with another pepper.
        """
        async with self._loading:
            if not self.is_loaded:
                await self._check_database()
            versions = await self.store.versions()
            seen = self._versions
            # Tokens first: one that was revoked does not wait for manifests to be compiled.
            if seen is None or versions.tokens != seen.tokens:
                # Counters only grow, unless the database was restored from a backup.
                await self._load_tokens(seen if seen is not None and seen.tokens <= versions.tokens else None)
            if seen is None or versions.manifests != seen.manifests:
                await self._load_manifests()
            self._versions = versions
            self._heard_at = self._clock()
            self.is_loaded = True

    async def announce(self) -> None:
        """After a change of our own: makes it felt here at once, and by the others soon."""
        if self.bus is not None:
            self.bus.announce()
        await self.refresh()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While inside, changes of the database come into force. It need not be there yet.

        Raises:
            ConfigError: it is there, and was made with another pepper.
        """
        await self._try_refresh(is_first=True)
        listening = [] if self.bus is None else [self.bus.listen(lambda _: self._wake.set())]
        try:
            async with background(self._poll(), self._flush_used(), *listening):
                yield
        finally:
            await self._note_used()
            if self.bus is not None:
                await self.bus.close()

    async def _check_database(self) -> None:
        if await self.store.schema_state() in ("missing", "older"):
            raise Unavailable(
                "the tables of the database are missing or older than this gateway: run `gateway migrate`"
            )
        pepper = self.config.callers.pepper.check()
        if await self.store.pepper_check() is None:
            async with self.store.change(by="gateway") as change:
                if change.pepper_check is None:
                    change.set_pepper_check(pepper)
        if await self.store.pepper_check() != pepper:
            problem = "this is not the pepper that the tokens and secrets in the database were made with"
            raise ConfigError([Fault("the environment", 0, "GATEWAY_PEPPER", problem)])

    async def _poll(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            self._wake.clear()
            await self._try_refresh()

    async def _try_refresh(self, *, is_first: bool = False) -> None:
        problem = None
        try:
            await self.refresh()
        except Unavailable as error:
            problem = error.message
        except ConfigError as error:
            if is_first:
                raise
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}; the log has more"
            log.error("database not read", traceback=traceback_text())
        if problem != self.problem:
            if problem is None:
                log.info("database is back")
            else:
                log.error("database not read", problem=problem)
        self.problem = problem

    async def _load_tokens(self, seen: Versions | None) -> None:
        """Those that have changed since; None: all of them."""
        tokens = await (self.store.tokens() if seen is None else self.store.tokens_since(seen.tokens))
        inactive = [user.email for user in await self.store.users(is_active=False)]
        self.config.callers.update(tokens, inactive, are_all=seen is None)

    async def _load_manifests(self) -> None:
        manifests, secrets = await self.store.manifests(), await self.store.secrets()
        await self.config.reload(
            Stored(
                manifests=[manifest_of(stored) for stored in manifests],
                secrets={(secret.group, secret.key): secret.value for secret in secrets},
            )
        )

    async def _flush_used(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_USED_S)
            await self._note_used()

    async def _note_used(self) -> None:
        """When a token was last used, good to half a minute."""
        now = utc_now()
        if used := self.config.callers.take_used():
            try:
                await self.store.note_used(dict.fromkeys(used, now))
            except Unavailable:
                log.warning("last use of tokens not noted", tokens=len(used))


def manifest_of(stored: StoredManifest) -> Manifest:
    return Manifest(
        stored.type,
        stored.name,
        f"database/{stored.type}/{stored.name}",
        0,
        stored.data,
        version=stored.version,
        by_admin=stored.by_admin,
    )
