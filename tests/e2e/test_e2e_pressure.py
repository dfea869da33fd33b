"""Clients that do not read, clients that go, and many of both: nothing piles up, and nothing is left over."""

import asyncio
import time
from itertools import chain, repeat

import pytest

GONE_WITHIN_S = 1.0
"""What is asserted. The aim is 0.1 s, which a busy machine may miss."""


def flood(say):
    """Without end, as fast as it is taken."""
    return chain([say.STREAM], repeat(say.chunk(say.event("x" * 8192))))


async def warmed_up(gateway, connect, provider, ask, say):
    """Its memory, once what is allocated on first use has been."""
    provider.on("real-chat", say.stream(*["x" * 8192] * 100))
    client = await connect(gateway)
    for _ in range(3):
        client.ask(ask())
        await client.answer()
    return gateway.rss_kib


async def test_a_client_that_does_not_read_stops_its_provider(gateway, connect, provider, ask, say, settled, measured):
    """D.5 row 3: the pressure reaches the provider through the gateway, which holds next to nothing."""
    before = await warmed_up(gateway, connect, provider, ask, say)
    provider.on("real-chat", flood(say))
    client = await connect(gateway, small_buffers=True)

    client.ask(ask())
    await client.head()
    asked = await provider.asked(4)
    stopped_at = await settled(lambda: asked.sent_bytes)
    grown_mib = (gateway.rss_kib - before) / 1024
    while asked.sent_bytes == stopped_at:  # and when the client reads again, it goes on
        await client.reader.readexactly(4096)

    measured("sent until it stopped", stopped_at / 2**20, "MiB")
    measured("RSS growth", grown_mib, "MiB")
    assert grown_mib < 5
    client.reset()
    await asked.seconds_until_closed(0)


async def test_a_client_that_reads_no_more_is_given_up(hasty_gateway, connect, provider, ask, say):
    """D.5 row 3: or it would hold its provider for good."""
    provider.on("real-chat", flood(say))
    client = await connect(hasty_gateway, small_buffers=True)

    client.ask(ask())
    answer = await client.head()
    asked = await provider.asked()

    await asked.seconds_until_closed(0)
    client.reset()
    [record] = await hasty_gateway.records_of(answer.id)
    assert record["outcome"] == "client_left"
    assert record["error_message"] == "the client stopped reading"


async def test_a_client_that_resets_mid_flood_stops_it(gateway, connect, provider, ask, say, measured):
    """D.5 row 4: some servers go on taking what nobody will read, into memory."""
    before = await warmed_up(gateway, connect, provider, ask, say)
    provider.on("real-chat", flood(say))
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.head()
    asked = await provider.asked(4)
    while asked.sent_bytes < 20 * 2**20:
        await client.reader.read(2**16)
    client.reset()
    since = time.perf_counter()
    seconds = await asked.seconds_until_closed(since)
    grown_mib = (gateway.rss_kib - before) / 1024

    measured("closed after", seconds * 1000, "ms")
    measured("RSS growth", grown_mib, "MiB")
    assert seconds < GONE_WITHIN_S
    assert grown_mib < 5
    [record] = await gateway.records_of(answer.id)
    assert record["outcome"] == "client_left"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["before the first byte", "mid-stream", "before an answer"])
