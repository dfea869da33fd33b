"""LogMiddleware, alone around a foreign app."""

import asyncio

import pytest

from gateway.contract import Outcome
from gateway.errors import Blocked, BrokeOff, ClientLeft, RateLimited, Refused, Stopping
from gateway.middleware import LogMiddleware
from gateway.proxy.exchange import Exchange
from gateway.testing import get, post


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-mine", b"1")]})
    await send({"type": "http.response.body", "body": b"hello"})


def answering(status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def raising(error, *, started=False):
    async def app(scope, receive, send):
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


async def test_each_answer_has_the_id_under_both_names():
    """The OpenAI SDKs read one of them, the Anthropic SDKs the other."""
    records = []

    answer = await get(LogMiddleware(hello, record=records.append), "/x", headers={"user-agent": "tests/1"})

    id_ = records[0].request_id
    assert len(id_) == 32
    assert answer.headers == {"x-mine": "1", "x-request-id": id_, "request-id": id_}
    assert answer.body == b"hello"


async def test_one_record_of_each_request():
    records = []

    answer = await get(LogMiddleware(hello, record=records.append), "/x?y=1", headers={"user-agent": "tests/1"})

    [record] = records
    assert (record.method, record.path, record.status, record.outcome) == ("GET", "/x?y=1", 200, Outcome.COMPLETE)
    assert (record.client, record.user_agent, record.subject, record.model) == ("127.0.0.1", "tests/1", None, None)
    assert 0 < record.overhead_ms <= record.duration_ms
    assert answer.is_complete


async def test_ids_differ():
    records = []
    app = LogMiddleware(hello, record=records.append)

    for _ in range(100):
        await get(app, "/x")

    assert len({record.request_id for record in records}) == 100


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (RateLimited("slow down"), 429, Outcome.REFUSED),
        (Refused("no", status=422), 422, Outcome.REFUSED),
        (Blocked("no"), 400, Outcome.BLOCKED),
        (BrokeOff("it broke"), 502, Outcome.UPSTREAM_BROKE),
        (Stopping("bye"), 503, Outcome.STOPPED),
        (ClientLeft("gone"), 499, Outcome.CLIENT_LEFT),
        (ValueError("a fault"), 500, Outcome.REFUSED),
        (asyncio.CancelledError(), 499, Outcome.CLIENT_LEFT),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("started", [False, True])
async def test_however_it_ends_there_is_one_record(error, status, outcome, started):
    """A request nobody wrote down cannot be asked about. A server cancels when its client has gone."""
    records = []

    with pytest.raises(type(error)):
        await get(LogMiddleware(raising(error, started=started), record=records.append), "/x")

    assert [(r.status, r.outcome) for r in records] == [(200 if started else status, outcome)]


@pytest.mark.parametrize(("status", "seen"), [(200, 0), (204, 0), (404, 1), (503, 1)])
async def test_probes_are_quiet_unless_they_fail(status, seen):
    records = []

    await get(LogMiddleware(answering(status), record=records.append, quiet=["/healthz"]), "/healthz")

    assert len(records) == seen


async def test_a_probe_that_is_told_to_look_elsewhere_is_no_error():
    """Each pod that drained for five minutes wrote sixty lines that somebody should look at."""
    records = []

    await get(LogMiddleware(answering(503), record=records.append, quiet=["/readyz"]), "/readyz")
    await get(LogMiddleware(answering(503), record=records.append, quiet=["/readyz"]), "/v1/models")

    assert [record.level for record in records] == ["info", "error"]


async def test_a_probe_that_raises_is_not_quiet():
    records = []

    with pytest.raises(ValueError, match="a fault"):
        await get(LogMiddleware(raising(ValueError("a fault")), record=records.append, quiet=["/healthz"]), "/healthz")

    assert [record.status for record in records] == [500]


async def test_probes_are_quiet_where_the_gateway_is_mounted_too(call):
    records = []
    app = LogMiddleware(answering(200), record=records.append, quiet=["/healthz"])

    await call(app, method="GET", path="/api/llm/healthz", root_path="/api/llm")

    assert records == []


class Ends:
    """An observer that keeps how it ended, or fails."""

    def __init__(self, error=None):
        self.outcomes = []
        self.error = error

    def chunk(self, data): ...

    def end(self, outcome):
        self.outcomes.append(outcome)
        if self.error:
            raise self.error


def observed(app, *observers):
    async def outer(scope, receive, send):
        exchange = Exchange.of(scope)
        exchange.observers = [*exchange.observers, *observers]
        await app(scope, receive, send)

    return outer


async def test_observers_are_told_the_end_once():
    ends = Ends()

    with pytest.raises(BrokeOff):
        await get(LogMiddleware(observed(raising(BrokeOff("it broke")), ends), record=[].append), "/x")

    assert ends.outcomes == [Outcome.UPSTREAM_BROKE]


async def test_an_observer_that_fails_spoils_nothing():
    """It is somebody's plugin: the other observers and the record must not be lost with it."""
    records, other = [], Ends()

    answer = await get(LogMiddleware(observed(hello, Ends(ValueError("a fault")), other), record=records.append), "/x")

    assert answer.body == b"hello"
    assert other.outcomes == [Outcome.COMPLETE]
    assert len(records) == 1


async def test_keys_in_what_a_caller_sends_are_masked():
    records = []
    app = LogMiddleware(hello, record=records.append)

    await post(app, "/x/sk-abcdefghijklmnopqrstuvwxyz", headers={"user-agent": "Bearer abcdefghijklmnop"})

    assert (records[0].path, records[0].user_agent) == ("/x/***", "Bearer ***")


async def test_what_acts_on_terminals_is_written_out():
    """C1 controls move the cursor of some, and bidirectional marks show a text in another order than it has."""
    records = []
    app = LogMiddleware(hello, record=records.append)

    await get(app, "/a\u009b2J\u202egpj")

    assert records[0].path == "/a\\u009b2J\\u202egpj"


async def test_other_scopes_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await LogMiddleware(app, record=seen.append)({"type": "lifespan"}, None, None)

    assert seen == [{"type": "lifespan"}]


# --- WebSockets --------------------------------------------------------------


def sending(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


CLOSE = {"type": "websocket.close", "code": 1008}
DENIED = {"type": "websocket.http.response.start", "status": 404, "headers": []}


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"type": "websocket.accept"}, CLOSE], 101),
        ([{"type": "websocket.accept", "headers": []}], 101),
        ([CLOSE], 403),
        ([DENIED, {"type": "websocket.http.response.body", "body": b""}], 404),
    ],
)
async def test_one_record_of_each_socket(call, messages, status):
    """As of a request, with the status that its handshake was answered with."""
    records = []
    app = LogMiddleware(sending(*messages), record=records.append)

    await call(app, type="websocket", path="/v1/realtime", headers={"user-agent": "tests/1"})

    [record] = records
    assert (record.method, record.path, record.status) == ("GET", "/v1/realtime", status)
    assert (record.outcome, record.client, record.user_agent) == (Outcome.COMPLETE, "127.0.0.1", "tests/1")
    assert record.duration_ms > 0


@pytest.mark.parametrize("message", [{"type": "websocket.accept"}, DENIED], ids=["accepted", "denied"])
async def test_each_handshake_has_the_id_under_both_names(call, message):
    records = []

    [sent] = await call(LogMiddleware(sending(message), record=records.append), type="websocket")

    id_ = records[0].request_id.encode()
    assert sent == {**message, "headers": [(b"x-request-id", id_), (b"request-id", id_)]}


async def test_a_socket_that_fails_keeps_the_status_of_its_handshake(call):
    records = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise BrokeOff("it broke")

    with pytest.raises(BrokeOff):
        await call(LogMiddleware(app, record=records.append), type="websocket")

    assert [(record.status, record.outcome) for record in records] == [(101, Outcome.UPSTREAM_BROKE)]
