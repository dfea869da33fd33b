"""Calls about responses and stored chat completions that were made before: to see, list, cancel and delete them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from gateway.contract import Ask, Call, Caller, Choice, Models, Request, Target
from gateway.contract.objects import AccountObject, ObjectKind, not_found
from gateway.contract.route import NO_METADATA
from gateway.errors import BadRequest, Forbidden, NotFound, Refused, UnknownModel
from gateway.middleware.model import NO_RULES
from gateway.middleware.remember import remember_items
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send, send_body
from gateway.proxy.exchange import Exchange
from gateway.proxy.kept import HERE, Kept, Shelf, beside, page
from gateway.rules.metadata import MetadataRules
from gateway.wire.responses import COMPLETION, RESPONSE

KINDS: Mapping[str, ObjectKind] = {RESPONSE: ObjectKind.RESPONSE, COMPLETION: ObjectKind.COMPLETION}
MAX_PAGE = 100
SHOWN_AT_ONCE = 8
"""So many are asked for at the same time, of those that a list shows."""
MAX_SHOWN_BYTES = 4 * 1024 * 1024
_encode = msgspec.json.encode


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
        for begin in range(0, min(limit, len(own)), SHOWN_AT_ONCE):
            some = own[begin : min(begin + SHOWN_AT_ONCE, limit)]
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


def place_of(found: AccountObject, models: Models, caller: Caller | None) -> Choice:
    """The model that has made it; or, if that is gone or leads elsewhere by now, another of its account."""
    if found.target is not None:
        with suppress(UnknownModel):
            choice = models.find(found.target, caller, NO_METADATA, None)
            own = next((target for target in choice.targets if target.name == found.target), None)
            if own is not None:
                return Choice(own)
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
