"""What has to run beside limits and budgets: counters that begin where the ledger ends, the ledger itself, alerts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.config.live import Config
from gateway.contract.entry import Entry
from gateway.contract.limits import Counters
from gateway.contract.windows import utc_now
from gateway.control.control import Control
from gateway.errors import Unavailable
from gateway.secrecy.secret import Secret
from gateway.state.alerts import Delivery, Outbox
from gateway.state.bus import redis_named
from gateway.state.counters.memory import MemoryCounters
from gateway.upstream.outgoing import Ways

if TYPE_CHECKING:
    from gateway.state.ledger import Ledger, OpenRequests

RETRY_S = 1.0
FORGET_EVERY_S = 6 * 3600.0

log = structlog.get_logger(__name__)


class Accounting:
    """Opened with the gateway, and closed after its last request.

    Args:
        ledger: None: there is no database, so budgets begin at nothing with each start.
        keep_days: how long the ledger remembers single requests; None: for ever.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        ledger: "Ledger | None" = None,
        outbox: Outbox | None = None,
        control: Control | None = None,
        keep_days: int | None = None,
    ) -> None:
        self.counters = counters
        self.ledger = ledger
        self.outbox = outbox
        self.is_restored = ledger is None
        self._control = control
        self._keep_days = keep_days
        self._open_requests: OpenRequests | None = None

    @property
    def problems(self) -> dict[str, str | None]:
        """Part -> what is wrong with it; None: nothing. Requests go on in any case."""
        found = {"counters": getattr(self.counters, "problem", None)}
        if self.ledger is not None:
            noting = self._open_requests.problem if self._open_requests is not None else None
            found["ledger"] = (
                self.ledger.problem or noting or (None if self.is_restored else "budgets are not restored yet")
            )
        if self.outbox is not None:
            found["alerts"] = self.outbox.problem
        return found

    @property
    def figures(self) -> dict[str, int]:
        """Name of a metric -> what it stands at."""
        counters, ledger = self.counters, self.ledger
        found = {
            f"gateway_counters_{name}": getattr(counters, name)
            for name in ("times_lost", "passed_locally", "refused_locally")
            if hasattr(counters, name)
        }
        if ledger is not None:
            found |= {"gateway_ledger_waiting": ledger.waiting, "gateway_ledger_dropped": ledger.dropped}
        return found

    async def restore(self) -> None:
        """Tells the counters what the ledger knows.

        Raises:
            Unavailable: the database cannot be read just now.
        """
        if self.ledger is not None:
            await self.counters.restore(await self.ledger.used())
        self.is_restored = True

    @asynccontextmanager
    async def running(self, bills: Callable[[], Iterable[Entry]] = tuple) -> AsyncIterator[None]:
        """While inside, counters are settled, the ledger is written, and alerts are sent.

        Args:
            bills: of the requests under way, if they ended now.
        """
        async with AsyncExitStack() as stack:
            tasks = []
            if self.ledger is not None and self._control is not None:
                from gateway.state.ledger import OpenRequests

                self._open_requests = OpenRequests(
                    self._control.ledger, bills=bills, write=self.ledger.write, adopted=self.restore
                )
                stack.push_async_callback(self._open_requests.close)
                tasks.append(asyncio.create_task(self._open_requests.run()))
            if self.ledger is not None:
                stack.push_async_callback(self.ledger.close)
            stack.push_async_callback(self.counters.close)
            if not self.is_restored and not await self._is_restored_now():
                tasks.append(asyncio.create_task(self._restore_soon()))
            if self.outbox is not None:
                tasks.append(asyncio.create_task(self.outbox.run()))
            if self._keep_days is not None and self._control is not None:
                tasks.append(asyncio.create_task(self._forget(self._control, timedelta(days=self._keep_days))))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)

    async def _is_restored_now(self) -> bool:
        try:
            await self.restore()
        except Unavailable as error:
            log.warning("budgets not restored yet", reason=error.message)
            return False
        return True

    async def _restore_soon(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                await self.restore()
            except Unavailable:
                continue
            log.info("budgets restored")
            return

    async def _forget(self, control: Control, keep: timedelta) -> None:
        while True:
            try:
                forgotten = await control.ledger.forget(utc_now() - keep)
            except Unavailable as error:
                log.warning("old requests not deleted", reason=error.message)
            else:
                if forgotten:
                    log.info("old requests deleted", requests=forgotten)
            await asyncio.sleep(FORGET_EVERY_S)


def accounting_from(
    config: Config,
    counters: Counters,
    control: Control | None,
    *,
    keep_days: int | None,
    spool_dir: Path | None,
    ways: Ways,
) -> Accounting:
    if control is None:
        return Accounting(counters)
    from gateway.state.ledger import Ledger

    delivery = Delivery(
        lambda name: config.snapshot.channel(name),
        trusts=lambda name: config.snapshot.trusts_channel(name),
        ways=ways,
    )
    return Accounting(
        counters,
        ledger=Ledger(control.ledger, spool=spool_dir),
        outbox=Outbox(control.ledger, delivery.send),
        control=control,
        keep_days=keep_days,
    )


def counters_from(redis_url: Secret | None, restore: Callable[[], Awaitable[None]]) -> Counters:
    """In Redis where there is one, so that all replicas count together; else in this process.

    Args:
        restore: called when Redis has lost what it knew.

    Raises:
        ConfigError: Redis cannot be used as it is named.
    """
    if redis_url is None:
        return MemoryCounters()
    from gateway.state.counters.failover import FailoverCounters
    from gateway.state.counters.redis import RedisCounters

    with redis_named():
        return FailoverCounters(RedisCounters(redis_url.reveal(), on_new_epoch=restore))
