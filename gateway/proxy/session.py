"""One WebSocket of a client, and the one to its provider: messages go both ways until either end has had enough.

Each direction is one loop that sends a message on before it takes the next, so neither end is read faster than the
other one takes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import cast

import msgspec

from gateway.contract import Call, Reply, Socket
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, ClientLeft, GatewayError, SessionIdle, TimedOut, TooLarge
from gateway.proxy.asgi import Headers, Receive, Send
from gateway.proxy.exchange import Attempt, Exchange
from gateway.proxy.writer import LAST_WORD_S, ResponseWriter
from gateway.wire.realtime import SessionMeter, named_in

SWITCHED = 101
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
NORMAL, GOING_AWAY, NO_CODE = 1000, 1001, 1005
GOOD_ENDS = (NORMAL, GOING_AWAY, NO_CODE)
"""How a provider ends a session with which all is well. Source: RFC 6455, section 7.4.1."""
UNSENDABLE = frozenset({1004, NO_CODE, 1006, 1015})
"""Codes that stand for something, and are never sent. Source: the same."""

Count = Callable[[Exchange], Awaitable[None]]
"""Told each time more was used. Raises RateLimited: a limit is used up."""
Check = Callable[[Exchange], Awaitable[None]]
"""Asked now and then. Raises GatewayError: what let the session in has been taken away."""


class SessionTiming(msgspec.Struct, frozen=True):
    """Seconds, exact to one `look_s`."""

    look_s: float = 5.0
    idle_s: float = 900.0
    """Without any message, either way."""
    stall_s: float = 60.0
    """One end does not take what the other has sent."""
    check_s: float = 10.0
    """How often it is asked whether the session may go on."""


class SocketWriter(ResponseWriter):
    """The client's end of a session. Not accepted before the provider has opened its own, so that what is wrong until
    then is still a status."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        exchange: Exchange,
        *,
        subprotocol: str | None,
        timing: SessionTiming,
        count: Count,
        check: Check,
    ) -> None:
        super().__init__(send, exchange)
        self.receive = receive
        self.subprotocol = subprotocol
        self.timing = timing
        self.count = count
        self.check = check

    async def accept(self) -> None:
        self._exchange.answered_at = perf_counter()
        message = {"type": "websocket.accept", "subprotocol": self.subprotocol, "headers": [*self._about()]}
        await self._send(message)

    async def say(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def hang_up(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def whole(self, status: int, content_type: str, body: bytes) -> None:
        raise _no_socket(status)

    async def start(self, status: int, headers: Headers) -> None:
        raise _no_socket(status)


async def converse(exchange: Exchange, call: Call, attempt: Attempt, reply: Reply, writer: ResponseWriter) -> None:
    """Passes messages on until the session is over. `attempt.usage` is what was used until now, all the time.

    Raises:
        BrokeOff: the provider has dropped it, or ended it for a reason that is no good one.
        ClientLeft: in the middle of a response.
        RateLimited, TooLarge, SessionIdle, TimedOut, or what `Check` raises: it may not go on.
    """
    socket = cast("Socket", reply)
    assert isinstance(writer, SocketWriter), "only a WebSocket asks for one"
    attempt.usage = Usage()
    attempt.answered()
    await writer.accept()
    transcribes = ("intent", "transcription") in named_in(call.request.query)
    session = _Session(exchange, attempt, socket, writer, SessionMeter(counts_transcripts=transcribes))
    try:
        with exchange.interruptible():
            await session.run()
    except GatewayError as error:
        await asyncio.gather(_say_why(error, call, writer), socket.end(GOING_AWAY))
        raise
    finally:
        attempt.usage = session.meter.end()
        attempt.last_byte_at = perf_counter()


class _Flow:
    """Messages one way: how many have arrived, and whether one is on its way."""

    passed = 0
    is_sending = False
    _seen = 0
    _still_s = 0.0

    def still_s(self, look_s: float) -> float:
        """For how long nothing has arrived, asked every `look_s`."""
        self._still_s = self._still_s + look_s if self.passed == self._seen else 0.0
        self._seen = self.passed
        return self._still_s


class _Session:
    def __init__(
        self, exchange: Exchange, attempt: Attempt, socket: Socket, writer: SocketWriter, meter: SessionMeter
    ) -> None:
        self.meter = meter
        self._exchange = exchange
        self._attempt = attempt
        self._socket = socket
        self._writer = writer
        self._up, self._down = _Flow(), _Flow()

    async def run(self) -> None:
        loop, timing = self._exchange.loop, self._writer.timing
        self._timer = loop.call_later(timing.look_s, self._look)
        up, down = loop.create_task(self._to_provider()), loop.create_task(self._to_client())
        checks = loop.create_task(self._check())
        try:
            await asyncio.wait((up, down, checks), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not down.done() and isinstance(up.exception(), BrokeOff):
                await asyncio.wait((down,), timeout=LAST_WORD_S)  # it may say why nothing can be sent
        finally:
            self._timer.cancel()
            for task in (up, down, checks):
                task.cancel()
            await asyncio.gather(up, down, checks, return_exceptions=True)
        if not checks.cancelled():
            checks.result()  # says why it may not go on
        if not down.cancelled():
            down.result()
            await self._provider_ended()
        else:
            up.result()
            await self._socket.end(NORMAL)
            if self.meter.is_answering:
                raise ClientLeft("the client closed the connection in the middle of a response")

    async def _to_provider(self) -> None:
        """Returns when the client has left."""
        flow, receive, socket = self._up, self._writer.receive, self._socket
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            data: str | bytes = text if text is not None else message["bytes"]
            if len(data) > MAX_MESSAGE_BYTES:
                raise TooLarge(f"a message of a session has at most {MAX_MESSAGE_BYTES:,} bytes; send smaller ones")
            flow.is_sending = True
            await socket.send(data)
            flow.is_sending = False
            flow.passed += 1

    async def _to_client(self) -> None:
        """Returns when the provider has closed."""
        flow, socket, writer, meter = self._down, self._socket, self._writer, self.meter
        while (message := await socket.receive()) is not None:
            flow.is_sending = True
            await writer.say(message)
            flow.is_sending = False
            flow.passed += 1
            if isinstance(message, str) and meter.look(message):
                self._attempt.usage = meter.total
                await writer.count(self._exchange)

    async def _check(self) -> None:
        """Ends by an error alone."""
        while True:
            await asyncio.sleep(self._writer.timing.check_s)
            await self._writer.check(self._exchange)

    async def _provider_ended(self) -> None:
        socket = self._socket
        await socket.end(NORMAL)
        code = socket.close_code
        if code in GOOD_ENDS:
            with suppress(OSError):
                await self._writer.hang_up(NORMAL if code == NO_CODE else code, socket.close_reason)
            return
        reason = self._attempt.hidden(socket.close_reason.encode()).decode()
        error = BrokeOff(reason or f"the provider ended the session with code {code}")
        error.close_code = None if code in UNSENDABLE else code
        raise error

    def _look(self) -> None:
        timing, exchange, up, down = self._writer.timing, self._exchange, self._up, self._down
        self._timer = exchange.loop.call_later(timing.look_s, self._look)
        up_s, down_s = up.still_s(timing.look_s), down.still_s(timing.look_s)
        if down.is_sending and down_s >= timing.stall_s:
            exchange.interrupt(ClientLeft("the client stopped reading"))
        elif up.is_sending and up_s >= timing.stall_s:
            exchange.interrupt(TimedOut(f"the provider took nothing for {timing.stall_s:g} s"))
        elif min(up_s, down_s) >= timing.idle_s:
            exchange.interrupt(SessionIdle(f"nothing was said for {timing.idle_s:g} s; open a new session"))


async def _say_why(error: GatewayError, call: Call, writer: SocketWriter) -> None:
    """An event, as the close frame behind it has room for a few words alone. What the provider ended, it has said."""
    if isinstance(error, ClientLeft) or (isinstance(error, BrokeOff) and error.close_code is not None):
        return
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(LAST_WORD_S):
            await writer.say(call.dialect.stream_error(error).decode())


def _no_socket(status: int) -> BrokeOff:
    return BrokeOff(f"the provider answered the handshake with status {status}, and opened no WebSocket")
