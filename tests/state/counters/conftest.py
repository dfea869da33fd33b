"""A clock that stands still, counters of either kind on it, and holds in few words."""

import asyncio
import itertools
from contextlib import AsyncExitStack, suppress

import pytest

from gateway.state.counters.memory import MemoryCounters
from gateway.state.counters.redis import RedisCounters

BEGIN_S = 4102444800.0
"""2100-01-01, a Friday. Not in the past: Redis forgets at once what has expired by its own clock."""

prefixes = (f"{{test-{number}}}:" for number in itertools.count(1))


class Clock:
    def __init__(self):
        self.now_s = BEGIN_S

    def __call__(self):
        return self.now_s

    def move(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock():
    """Stands still at the start of 2100 until it is moved."""
    return Clock()


@pytest.fixture
def prefix():
    """Of keys that no other test has."""
    return next(prefixes)


@pytest.fixture
async def shared(prefix):
    """`shared(url, ...)`: counters in Redis, closed at the end. Those of one test see each other."""
    made = []

    def make(url, **options):
        made.append(RedisCounters(url, **{"prefix": prefix, **options}))
        return made[-1]

    yield make
    for counters in made:
        await counters.close()


@pytest.fixture(params=["memory", "redis"])
def counters(request, clock):
    """Leases in Redis are long, since they are renewed as real time goes by, and not the clock's."""
    if request.param == "memory":
        return MemoryCounters(clock)
    make = request.getfixturevalue("shared")
    return make(request.getfixturevalue("redis_url"), server_now_s=clock, lease_s=3600)


class Proxy:
    """Stands between counters and Redis, and does what networks do."""

    def __init__(self, url):
        self.redis = url.removeprefix("redis://").removesuffix("/0").split(":")
        self.slow_s = 0.0
        """How long each answer takes."""
        self.answers_lost = 0
        """So many of the next answers get lost, and their connections with them."""
        self.requests = 0

    async def talk(self, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.redis)
        except OSError:  # it has gone
            return
        try:
            await asyncio.gather(self.ask(reader, server_writer), self.answer(server_reader, writer))
        finally:
            server_writer.close()

    async def ask(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                self.requests += 1
                writer.write(data)
        writer.close()

    async def answer(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.answers_lost:
                    self.answers_lost -= 1
                    break
                if self.slow_s:
                    await asyncio.sleep(self.slow_s)
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(tcp_server):
    """`await proxy(url)`: stands before that Redis."""
    async with AsyncExitStack() as proxies:

        async def make(url):
            made = Proxy(url)
            made.url = f"redis://127.0.0.1:{await proxies.enter_async_context(tcp_server(made.talk))}/0"
            return made

        yield make
