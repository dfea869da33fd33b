"""One reply, one pass: from the provider's socket to the client, looked at on the way and not changed without need."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from gateway.asgi import HEADER
from gateway.contract import Call, Meter, Observer, Reply, Target
from gateway.errors import BrokeOff
from gateway.exchange import Exchange
from gateway.outlet import Outlet
from gateway.usage import Usage

HOLD = 256 * 1024
"""A reply that is not streamed is held back whole up to this size, so that a broken one becomes a clean error."""

TIER = "service_tier"
"""Who asks for one may get another, and pays for what it got."""

PEEK = 64 * 1024
"""No more than this of a stream is held back while waiting for its first content."""

Answered = Callable[[], None]


async def relay(
    exchange: Exchange, call: Call, target: Target, reply: Reply, outlet: Outlet, answered: Answered
) -> None:
    """Passes a reply on to its end. `answered` is called when it has begun well, before any of it goes to the client.

    Raises:
        UpstreamError: the provider did not bring it to an end.
        Blocked: an observer stopped it.
    """
    try:
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            # In a task of its own: each event wakes a task up through its whole chain of awaits, and that of the
            # request's own task is as long as the pipeline.
            await asyncio.create_task(_stream(exchange, call, target, reply, outlet, answered))
        else:
            await _whole(exchange, call, reply, outlet, answered)
    finally:
        exchange.last_byte_at = perf_counter()


async def _stream(
    exchange: Exchange, call: Call, target: Target, reply: Reply, outlet: Outlet, answered: Answered
) -> None:
    meter = exchange.meter = call.dialect.meter(streamed=True)
    reader = target.provider.reader(call, target)
    observers = exchange.observers
    try:
        data = await _peek(exchange, call, reply, meter)
        answered()
        await outlet.start_stream(reply.headers["content-type"])
        while data:
            out = data if reader is None else reader.feed(data)
            if out:
                if observers:
                    _observe(observers, out)
                await outlet.write(out)
                outlet.is_writing = False
            data = await reply.read()
            meter.chunk(data)
        if reader is not None and (rest := reader.end()):
            _observe(observers, rest)
            await outlet.write(rest)
            outlet.is_writing = False
    finally:
        exchange.usage = meter.usage()
        if TIER in call.fields:
            exchange.service_tier = call.dialect.service_tier(meter.tail())
        if exchange.usage is None and exchange.answered_at is not None:
            exchange.usage = Usage(input=call.ask.input_tokens, output=max(0, meter.events - 1), estimated=True)
    if not meter.is_complete():
        raise BrokeOff("the provider ended its stream before the answer was complete")
    await outlet.end()


async def _peek(exchange: Exchange, call: Call, reply: Reply, meter: Meter) -> bytes:
    """The stream up to its first content: until then an error is still a status, and another target may answer."""
    held = b""
    while data := await reply.read():
        meter.chunk(data)
        held = held + data if held else data
        if call.dialect.has_begun(held, is_all=False) or len(held) > PEEK:
            break
    exchange.first_byte_at = perf_counter()
    if not meter.events:
        raise BrokeOff("the provider ended its stream before it began")
    if not data:
        call.dialect.has_begun(held, is_all=True)
    return held


async def _whole(exchange: Exchange, call: Call, reply: Reply, outlet: Outlet, answered: Answered) -> None:
    parts: list[bytes] = []
    size = 0
    while size <= HOLD and (data := await reply.read()):
        parts.append(data)
        size += len(data)
    exchange.first_byte_at = perf_counter()
    if outlet.is_stream:
        raise BrokeOff("the provider did not answer with a stream")
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if size > HOLD:
        answered()
        await _large(exchange, call, reply, body, outlet)
        return
    exchange.usage = call.dialect.read(body)
    if TIER in call.fields:
        exchange.service_tier = call.dialect.service_tier(body)
    answered()
    if exchange.observers:
        _observe(exchange.observers, body)
    await outlet.whole(reply.status, reply.headers.get("content-type", "application/json"), body)


async def _large(exchange: Exchange, call: Call, reply: Reply, data: bytes, outlet: Outlet) -> None:
    meter = exchange.meter = call.dialect.meter(streamed=False)
    headers = [(b"content-type", reply.headers.get("content-type", "application/json").encode(*HEADER))]
    length = reply.headers.get("content-length")
    if length and "content-encoding" not in reply.headers:  # else it is the length of what was unpacked
        headers.append((b"content-length", length.encode(*HEADER)))
    await outlet.start(reply.status, headers)
    try:
        while data:
            meter.chunk(data)
            _observe(exchange.observers, data)
            await outlet.write(data)
            outlet.is_writing = False
            data = await reply.read()
    finally:
        exchange.usage = meter.usage()
    await outlet.end()


def _observe(observers: list[Observer], data: bytes) -> None:
    for observer in observers:
        observer.chunk(data)
