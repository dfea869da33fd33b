"""What came before a response that is asked for: a request tells it by ids, and it is kept here or at an account."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.contract import Call, Caller, Choice, Head, JsonBody, Models
from gateway.contract.objects import AccountObject, ObjectKind
from gateway.errors import BadRequest, NotFound
from gateway.middleware.model import NO_RULES
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.bodies import LARGE
from gateway.proxy.exchange import Exchange
from gateway.proxy.kept import HERE, Item, Kept, Shelf, beside, items_of
from gateway.rules.metadata import MetadataRules
from gateway.wire.item_references import looked_up, may_refer
from gateway.wire.items import MAX_ITEMS, has_more_items
from gateway.wire.response_items import accounts_in, is_own, response_of

TYPES = frozenset({"chat", "responses"})
"""A model that is declared as one of them can be asked for a response."""
MAX_CONVERSATION_BYTES = 20 * 1024 * 1024
MAX_SOURCES = 100
"""Responses, in which items are looked up for one call."""
DONE = frozenset({"completed", "incomplete"})
MAX_LOOKED_UP = 500
"""Items that one call may refer to."""
LOOKED_UP_AT_ONCE = 8
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
        for begin in range(0, len(ids), LOOKED_UP_AT_ONCE):
            await asyncio.gather(
                *[
                    self.shelf.objects.find(ObjectKind.ITEM, id_, caller)
                    for id_ in ids[begin : begin + LOOKED_UP_AT_ONCE]
                ]
            )


def is_spoken(call: Call, choice: Choice) -> bool:
    """Whether any of the providers that may be asked has the caller's own API."""
    return any(target.provider.reading(call, target, Head(200, {})) is None for target in choice.targets)


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
    there = [target for target in choice.targets if target.account == before.account]
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
