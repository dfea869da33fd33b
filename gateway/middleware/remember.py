"""Remembers who has made what, and where, before its id is told: what can be asked for later by that id alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from gateway.contract import Call
from gateway.contract.objects import AccountObject, ObjectKind, Objects
from gateway.contract.windows import utc_now
from gateway.errors import Unavailable
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.proxy.kept import HERE, KEPT_DAYS, Kept, items_of, named, pack
from gateway.secrecy.sealing import Seal
from gateway.wire import sse
from gateway.wire.responses import RESPONSES

CHAT = "chat"
"""The dialect of completions."""
LOOKED_AT = 8
"""So many pieces of an answer are searched for its id."""
_KEPT_WHEN = frozenset({"completed", "incomplete"})

log = structlog.get_logger(__name__)


class _Made(msgspec.Struct):
    id: str | None = None


_made = msgspec.json.Decoder(_Made)
_store = msgspec.json.Decoder(bool | None)


class RememberMiddleware:
    """Of calls whose answer is to be stored: that of a provider which stores it is remembered as an object there, and
    what the gateway has translated is kept as a whole."""

    def __init__(self, app: ASGIApp, *, objects: Objects, seal: Seal, clock: Callable[[], datetime] = utc_now) -> None:
        self.app = app
        self.objects = objects
        self.seal = seal
        self.clock = clock

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
            if left and message["type"] == "http.response.body" and exchange.status == 200:
                response = getattr(exchange.attempt and exchange.attempt.reading, "response", None)
                if response is None:
                    left -= 1
                    if await self._provider_has(exchange, call, message.get("body", b"")):
                        left = 0
                elif not message.get("more_body", False):
                    left = 0
                    if response["status"] in _KEPT_WHEN:
                        await self.keep(exchange, call, response)
            await send(message)

        return send_and_remember

    async def _provider_has(self, exchange: Exchange, call: Call, body: bytes) -> bool:
        """Whether the answer has told its id, and is remembered by it."""
        attempt = exchange.attempt
        if attempt is None or "store" in attempt.dropped_params:
            return True
        id_ = getattr(attempt.reading, "response_id", None) or id_in(body)
        if id_ is None:
            return False
        kind = ObjectKind.RESPONSE if call.dialect.name == RESPONSES else ObjectKind.COMPLETION
        await self._remember(exchange, kind, id_, attempt.target.account, attempt.target.name, None)
        return True

    async def keep(self, exchange: Exchange, call: Call, response: dict[str, Any]) -> None:
        """One that the gateway has made, with all that has led to it."""
        id_ = str(response["id"])
        items = named(items_of(call.fields.get("input")), id_.rpartition("_gw")[2])
        kept = Kept(items, {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in response.items()})
        target = exchange.attempt.target.name if exchange.attempt is not None else None
        await self._remember(exchange, ObjectKind.RESPONSE, id_, HERE, target, pack(kept, self.seal))

    async def _remember(
        self, exchange: Exchange, kind: ObjectKind, id_: str, account: str, target: str | None, data: bytes | None
    ) -> None:
        """The answer goes on in any case: who waits for it needs it more than its id."""
        now = self.clock()
        new = AccountObject(
            kind=kind,
            id=id_,
            owner=exchange.caller.subject if exchange.caller is not None else "",
            account=account,
            provider_id=id_,
            created_at=now,
            expires_at=now + timedelta(days=KEPT_DAYS),
            target=target,
            data=data,
        )
        try:
            await self.objects.remember(new)
        except (Unavailable, ValueError) as error:
            log.warning("not remembered", request_id=exchange.id, kind=kind, reason=str(error))


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
