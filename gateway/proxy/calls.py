"""Calls by WebRTC and SIP: sound goes between the caller's end and the provider, and so past the gateway.

What is said in one is heard all the same, over a WebSocket beside it that the provider offers for that: it is counted,
limited, billed and recorded as any session, and a call that may not go on, or can no longer be heard, is hung up.

Source: platform.openai.com/docs/guides/realtime-server-controls, /realtime-webrtc and /realtime-sip; read 2026-11.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

import msgspec
import structlog

from gateway.contract import Ask, Call, Choice, Dialect, FormBody, JsonBody, RawBody, Request, Target
from gateway.contract.objects import AccountObject, ObjectAsk, ObjectKind, not_found
from gateway.contract.part import Figure, Part, ending_with, gauge
from gateway.contract.request import FormPart
from gateway.errors import BrokeOff, GatewayError, NotFound, Overloaded
from gateway.proxy.asgi import ASGIApp, Message
from gateway.proxy.exchange import KEY, Exchange
from gateway.proxy.kept import Shelf
from gateway.proxy.receiving import receiving
from gateway.proxy.responder import Responder
from gateway.proxy.session_keys import with_key
from gateway.proxy.writer import HeldAnswer, ResponseWriter
from gateway.wire.headers import HEADER
from gateway.wire.session_config import ACTIONS, ANY_CALL, CALL_ID, CALLS, HANGUP, config_of, hears_only

MAX_HEARD = 1000
"""Calls at once."""
SHARE_OF_ONE = 4
"""One of so many that may go on at once is the most of one caller: nobody has to be there for one to last."""
ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LOCATION = re.compile(r"/realtime/calls/([A-Za-z0-9_-]{1,200})\Z")

log = structlog.get_logger(__name__)


class Asks(Protocol):
    def __call__(self, call: Call, target: Target) -> Awaitable[bytes]:
        """Raises UpstreamError, Overloaded."""


class CallResponder(Part):
    """Begins calls, and hears them to their end.

    Args:
        responder: asks the provider.
        hear: gives what a session goes through, as a client of its own would, from the model on.
        dialect: of sessions.
        ask: for hanging up.
    """

    name = "realtime calls"

    def __init__(
        self,
        responder: Responder,
        hear: Callable[[], ASGIApp],
        *,
        dialect: Dialect,
        shelf: Shelf,
        ask: Asks,
        max_heard: int = MAX_HEARD,
    ) -> None:
        self.responder = responder
        self.hear = hear
        self.dialect = dialect
        self.shelf = shelf
        self.ask = ask
        self.max_heard = max_heard
        self._open: set[Exchange] = set()
        """Requests of which a call is being begun, or is heard."""
        self._heard: set[asyncio.Task[None]] = set()

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self._close)

    def figures(self) -> list[Figure]:
        return [gauge("gateway_realtime_calls", "Calls by WebRTC and SIP that are heard.", len(self._heard))]

    async def respond(self, exchange: Exchange, writer: ResponseWriter) -> None:
        """
        Raises:
            NotFound: the call is somebody else's.
            Overloaded: too many are heard, of all or of the caller.
            GatewayError: it cannot be begun, or not be heard.
        """
        call, choice, key = exchange.call, exchange.choice, exchange.session_key
        assert call is not None
        assert choice is not None
        known = call.request.path_params.get("id")
        if known is not None:
            await self._check(known, exchange)
        if len(self._open) >= self.max_heard:
            raise Overloaded(f"{self.max_heard} calls are under way; try again later", retry_after_s=5)
        most = max(1, self.max_heard // SHARE_OF_ONE)
        if sum(owner_of(each) == owner_of(exchange) for each in self._open) >= most:
            raise Overloaded(f"{most} calls of yours are under way; end one of them", retry_after_s=5)
        if key is not None:
            exchange.choice = with_key(choice, key)
            exchange.call = call = msgspec.structs.replace(call, provider_key=key.authorization)
        elif config_of(call.request) is None:
            exchange.call = call = _configured(call)
        held = HeldAnswer(exchange)
        self._open.add(exchange)
        try:
            await self.responder.respond(exchange, held)
        except BaseException:
            self._open.discard(exchange)
            raise
        # Once there is a call, it is heard, whether anybody waits for the answer or not.
        id_ = await asyncio.shield(self._begun(exchange, call, known))
        headers = [(b"content-type", held.content_type.encode(*HEADER)), (b"content-length", b"%d" % len(held.body))]
        if known is None:
            headers.append((b"location", f"/v1{CALLS}/{id_}".encode()))
        await writer.start(held.status, headers)
        await writer.finish(held.body)

    async def _check(self, id_: str, exchange: Exchange) -> None:
        """One that comes in by SIP is told of elsewhere: it is whose who accepts it first."""
        if not ID.fullmatch(id_):
            raise not_found(ObjectKind.CALL, id_)
        found: AccountObject | None = None
        with suppress(NotFound):
            found = await self.shelf.objects.find(ObjectKind.CALL, id_, None)
        if found is not None and not found.is_seen_by(exchange.caller):
            raise not_found(ObjectKind.CALL, id_)

    async def _begun(self, exchange: Exchange, call: Call, known: str | None) -> str:
        attempt = exchange.attempt
        assert attempt is not None
        target = attempt.target
        told = _LOCATION.search(attempt.headers.get("location", "").partition("?")[0])
        id_ = known or (told[1] if told is not None else None)
        try:
            if id_ is None:
                raise BrokeOff("the provider did not say which call it has begun")
            of = (ObjectKind.CALL, id_, exchange.caller)
            kept = await self.shelf.objects.remember(self.shelf.place(*of, target=target.name, account=target.account))
            await self._listen(exchange, call, target, id_)
        except BaseException:
            self._open.discard(exchange)
            if id_ is not None:
                await self._hang_up(target, id_)
            raise
        return kept.id

    async def _listen(self, asked: Exchange, call: Call, target: Target, id_: str) -> None:
        """Returns when what is said is heard. Raises GatewayError: it is not."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(asked, call, target, id_, begun))
        self._heard.add(task)
        task.add_done_callback(self._heard.discard)
        task.add_done_callback(lambda _: self._open.discard(asked))
        await begun

    async def _run(self, asked: Exchange, call: Call, target: Target, id_: str, begun: "asyncio.Future[None]") -> None:
        intent = "&intent=transcription" if hears_only(call) else ""
        request = Request("GET", "/realtime", {CALL_ID: id_}, f"model=-{intent}".encode())
        ask = msgspec.structs.replace(self.dialect.parse(request), model=call.ask.name)
        exchange = Exchange(headers=asked.headers, task=asyncio.current_task(), body_is_read=True)
        exchange.dialect, exchange.route, exchange.caller = self.dialect, "/realtime", asked.caller
        exchange.metadata, exchange.choice = asked.metadata, Choice(target)
        exchange.call = Call(self.dialect, ask, request, asked.provider_key)

        async def send(message: Message) -> None:
            if message["type"] == "websocket.accept" and not begun.done():
                begun.set_result(None)

        about = {"type": "websocket", "path": "/v1/realtime", "headers": [], "query_string": b"", "subprotocols": []}
        receive = receiving({"type": "websocket.connect"})
        error: BaseException | None = None
        try:
            with exchange.interruptible():
                await self.hear()({**about, "state": {KEY: exchange}}, receive, send)
        except BaseException as raised:
            error = raised
        error = error or exchange.error
        if not begun.done():
            begun.set_exception(error or BrokeOff("the provider does not let the call be heard"))
        elif error is not None:
            await self._hang_up(target, id_)
            log.info("call hung up", call=id_, account=target.account, reason=str(error) or type(error).__name__)
        if error is not None and not isinstance(error, GatewayError):
            raise error

    async def _hang_up(self, target: Target, id_: str) -> None:
        asked = ObjectAsk(api=ACTIONS, type=ANY_CALL, action="pass", id=id_)
        request = Request("POST", HANGUP, {"id": id_})
        ask = Ask(None, has_output=False, account=target.account, object=asked)
        try:
            await self.ask(Call(self.dialect, ask, request), target)
        except GatewayError as error:
            log.error("call not hung up", call=id_, account=target.account, reason=error.message)

    async def _close(self) -> None:
        for task in tuple(self._heard):
            task.cancel()
        if self._heard:
            await asyncio.wait(tuple(self._heard))


def owner_of(exchange: Exchange) -> str:
    return exchange.caller.subject if exchange.caller is not None else ""


def _configured(call: Call) -> Call:
    """An offer without anything else, with the model that its query names: as providers take it with a key that is no
    session's."""
    body = call.request.body
    session = msgspec.json.encode({"type": "realtime", "model": call.ask.name})
    if isinstance(body, JsonBody):
        return call.with_fields({**call.fields, "session": msgspec.Raw(session)})
    assert isinstance(body, RawBody)
    form = FormBody((FormPart("sdp", body.data), FormPart("session", session)))
    return msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, body=form))
