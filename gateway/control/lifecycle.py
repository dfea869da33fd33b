"""What a gateway with a database consists of, besides the way of a request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog

from gateway.config.live import Config
from gateway.config.replica import Replica
from gateway.contract import Sink
from gateway.contract.entry import Entry
from gateway.contract.limits import Counters
from gateway.contract.objects import Objects
from gateway.contract.part import Part
from gateway.control.control import Control
from gateway.control.rotation import rotate_due
from gateway.plugins import SINKS, load_plugins
from gateway.rules.limits import policy_of
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import Settings
from gateway.state.alerts import Delivery, Outbox
from gateway.state.background import Chore
from gateway.state.bus import CHANGED, bus_from
from gateway.state.ledger import Ledger, OpenRequests, Restoring
from gateway.state.objects import MemoryObjects, StoredObjects
from gateway.state.sinks.routed import routed
from gateway.upstream.outgoing import Ways

ROTATE_EVERY_S = 600.0
FORGET_EVERY_S = 6 * 3600.0
FORGET_RECORDS_EVERY_S = 1800.0
FOLD_EVERY_S = 300.0
FIRST_FORGET_S = 60.0

log = structlog.get_logger(__name__)


def control_from(settings: Settings, config: Config, seal: Seal, pepper: Pepper, counters: Counters) -> Control | None:
    """The database and what goes with it; None: there is no database. Nothing is opened.

    Raises:
        ConfigError: the database or Redis cannot be used as they are named.
    """
    if settings.database_url is None:
        return None
    from gateway.state.database.ledger import LedgerStore
    from gateway.state.database.store import Store  # with SQLAlchemy, which takes 0.3 s
    from gateway.state.requests.store import RecordStore

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
        records=RecordStore(settings.records_url.reveal(), metadata=settings.records_metadata)
        if settings.records_url is not None
        else None,
    )


def ledger_from(settings: Settings, control: Control | None) -> Ledger | None:
    return Ledger(control.ledger, spool=settings.spool_dir) if control is not None else None


def objects_from(control: Control | None) -> Objects:
    """What callers have made at accounts; without a database it is forgotten with the process."""
    if control is None:
        return MemoryObjects()
    from gateway.state.database.objects import ObjectStore

    return StoredObjects(ObjectStore(control.url))


def following(control: Control | None) -> list[Part]:
    """The database is followed, and tokens are rotated when it is time: each replica looks, and the database's write
    lock makes it happen once."""
    if control is None:
        return []
    rotate = partial(rotate_due, control)
    return [
        Database(control),
        control.replica,
        Chore("rotation", rotate, every_s=ROTATE_EVERY_S, failing="tokens not rotated"),
    ]


def bookkeeping(
    settings: Settings,
    counters: Counters,
    control: Control | None,
    ledger: Ledger | None,
    *,
    bills: Callable[[], Iterable[Entry]],
) -> list[Part]:
    """Limits and budgets are counted; with a database, the ledger is written, the counters begin where it ends, and
    alerts are sent. All that asks the ledger is closed before it, and what asks the counters before those.

    Args:
        bills: of the requests under way, if they ended now.
    """
    if control is None or ledger is None:
        return [counters]
    config = control.config
    restoring = Restoring(ledger, counters)
    delivery = Delivery(
        lambda name: config.snapshot.channel(name),
        trusts=lambda name: config.snapshot.trusts_channel(name),
        ways=Ways(settings.egress, settings.proxies),
    )
    return [
        ledger,
        counters,
        OpenRequests(control.ledger, bills=bills, write=ledger.write, adopted=restoring.restore, settled=ledger.flush),
        restoring,
        Outbox(control.ledger, delivery.send),
        *forgetting(settings.ledger_days, control),
    ]


def forgetting(days: int | None, control: Control) -> Iterable[Part]:
    """So long the ledger remembers single requests; None: for ever."""
    if days is None:
        return ()

    async def forget() -> None:
        if forgotten := await control.ledger.forget(control.now() - timedelta(days=days)):
            log.info("old requests deleted", requests=forgotten)

    return (Chore("forgetting", forget, every_s=FORGET_EVERY_S, failing="old requests not deleted"),)


def remembering(settings: Settings, control: Control | None) -> list[Part]:
    """So long records of single requests are kept; and what all came to is folded when it is over."""
    records = control.records if control is not None else None
    if control is None or records is None:
        return []

    async def forget() -> None:
        await asyncio.sleep(FIRST_FORGET_S)  # who has just started has other things to do
        if forgotten := await records.forget(control.now() - timedelta(days=settings.records_days)):
            log.info("old records deleted", records=forgotten)

    async def fold() -> None:
        await asyncio.sleep(FIRST_FORGET_S)
        await records.fold()

    return [
        Chore("records", forget, every_s=FORGET_RECORDS_EVERY_S, failing="old records not deleted"),
        Chore("sums", fold, every_s=FOLD_EVERY_S, failing="sums not folded"),
    ]


def sinks_from(settings: Settings, control: Control | None) -> Mapping[str, Sink]:
    """Where request records go besides the log, by name: what the environment asks for, of all that is installed. The
    database has them all, as what requests come to is added up there.

    Raises:
        ConfigError: one of them cannot be used as it is set up.
    """
    found: dict[str, Sink] = {}
    if control is not None and control.records is not None:
        from gateway.state.sinks.database import DatabaseSink

        found["database"] = DatabaseSink(control.records)
    return found | routed(load_plugins(SINKS), settings.environ)


class Database(Part):
    """Its connections, and its tables: a database of this machine gets them here; one that others share waits for
    `gateway migrate`."""

    name = "database"

    def __init__(self, control: Control) -> None:
        self.control = control

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises Unavailable: the file of the database cannot be opened."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.control.store.close)
            stack.push_async_callback(self.control.ledger.close)
            if self.control.url.startswith("sqlite"):
                from gateway.state.database.migrate import migrate

                await migrate(self.control.url)
            yield
