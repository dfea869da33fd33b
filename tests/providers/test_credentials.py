"""Values that end: fetched once for all, renewed beside the requests, and used until their end when that fails."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import Refused, Unreachable
from gateway.providers.credentials import BearerTokens, Fresh, Lent
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

NETWORK = FakeUpstream((200, [b""]))
LOST = Unreachable("no connection to login:443")


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Source:
    """Gives what it is told to, in order; an exception is raised. While `opened` is not set, it waits."""

    def __init__(self, *script, lasts_s=3600.0):
        self.asked = 0
        self.networks = []
        self.opened = asyncio.Event()
        self.opened.set()
        self._script = list(script)
        self._lasts_s = lasts_s

    async def __call__(self, network):
        self.asked += 1
        self.networks.append(network)
        value = self._script.pop(0)
        await self.opened.wait()
        if isinstance(value, Exception):
            raise value
        return Lent(value, self._lasts_s)


@pytest.fixture
def clock():
    return Clock()


async def settled():
    """All that can go on without anybody else has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_asks_by_the_network_it_is_given(clock):
    source = Source("one")

    assert await Fresh(source, clock=clock).get(NETWORK) == "one"
    assert source.networks == [NETWORK]


async def test_is_renewed_beside_the_requests(clock):
    """Five minutes before its end; nobody waits for the successor."""
    source = Source("one", "two")
    fresh = Fresh(source, clock=clock)
    await fresh.get(NETWORK)
    source.opened.clear()
    clock.now_s += 3600 - 60 - 300

    values = [await fresh.get(NETWORK), await fresh.get(NETWORK)]
    await settled()
    asked = source.asked
    source.opened.set()
    await settled()
    values.append(await fresh.get(NETWORK))

    assert values == ["one", "one", "two"]
    assert asked == source.asked == 2


async def test_is_not_renewed_before(clock):
    source = Source("one")
    fresh = Fresh(source, clock=clock)
    await fresh.get(NETWORK)
    clock.now_s += 3600 - 60 - 300 - 1

    assert await fresh.get(NETWORK) == "one"
    await settled()
    assert source.asked == 1


async def test_a_short_life_is_renewed_in_its_last_quarter(clock):
    """Of what lasts 200 s, 140 are used: five minutes before that it was not there yet."""
    source = Source("one", "two", lasts_s=200)
    fresh = Fresh(source, clock=clock)
    asked = []
    await fresh.get(NETWORK)
    for step_s in (104, 1):
        clock.now_s += step_s
        await fresh.get(NETWORK)
        await settled()
        asked.append(source.asked)

    assert asked == [1, 2]


async def test_goes_on_with_what_there_is_while_renewing_fails(clock):
    """And tries again every ten seconds, not with every request."""
    source = Source("one", LOST, LOST, "two")
    fresh = Fresh(source, clock=clock)
    await fresh.get(NETWORK)
    clock.now_s += 3600 - 60 - 300
    seen = []

    with capture_logs() as logs:
        for step_s in (0, 9, 1, 9, 1, 0):
            clock.now_s += step_s
            value = await fresh.get(NETWORK)
            await settled()
            seen.append((value, source.asked))

    assert seen == [("one", 2), ("one", 2), ("one", 3), ("one", 3), ("one", 4), ("two", 4)]
    assert [(line["log_level"], line["event"], line["reason"]) for line in logs] == 2 * [
        ("warning", "credentials not fetched", "no connection to login:443")
    ]


async def test_at_its_end_a_failure_is_told(clock):
    fresh = Fresh(Source("one", LOST, "two"), clock=clock)
    await fresh.get(NETWORK)
    clock.now_s += 3600 - 60

    with pytest.raises(Unreachable):
        await fresh.get(NETWORK)
    assert await fresh.get(NETWORK) == "two"


async def test_a_fault_of_the_fetch_is_logged_where_nobody_waits_for_it(clock):
    fresh = Fresh(Source("one", KeyError("x"), "two"), clock=clock)
    await fresh.get(NETWORK)
    clock.now_s += 3600 - 60 - 300

    with capture_logs() as logs:
        await fresh.get(NETWORK)
        await settled()

    assert [(line["log_level"], line["event"]) for line in logs] == [("error", "credentials not fetched")]
    assert await fresh.get(NETWORK) == "one"


async def test_many_wait_for_one_fetch(clock):
    source = Source("one")
    source.opened.clear()
    fresh = Fresh(source, clock=clock)
    tasks = [asyncio.create_task(fresh.get(NETWORK)) for _ in range(50)]
    await settled()
    source.opened.set()

    assert await asyncio.gather(*tasks) == 50 * ["one"]
    assert source.asked == 1


async def test_who_leaves_takes_nothing_from_the_others(clock):
    source = Source("one")
    source.opened.clear()
    fresh = Fresh(source, clock=clock)
    first, other = [asyncio.create_task(fresh.get(NETWORK)) for _ in range(2)]
    await settled()
    first.cancel()
    await asyncio.wait([first])
    source.opened.set()

    assert await other == "one"


async def test_what_was_refused_is_not_used_again(clock):
    fresh = Fresh(Source("one", Refused("no", status=503), "two"), clock=clock)
    await fresh.get(NETWORK)

    fresh.drop()

    with pytest.raises(Refused):
        await fresh.get(NETWORK)
    assert await fresh.get(NETWORK) == "two"


async def test_a_token_is_sent_as_bearer(clock):
    request = UpstreamRequest(Endpoint("https://vendor.example/v1", {"x-kept": "yes"}), b"{}")

    signed = await BearerTokens(Source(Secret("t-1")), clock=clock).sign(request, NETWORK)

    assert signed.endpoint.head.endswith(b"x-kept: yes\r\nauthorization: Bearer t-1\r\n")
    assert (signed.body, b"authorization" in request.endpoint.head) == (b"{}", False)


async def test_each_endpoint_of_an_account_is_signed_with_the_token_of_now(clock):
    """What was signed before the renewal is not sent again."""
    chat, vectors = [UpstreamRequest(Endpoint(f"https://vendor.example/{name}"), b"{}") for name in ("chat", "vectors")]
    signer = BearerTokens(Source(Secret("t-1"), Secret("t-2")), clock=clock)
    sent = []

    for step_s in (0, 3600):
        clock.now_s += step_s
        sent += [(await signer.sign(request, NETWORK)).endpoint for request in (chat, vectors, chat)]

    assert [(endpoint.url[-4:], endpoint.head[-5:-2]) for endpoint in sent] == [
        ("chat", b"t-1"), ("tors", b"t-1"), ("chat", b"t-1"), ("chat", b"t-2"), ("tors", b"t-2"), ("chat", b"t-2"),
    ]  # fmt: skip
