"""What the Responses API, and stored chat completions, need that is said nowhere in a request: what came before it, and
where that is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from gateway.contract import Ask, Call, Caller, Choice, Head, JsonBody, Models, Request, Target
from gateway.contract.objects import AccountObject, ObjectKind, not_found
from gateway.contract.route import NO_METADATA
from gateway.errors import BadRequest, Forbidden, NotFound, Refused, UnknownModel
from gateway.middleware.model import NO_RULES
from gateway.middleware.remember import remember_items
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send, send_body
from gateway.proxy.bodies import LARGE
from gateway.proxy.exchange import Exchange
from gateway.proxy.kept import HERE, Item, Kept, Shelf, beside, items_of, page
from gateway.rules.metadata import MetadataRules
from gateway.wire.item_references import looked_up, may_refer
from gateway.wire.items import MAX_ITEMS, has_more_items
from gateway.wire.responses import COMPLETION, RESPONSE, accounts_in, is_own, response_of

KINDS: Mapping[str, ObjectKind] = {RESPONSE: ObjectKind.RESPONSE, COMPLETION: ObjectKind.COMPLETION}
TYPES = frozenset({"chat", "responses"})
"""A model that is declared as one of them can be asked for a response."""
MAX_CONVERSATION_BYTES = 20 * 1024 * 1024
MAX_PAGE = 100
MAX_SOURCES = 100
"""Responses, in which items are looked up for one call."""
DONE = frozenset({"completed", "incomplete"})
AT_ONCE = 8
"""So many are asked for at the same time, of those that a list shows."""
MAX_SHOWN_BYTES = 4 * 1024 * 1024
MAX_LOOKED_UP = 500
"""Items that one call may refer to."""
_LISTS = ("input", "tools")
_REFERENCE = b'"item_reference"'
_text = msgspec.json.Decoder(str | None)
_encode = msgspec.json.encode


class ContinueMiddleware:
    """Finds the model of a call that makes a response, and what it continues: what is kept here is put in front of its
    input, and what is kept at an account leads the call there."""

    def __init__(
        self, app: ASGIApp, *, models: Models, shelf: Shelf, metadata: Callable[[], MetadataRules] = lambda: NO_RULES
    ) -> None:
        self.app = app
        self.models = models
        self.shelf = shelf
        self.metadata = metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call, caller = exchange.call, exchange.caller
        assert call is not None, "ParseMiddleware has to come before"
        if not (rules := self.metadata()).is_empty:
            exchange.metadata = rules.resolved(exchange.metadata, caller)
        _refuse_conversation(call)
        before = await self._before(call, caller)
        exchange.call = call = await self._continued(call, caller, before)
        choice = self.models.find(call.ask.name, caller, exchange.metadata, "chat")
        if TYPES.isdisjoint(choice.target.model_types):
            raise BadRequest(
                f"{call.ask.name} is declared neither as chat nor as responses (model_types)", param="model"
            )
        if before is not None and before.account != HERE:
            choice = at_account(choice, before)
        exchange.choice = leading_back(choice, call) if choice.route is not None else choice
        await self._check_items(call, exchange.choice, caller)
        await self.app(scope, receive, send)

    async def _before(self, call: Call, caller: Caller | None) -> AccountObject | None:
        id_ = _string(call, "previous_response_id")
        if not id_:
            return None
        try:
            return await self.shelf.objects.find(ObjectKind.RESPONSE, id_, caller)
        except NotFound:
            raise BadRequest(
                f"no response {id_[:200]!r} is kept for you: it was made with store false, has expired, or is "
                "somebody else's; send the conversation itself as input",
                code="previous_response_not_found",
                param="previous_response_id",
            ) from None

    async def _continued(self, call: Call, caller: Caller | None, before: AccountObject | None) -> Call:
        for name in _LISTS:
            if (listed := call.fields.get(name)) is not None and len(memoryview(listed)) > LARGE:
                await _refuse_long(name, listed)
        given = call.fields.get("input")
        refers = given is not None and _REFERENCE in bytes(given)
        if before is not None and before.account != HERE:
            previous = msgspec.Raw(_encode(before.provider_id))
            return call.with_fields({**call.fields, "previous_response_id": previous})
        if before is None and not refers:
            return call
        kept = await self._continues(before) if before is not None else None
        size = len(memoryview(given or b"")) + (kept.size if kept is not None else 0)
        items = await beside(size, lambda: items_of(given))
        if refers:
            named = await self._named(await beside(size, lambda: references_in(items)), caller)
            if not named and kept is None:
                return call  # to the byte
            items = await beside(size, lambda: [named.get(bytes(item.get("id", b"")), item) for item in items])
        if kept is not None:
            items = [*kept.input, *kept.output, *items]
        return await beside(size, lambda: with_input(call, items))

    async def _continues(self, before: AccountObject) -> Kept:
        """Raises BadRequest: nothing can follow it."""
        kept = await self.shelf.open(before)
        if kept.status not in DONE:
            raise BadRequest(
                f"the response {before.id} is {kept.status}, and nothing can follow it", param="previous_response_id"
            )
        return kept

    async def _named(self, references: Sequence[bytes], caller: Caller | None) -> dict[bytes, Item]:
        """Items that are kept here, by their ids as JSON; those at providers are theirs to find."""
        opened: dict[str, Kept] = {}
        found: dict[bytes, Item] = {}
        for reference in references:
            id_ = msgspec.json.decode(reference, type=str)
            source = response_of(id_)
            if source not in opened:
                if len(opened) >= MAX_SOURCES:
                    raise BadRequest(
                        f"items refer to more than {MAX_SOURCES} responses; send some as they are", param="input"
                    )
                opened[source] = await self.shelf.open(
                    await self.shelf.objects.find(ObjectKind.RESPONSE, source, caller)
                )
            item = opened[source].item(id_)
            if item is None:
                raise BadRequest(f"no item {id_!r} is kept here; send the item itself", param="input")
            found[reference] = item
        return found

    async def _check_items(self, call: Call, choice: Choice, caller: Caller | None) -> None:
        """Raises NotFound: an item that the provider would look up is not the caller's. It knows one key for all."""
        given = call.fields.get("input")
        if given is None or not may_refer(bytes(given)) or not is_spoken(call, choice):
            return
        ids = await beside(len(memoryview(given)), lambda: looked_up(items_of(given)))
        ids = [id_ for id_ in ids if not is_own(id_)]  # which no provider is shown
        if len(ids) > MAX_LOOKED_UP:
            raise BadRequest(f"input refers to more than {MAX_LOOKED_UP} items; send some as they are", param="input")
        for begin in range(0, len(ids), AT_ONCE):
            await asyncio.gather(
                *[self.shelf.objects.find(ObjectKind.ITEM, id_, caller) for id_ in ids[begin : begin + AT_ONCE]]
            )


