"""Gateways that are killed, and a Redis that freezes or loses everything: no request fails for that, and what was used
counts."""

import asyncio
import json
import time

import pytest

HELLO = [{"role": "user", "content": "Hello!"}]
KILLED = 20
FROZEN_S = 5
ANSWERED_WITHIN_S = 0.5
"""What is asserted while Redis is away. The aim is 0.05 s more than usual, which a busy machine may miss."""
BACK_WITHIN_S = 5
"""What is asserted once Redis is there again. The aim is 2 s."""


# --- gateways that are killed ----------------------------------------------------------------------------------------


async def test_what_the_ledger_knows_outlives_all_processes(
    serve, priced, rules, connect, provider, reply, ask, database, own_redis, until
):
    """Ten requests fit into the budget. Six were made before the power went, so four are left."""
    provider.on("real-chat", [reply(990)])

    async def two_gateways():
        gateways = [serve(priced("chat"), rules.budget("all", 0.0991)) for _ in range(2)]
        clients = [await connect(gateway) for gateway in gateways]

        async def statuses(count):
            asked = []
            for number in range(count):
                client = clients[number % 2]
                client.ask(ask(stream=False, max_tokens=990))
                asked.append((await client.answer()).status)
            return asked

        return gateways, statuses

    first, statuses = await two_gateways()
    before = await statuses(6)
    await until(lambda: database.requests == 6)
    for gateway in first:
        gateway.end()
    own_redis.stop()
    own_redis.start()
    _, statuses = await two_gateways()
    after = await statuses(8)

    assert (before, after) == ([200] * 6, [200] * 4 + [429] * 4)
    await until(lambda: database.requests == 10)
    assert database.rows("SELECT sum(cost) FROM ledger") == [["99090000"]]


async def test_what_killed_gateways_had_reserved_is_given_back(
    serve, nursery, priced, rules, connect, provider, reply, ask, spent, until, measured
):
    """Each between reserving and settling. That somebody asked still counts; tokens, money and places do not.

    What is left is what five requests have used that came to their end.
    """
    provider.on("real-hung", [provider.STALL])
    provider.on("real-chat", [reply(990)])
    limits = {"requests_per_day": 1000, "tokens_per_day": 10**9, "concurrent_requests": KILLED}
    manifests = [priced("chat", "hung"), rules.limit("all", **limits), rules.budget("all", 1000)]
    survivor = serve(*manifests)
    doomed = nursery(*manifests)
    client = await connect(survivor)
    for _ in range(5):
        client.ask(ask(stream=False, max_tokens=990))
        assert (await client.answer()).status == 200

    for number in range(KILLED):
        await doomed.start()
        victim = await connect(doomed)
        victim.ask(ask("mock/hung", max_tokens=990))
        await provider.asked(5 + number + 1)
        doomed.kill()
    killed_at = time.monotonic()
    reserved = (await spent(client))[2]
    truth = (1000 - 5 - KILLED, 10**9 - 5 * 999, 5 * 9_909_000)
    found = await spent(client, once=truth)
    measured("until nothing was reserved any more", time.monotonic() - killed_at, "s")

    assert reserved > 5 * 9_909_000
    assert found == truth
    go_on = asyncio.Event()
    provider.on("real-chat", [go_on, reply(1)])
    crowd = [await connect(survivor) for _ in range(KILLED)]
    for each in crowd:
        each.ask(ask(stream=False, max_tokens=1))
    await provider.asked(5 + KILLED + KILLED)  # so all places are free
    go_on.set()
    assert [(await each.answer()).status for each in crowd] == [200] * KILLED
    survivor.assert_sound()


# --- Redis is away ---------------------------------------------------------------------------------------------------


class Load:
    """Asks 50 times a second, and keeps (status, seconds it took) of all answers."""

    def __init__(self, gateway, token, session):
        self.url = gateway.url + "/chat/completions"
        self.session = session
        self.headers = {"authorization": f"Bearer {token}"}
        self.answers = []
        self._asking = set()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._asking:
            await asyncio.wait(self._asking)

    @property
    def statuses(self):
        return {status for status, _ in self.answers}

    def slowest_s(self, since=0):
        return max(took_s for _, took_s in self.answers[since:])

    async def ask(self, **metadata):
        """The status, and the answer."""
        headers = self.headers | {"x-tfy-metadata": json.dumps(metadata)}
        body = {"model": "demo/echo", "messages": HELLO, "max_tokens": 10}
        began = time.monotonic()
        async with self.session.post(self.url, json=body, headers=headers) as answer:
            said = await answer.json()
            self.answers.append((answer.status, time.monotonic() - began))
            return answer, said

    async def _run(self):
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            task = asyncio.create_task(self.ask())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))


