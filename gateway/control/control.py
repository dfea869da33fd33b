"""What all handlers of the control API work with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config.live import Config
from gateway.config.replica import Replica
from gateway.contract import Caller, Credential
from gateway.contract.limits import Counters
from gateway.contract.windows import utc_now
from gateway.control.streaming import Streams
from gateway.errors import NotFound, Unavailable
from gateway.rules.access import Access
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import ADMIN

if TYPE_CHECKING:
    from gateway.state.database.ledger import LedgerStore
    from gateway.state.database.store import Store, Transaction  # SQLAlchemy takes 0.3 s
    from gateway.state.requests.store import RecordStore


class Ask(msgspec.Struct, frozen=True):
    """One request of the control API. `body` is of the type that the route declares.

    `pairs`: the query once more, with names that come several times.
    """

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    pairs: tuple[tuple[str, str], ...] = ()


class Control(msgspec.Struct, frozen=True):
    """The database at `url`, and the replica that puts its changes in force. `now` is an aware datetime.

    `ledger` says what was used, `counters` how much of the limits and budgets is left, `records` what single requests
    were about; None: nobody keeps that. `streams` are answers that go on until somebody has seen enough.
    """

    config: Config
    store: "Store"
    ledger: "LedgerStore"
    counters: Counters
    replica: Replica
    seal: Seal
    pepper: Pepper
    url: str = ""
    records: "RecordStore | None" = None
    streams: Streams = msgspec.field(default_factory=Streams)
    now: Callable[[], datetime] = utc_now
    turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def change(self, *, by: str, dry_run: bool = False) -> AsyncIterator["Transaction"]:
        """`Store.change`; of a dry run nothing stays. The changes of this process take turns here: only other processes
        can keep one waiting for the database so long that it is given up."""
        async with self.turn, self.store.change(by=by) as change:
            if dry_run:
                change.discard()
            yield change

    @property
    def access(self) -> Access:
        return self.config.snapshot.access

    async def changed(self) -> None:
        """After a commit: puts it in force here before the caller is answered, and elsewhere soon."""
        try:
            await self.replica.announce()
        except Unavailable:
            return  # it is committed, and comes into force when the database can be read again


def actor(caller: Caller, access: Access) -> Caller:
    """The caller, with what these grants give; those in force may be a moment older."""
    if caller.subject == ADMIN.subject and caller.is_admin:
        return caller
    teams = caller.teams if caller.credential is Credential.JWT else ()
    return access.caller(caller.subject, more_teams=teams, credential=caller.credential, token_id=caller.token_id)


def store_of(control: Control) -> "RecordStore":
    """Raises NotFound: nobody keeps records."""
    if control.records is None:
        raise NotFound("records of requests are not kept; that is what GATEWAY_RECORDS_URL=none asks for")
    return control.records
