"""One reply, one pass: from the provider's socket to the client, looked at on the way and not changed without need."""

import asyncio
from time import perf_counter

from gateway.contract import Call, Head, Observer, Reading, Reply
from gateway.errors import BrokeOff, UpstreamError
from gateway.proxy.exchange import Attempt, Exchange
from gateway.proxy.session import SWITCHED, converse
from gateway.proxy.writer import ResponseWriter
from gateway.wire import sse
from gateway.wire.headers import HEADER

TIER = "service_tier"
"""Who asks for one may get another, and pays for what it got."""

PEEK = 64 * 1024
"""No more than this of a stream is held back while waiting for its first content."""

_ERROR = b"error"
"""What stands in each event that may hold more than a model's words: some providers repeat the key they were sent."""

EVENT_STREAM = "text/event-stream"
JSON = "application/json"


async def relay(exchange: Exchange, call: Call, attempt: Attempt, reply: Reply, writer: ResponseWriter) -> None:
    """Passes a reply on to its end. `attempt.answered` when it has begun well, before any of it goes to the client.

    Raises:
        UpstreamError: the provider did not bring it to an end.
        Blocked: an observer stopped it.
        GatewayError: of a WebSocket, as `converse` does.
    """
    if reply.status == SWITCHED:
        await converse(exchange, call, attempt, reply, writer)
        return
    try:
        first, content_type = b"", reply.headers.get("content-type", "")
        is_stream = _is_event_stream(content_type)
        if is_stream != call.ask.stream:  # labels are often wrong; what it begins with is not
            first = await _beginning(reply)
            is_stream = sse.looks_like_events(first)
        head, target = Head(reply.status, reply.headers, is_stream), attempt.target
        provider = attempt.stand_in or target.provider
        reading = provider.reading(call, target, head) or call.dialect.reading(call, head)
        attempt.reading = reading
        if not reading.is_stream:
            content_type = reading.content_type or content_type or JSON
            await _whole(exchange, call, attempt, reply, reading, first, content_type, writer)
        elif call.ask.stream:
            # In a task of its own: each event wakes a task up through its whole chain of awaits, and that of the
            # request's own task is as long as the pipeline.
            await asyncio.create_task(_stream(exchange, call, attempt, reply, reading, first, writer))
        else:
            raise BrokeOff("the provider answered with a stream, which was not asked for")
    finally:
        attempt.last_byte_at = perf_counter()


def _is_event_stream(content_type: str) -> bool:
    return content_type[: len(EVENT_STREAM)].lower() == EVENT_STREAM


async def _beginning(reply: Reply) -> bytes:
    """As much as is needed to tell a stream from a document."""
    first = await reply.read()
    while len(first) < sse.ENOUGH_TO_TELL and (data := await reply.read()):
        first += data
    return first


async def _stream(
    exchange: Exchange,
    call: Call,
    attempt: Attempt,
    reply: Reply,
    reading: Reading,
    first: bytes,
    writer: ResponseWriter,
) -> None:
    observers = exchange.observers
    try:
        out = await _peek(attempt, reply, first, reading)
        attempt.answered()
        labelled = reply.headers.get("content-type", "")
        await writer.start_stream(reading.content_type or (labelled if _is_event_stream(labelled) else EVENT_STREAM))
        while not reading.is_over:
            if out:
                if out.rfind(_ERROR) >= 0:
                    out = attempt.hidden(out)
                if observers:
                    _observe(observers, out)
                await writer.write(out)
                writer.is_writing = False
            data = await reply.read()
            if not data:
                out = reading.end()
                break
            out = reading.feed(data)
        if (error := reading.told_error()) is None and not reading.is_complete():
            error = BrokeOff("the provider ended its stream before the answer was complete")
    except UpstreamError as broken:
        if reading.has_begun and (told := reading.told_error()) is not None:
            raise told from broken
        raise
    finally:
        _note_usage(call, attempt, reading)
        if attempt.usage is None and exchange.answered_at is not None:
            attempt.usage = call.ask.so_far(reading.events)
    if out.rfind(_ERROR) >= 0:
        out = attempt.hidden(out)
    _observe(observers, out)
    if error is None:
        await writer.finish(out)
        return
    if out:
        await writer.write(out)
        writer.is_writing = False
    raise error


async def _peek(attempt: Attempt, reply: Reply, data: bytes, reading: Reading) -> bytes:
    """The stream up to its first content: until then an error is still a status, and another target may answer.

    Raises UpstreamError: it has come to its end, and nothing was said or used.
    """
    held: list[bytes] = []
    has_ended = False
    size = 0
    while data or (data := await reply.read()):
        out = reading.feed(data)
        data = b""
        if out:
            held.append(out)
            size += len(out)
        if reading.has_begun or reading.is_over or size > PEEK:
            break
    else:
        held.append(reading.end())
        has_ended = True
    is_at_end = has_ended or reading.is_over
    if is_at_end and not reading.has_begun and not (reading.is_complete() and reading.usage() is not None):
        raise BrokeOff("the provider ended its stream before it began")
    attempt.first_byte_at = perf_counter()
    return held[0] if len(held) == 1 else b"".join(held)


async def _whole(
    exchange: Exchange,
    call: Call,
    attempt: Attempt,
    reply: Reply,
    reading: Reading,
    data: bytes,
    content_type: str,
    writer: ResponseWriter,
) -> None:
    out = b""
    while data or (data := await reply.read()):
        out = reading.feed(data)
        data = b""
        if out:
            break
    attempt.first_byte_at = perf_counter()
    if writer.is_stream:
        reading.end()  # it may say why
        raise BrokeOff("the provider did not answer with a stream")
    if out:
        attempt.answered()
        await _large(exchange, call, attempt, reply, reading, out, content_type, writer)
        return
    body = reading.end()
    _note_usage(call, attempt, reading)
    attempt.answered()
    if exchange.observers:
        _observe(exchange.observers, body)
    await writer.whole(reply.status, content_type, body)


async def _large(
    exchange: Exchange,
    call: Call,
    attempt: Attempt,
    reply: Reply,
    reading: Reading,
    out: bytes,
    content_type: str,
    writer: ResponseWriter,
) -> None:
    headers = [(b"content-type", content_type.encode(*HEADER))]
    length = reply.headers.get("content-length")
    if length and reading.content_type is None and "content-encoding" not in reply.headers:
        headers.append((b"content-length", length.encode(*HEADER)))  # else it is the length of something else
    await writer.start(reply.status, headers)
    try:
        data = out
        while data:
            if out:
                _observe(exchange.observers, out)
                await writer.write(out)
                writer.is_writing = False
            data = await reply.read()
            out = reading.feed(data) if data else reading.end()
    finally:
        _note_usage(call, attempt, reading)
    if not reading.is_complete():
        raise BrokeOff("the provider ended its answer before it was complete")
    _observe(exchange.observers, out)
    await writer.finish(out)


def _note_usage(call: Call, attempt: Attempt, reading: Reading) -> None:
    attempt.usage = reading.usage()
    if TIER in call.fields:
        attempt.service_tier = reading.service_tier()


def _observe(observers: list[Observer], data: bytes) -> None:
    for observer in observers if data else ():
        observer.chunk(data)
