"""Answers what is about something of an account, and remembers whose it is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog

from gateway.contract import Call, Request, Target
from gateway.contract.objects import KEPT_FOR, AccountObject, ObjectAsk, ObjectKind, Objects, ObjectType
from gateway.contract.windows import utc_now
from gateway.errors import BadRequest, BrokeOff, GatewayError, NotFound, Refused, Unavailable
from gateway.proxy.exchange import Exchange
from gateway.proxy.relay import JSON
from gateway.proxy.responder import Responder
from gateway.proxy.writer import HeldAnswer, ResponseWriter
from gateway.wire.account_apis import ROOTS

LISTED = 20
"""Unless the caller says how many."""
PAGE = 200
"""Objects that are read at once for a list."""
MAX_SEEN = 10_000
"""Objects that a list looks at; of more, those that a filter leaves out are not told apart from the rest."""
ASKED_AT_ONCE = 8
ASKED_S = 10.0
"""What has not been told by then is shown as it was last seen."""

Fields = dict[str, msgspec.Raw]
Ask = Callable[[Call, Target], Awaitable[bytes]]
"""A call of the gateway's own. Raises UpstreamError, Overloaded."""
Seen = Callable[[AccountObject, bool], Awaitable[None]]
"""A batch, and whether it has ended."""
Check = Callable[[Exchange], Awaitable[None]]

log = structlog.get_logger(__name__)
_fields = msgspec.json.Decoder(Fields)
_ids = msgspec.json.Decoder(str | list[str] | None)


