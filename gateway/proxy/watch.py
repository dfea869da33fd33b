"""Watches over a request while it waits: the client may leave, and either side may stall."""

import asyncio
from typing import Self

import msgspec

from gateway.errors import ClientLeft, TimedOut
from gateway.proxy.asgi import Receive
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.exchange import Exchange
from gateway.proxy.writer import ResponseWriter


class Timing(msgspec.Struct, frozen=True):
    """How long may pass, in seconds, before something is done. All but the first are exact to one `keep_alive_s`."""

    watch_after_s: float = 0.05
    """From here on the client is watched, and the call cancelled when it leaves. Fast answers do not pay for this."""
    keep_alive_s: float = 15.0
    """Silence, before a comment tells the client that its stream lives."""
    first_byte_s: float = 600.0
    """Silence of the provider before its first event. The SDKs themselves wait 600 s."""
    idle_s: float = 120.0
    """Silence of the provider after it; its own keep-alive comments count as silence."""
    write_stall_s: float = 60.0
    """A client that does not read."""


class Watch:
    """`with Watch(...):` around the waiting, which is interruptible: what it finds ends it by `Exchange.interrupt`.

    Args:
        waiting: calls `begin` of those that have waited for `Timing.watch_after_s`.
    """

    # What most have no use for, as their answer comes at once.
    _timer: asyncio.TimerHandle | None = None
    _client: asyncio.Task[None] | None = None
    _chunks = 0
    _events = 0
    _stalled_s = 0.0
    _silent_s = 0.0

    def __init__(
        self, exchange: Exchange, receive: Receive, writer: ResponseWriter, timing: Timing, waiting: "Deadlines[Watch]"
    ) -> None:
        self._exchange = exchange
        self._receive = receive
        self._outlet = writer
        self._timing = timing
        self._waiting = waiting
        self._loop = exchange.loop

    def __enter__(self) -> Self:
        self._waiting.add(self, self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        self._waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._client is not None:
            self._client.cancel()
            self._client = None  # its frame holds us: with it in our hands, the request's body would stay
        if kind is not None:
            self._exchange.__exit__(kind, error)

    def begin(self) -> None:
        self._client = self._loop.create_task(self._wait_for_leaving())
        self._timer = self._loop.call_later(self._timing.keep_alive_s, self._tick)

    async def _wait_for_leaving(self) -> None:
        # Hypercorn accepts `send` to a client that has gone, so only `receive` can tell.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._outlet.is_ended:  # servers also say so once the answer is complete
            self._exchange.interrupt(ClientLeft("the client closed the connection"))

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._timing.keep_alive_s, self._tick)
        writer = self._outlet
        is_still = writer.chunks == self._chunks
        self._chunks = writer.chunks
        if writer.is_writing:
            self._check_client(is_still)
        else:
            self._check_provider(is_still)

    def _check_client(self, is_still: bool) -> None:
        self._stalled_s = self._stalled_s + self._timing.keep_alive_s if is_still else 0.0
        if self._stalled_s >= self._timing.write_stall_s:
            self._exchange.interrupt(ClientLeft("the client stopped reading"))

    def _check_provider(self, is_still: bool) -> None:
        exchange, timing = self._exchange, self._timing
        reading = exchange.attempt.reading if exchange.attempt is not None else None
        events = reading.events if reading is not None else 0
        self._silent_s = self._silent_s + timing.keep_alive_s if events == self._events else 0.0
        self._events = events
        limit_s = timing.idle_s if events else timing.first_byte_s
        if self._silent_s >= limit_s:
            self._silent_s = 0.0  # another provider may be asked
            self._exchange.interrupt(TimedOut(f"the provider sent nothing for {limit_s:g} s"))
        elif is_still and exchange.call is not None and exchange.call.ask.stream:
            self._outlet.keep_alive()
