"""Looks at batches that run at their providers until they are billed, as nobody else might: no provider tells when one
has ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex

import structlog

from gateway.contract.batches import Watch, Watches
from gateway.contract.objects import AccountObject
from gateway.contract.part import Part
from gateway.errors import GatewayError, Unavailable
from gateway.logs import traceback_text
from gateway.state.background import background

AT_ONCE = 2
"""Batches that one process looks at."""
POLL_S = 15.0
LEASE_S = 60.0
LOOK_S = 900.0
"""So long it may take to read the output of one."""
FIRST_S, MOST_S = 30.0, 900.0
SHARE = 0.1
"""Of its age: so long until the next look."""
GIVEN_UP_S = 40 * 24 * 3600.0
"""No provider takes that long; who cannot be asked until then will not be."""

log = structlog.get_logger(__name__)


class Watching(Part):
    """
    Args:
        look: True: there is nothing more to do for it. False: it goes on. Raises GatewayError: that cannot be told now.
        give_up: bills one that could not be asked for too long.
        clock: seconds since 1970, the same for all replicas.
    """

    name = "batches at providers"

    def __init__(
        self,
        watches: Watches,
        *,
        look: Callable[[Watch], Awaitable[bool]],
        give_up: Callable[[Watch], Awaitable[None]],
        clock: Callable[[], float] = time.time,
        poll_s: float = POLL_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self.watches = watches
        self._look = look
        self._give_up = give_up
        self._clock = clock
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._id = token_hex(16)
        self._wake = asyncio.Event()

    async def seen(self, batch: AccountObject, is_over: bool) -> None:
        """A batch at its provider that was made just now, or is seen finished. Raises Unavailable."""
        watch = Watch(batch.account, batch.provider_id, batch.id, batch.created_at.timestamp())
        now_s = self._clock()
        await self.watches.add(watch, due_s=now_s if is_over else now_s + FIRST_S)
        if is_over:
            self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with background(*[self._run() for _ in range(AT_ONCE)]):
                yield
        finally:
            await self.watches.close()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            watch = None
            try:
                watch = await self.watches.claim(self._id, now_s=self._clock(), lease_s=self._lease_s)
            except Unavailable as error:
                log.warning("no batches looked at", reason=error.message)
            if watch is not None:
                await self._one(watch)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()

    async def _one(self, watch: Watch) -> None:
        """What goes wrong is logged, and tried again later."""
        try:
            async with background(self._kept(watch)):
                is_done = await self._looked(watch)
                age_s = max(0.0, self._clock() - watch.created_s)
                if not is_done and age_s > GIVEN_UP_S:
                    log.error("batch given up", batch=watch.id, account=watch.account)
                    await self._give_up(watch)
                    is_done = True
            if is_done:
                await self.watches.done(watch)
            else:
                wait_s = min(max(age_s * SHARE, FIRST_S), MOST_S)
                await self.watches.later(watch, self._id, due_s=self._clock() + wait_s)
        except GatewayError as error:  # its lease ends
            log.warning("batch not looked at", batch=watch.id, reason=error.message)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await asyncio.shield(self.watches.later(watch, self._id, due_s=self._clock()))
            raise

    async def _looked(self, watch: Watch) -> bool:
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._look(watch)
        except TimeoutError:
            log.warning("batch not looked at", batch=watch.id, account=watch.account, reason="it takes too long")
        except GatewayError as error:
            log.warning("batch not looked at", batch=watch.id, account=watch.account, reason=error.message)
        except Exception:
            log.error("batch not looked at", batch=watch.id, account=watch.account, traceback=traceback_text())
        return False

    async def _kept(self, watch: Watch) -> None:
        """Who loses it goes on: the ledger takes the bill of whoever comes first."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            with suppress(Unavailable):
                await self.watches.keep(watch, self._id, until_s=self._clock() + self._lease_s)
