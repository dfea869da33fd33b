"""For a gateway without a database: what it remembers ends with the process."""

from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from secrets import token_hex

import msgspec

from gateway.contract import Caller
from gateway.contract.objects import AccountObject, ObjectKind, Objects, check_size, not_found
from gateway.contract.part import Figure, gauge
from gateway.contract.windows import utc_now

MAX_OBJECTS = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""Of the data of all of them."""

Key = tuple[ObjectKind, str]
Place = tuple[ObjectKind, str, str, str]
"""Kind, account, the provider's id, owner."""


class MemoryObjects(Objects):
    """When there are more than it may hold, those go first that were remembered first."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        max_objects: int = MAX_OBJECTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._clock = clock
        self._max_objects = max_objects
        self._max_bytes = max_bytes
        self._bytes = 0
        self._objects: OrderedDict[Key, AccountObject] = OrderedDict()
        self._ids: dict[Place, str] = {}
        self._order: dict[ObjectKind, list[tuple[datetime, str]]] = {kind: [] for kind in ObjectKind}

    def figures(self) -> Iterable[Figure]:
        yield gauge("gateway_objects", "Files, batches and the like that are remembered.", len(self._objects))

    async def remember(self, new: AccountObject) -> AccountObject:
        check_size(new)
        known = self._ids.get(_place(new))
        before = self._get((new.kind, known)) if known is not None else None
        if before is not None:
            new = merged(before, new)
        while (taken := self._get((new.kind, new.id))) is not None and taken is not before:
            new = msgspec.structs.replace(new, id=other_id(new))
        self._drop((new.kind, new.id))
        self._put(new)
        while len(self._objects) > self._max_objects or self._bytes > self._max_bytes:
            self._drop(next(iter(self._objects)))
        return new

    async def change(self, known: AccountObject) -> bool:
        check_size(known)
        before = self._get((known.kind, known.id))
        if before is None or _place(before) != _place(known):
            return False
        await self.remember(known)
        return True

    async def find(self, kind: ObjectKind, id: str, caller: Caller | None) -> AccountObject:  # noqa: A002
        found = self._get((kind, id))
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
        order = self._order[kind]
        last = await self.find(kind, after, caller) if after is not None else None
        at = bisect_right(order, (last.created_at, last.id)) if last is not None else 0
        if oldest_first:
            keys: Iterable[tuple[datetime, str]] = order[at:]
        else:
            keys = reversed(order[: at - 1] if last is not None else order)
        found: list[AccountObject] = []
        for _, id_ in keys:
            each = self._get((kind, id_))
            if len(found) >= limit:
                break
            if each is not None and each.is_seen_by(caller) and account in (None, each.account):
                found.append(each)
        return found

    async def forget(self, gone: AccountObject) -> None:
        self._drop((gone.kind, gone.id))

    def _get(self, key: Key) -> AccountObject | None:
        found = self._objects.get(key)
        if found is not None and found.expires_at <= self._clock():
            self._drop(key)
            return None
        return found

    def _put(self, new: AccountObject) -> None:
        self._objects[new.kind, new.id] = new
        self._ids[_place(new)] = new.id
        insort(self._order[new.kind], (new.created_at, new.id))
        self._bytes += len(new.data or b"")

    def _drop(self, key: Key) -> None:
        gone = self._objects.pop(key, None)
        if gone is None:
            return
        self._ids.pop(_place(gone), None)
        order = self._order[gone.kind]
        del order[bisect_right(order, (gone.created_at, gone.id)) - 1]
        self._bytes -= len(gone.data or b"")


def _place(of: AccountObject) -> Place:
    return of.kind, of.account, of.provider_id, of.owner


def merged(before: AccountObject, new: AccountObject) -> AccountObject:
    """What becomes of an object that its owner has already."""
    data = before.data if new.data is None else new.data
    return msgspec.structs.replace(before, target=new.target or before.target, data=data)


def other_id(of: AccountObject) -> str:
    """For one whose own is taken."""
    return f"{of.provider_id[:160]}-{token_hex(8)}"
