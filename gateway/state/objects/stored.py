"""For a gateway with a database: what is remembered outlives the process, and all replicas know it."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from gateway.contract import Caller
from gateway.contract.objects import AccountObject, ObjectKind, Objects, not_found
from gateway.state.background import Chore

if TYPE_CHECKING:
    from gateway.state.database.objects import ObjectStore  # SQLAlchemy takes 0.3 s

FORGET_EVERY_S = 3600.0
KEPT = 4096
"""Objects in memory; those that were looked for last."""
KEPT_BYTES = 4096
"""What has more data is read each time."""
KEPT_S = 30.0
"""So long an object is found here that another replica has forgotten; the provider then says that it is gone. Of what
is kept by the gateway itself nobody would, so that is read each time."""

log = structlog.get_logger(__name__)


class StoredObjects(Objects):
    """A conversation asks for one object again and again, so the last ones are kept in memory."""

    def __init__(self, store: "ObjectStore", *, monotonic: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[ObjectKind, str], tuple[float, AccountObject]] = OrderedDict()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        forgetting = Chore("objects", self._forget_expired, every_s=FORGET_EVERY_S, failing="old objects not deleted")
        try:
            async with forgetting.running():
                yield
        finally:
            await self._store.close()

    async def remember(self, new: AccountObject) -> AccountObject:
        return self._keep(await self._store.remember(new))

    async def remember_all(self, new: Sequence[AccountObject]) -> None:
        await self._store.remember_all(new)  # and not kept here: few of so many are looked for

    async def change(self, known: AccountObject) -> bool:
        is_there = await self._store.change(known)
        if is_there:
            self._keep(known)
        else:
            self._kept.pop((known.kind, known.id), None)
        return is_there

    async def find(self, kind: ObjectKind, id: str, caller: Caller | None) -> AccountObject:  # noqa: A002
        until, found = self._kept.get((kind, id), (0.0, None))
        if found is None or until <= self._monotonic():
            found = await self._store.get(kind, id)
            if found is not None:
                self._keep(found)
        if found is None or not found.is_seen_by(caller):
            raise not_found(kind, id)
        return found

    async def list(
        self,
        kind: ObjectKind,
        caller: Caller | None,
        *,
        account: str | None = None,
        after: str | None = None,
        limit: int = 20,
        oldest_first: bool = False,
    ) -> Sequence[AccountObject]:
        last = await self.find(kind, after, caller) if after is not None else None
        owner = None if caller is None or caller.is_admin else caller.subject
        return await self._store.page(
            kind, owner=owner, account=account, after=last, limit=limit, oldest_first=oldest_first
        )

    async def forget(self, gone: AccountObject) -> None:
        self._kept.pop((gone.kind, gone.id), None)
        await self._store.forget(gone)

    def _keep(self, found: AccountObject) -> AccountObject:
        key = (found.kind, found.id)
        self._kept.pop(key, None)
        if found.account and len(found.data or b"") <= KEPT_BYTES:
            self._kept[key] = self._monotonic() + KEPT_S, found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    async def _forget_expired(self) -> None:
        if forgotten := await self._store.forget_expired():
            log.info("old objects deleted", objects=forgotten)
