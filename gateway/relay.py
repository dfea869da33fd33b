"""One reply, one pass: from the provider's socket to the client, looked at on the way and not changed without need."""

import asyncio
from time import perf_counter

from gateway.contract import Call, Meter, Observer, Reply, Target
from gateway.errors import BrokeOff
from gateway.exchange import Exchange
from gateway.outlet import Outlet
from gateway.usage import Usage
from gateway.wire import sse

HOLD = 256 * 1024
"""A reply that is not streamed is held back whole up to this size, so that a broken one becomes a clean error."""

PEEK = 64 * 1024
"""No more than this of a stream is held back while waiting for its first event."""


async def relay(exchange: Exchange, call: Call, target: Target, reply: Reply, outlet: Outlet) -> None:
    """Passes a reply on to its end.

    Raises:
        UpstreamError: the provider did not bring it to an end.
        Blocked: an observer stopped it.
    """
    is_stream = reply.headers.get("content-type", "").startswith("text/event-stream")
    meter = exchange.meter = call.dialect.meter(streamed=is_stream)
    try:
        if is_stream:
            # In a task of its own: each event wakes a task up through its whole chain of awaits, and that of the
            # request's own task is as long as the pipeline.
            await asyncio.create_task(_stream(exchange, call, target, reply, meter, outlet))
        elif outlet.is_stream:
            raise BrokeOff("the provider did not answer with a stream")
        else:
            await _whole(exchange, call, reply, meter, outlet)
    finally:
        exchange.last_byte_at = perf_counter()
        exchange.usage = meter.usage()
        if exchange.usage is None and exchange.answered_at is not None and is_stream:
            exchange.usage = Usage(input=call.ask.input_tokens, output=max(0, meter.events - 1), estimated=True)


async def _stream(exchange: Exchange, call: Call, target: Target, reply: Reply, meter: Meter, outlet: Outlet) -> None:
    reader = target.provider.reader(call, target)
    observers = exchange.observers
    data = await _peek(exchange, call, reply, meter)
    await outlet.start_stream(reply.headers["content-type"])
    while data:
        out = data if reader is None else reader.feed(data)
        if out:
            if observers:
                _observe(observers, out)
            await outlet.write(out)
        data = await reply.read()
        meter.chunk(data)
    if reader is not None and (rest := reader.end()):
        await outlet.write(rest)
    if not meter.is_complete():
        raise BrokeOff("the provider ended its stream before the answer was complete")
    await outlet.end()


async def _peek(exchange: Exchange, call: Call, reply: Reply, meter: Meter) -> bytes:
    """The stream up to its first whole event: until then an error is still a status, and another target may answer."""
    held = b""
    while data := await reply.read():
        meter.chunk(data)
        held = held + data if held else data
        if (meter.events and (b"\n\n" in held or b"\r\n\r\n" in held)) or len(held) > PEEK:
            break
    exchange.first_byte_at = perf_counter()
    if not meter.events:
        raise BrokeOff("the provider ended its stream before it began")
    if b'"error"' in held or b'data: {"' not in held:
        events = sse.EventSplitter().feed(held)
        first = next((text for event in events if (text := sse.data_of(event))), b"")
        if first != b"[DONE]" and (error := call.dialect.reply_error(first)):
            raise error
    return held


async def _whole(exchange: Exchange, call: Call, reply: Reply, meter: Meter, outlet: Outlet) -> None:
    parts: list[bytes] = []
    size = 0
    while size <= HOLD and (data := await reply.read()):
        meter.chunk(data)
        parts.append(data)
        size += len(data)
    exchange.first_byte_at = perf_counter()
    data = b"".join(parts)
    headers = [(b"content-type", reply.headers.get("content-type", "application/json").encode("latin-1"))]
    if size <= HOLD:
        if error := call.dialect.reply_error(data):
            raise error
        _observe(exchange.observers, data)
        await outlet.whole(reply.status, headers, data)
        return
    if length := reply.headers.get("content-length"):
        headers.append((b"content-length", length.encode("latin-1")))
    await outlet.start(reply.status, headers)
    while data:
        _observe(exchange.observers, data)
        await outlet.write(data)
        data = await reply.read()
        meter.chunk(data)
    await outlet.end()


def _observe(observers: list[Observer], data: bytes) -> None:
    for observer in observers:
        observer.chunk(data)
