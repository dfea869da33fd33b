"""Announcements over Redis: they arrive, and a Redis that is away costs nobody anything but time."""

import asyncio
import socket
import traceback

import pytest
import structlog
from redis import asyncio as aioredis

from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.secrecy.secret import Secret
from gateway.state.bus import Bus
from gateway.state.bus import redis_url as url_of_redis
from gateway.state.counters.redis import RedisCounters

HOLD = Hold(key="x", rule="x", unit=Unit.REQUESTS, window=Window.DAY, limit=1)
QUICK = {"timeout_s": 0.2, "ping_s": 0.05, "reconnect_s": 0.02}


@pytest.fixture
async def listening():
    """`listening(url)`: a Bus, and a list that grows with what it hears."""
    tasks, buses = [], []

    def make(url):
        bus, heard = Bus(url, **QUICK), []
        buses.append(bus)
        tasks.append(asyncio.create_task(bus.listen(heard.append)))
        return bus, heard

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for bus in buses:
        await bus.close()


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


async def test_an_announcement_is_heard_by_all(listening, redis_url, until):
    (one, heard_by_one), (two, heard_by_two) = listening(redis_url), listening(redis_url)
    await until(lambda: one.is_listening and two.is_listening)
    assert (len(heard_by_one), len(heard_by_two)) == (1, 1), "when it begins, it may have missed some"

    one.announce(b"news")

    await until(lambda: heard_by_one == heard_by_two == [b"", b"news"])


async def test_silence_is_not_the_end(listening, own_redis, until):
    """A connection on which nothing happens is asked for a sign of life, and kept."""
    bus, heard = listening(own_redis.url)
    await until(lambda: bus.is_listening)

    async with aioredis.Redis.from_url(own_redis.url) as redis, asyncio.timeout(30):
        while (await redis.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"] < 3:
            await asyncio.sleep(0.01)

    assert (bus.is_listening, len(heard)) == (True, 1)


async def test_a_server_that_dies_and_comes_back(listening, own_redis, until):
    """It is found again by itself, and what was missed meanwhile is looked for."""
    bus, heard = listening(own_redis.url)
    await until(lambda: bus.is_listening)

    with structlog.testing.capture_logs() as logs:
        own_redis.stop()
        await until(lambda: not bus.is_listening)
        own_redis.start()
        await until(lambda: bus.is_listening)
    before = len(heard)
    bus.announce()
    await until(lambda: len(heard) > before)

    assert [entry["event"] for entry in logs] == ["redis does not announce changes; looking for them instead"]
    assert before == 2


async def test_a_server_that_freezes(listening, own_redis, until):
    """It holds the connection and says nothing, which no error tells."""
    bus, heard = listening(own_redis.url)
    await until(lambda: bus.is_listening)

    with own_redis.frozen():
        await until(lambda: not bus.is_listening)
    await until(lambda: bus.is_listening)

    assert len(heard) == 2


async def test_announcing_waits_for_nobody(own_redis):
    """Whoever made a change gets the answer, whatever Redis does."""
    bus = Bus(own_redis.url, **QUICK)

    with structlog.testing.capture_logs() as logs, own_redis.frozen():
        bus.announce()
        async with asyncio.timeout(1):
            await bus.close()

    assert [entry["event"] for entry in logs] == ["change not announced; others find it within seconds"]


async def test_a_server_that_is_not_there(listening, free_port, until):
    """It is said once, without the password, and not again with each try."""
    with structlog.testing.capture_logs() as logs:
        bus, heard = listening(f"redis://:canary-of-redis@127.0.0.1:{free_port}/0")
        await until(lambda: logs)
        bus.announce()
        await until(lambda: len(logs) == 2)

    assert [entry["event"] for entry in logs] == [
        "redis does not announce changes; looking for them instead",
        "change not announced; others find it within seconds",
    ]
    assert "canary" not in str(logs)
    assert (bus.is_listening, heard) == (False, [])


async def test_a_password_that_is_wrong(listening, own_redis, until):
    """Not a refused connection but an answer that says no: it is the same to us."""
    url = own_redis.url.replace("redis://", "redis://user:canary-of-redis@")

    with structlog.testing.capture_logs() as logs:
        bus, _ = listening(url)
        await until(lambda: logs)

    assert (bus.is_listening, "canary" in str(logs)) == (False, False)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://localhost:port"])
def test_what_is_no_url(url):
    with pytest.raises(ValueError, match=r"(?i)url|port|scheme"):
        Bus(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://:s3c@ret@host:6379/0", "percent-encoded"),
        ("redis://:s3c/ret@host:6379/0", "percent-encoded"),
        ("redis://:12/s3cret@host:6379/0", "percent-encoded"),
        ("redis://:s3c@r/w#1@host:6379/0", "percent-encoded"),
        ("redis://:s3c#ret@host", "percent-encoded"),
        ("redis://:12?s3c=ret@host", "percent-encoded"),
        ("redis://:s3cret@host:port/0", "expected redis://"),
        ("redis://:s3cret@host/name", "the number of a database"),
        ("http://:s3cret@host", "it starts with none of redis://, rediss://, unix://"),
        ("redis+sentinel://:s3cret@host", "it starts with none of redis://"),
        ("redis://:s3cret@host/0?ssl_cert_reqs=none", "'ssl_cert_reqs' is about TLS: write rediss://"),
        ("rediss://:s3cret@host/0?ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs is one of none, optional, required"),
        ("rediss://:s3cret@host/0?ssl=true", "unknown parameter 'ssl': leave it out; known are client_name, db"),
        ("redis://:s3cret@host/0?socket_timeout=5", "unknown parameter 'socket_timeout'"),
        ("redis://:s3cret@host/0?decode_responses=true", "unknown parameter 'decode_responses'"),
    ],
)
def test_a_redis_url_that_cannot_be_used(url, problem):
    """A part of the password was taken for a host, and what the client does not know came back as a traceback. What
    it says holds nothing of the URL but the name of a parameter."""
    with pytest.raises(ValueError, match=problem) as raised:
        url_of_redis(url)

    assert "s3c" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "redis://:p%40ss%2Fw%231@127.0.0.1:1/3?client_name=x",
        "rediss://ana:x@127.0.0.1:1/0?ssl_cert_reqs=none",
        "rediss://ana:x@127.0.0.1:1/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "rediss://ana:x@127.0.0.1:1/0?ssl_ca_certs=/none&ssl_cert_reqs=required",
        "unix:///none/redis.sock?db=1&username=ana&password=x",
    ],
)
async def test_a_redis_url_that_can(url):
    """All that is wrong is that nobody is there."""
    assert url_of_redis(url) == Secret(url)
    counters = RedisCounters(url)

    with pytest.raises(Unavailable, match="redis cannot be reached"):
        await counters.levels([HOLD])
    await counters.close()


async def test_a_password_that_redis_does_not_take(redis_url):
    counters = RedisCounters(redis_url.replace("redis://", "redis://nobody:s3cret@"))

    with pytest.raises(Unavailable, match=r"^redis refuses: .*invalid username"):
        await counters.levels([HOLD])
    await counters.close()
