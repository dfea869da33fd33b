"""What has to be opened for the control API, and closed again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.config.live import Config
from gateway.config.replica import Replica
from gateway.contract.limits import Counters
from gateway.control.control import Control
from gateway.control.rotation import keep_rotating
from gateway.rules.limits import policy_of
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import Settings
from gateway.state.bus import CHANGED, bus_from


def control_from(settings: Settings, config: Config, seal: Seal, pepper: Pepper, counters: Counters) -> Control | None:
    """The database and what goes with it; None: there is no database. Nothing is opened.

    Raises:
        ConfigError: the database or Redis cannot be used as they are named.
    """
    if settings.database_url is None:
        return None
    from gateway.state.database.ledger import LedgerStore
    from gateway.state.database.store import Store  # with SQLAlchemy, which takes 0.3 s

    url = settings.database_url.reveal()
    ledger = LedgerStore(url, alerts_of=lambda hold: config.snapshot.policies.alerts.get(policy_of(hold.key)))
    store = Store(url)
    replica = Replica(store, config, bus=bus_from(settings.redis_url, CHANGED))
    config.callers.is_stale = replica.is_stale
    return Control(
        config=config,
        store=store,
        ledger=ledger,
        counters=counters,
        replica=replica,
        seal=seal,
        pepper=pepper,
        url=url,
    )


@asynccontextmanager
async def running(control: Control) -> AsyncIterator[None]:
    """While inside, the database is followed, and tokens are rotated when it is time.

    A database of this machine gets its tables here; one that others share waits for `gateway migrate`.

    Raises:
        ConfigError: the database was made with another pepper.
        Unavailable: the file of the database cannot be opened.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(control.store.close)
        stack.push_async_callback(control.ledger.close)
        if control.replica.bus is not None:
            stack.push_async_callback(control.replica.bus.close)
        if control.url.startswith("sqlite"):
            from gateway.state.database.migrate import migrate

            await migrate(control.url)
        await stack.enter_async_context(control.replica.following())
        rotating = asyncio.create_task(keep_rotating(control))
        try:
            yield
        finally:
            rotating.cancel()
            await asyncio.wait([rotating])