def is_spoken(call: Call, choice: Choice) -> bool:
    """Whether any of the providers that may be asked has the caller's own API."""
    targets = [each.route_target.target for each in choice.route.candidates] if choice.route else [choice.target]
    return any(target.provider.reading(call, target, Head(200, {})) is None for target in targets)


class Asks(Protocol):
    def __call__(self, call: Call, target: Target, *, max_bytes: int) -> Awaitable[bytes]:
        """The whole answer of one target. Raises UpstreamError, Overloaded."""


class KeptMiddleware:
    """For calls about what was made before: answers them from what is kept here, or leads them to the account where
    it is.

    Args:
        ask: for what a list shows.
        cancel: ends a response that is made in the background. False: none of that id is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        models: Models,
        shelf: Shelf,
        ask: Asks,
        cancel: Callable[[str], Awaitable[bool]],
        metadata: Callable[[], MetadataRules] = lambda: NO_RULES,
    ) -> None:
        self.app = app
        self.models = models
        self.shelf = shelf
        self.ask = ask
        self.cancel = cancel
        self.metadata = metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call = exchange.call
        assert call is not None, "ParseMiddleware has to come before"
        if not (rules := self.metadata()).is_empty:
            exchange.metadata = rules.resolved(exchange.metadata, exchange.caller)
        kind = KINDS[call.dialect.name]
        if "id" not in call.request.path_params:
            await send_body(send, 200, _encode(await self._list(kind, call, exchange.caller)))
            return
        found = await self.shelf.objects.find(kind, call.request.path_params["id"], exchange.caller)
        if found.account == HERE:
            await self._answer(call, found, exchange.caller, send)
            return
        exchange.choice = place_of(found, self.models, exchange.caller)
        request = msgspec.structs.replace(call.request, path_params={"id": found.provider_id})
        ask = msgspec.structs.replace(call.ask, account=found.account)
        exchange.call = msgspec.structs.replace(call, request=request, ask=ask)
        await self.app(scope, receive, self._noting(exchange, found, send))

    def _noting(self, exchange: Exchange, found: AccountObject, send: Send) -> Send:
        """What was deleted is forgotten, and the items are remembered that were told of."""

        async def send_and_note(message: Message) -> None:
            attempt = exchange.attempt
            if message["type"] == "http.response.body" and exchange.status < 300 and not message.get("more_body"):
                if exchange.call is not None and exchange.call.request.method == "DELETE":
                    await self.shelf.objects.forget(found)
                elif attempt is not None and found.kind is ObjectKind.RESPONSE:
                    await remember_items(exchange, attempt, self.shelf, like=found)
            await send(message)

        return send_and_note

    async def _list(self, kind: ObjectKind, call: Call, caller: Caller | None) -> dict[str, Any]:
        """What the caller has made, as its accounts show it: they would list what others have, too."""
        query = dict(parse_qsl(call.request.query.decode("latin-1")))
        limit, oldest_first = _limit(query), _is_ascending(query, "asc")
        own = await self.shelf.objects.list(
            kind, caller, after=query.get("after"), limit=limit + 1, oldest_first=oldest_first
        )
        shown: list[dict[str, Any]] = []
        for begin in range(0, min(limit, len(own)), AT_ONCE):
            some = own[begin : min(begin + AT_ONCE, limit)]
            shown += filter(None, await asyncio.gather(*[self._shown(each, call, caller) for each in some]))
        data = [each for each in shown if _fits(each, query)]
        first, last = (own[0].id, own[min(limit, len(own)) - 1].id) if own else (None, None)
        return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": len(own) > limit}

    async def _shown(self, each: AccountObject, call: Call, caller: Caller | None) -> dict[str, Any] | None:
        """None: its account does not have it any more, or it is not to be reached by this caller."""
        route = f"{call.request.route}/{{id}}"
        request = Request(route=route, method="GET", path_params={"id": each.provider_id})
        asking = msgspec.structs.replace(call, request=request, ask=Ask(None, account=each.account, has_output=False))
        try:
            body = await self.ask(asking, place_of(each, self.models, caller).target, max_bytes=MAX_SHOWN_BYTES)
            return {**msgspec.json.decode(body, type=dict[str, Any]), "id": each.id}
        except (NotFound, Forbidden, msgspec.DecodeError, RecursionError):
            return None
        except Refused as error:
            if error.status != NotFound.status:
                raise
            await self.shelf.objects.forget(each)
            return None

    async def _answer(self, call: Call, found: AccountObject, caller: Caller | None, send: Send) -> None:
        """Of what is kept here."""
        asked = call.request
        kept = await self.shelf.open(found)
        match asked.method, asked.route.rpartition("/")[2]:
            case "DELETE", _:
                await self.cancel(found.id)  # it would be written down again when it is done
                await self.shelf.objects.forget(found)
                said: Any = {"id": found.id, "object": "response", "deleted": True}
            case "POST", _:
                said = await self._cancelled(found, kept, caller)
            case _, "input_items":
                query = dict(parse_qsl(asked.query.decode("latin-1")))
                said = await beside(kept.size, lambda: _page(kept, query))
            case _ if call.ask.stream:
                raise BadRequest("this response is kept as a whole, and cannot be streamed again", param="stream")
            case _:
                said = kept.response
        await send_body(send, 200, _encode(said))

    async def _cancelled(self, found: AccountObject, kept: Kept, caller: Caller | None) -> dict[str, msgspec.Raw]:
        """Raises BadRequest: it is done, or made by another replica, which cannot be told."""
        if kept.status == "cancelled":
            return kept.response
        if not await self.cancel(found.id):
            raise BadRequest(
                "it is done, or was not made in the background by this replica, and so it cannot be cancelled"
            )
        return (await self.shelf.open(await self.shelf.objects.find(found.kind, found.id, caller))).response


def references_in(items: Sequence[Item]) -> list[bytes]:
    """The ids, as JSON, of items of ours that are referred to."""
    ids = (bytes(item.get("id", b"")) for item in items if bytes(item.get("type", b"")) == _REFERENCE)
    return list(dict.fromkeys(id_ for id_ in ids if is_own(id_.decode(errors="replace").strip('"'))))


def with_input(call: Call, items: Sequence[Item]) -> Call:
    """With a whole conversation in place of its end; limits see all of it."""
    fields = {**call.fields, "input": msgspec.Raw(_encode(items))}
    data = _encode(fields)
    if len(data) > MAX_CONVERSATION_BYTES:
        raise BadRequest(
            f"the conversation has over {MAX_CONVERSATION_BYTES:,} bytes; begin a new one", param="previous_response_id"
        )
    request = msgspec.structs.replace(call.request, body=JsonBody(fields, data))
    return msgspec.structs.replace(call, request=request, ask=call.dialect.parse(request))


def at_account(choice: Choice, before: AccountObject) -> Choice:
    """Only where the earlier response is: by the model that made it, if it can be had, or by another of that account.

    Raises BadRequest: none of those it may go to is there.
    """
    targets = [each.route_target.target for each in choice.route.candidates] if choice.route else [choice.target]
    there = [target for target in targets if target.account == before.account]
    if not there:
        raise BadRequest(
            f"the previous response is kept by the account {before.account}, where {choice.target.name} is not: ask a "
            "model of that account, or send the conversation itself as input",
            param="previous_response_id",
        )
    route = choice.route
    if route is None:
        return choice
    names = [target.name for target in there]
    kept_to = {before.target} if before.target in names else set(names)
    candidates = tuple(each for each in route.candidates if each.route_target.target.name in kept_to)
    return msgspec.structs.replace(choice, route=msgspec.structs.replace(route, candidates=candidates))


def leading_back(choice: Choice, call: Call) -> Choice:
    """What one account has encrypted, the others of a route cannot read: it is asked first, and alone where there is
    nothing else to go on from.

    Source: platform.openai.com/docs/guides/reasoning (encrypted reasoning items), read 2026-11.
    """
    route = choice.route
    accounts = {each.account for each in route.candidates} if route is not None else set()
    if route is None or len(accounts) < 2:
        return choice
    account, is_needed = accounts_in(call.fields.get("input"), accounts)
    if is_needed:
        candidates = tuple(each for each in route.candidates if each.account == account)
        route = msgspec.structs.replace(route, candidates=candidates)
    return msgspec.structs.replace(choice, route=route, leads_back=True, prefers=account)


def place_of(found: AccountObject, models: Models, caller: Caller | None) -> Choice:
    """The model that has made it; or, if that is gone or leads elsewhere by now, another of its account."""
    if found.target is not None:
        with suppress(UnknownModel):
            choice = models.find(found.target, caller, NO_METADATA, None)
            targets = (
                [each.route_target.target for each in choice.route.candidates] if choice.route else [choice.target]
            )
            own: list[Target] = [target for target in targets if target.name == found.target]
            if own:
                return Choice(own[0])
    with suppress(UnknownModel):
        return models.find_account(found.account, caller, "chat")
    try:
        return models.find_account(found.account, caller, "responses")
    except UnknownModel:
        raise not_found(found.kind, found.id) from None


def _page(kept: Kept, query: Mapping[str, str]) -> dict[str, Any]:
    ascending = _is_ascending(query, "desc")
    return page(kept.input, after=query.get("after"), limit=_limit(query), oldest_first=ascending)


def _limit(query: Mapping[str, str]) -> int:
    limit = query.get("limit", "20")
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= MAX_PAGE:
        raise BadRequest(f"limit lies between 1 and {MAX_PAGE}", param="limit")
    return int(limit)


def _is_ascending(query: Mapping[str, str], usual: str) -> bool:
    order = query.get("order", usual)
    if order not in ("asc", "desc"):
        raise BadRequest("order is asc or desc", param="order")
    return order == "asc"


def _fits(shown: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether it is one of those that were asked for, by `model` and `metadata[name]`."""
    metadata = shown.get("metadata") or {}
    wanted = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[") and name[-1] == "]"}
    return query.get("model", shown.get("model")) == shown.get("model") and wanted.items() <= metadata.items()


async def _refuse_long(name: str, given: msgspec.Raw) -> None:
    if await beside(LARGE + 1, lambda: has_more_items(given)):
        raise BadRequest(f"{name} has more than {MAX_ITEMS:,} items; send fewer, larger ones", param=name)


def _refuse_conversation(call: Call) -> None:
    """Whose a conversation is that was made elsewhere, nobody here knows."""
    given = call.fields.get("conversation")
    if given is not None and bytes(given) != b"null":
        raise BadRequest(
            "conversations are not served; use previous_response_id, or send all of it as input", param="conversation"
        )


def _string(call: Call, name: str) -> str | None:
    try:
        text: str | None = _text.decode(call.fields.get(name, b"null"))
        return text
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is not valid: {error}', param=name) from error
