"""Remembers who has made what, and where, before its id is told: what can be asked for later by that id alone."""

from collections.abc import Awaitable
from typing import Any

import msgspec
import structlog

from gateway.contract import Call
from gateway.contract.objects import AccountObject, ObjectKind
from gateway.errors import Unavailable
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.proxy.exchange import Attempt, Exchange
from gateway.proxy.kept import Shelf
from gateway.wire import sse
from gateway.wire.responses import RESPONSES

CHAT = "chat"
"""The dialect of completions."""
LOOKED_AT = 8
"""So many pieces of an answer are searched for its id."""
MAX_MADE = 200
"""Items of one response that can be referred to."""
_KEPT_WHEN = frozenset({"completed", "incomplete"})

log = structlog.get_logger(__name__)


class _Made(msgspec.Struct):
    id: str | None = None


_made = msgspec.json.Decoder(_Made)
_store = msgspec.json.Decoder(bool | None)


class RememberMiddleware:
    """Of calls whose answer is to be stored: that of a provider which stores it is remembered as an object there, and
    what the gateway has translated is kept as a whole."""

    def __init__(self, app: ASGIApp, *, shelf: Shelf) -> None:
        self.app = app
        self.shelf = shelf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call = exchange.call
        if call is not None and is_stored(call):
            send = self._remembering(exchange, call, send)
        await self.app(scope, receive, send)

    def _remembering(self, exchange: Exchange, call: Call, send: Send) -> Send:
        left = LOOKED_AT

        async def send_and_remember(message: Message) -> None:
            nonlocal left
            attempt = exchange.attempt
            if left and attempt is not None and message["type"] == "http.response.body" and exchange.status == 200:
                response = getattr(attempt.reading, "response", None)
                if response is None:
                    is_known = await self._look(exchange, attempt, call, message.get("body", b""))
                    left = 0 if is_known else left - 1
                elif not message.get("more_body", False):
                    left = 0
                    await self._keep(exchange, attempt, call, response)
            if attempt is not None and message["type"] == "http.response.body" and not message.get("more_body", False):
                await remember_items(exchange, attempt, self.shelf)
            await send(message)

        return send_and_remember

    async def _look(self, exchange: Exchange, attempt: Attempt, call: Call, body: bytes) -> bool:
        """Whether all is done that can be: the answer has told its id, and is remembered by it."""
        if "store" in attempt.dropped_params:
            return True
        id_ = getattr(attempt.reading, "response_id", None) or id_in(body)
        if id_ is None:
            return False
        kind = ObjectKind.RESPONSE if call.dialect.name == RESPONSES else ObjectKind.COMPLETION
        target = attempt.target
        place = self.shelf.place(kind, id_, exchange.caller, target=target.name, account=target.account)
        await _or_log(exchange, self.shelf.objects.remember(place))
        return True

    async def _keep(self, exchange: Exchange, attempt: Attempt, call: Call, response: dict[str, Any]) -> None:
        if response["status"] not in _KEPT_WHEN or not self.shelf.days:
            return
        id_, caller = str(response["id"]), exchange.caller
        place = self.shelf.place(ObjectKind.RESPONSE, id_, caller, target=attempt.target.name)
        await _or_log(exchange, self.shelf.keep(place, call, response))


async def remember_items(
    exchange: Exchange, attempt: Attempt, shelf: Shelf, *, like: AccountObject | None = None
) -> None:
    """Those of an answer that has passed: they may be referred to, and then the provider asks nobody whose they are.

    Args:
        like: what they belong to; None: what has just been made.
    """
    ids = getattr(attempt.reading, "item_ids", ())
    if exchange.status != 200 or not ids or "store" in attempt.dropped_params:
        return
    target = attempt.target
    place = shelf.place(ObjectKind.ITEM, "", exchange.caller, target=target.name, account=target.account)
    if like is not None:
        place = msgspec.structs.replace(place, owner=like.owner, expires_at=like.expires_at)
    items = [msgspec.structs.replace(place, id=id_, provider_id=id_) for id_ in ids[:MAX_MADE]]
    await _or_log(exchange, shelf.objects.remember_all(items))


async def _or_log(exchange: Exchange, remembered: Awaitable[object]) -> None:
    """The answer goes on in any case: who waits for it needs it more than its id."""
    try:
        await remembered
    except (Unavailable, ValueError) as error:
        log.warning("not remembered", request_id=exchange.id, reason=str(error))


def is_stored(call: Call) -> bool:
    """Responses are unless their caller says otherwise, chat completions if it says so."""
    is_response = call.dialect.name == RESPONSES
    if not is_response and call.dialect.name != CHAT:
        return False
    try:
        said = _store.decode(call.fields.get("store", b"null"))
    except msgspec.DecodeError:
        return False
    return is_response if said is None else said


def id_in(data: bytes) -> str | None:
    """Of an answer, or of the first event of one; None: there is none in it."""
    if sse.looks_like_events(data):
        data = next(filter(None, map(sse.data_of, sse.EventSplitter().feed(data))), b"")
    try:
        return _made.decode(data).id
    except (msgspec.DecodeError, RecursionError):
        return None