class AccountResponder:
    """
    Args:
        responder: asks the provider.
        ask: the same, for what lists need to know.
        batch_seen: is told of each batch of a provider's that is new, or seen finished for the first time, by chance
            more than once.
        check_batch: refuses one that is yet to be made.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        objects: Objects,
        ask: Ask,
        batch_seen: Seen | None = None,
        check_batch: Check | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.responder = responder
        self.objects = objects
        self.ask = ask
        self.batch_seen = batch_seen
        self.check_batch = check_batch
        self.clock = clock

    async def respond(self, exchange: Exchange, writer: ResponseWriter) -> None:
        call = exchange.call
        assert call is not None
        asked = call.ask.object
        assert asked is not None
        if asked.action == "list":
            await writer.whole(200, JSON, await self._list(exchange, call, asked))
            return
        if asked.action == "pass":
            await self.responder.respond(exchange, writer)
            return
        if asked.action == "output":
            exchange.call = await self._output(exchange, call, asked)
            await self.responder.respond(exchange, writer)
            return
        if asked.action == "create" and asked.type.kind is ObjectKind.BATCH and self.check_batch is not None:
            await self.check_batch(exchange)
        held = HeldAnswer(exchange)
        await self._ask_provider(exchange, held)
        # Once it is there, it is remembered, whether anybody waits for the answer or not.
        body = await asyncio.shield(self._told(exchange, asked, held.body))
        await writer.whole(held.status, JSON, body)

    async def look(self, call: Call, each: AccountObject, target: Target) -> bytes:
        """How an object is now.

        Args:
            call: about it.

        Raises:
            UpstreamError, Overloaded: the provider does not say.
        """
        assert call.ask.object is not None
        return await self._look(call, call.ask.object, each, target)

    async def _look(self, call: Call, asked: ObjectAsk, each: AccountObject, target: Target) -> bytes:
        body = await self.ask(_reading_one(call, asked, each), target)
        return await self._remembered(each, asked.type, _decoded(body), {})

    async def _output(self, exchange: Exchange, call: Call, asked: ObjectAsk) -> Call:
        """The call for the file with what came of an object. Raises NotFound: there is none yet."""
        one, choice = exchange.account_object, exchange.choice
        assert one is not None
        assert choice is not None
        fields = _decoded(await self._look(call, asked, one, choice.target))
        raw = fields.get(asked.type.made[0], msgspec.Raw(b"null"))
        if bytes(raw) == b"null":
            status = bytes(fields.get("status", b"?")).decode(errors="replace")[:40]
            raise NotFound(f"the {one.kind} has no output; its status is {status}", code="no_output")
        kept = await self.objects.find(ObjectKind.FILE, _id_in({"id": raw}), exchange.caller)
        file = ObjectAsk(api="files", type=asked.type, action="pass", id=kept.id)
        route = f"{ROOTS['files']}/{{id}}/content"
        request = Request(method="GET", route=route, path_params={"id": kept.provider_id})
        return msgspec.structs.replace(call, ask=msgspec.structs.replace(call.ask, object=file), request=request)

    async def _ask_provider(self, exchange: Exchange, writer: ResponseWriter) -> None:
        try:
            await self.responder.respond(exchange, writer)
        except Refused as error:
            if error.status == 404 and exchange.account_object is not None:
                await self.objects.forget(exchange.account_object)
            raise

    async def _told(self, exchange: Exchange, asked: ObjectAsk, body: bytes) -> bytes:
        """The answer as the caller gets it."""
        fields = _decoded(body)
        if asked.action == "delete":
            assert exchange.account_object is not None
            await self.objects.forget(exchange.account_object)
            return _encoded(fields, exchange.account_object.id)
        choice = exchange.choice
        assert choice is not None
        found = exchange.account_object
        new = found or self._new(asked.type.kind, choice.target.account, asked.owner, _id_in(fields))
        try:
            return await self._remembered(new, asked.type, fields, asked.files)
        except Unavailable as error:
            log.error("object not remembered", kind=new.kind, id=new.provider_id, account=new.account)
            raise Unavailable(
                f"the {new.kind} {new.provider_id!r} is there, but the gateway could not write down whose it is; "
                "without that nobody gets at it: make it again in a moment",
                retry_after_s=1,
            ) from error

    async def _remembered(
        self, one: AccountObject, type_: ObjectType, fields: Fields, files: Mapping[str, str]
    ) -> bytes:
        """With the ids of files as the caller knows them. Its own stays that of the provider in what is kept."""
        before = _decoded(one.data) if one.data is not None else {}
        changed = dict(fields)
        for name in type_.given:
            if name in files:
                changed[name] = _raw(files[name])
            elif name in before:
                changed[name] = before[name]
        for name in type_.made:
            if name in fields:
                changed[name] = await self._files(one, fields[name])
        for name in type_.models:
            await self._model(one, fields.get(name))
        for name in type_.inner:
            if name in fields and bytes(fields[name]) != b"null":
                file = _decoded(bytes(fields[name]))
                kept = await self._file(one, _id_in(file), data=bytes(fields[name]))
                changed[name] = msgspec.Raw(_encoded(file, kept.id))
        seen = self.batch_seen if one.kind is ObjectKind.BATCH and not one.is_kept_here else None
        has_ended = seen is not None and _is_final(type_, fields)
        if seen is not None and before and has_ended and not _is_final(type_, before):
            # Before it is remembered as finished: who fails here, tells of it the next time.
            await seen(one, True)
        try:
            kept = await self.objects.remember(msgspec.structs.replace(one, data=msgspec.json.encode(changed)))
        except ValueError as error:
            raise BrokeOff(f"the provider's answer cannot be kept: {error}") from error
        if seen is not None and not before:
            await seen(kept, has_ended)
        return _encoded(changed, kept.id)

    async def _files(self, one: AccountObject, raw: msgspec.Raw) -> msgspec.Raw:
        """Ids of files that came of an object: they are its owner's."""
        try:
            ids = _ids.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return raw  # for the client to judge
        if ids is None:
            return raw
        if isinstance(ids, str):
            return _raw((await self._file(one, ids)).id)
        return _raw([(await self._file(one, each)).id for each in ids])

    async def _model(self, one: AccountObject, raw: msgspec.Raw | None) -> None:
        """It is whose job it was that made it."""
        try:
            name = _ids.decode(raw or b"null")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # for the client to judge
        if isinstance(name, str) and name:
            with suppress(ValueError):  # no name that can be asked for
                await self.objects.remember(self._new(ObjectKind.MODEL, one.account, one.owner, name))

    async def _file(self, one: AccountObject, id_: str, data: bytes | None = None) -> AccountObject:
        """Unless it is known to be somebody else's: some servers repeat whatever fields a caller sends."""
        file = msgspec.structs.replace(self._new(ObjectKind.FILE, one.account, one.owner, id_), data=data)
        with suppress(NotFound):
            known = await self.objects.find(ObjectKind.FILE, id_, None)
            if (known.account, known.provider_id) == (one.account, id_) and known.owner != one.owner:
                return file
        try:
            return await self.objects.remember(file)
        except ValueError as error:
            raise BrokeOff(f"the provider's answer cannot be kept: {error}") from error

    def _new(self, kind: ObjectKind, account: str, owner: str, id_: str) -> AccountObject:
        now = self.clock()
        return AccountObject(
            kind=kind,
            id=id_,
            owner=owner,
            account=account,
            provider_id=id_,
            created_at=now,
            expires_at=now + KEPT_FOR[kind],
        )

    # Lists.

    async def _list(self, exchange: Exchange, call: Call, asked: ObjectAsk) -> bytes:
        """The provider's own would show what others have made, and page by page less and less of what is asked for."""
        query = Query.of(call.request, asked.type)
        choice = exchange.choice
        assert choice is not None
        shown: list[tuple[str, bytes]] = []
        after, seen, has_more = query.after, 0, True
        while has_more and len(shown) < query.limit and seen < MAX_SEEN:
            size = PAGE if query.filters else query.limit
            page = await self.objects.list(
                asked.type.kind,
                exchange.caller,
                account=choice.target.account,
                after=after,
                limit=size + 1,
                oldest_first=query.oldest_first,
            )
            has_more, page = len(page) > size, page[:size]
            after, seen = page[-1].id if page else None, seen + len(page)
            known = await self._as_they_are(page, call, asked, choice.target)
            shown += [(each.id, _encoded(fields, each.id)) for each, fields in known if query.fits(fields)]
        data = shown[: query.limit]
        first, last = (data[0][0], data[-1][0]) if data else (None, None)
        items = [msgspec.Raw(body) for _, body in data]
        has_more = has_more or len(shown) > query.limit
        return msgspec.json.encode(
            {"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more}
        )

    async def _as_they_are(
        self, page: Sequence[AccountObject], call: Call, asked: ObjectAsk, target: Target
    ) -> list[tuple[AccountObject, Fields]]:
        """Asks the provider about those that may have changed. What is gone there is left out."""
        turn = asyncio.Semaphore(ASKED_AT_ONCE)
        until = asyncio.get_running_loop().time() + ASKED_S

        async def one(each: AccountObject) -> tuple[AccountObject, Fields] | None:
            fields = _decoded(each.data) if each.data is not None else None
            if fields is not None and _is_final(asked.type, fields):
                return each, fields
            try:
                async with asyncio.timeout_at(until), turn:
                    return each, _decoded(await self._look(call, asked, each, target))
            except Refused as error:
                if error.status == 404:
                    await self.objects.forget(each)
                    return None
            except (GatewayError, TimeoutError):
                pass
            return (each, fields) if fields is not None else None

        return [found for found in await asyncio.gather(*map(one, page)) if found is not None]


class Query(msgspec.Struct, frozen=True):
    """What a list is to hold. `filters`: field -> its value."""

    limit: int
    after: str | None
    oldest_first: bool
    filters: Mapping[str, str]

    @classmethod
    def of(cls, request: Request, type_: ObjectType) -> "Query":
        """Raises BadRequest."""
        given = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        limit = given.get("limit", str(LISTED))
        if not (limit.isascii() and limit.isdecimal() and len(limit) < 8):
            raise BadRequest("limit has to be a number", param="limit")
        order = given.get("order", "desc")
        if order not in ("asc", "desc"):
            raise BadRequest("order has to be asc or desc", param="order")
        return cls(
            limit=max(1, min(int(limit), type_.max_listed)),
            after=given.get("after"),
            oldest_first=order == "asc",
            filters={name: given[name] for name in type_.filters if name in given},
        )

    def fits(self, fields: Fields) -> bool:
        return all(name in fields and bytes(fields[name]) == bytes(_raw(value)) for name, value in self.filters.items())


def _reading_one(call: Call, asked: ObjectAsk, each: AccountObject) -> Call:
    """The call that asks for one object."""
    request = Request(method="GET", route=f"{ROOTS[asked.api]}/{{id}}", path_params={"id": each.provider_id})
    ask = msgspec.structs.replace(call.ask, object=msgspec.structs.replace(asked, action="read", id=each.id))
    return msgspec.structs.replace(call, ask=ask, request=request)


def _is_final(type_: ObjectType, fields: Fields) -> bool:
    if type_.final is None:
        return True
    status = fields.get("status")
    return status is not None and bytes(status)[1:-1].decode(errors="replace") in type_.final


def _decoded(body: bytes) -> Fields:
    """Raises BrokeOff: it is no JSON object."""
    try:
        return _fields.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokeOff("the provider did not answer with an object") from error


def _id_in(fields: Fields) -> str:
    """Raises BrokeOff: there is none."""
    try:
        return msgspec.json.decode(fields.get("id", b"null"), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokeOff("the provider's answer has no id") from error


def _encoded(fields: Fields, id_: str) -> bytes:
    return msgspec.json.encode({**fields, "id": id_})


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
