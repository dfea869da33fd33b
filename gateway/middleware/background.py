"""Responses that are made in the background, for models whose provider has no such thing: whoever asks gets an id, and
asks for the response by it later.

They end with the process that makes them. Source: platform.openai.com/docs/guides/background, read 2026-11.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import structlog

from gateway.contract import Call, Choice, Head
from gateway.contract.objects import AccountObject, ObjectKind, owner_of
from gateway.contract.part import Figure, Part, ending_with, gauge
from gateway.errors import BadRequest, GatewayError, Overloaded, Stopping, TimedOut, Unavailable, Unexpected
from gateway.logs import traceback_text
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send, send_body
from gateway.proxy.exchange import KEY, Exchange
from gateway.proxy.kept import LONGEST_S, Shelf
from gateway.proxy.receiving import receiving
from gateway.wire.responses import RESPONSES, error_fields

MAX_RUNNING = 100
MAX_OF_ONE = 25
"""Of one owner, so that nobody keeps all the others out."""
BEGINS_S = 5.0
"""Who has not been refused by then gets an id, though it may still be refused: it waits for its turn at a provider."""
_flag = msgspec.json.Decoder(bool | None)
_response = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode

Put = Callable[[AccountObject, Call, dict[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


class BackgroundMiddleware(Part):
    """
    Args:
        app: what all other calls go through.
        inner: what makes a response later; it is asked as a client would, from the model on.
    """

    name = "background responses"

    def __init__(
        self,
        app: ASGIApp,
        *,
        inner: ASGIApp,
        shelf: Shelf,
        max_running: int = MAX_RUNNING,
        max_of_one: int = MAX_OF_ONE,
    ) -> None:
        self.app = app
        self.inner = inner
        self.shelf = shelf
        self.max_running = max_running
        self.max_of_one = max_of_one
        self._running: dict[str, _Making] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call, choice = exchange.call, exchange.choice
        assert call is not None
        assert choice is not None
        begun = _begun(call, choice) if is_background(call) else None
        if begun is None:
            await self.app(scope, receive, send)
            return
        queued = {**begun, "status": "queued", "background": True}
        await send_body(send, 200, _encode(await self._start(exchange, call, queued, scope)))

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self._close)

    def figures(self) -> list[Figure]:
        return [gauge("gateway_background_responses", "Responses being made in the background.", len(self._running))]

    async def cancel(self, id_: str) -> bool:
        """Ends one, and returns when that is written down. False: it is not made here."""
        making = self._running.get(id_)
        if making is None:
            return False
        making.stop()
        await making.ended()
        return True

    async def _start(self, exchange: Exchange, call: Call, queued: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """Returns once limits have let it in, and it is written down.

        Raises:
            Overloaded, Unavailable: nobody could find it later.
            GatewayError: it was refused. Then nothing is left of it.
        """
        if call.ask.stream:
            raise BadRequest("a response of this model is streamed or made in the background, not both", param="stream")
        if len(self._running) >= self.max_running:
            raise Overloaded(
                f"{self.max_running} responses are being made in the background; ask again", retry_after_s=5
            )
        if not self.shelf.days:
            raise BadRequest("this gateway keeps no responses, and makes none in the background", param="background")
        owner = owner_of(exchange.caller)
        if sum(each.owner == owner for each in self._running.values()) >= self.max_of_one:
            raise Overloaded(
                f"{self.max_of_one} responses of yours are being made in the background; wait for one of them, or "
                "cancel it",
                retry_after_s=5,
            )
        id_, target = str(queued["id"]), exchange.choice.target.name if exchange.choice is not None else ""
        place = self.shelf.place(ObjectKind.RESPONSE, id_, exchange.caller, target=target)
        making = _Making(owner, lambda: self._put(self.shelf.keep, place, call, {**queued, "status": "in_progress"}))
        self._running[id_] = making
        making.task = asyncio.create_task(self._run(exchange, call, place, queued, scope, making))
        making.task.add_done_callback(lambda _: self._ended(id_, making))
        try:
            await making.has_begun()
        except BaseException:
            making.stop()  # nobody has its id
            raise
        return queued

    def _ended(self, id_: str, making: "_Making") -> None:
        self._running.pop(id_, None)
        making.refuse(Stopping("the gateway is stopping", retry_after_s=1))  # it was cancelled before its first step

    async def _run(
        self,
        asked: Exchange,
        call: Call,
        place: AccountObject,
        queued: dict[str, Any],
        scope: Scope,
        making: "_Making",
    ) -> None:
        """To its end, however it ends."""
        error: GatewayError | None = None
        ended: dict[str, Any] = {**queued, "status": "failed"}
        try:
            async with asyncio.timeout(LONGEST_S):
                body = await self._answer(asked, call, scope, making)
            await making.begin()
            ended = _renamed(body, place.id)
        except TimeoutError:
            error = TimedOut("it took too long")
        except GatewayError as raised:
            error = raised
        except asyncio.CancelledError:
            error = Stopping("the gateway is stopping", retry_after_s=1)
            ended["status"] = "cancelled"
        except Exception:
            log.error("background response failed", response=place.id, traceback=traceback_text())
            error = Unexpected("the gateway failed")
        making.is_ending = True
        if making.refuse(error):
            return
        if error is not None and ended["status"] == "failed":
            ended["error"] = error_fields(error)
        try:
            await self._put(self.shelf.change, place, call, ended)
        except (Unavailable, BadRequest) as problem:
            log.warning("background response lost", response=place.id, reason=problem.message)

    async def _answer(self, asked: Exchange, call: Call, scope: Scope, making: "_Making") -> bytes:
        """Raises GatewayError: there is none."""
        exchange = Exchange(headers=asked.headers, task=asyncio.current_task(), body_is_read=True)
        exchange.before_sending = making.begin
        exchange.dialect, exchange.route = asked.dialect, asked.route
        exchange.caller, exchange.provider_key = asked.caller, asked.provider_key
        exchange.metadata, exchange.options, exchange.choice = asked.metadata, asked.options, asked.choice
        exchange.call = call
        parts: list[bytes] = []

        async def send(message: Message) -> None:
            parts.append(message.get("body", b""))

        try:
            with exchange.interruptible():
                await self.inner({**scope, "state": {KEY: exchange}}, receiving(), send)
        finally:
            asked.limit_headers = exchange.limit_headers
        return b"".join(parts)

    async def _put(self, put: Put, place: AccountObject, call: Call, response: dict[str, Any]) -> None:
        try:
            await put(place, call, response)
        except ValueError as error:
            raise BadRequest(f"the response is too large to be kept: {error}", param="background") from error

    async def _close(self) -> None:
        running = list(self._running.values())
        for making in running:
            making.stop()
        for making in running:
            await making.ended()


class _Making:
    """One that is being made. It is written down when it begins, and how it ends last; nothing may keep it from that.

    Args:
        write: says that it has begun, where it can be found later.
    """

    def __init__(self, owner: str, write: Callable[[], Awaitable[None]]) -> None:
        self.owner = owner
        self.task: asyncio.Task[None] | None = None
        self.is_ending = False
        self._write = write
        self._writing = asyncio.Lock()
        self._is_written = False
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self) -> None:
        """Once, however often it is called. Raises Unavailable, BadRequest."""
        async with self._writing:
            if self._begun.done() or self.is_ending:
                return
            self._is_written = True  # also if it is cancelled meanwhile
            try:
                await self._write()
            except (Unavailable, BadRequest):
                self._is_written = False
                raise
            self._begun.set_result(None)

    async def has_begun(self) -> None:
        """Raises GatewayError: it was refused."""
        await asyncio.wait([self._begun], timeout=BEGINS_S)
        if not self._begun.done():
            await self.begin()
        await self._begun

    def refuse(self, error: GatewayError | None) -> bool:
        """Whether there is nothing to write down: it has not begun, and the caller is told why."""
        if error is not None and not self._begun.done():
            self._begun.set_exception(error)
            self._begun.exception()  # nobody may be there any more to ask for it
        return not self._is_written

    def stop(self) -> None:
        if not self.is_ending and self.task is not None:
            self.is_ending = True
            self.task.cancel()

    async def ended(self) -> None:
        if self.task is not None:
            await asyncio.wait([self.task])


def is_background(call: Call) -> bool:
    """Raises BadRequest: it says so, and that nothing is to be kept."""
    if call.dialect.name != RESPONSES or "background" not in call.fields:
        return False
    try:
        wanted = bool(_flag.decode(call.fields["background"]))
        is_kept = _flag.decode(call.fields.get("store", b"null")) is not False
    except msgspec.DecodeError as error:
        raise BadRequest(f"background and store are true or false: {error}", param="background") from error
    if wanted and not is_kept:
        raise BadRequest("what is made in the background has to be stored: leave out store", param="store")
    return wanted


def _begun(call: Call, choice: Choice) -> dict[str, Any] | None:
    """The response as the gateway would begin it; None: the providers make it themselves."""
    for target in choice.targets:
        reading = target.provider.reading(call, target, Head(200, {}))
        if reading is not None:
            begun: dict[str, Any] | None = getattr(reading, "response", None)
            return begun
    return None


def _renamed(body: bytes, id_: str) -> dict[str, Any]:
    """Under the id that was told, and its items with it."""
    response = _response.decode(body)
    made = bytes(response["id"]).decode().strip('"').rpartition("_gw")[2]
    renamed = _response.decode(body.replace(made.encode(), id_.rpartition("_gw")[2].encode()))
    return {**renamed, "background": True}