async def test_a_client_that_leaves_takes_its_provider_along(gateway, connect, provider, ask, say, measured, when, how):
    """D.5 row 31: whoever is not there is not billed for; and it is one request, with one end."""
    script = {
        "before the first byte": [provider.STALL],
        "mid-stream": [say.STREAM, say.chunk(say.event("one")), provider.STALL],
        "before an answer": [provider.STALL],
    }[when]
    provider.on("real-chat", script)
    client = await connect(gateway)

    client.ask(ask(stream=when != "before an answer", user_agent=how), user_agent=f"{when}, {how}")
    asked = await provider.asked()
    if when == "mid-stream":
        await client.event(await client.head())
    before = len(left_by(gateway, when, how))
    since = time.perf_counter()
    if how == "reset":
        client.reset()
    else:
        client.writer.close()
    seconds = await asked.seconds_until_closed(since)

    measured("closed after", seconds * 1000, "ms")
    assert seconds < GONE_WITHIN_S
    async with asyncio.timeout(30):
        while len(left_by(gateway, when, how)) == before:
            await asyncio.sleep(0.02)
    [record] = left_by(gateway, when, how)
    assert (record["outcome"], record["error_code"]) == ("client_left", "client_closed_request")
    assert gateway.ready()[1]["open_requests"] == 0


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])  # granian reads no further while one is answered
@pytest.mark.parametrize("behind", ["a byte", "a request"])
async def test_what_is_behind_a_request_does_not_hide_who_leaves(gateway, connect, provider, ask, behind):
    """The provider was asked to the end, and then asked again, for nobody."""
    provider.on("real-chat", [provider.STALL])
    client = await connect(gateway)

    client.ask(ask())
    asked = await provider.asked()
    client.send(b"P" if behind == "a byte" else client.request(ask()))
    client.writer.close()

    await asked.seconds_until_closed(0)
    assert gateway.ready()[1]["open_requests"] == 0
    assert len(provider.requests) == 1


def left_by(gateway, when, how):
    return [line for line in gateway.log if line.get("user_agent") == f"{when}, {how}"]


async def test_a_client_that_leaves_after_the_last_byte_has_been_served(gateway, connect, provider, ask, say):
    """D.5 row 31: the provider's connection is whole, and used again."""
    provider.on("real-chat", say.stream("one"))
    ids = []

    for _ in range(2):
        client = await connect(gateway)
        client.ask(ask())
        answer = await client.answer()
        ids.append(answer.id)
        client.reset()

    records = [record for id_ in ids for record in await gateway.records_of(id_)]
    assert [record["outcome"] for record in records] == ["complete", "complete"]
    first, second = provider.requests
    assert first.connection is second.connection


async def test_a_hundred_streams_leave_nothing_behind(gateway, connect, provider, ask, say, measured):
    """D.5 row 32, small: each whole, none mixed up, and afterwards as if nothing had been."""
    texts = [f"word {number}" for number in range(20)]
    provider.on("real-chat", say.stream(*texts))
    client = await connect(gateway)
    client.ask(ask())
    expected = (await client.answer()).body
    client.close()
    files = await until_stable(gateway)

    clients = await asyncio.gather(*(connect(gateway) for _ in range(100)))
    since = time.perf_counter()
    for client in clients:
        client.ask(ask())
    answers = await asyncio.gather(*(client.answer() for client in clients))
    measured("100 streams", time.perf_counter() - since, "s")
    for client in clients:
        client.close()
    for connection in provider.connections:
        connection.end()

    assert [answer.is_whole and answer.body == expected for answer in answers] == [True] * 100
    await assert_back_to(gateway, files)


async def test_500_streams_that_are_left_leave_nothing_behind(gateway, connect, provider, ask, say, measured):
    """D.5 row 33, small: opened and left, fifty at a time, one of them in three before its first byte."""
    begun = [say.STREAM, say.chunk(say.event("one")), provider.STALL]
    provider.on("real-chat", [provider.STALL], *[begun, begun, [provider.STALL]] * 167)
    files = await until_stable(gateway)
    before = gateway.rss_kib

    since = time.perf_counter()
    for batch in range(10):
        clients = await asyncio.gather(*(connect(gateway) for _ in range(50)))
        for client in clients:
            client.ask(ask())
        await provider.asked((batch + 1) * 50)
        for client in clients:
            client.reset()
    for asked in provider.requests:
        await asked.seconds_until_closed(0)
    measured("500 streams opened and left", time.perf_counter() - since, "s")
    measured("RSS growth", (gateway.rss_kib - before) / 1024, "MiB")

    await assert_back_to(gateway, files)


async def until_stable(gateway):
    """How many files are open when nobody is connected; connections of the tests before may still be ending."""
    seen, since = gateway.files, time.monotonic()
    while time.monotonic() - since < 0.5:
        await asyncio.sleep(0.02)
        if (now := gateway.files) != seen:
            seen, since = now, time.monotonic()
    return seen


async def assert_back_to(gateway, files):
    """A few are for connections that the pool keeps for later."""
    async with asyncio.timeout(30):
        while gateway.files > files + 2 or gateway.ready()[1]["open_requests"]:
            await asyncio.sleep(0.02)