@pytest.fixture
async def loaded(serve, rules, token, session, until):
    """A gateway, and what it is asked all the time; it has answered for a second.

    All requests draw on one limit. `few` lets five of each through, `once` one: it reserves the whole of its budget.
    """
    cost = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}}
    manifests = [
        {"type": "provider-account/demo", "name": "demo", "integrations": [{"name": "echo", "cost": cost}]},
        rules.limit("all", requests_per_day=10**6),
        rules.limit("few", per="few", requests_per_hour=5),
        rules.budget("once", 0.00011, per="once"),
    ]
    gateway = serve(*manifests)
    async with Load(gateway, token, session) as load:
        await until(lambda: len(load.answers) >= 50)
        yield gateway, load


def events(gateway, *names):
    return [line["event"] for line in gateway.log if line["event"] in names]


def counters(gateway):
    status, ready = gateway.ready()
    return status, ready["counters"]["status"]


async def test_a_frozen_redis_holds_nobody_up(loaded, own_redis, until, measured):
    """Ten seconds under load. Limits hold on in the gateway alone, and what passed meanwhile counts when it is back."""
    gateway, load = loaded
    usual_s, since = load.slowest_s(), len(load.answers)

    with own_redis.frozen():
        frozen_at = time.monotonic()
        await until(lambda: counters(gateway) == (200, "degraded"))
        answers = [await load.ask(few="ana") for _ in range(8)]
        await until(lambda: time.monotonic() >= frozen_at + FROZEN_S, within_s=2 * FROZEN_S)
        slowest_s, asked = load.slowest_s(since), len(load.answers) - since
    thawed_at = time.monotonic()
    await until(lambda: counters(gateway) == (200, "ok"), within_s=BACK_WITHIN_S)
    back_s = time.monotonic() - thawed_at
    refused, _ = await load.ask(few="ana")

    measured("slowest before", usual_s * 1000, "ms")
    measured("slowest while frozen", slowest_s * 1000, f"ms, of {asked}")
    measured("back after", back_s, "s")
    assert [answer.status for answer, _ in answers] == [200] * 5 + [429] * 3
    assert "Its counters are shared and cannot be reached just now." in answers[-1][1]["error"]["message"]
    assert (load.statuses, refused.status) == ({200, 429}, 429)
    assert slowest_s < ANSWERED_WITHIN_S
    assert events(gateway, "counters degraded", "counters are back") == ["counters degraded", "counters are back"]
    gateway.assert_sound()


async def test_a_redis_that_lost_everything_is_filled_again(loaded, own_redis, database, until, measured):
    """Killed, and started without what it knew. Budgets go on from what the ledger says, and nobody is told."""
    gateway, load = loaded
    since = len(load.answers)
    before = [(await load.ask(once="bob"))[0].status for _ in range(2)]
    await until(lambda: database.rows("SELECT count(*) FROM ledger WHERE metadata LIKE '%bob%'") == [["1"]])

    own_redis.stop()
    await until(lambda: counters(gateway) == (200, "degraded"))
    alone = [(await load.ask(few="ana"))[0].status for _ in range(8)]
    own_redis.start()
    started_at = time.monotonic()
    await until(lambda: counters(gateway) == (200, "ok"), within_s=BACK_WITHIN_S)
    back_s = time.monotonic() - started_at
    after, _ = await load.ask(once="bob")

    slowest_s = load.slowest_s(since)
    measured("slowest", slowest_s * 1000, "ms")
    measured("back after", back_s, "s")
    assert (before, alone) == ([200, 429], [200] * 5 + [429] * 3)
    assert json.loads(after.headers["x-tfy-applied-rules"])["budget"]["rule"] == "once"
    assert load.statuses == {200, 429}
    assert slowest_s < ANSWERED_WITHIN_S
    assert events(gateway, "counters degraded", "redis has lost its counters", "counters are back") == [
        "counters degraded",
        "redis has lost its counters",
        "counters are back",
    ]
    gateway.assert_sound()
