"""What orchestrators and monitors ask."""

import asyncio
from pathlib import Path

import pytest

from gateway import __version__
from gateway.app import PROBES
from gateway.contract.part import Part, Status
from gateway.endpoints.health import problems
from gateway.state.sinks.log import LogSink
from gateway.state.stalls import Stalls
from gateway.testing import FakeUpstream, get, post

REPLY = (200, [b'{"choices":[]}'])
ASK = {"model": "mock/m", "messages": []}


@pytest.mark.parametrize("path", ["/healthz", "/health", "/api/llm/health"])
async def test_alive(app_with, path):
    """Nobody needs a token to ask, and nobody else is asked."""
    answer = await get(app_with(FakeUpstream(REPLY)), path)

    assert (answer.status, answer.json()) == (200, {"status": "ok", "version": __version__})


async def test_ready(app_with):
    answer = await get(app_with(FakeUpstream(REPLY)), "/readyz")

    assert (answer.status, answer.json()) == (
        200,
        {
            "status": "ready",
            "open_requests": 0,
            "config": {"generation": 1, "models": 3, "reload_failures": 0, "faults": []},
            "counters": {"status": "ok", "problem": None},
            "log": {"status": "ok", "problem": None},
        },
    )


@pytest.fixture
def with_database(tmp_path):
    """The environment of a gateway with a database."""
    pepper, url = "pepper-of-the-tests-0123456789", f"sqlite:///{tmp_path}/gateway.db"
    return {"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef", "GATEWAY_PEPPER": pepper, "GATEWAY_DATABASE_URL": url}


async def test_ready_with_a_database(app_with, with_database):
    app = app_with(FakeUpstream(REPLY), environ=with_database)

    answer = await get(app, "/readyz")

    assert answer.status == 200
    parts = ("database", "counters", "ledger", "alerts", "log")
    assert {part: answer.json()[part] for part in parts} == {part: {"status": "ok", "problem": None} for part in parts}


async def test_not_ready_before_the_database_was_read(app_with, with_database):
    """Of tokens that are in it, nobody would be known. Alive all the same: a restart would not help."""
    url = "postgresql://nobody@127.0.0.1:9/none"
    app = app_with(FakeUpstream(REPLY), environ={**with_database, "GATEWAY_DATABASE_URL": url})

    ready, alive = await get(app, "/readyz"), await get(app, "/healthz")

    assert (ready.status, ready.json()["status"], alive.status) == (503, "starting", 200)
    assert ready.json()["database"] == {
        "status": "degraded",
        "problem": "the database at 127.0.0.1:9 cannot be reached: nobody listens there",
    }


async def test_ready_though_the_database_has_gone(app_with, with_database):
    """All tokens that were known still work, and taking it out of service would help nobody."""
    app = app_with(FakeUpstream(REPLY), environ=with_database)
    await app.open()

    app.control.replica.problem = "the database cannot be reached; try again in a moment"
    answer = await get(app, "/readyz")

    assert (answer.status, answer.json()["status"], answer.json()["database"]["status"]) == (200, "ready", "degraded")


async def test_not_ready_while_it_stops(app_with, auth, until):
    """Alive all the same: it must not be killed before the last stream has ended."""
    upstream = FakeUpstream((200, [asyncio.Event(), b"{}"]))
    app = app_with(upstream)
    asking = asyncio.create_task(post(app, "/v1/chat/completions", ASK, headers=auth))
    await until(lambda: upstream.replies)

    app.drain.begin()
    ready, alive = await get(app, "/readyz"), await get(app, "/healthz")
    app.drain.cut()
    await asking

    assert (ready.status, ready.json()["status"], ready.json()["open_requests"]) == (503, "stopping", 1)
    assert alive.status == 200


async def test_a_log_that_cannot_be_written_is_told(app_with, auth):
    """As on a full disk. Requests go on."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        app = app_with(FakeUpstream(REPLY), sinks=[LogSink(full)])

        answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
        [log] = [part for part in app.parts if part.name == "log"]
        await log.flush()
    ready, metrics = await get(app, "/readyz"), await get(app, "/metrics")

    problem = "LogSink loses records: No space left on device"
    assert (answer.status, ready.status, ready.json()["log"]) == (200, 200, {"status": "degraded", "problem": problem})
    assert 'gateway_degraded{component="log"} 1.0' in metrics.body.decode().splitlines()


async def test_a_database_that_is_away_is_counted(app_with, with_database):
    app = app_with(FakeUpstream(REPLY), environ=with_database)
    await app.open()

    app.control.replica.problem = "the database cannot be reached; try again in a moment"
    metrics = await get(app, "/metrics")

    assert 'gateway_degraded{component="database"} 1.0' in metrics.body.decode().splitlines()


class Quirky(Part):
    """One of two parts with the same name."""

    name = "ledger"

    def __init__(self, problem):
        self.problem = problem

    @property
    def status(self):
        return Status(self.problem)


@pytest.mark.parametrize(
    ("told", "problem"), [((None, None), None), ((None, "b"), "b"), (("a", None), "a"), (("a", "b"), "a")]
)
def test_parts_of_one_name_are_one_to_those_who_ask(told, problem):
    """To be told of the first problem is enough. Parts without a status are not told of."""
    parts = [Stalls(), *map(Quirky, told)]

    assert problems(parts) == {"ledger": problem}


async def test_probes_leave_no_record(app_with, sink):
    """Every ten seconds from every node, they would be most of the log."""
    app = app_with(FakeUpstream(REPLY))

    for path in PROBES:
        await get(app, path)
    await app.close()

    assert sink.records == []
