"""The end of a gateway with 500 open streams: those that end in time end as they would have, the others are told."""

import asyncio
import json
import signal
import time

import pytest

STREAMS = 500
IN_TIME_S = 30


@pytest.fixture
def start(gateway_process, manifests, server):
    def start(*options):
        return gateway_process(server=server, config=manifests, options=options)

    return start


async def opened(gateway, connect, ask, count):
    """So many streams, each with its first event read."""

    async def one():
        client = await connect(gateway)
        client.ask(ask())
        answer = await client.head()
        await client.event(answer)
        return client, answer

    return await asyncio.gather(*(one() for _ in range(count)))


async def is_stopping(gateway):
    async with asyncio.timeout(IN_TIME_S):
        while (state := await asyncio.to_thread(gateway.ready))[0] == 200:
            await asyncio.sleep(0.01)
    return state


async def test_streams_that_end_within_the_drain_are_left_alone(
    start, connect, provider, ask, say, terminate, measured
):
    """Meanwhile new requests are sent elsewhere, and those who ask are told why."""
    go_on = asyncio.Event()
    first, rest = say.event("one"), [say.event("two"), say.event("", "stop"), say.usage(), say.DONE]
    provider.on("real-chat", [say.STREAM, say.chunk(first), go_on, *map(say.chunk, rest), say.END])
    gateway = start()
    since = time.perf_counter()
    streams = await opened(gateway, connect, ask, STREAMS)
    measured(f"{STREAMS} streams open", time.perf_counter() - since, "s")

    terminate(gateway)
    status, state = await is_stopping(gateway)
    late = await connect(gateway)
    late.ask(ask())
    refused = await late.answer()
    since = time.perf_counter()
    go_on.set()
    await asyncio.gather(*(client.rest(answer) for client, answer in streams))
    code = await gateway.exit_code()
    measured("from their end to the exit", time.perf_counter() - since, "s")

    assert (status, state["status"], state["open_requests"]) == (503, "stopping", STREAMS)
    assert (refused.status, refused.json["error"]["code"]) == (503, "server_shutdown")
    assert refused.headers["retry-after"] == "1"
    whole = first + b"".join(rest)
    assert [(answer.is_whole, answer.body == whole) for _, answer in streams] == [(True, True)] * STREAMS
    assert code == 0
    outcomes = [line["outcome"] for line in gateway.log if line["event"] == "request" and line["status"] == 200]
    assert outcomes == ["complete"] * STREAMS
    assert "Traceback" not in gateway.err


async def test_streams_that_do_not_end_are_told(start, connect, provider, ask, say, terminate, measured):
    """Each gets an error event and a proper end; none is cut off."""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), provider.STALL])
    gateway = start("--drain-seconds", "1")
    streams = await opened(gateway, connect, ask, STREAMS)

    since = time.perf_counter()
    terminate(gateway)
    await asyncio.gather(*(client.rest(answer) for client, answer in streams))
    measured(f"the end of {STREAMS} streams, after a drain of 1 s", time.perf_counter() - since, "s")
    code = await gateway.exit_code()
    measured("the exit", time.perf_counter() - since, "s")

    errors = [json.loads(answer.events[-1]).get("error", {}).get("code") for _, answer in streams]
    assert errors == ["server_shutdown"] * STREAMS
    assert [answer.is_whole for _, answer in streams] == [True] * STREAMS
    assert all(answer.body.startswith(say.event("one")) for _, answer in streams)
    assert code == 0
    outcomes = [line["outcome"] for line in gateway.log if line["event"] == "request"]
    assert outcomes == ["stopped"] * STREAMS
    assert "Traceback" not in gateway.err
    assert all(asked.closed.is_set() for asked in provider.requests)


async def test_who_waits_for_an_answer_is_told_too(start, connect, provider, ask, terminate):
    """Nothing was sent yet, so it is a status."""
    provider.on("real-chat", [provider.STALL])
    gateway = start("--drain-seconds", "0")
    client = await connect(gateway)
    client.ask(ask(stream=False))
    await provider.asked()

    terminate(gateway)
    answer = await client.answer()

    assert (answer.status, answer.json["error"]["code"]) == (503, "server_shutdown")
    assert answer.headers["retry-after"] == "1"
    assert await gateway.exit_code() == 0


async def test_a_second_signal_ends_it_at_once(start, connect, provider, ask, say, terminate):
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), provider.STALL])
    gateway = start()
    await opened(gateway, connect, ask, 3)

    terminate(gateway)
    await is_stopping(gateway)
    terminate(gateway)

    assert await gateway.exit_code() == 128 + signal.SIGTERM
    assert "Traceback" not in gateway.err


async def test_clients_that_do_not_read_do_not_hold_the_end(start, connect, provider, ask, say, settled, terminate):
    """Their error event cannot be delivered; after a few seconds that is their problem."""
    provider.on("real-chat", [say.STREAM, *[say.chunk(say.event("x" * 8192))] * 10_000])
    gateway = start("--drain-seconds", "0")
    client = await connect(gateway, small_buffers=True)
    client.ask(ask())
    await client.head()
    asked = await provider.asked()
    await settled(lambda: asked.sent_bytes)

    terminate(gateway)

    assert await gateway.exit_code() == 0
    assert "Traceback" not in gateway.err
