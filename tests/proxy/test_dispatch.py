"""From a call to its answer: retries, other targets, and when there are none."""

import asyncio
import gc
import json
import threading
import weakref
from contextlib import suppress
from random import Random

import msgspec
import pytest

from gateway.contract import Call, Choice, JsonBody, Outcome, Request
from gateway.dialects import CHAT as DIALECT
from gateway.errors import BrokeOff, ConfigError, Refused, TimedOut, Unreachable
from gateway.proxy.bodies import LARGE
from gateway.proxy.dispatch import MAX_ERROR_BODY, Dispatcher, read_error
from gateway.proxy.exchange import Exchange
from gateway.proxy.options import RequestOptions
from gateway.proxy.watch import Timing
from gateway.proxy.writer import ResponseWriter
from gateway.rules.routing import FaultOwner, Health
from gateway.testing import Answer, FakeReply, FakeUpstream, http_scope, post

CHAT = "/v1/chat/completions"
ASK = {"model": "v/m", "messages": [{"role": "user", "content": "say hello"}]}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}

REPLY = b'{"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
HELLO = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
ROLE = b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
FILTERS = b'data: {"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
OVERLOADED = b'data: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n'
PING = b": ping\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

OK = (200, [REPLY])
STREAMED = (200, [HELLO, STOP, DONE])
QUICK = Timing(watch_after_s=0.0, keep_alive_s=0.02)


def no(status, message="no", **headers):
    body = json.dumps({"error": {"message": message}}).encode()
    return (status, [body], {name.replace("_", "-"): value for name, value in headers.items()})


def account(name, **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": f"real-{name}",
        "url": f"http://{name}.internal/v1",
        "model_server": "openai-compatible",
        "model_types": ["chat"],
        "auth_data": {"type": "bearer-auth", "bearer_token": f"secret-of-{name}"},
    }
    return {"type": "provider-account/self-hosted-model", "name": name, "integrations": [model], **fields}


KEYLESS = {
    "type": "provider-account/openai",
    "name": "keyless",
    "base_url": "http://keyless.internal/v1",
    "integrations": [{"type": "integration/model/openai", "name": "m", "model_id": "m", "model_types": ["chat"]}],
}


def target(name, **fields):
    """One that is asked once."""
    return {"target": f"{name}/m", "retry_config": {"attempts": 1}, **fields}


def repeated(name, attempts=2, delay=0):
    return target(name, retry_config={"attempts": attempts, "delay": delay})


def virtual(*targets):
    """The model `v/m`, whose targets are asked in their order."""
    routing = {
        "type": "priority-based-routing",
        "load_balance_targets": [{**each, "priority": number} for number, each in enumerate(targets)],
    }
    model = {"type": "integration/model/virtual", "name": "m", "model_types": ["chat"], "routing_config": routing}
    return {"type": "provider-account/virtual-model", "name": "v", "integrations": [model]}


@pytest.fixture
def routed(app_with, tmp_path):
    """`routed(upstream, target("a"), target("b"))`: an app with `v/m`, and the accounts a, b, c and keyless."""

    def make(upstream, *targets, settings=None, concurrency=None, more=(), **options):
        busy = account("a", concurrency=concurrency) if concurrency else account("a")
        manifests = [busy, account("b"), account("c"), KEYLESS, virtual(*(targets or [target("a")])), *more]
        if settings is not None:
            manifests.append({"type": "gateway-global-settings", "name": "global", "retry_settings": settings})
        path = tmp_path / "routed.yaml"
        path.write_text(json.dumps(manifests))
        return app_with(upstream, path, **options)

    return make


class Clock:
    def __init__(self, now_s=0.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


class SlowUpstream(FakeUpstream):
    """Each call takes so many seconds of the clock."""

    def __init__(self, clock, takes_s, *replies):
        super().__init__(*replies)
        self.clock, self.takes_s = clock, takes_s

    async def call(self, request):
        self.clock.now_s += self.takes_s
        return await super().call(request)


class Timed(FakeUpstream):
    """Keeps when it was asked."""

    def __init__(self, *replies):
        super().__init__(*replies)
        self.at = []

    async def call(self, request):
        self.at.append(asyncio.get_running_loop().time())
        return await super().call(request)


class Draws(Random):
    """Draws the same each time."""

    def __init__(self, value):
        super().__init__(0)
        self.value = value

    def random(self):
        return self.value


class Client:
    """Asks in a task of its own, to be looked at meanwhile."""

    def __init__(self, app, body, headers):
        self.answer = Answer()
        self.leaves = asyncio.Event()
        self._messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        self.task = asyncio.create_task(app(http_scope("POST", CHAT, headers, 0), self._receive, self.answer.take))

    async def _receive(self):
        if self._messages:
            return self._messages.pop()
        await self.leaves.wait()
        return {"type": "http.disconnect"}


def asked(upstream):
    """The accounts, in the order in which they were asked."""
    return [request.endpoint.host.removesuffix(".internal") for request in upstream.requests]


def call_of(app, body=ASK):
    """A call and what was chosen for it, to be given to a `Dispatcher`."""
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    request = Request(body=JsonBody(fields))
    return Call(DIALECT, DIALECT.parse(request), request), app.models.find(body["model"], None)


def respond(dispatcher, exchange, call, choice, writer=None):
    exchange.call, exchange.choice = call, choice
    return dispatcher.respond(exchange, writer or ResponseWriter(ignore, exchange))


async def ignore(message):
    pass


def dispatcher_with(network, random=None, clock=None):
    random = random or Random(0)
    return Dispatcher(network, health=Health(random), random=random, **({"clock": clock} if clock else {}))


# --- the same target again -------------------------------------------------------------------------------------------


async def test_a_target_is_asked_twice_by_default(routed, auth):
    upstream = FakeUpstream(no(503), OK)

    answer = await post(routed(upstream, {"target": "a/m"}, {"target": "b/m"}), CHAT, ASK, headers=auth)

    assert (answer.status, answer.body) == (200, REPLY)
    assert asked(upstream) == ["a", "a"]


async def test_then_the_next_is(routed, auth):
    upstream = FakeUpstream(no(503), no(500), no(502), OK)

    answer = await post(routed(upstream, repeated("a"), repeated("b")), CHAT, ASK, headers=auth)

    assert answer.status == 200
    assert asked(upstream) == ["a", "a", "b", "b"]
    assert [reply.is_closed for reply in upstream.replies] == [True] * 4


@pytest.mark.parametrize(("drawn", "at_least_s"), [(0.0, 0.02), (0.5, 0.04), (0.999, 0.059)])
async def test_the_pause_is_spread(routed, drawn, at_least_s):
    """Clients that failed together must not come back together."""
    upstream = Timed(no(503), OK)
    call, choice = call_of(routed(upstream, repeated("a", delay=40)))
    exchange = Exchange()

    await respond(dispatcher_with(upstream, Draws(drawn)), exchange, call, choice)

    assert upstream.at[1] - upstream.at[0] >= at_least_s - 0.001


@pytest.mark.parametrize("status", [401, 403, 404, 408])
async def test_some_failures_are_not_repeated(routed, auth, status):
    """They would be the same again."""
    upstream = FakeUpstream(no(status), OK)

    await post(routed(upstream, repeated("a"), repeated("b")), CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "b"]


async def test_on_the_statuses_a_manifest_names(routed, auth):
    upstream = FakeUpstream(no(418), no(503), OK)
    first = target("a", retry_config={"attempts": 5, "delay": 0, "on_status_codes": ["418"]})

    await post(routed(upstream, first, target("b")), CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "a", "b"]


async def test_a_caller_may_say_how_often(routed, auth):
    upstream = FakeUpstream(no(418), no(418), OK)
    headers = {**auth, "x-tfy-retry-config": '{"attempts": 3, "onStatusCodes": [418]}'}

    answer = await post(routed(upstream, repeated("a", attempts=1)), CHAT, ASK, headers=headers)

    assert answer.status == 200
    assert asked(upstream) == ["a", "a", "a"]


async def test_a_model_named_directly_is_asked_once(routed, auth, sink):
    upstream = FakeUpstream(no(503), OK)
    app = routed(upstream)

    answer = await post(app, CHAT, {**ASK, "model": "b/m"}, headers=auth)
    await app.close()

    assert answer.status == 503
    assert asked(upstream) == ["b"]
    assert sink.records[0].resolved_model == "b/m"


async def test_or_as_often_as_the_settings_for_all_say(routed, auth):
    upstream = FakeUpstream(no(503), no(503), OK)
    app = routed(upstream, settings={"attempts": 3, "delay": 0})

    answer = await post(app, CHAT, {**ASK, "model": "b/m"}, headers=auth)

    assert answer.status == 200
    assert asked(upstream) == ["b", "b", "b"]


async def test_or_as_often_as_its_caller_says(routed, auth):
    upstream = FakeUpstream(no(503), OK)
    headers = {**auth, "x-tfy-retry-config": '{"attempts": 2}'}

    answer = await post(routed(upstream), CHAT, {**ASK, "model": "b/m"}, headers=headers)

    assert answer.status == 200
    assert asked(upstream) == ["b", "b"]


async def test_the_settings_for_all_hold_for_targets_that_say_nothing(routed, auth):
    upstream = FakeUpstream(no(503), no(503), OK)
    app = routed(upstream, {"target": "a/m"}, repeated("b"), settings={"attempts": 1})

    await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "b", "b"]


# --- another target --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503])
async def test_falls_back(routed, auth, status):
    upstream = FakeUpstream(no(status), OK)

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert (answer.status, answer.body) == (200, REPLY)
    assert asked(upstream) == ["a", "b"]
    assert answer.headers["x-tfy-resolved-model"] == "b/m"
    assert [reply.is_closed for reply in upstream.replies] == [True, True]


@pytest.mark.parametrize("error", [Unreachable("nobody"), BrokeOff("no answer"), TimedOut("too slow")])
async def test_falls_back_when_there_is_no_answer(routed, auth, error):
    upstream = FakeUpstream(error, OK)

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert answer.status == 200
    assert asked(upstream) == ["a", "b"]


@pytest.mark.parametrize("status", [400, 402, 409, 413, 422, 501, 504])
async def test_other_statuses_are_the_answer(routed, auth, status):
    upstream = FakeUpstream(no(status, "because"), OK)

    answer = await post(routed(upstream, repeated("a"), repeated("b")), CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()["error"]["message"]) == (status, "because")
    assert asked(upstream) == ["a"]
    assert [reply.is_closed for reply in upstream.replies] == [True]


async def test_a_manifest_may_name_other_statuses(routed, auth):
    upstream = FakeUpstream(no(418), no(503))
    first, second = target("a", fallback_status_codes=["418"]), target("b", fallback_status_codes=["418"])

    answer = await post(routed(upstream, first, second, target("c")), CHAT, ASK, headers=auth)

    assert answer.status == 503
    assert asked(upstream) == ["a", "b"]


async def test_some_targets_take_no_fallbacks(routed, auth):
    upstream = FakeUpstream(no(503), OK)
    app = routed(upstream, target("a"), target("b", fallback_candidate=False), target("c"))

    await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "c"]


async def test_an_error_inside_a_200_is_an_error(routed, auth):
    upstream = FakeUpstream((200, [b'{"error":{"message":"busy","code":503}}']), OK)

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert answer.body == REPLY
    assert asked(upstream) == ["a", "b"]


@pytest.mark.parametrize("chunks", [[b'{"id":', BrokeOff("cut")], [BrokeOff("cut")], [b'{"id":'], [b"<html>"]])
async def test_an_answer_that_breaks_off_before_it_was_sent_is_not_one(routed, auth, chunks):
    upstream = FakeUpstream((200, chunks), OK)

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert (answer.status, answer.body) == (200, REPLY)
    assert asked(upstream) == ["a", "b"]
    assert [reply.is_closed for reply in upstream.replies] == [True, True]


async def test_a_large_answer_that_breaks_off_is_not_replayed(routed, auth):
    """More than is held back has gone out."""
    upstream = FakeUpstream((200, [b'{"id":"' + 300_000 * b"x", BrokeOff("cut")]), OK)
    app = routed(upstream, target("a"), target("b"))

    with pytest.raises(BrokeOff):
        await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a"]


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        [OVERLOADED],
        [PING, OVERLOADED],
        [PING, BrokeOff("cut")],
        [PING],
        [HELLO[:20], BrokeOff("cut")],
        [OVERLOADED[:-2]],
        [ROLE, OVERLOADED],
        [ROLE + OVERLOADED],
        [FILTERS, PING, ROLE, BrokeOff("cut")],
        [DONE],
        [PING, DONE],
        [ROLE, DONE],
        [ROLE],
    ],
)
async def test_a_stream_that_fails_before_its_first_content_is_replaced(routed, auth, chunks):
    upstream = FakeUpstream((200, chunks), STREAMED)

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, STREAM, headers=auth)

    assert answer.status == 200
    assert answer.chunks == [HELLO, STOP, DONE]
    assert asked(upstream) == ["a", "b"]
    assert [reply.is_closed for reply in upstream.replies] == [True, True]
    assert answer.headers["x-tfy-resolved-model"] == "b/m"


@pytest.mark.parametrize("end", [[BrokeOff("cut")], []])
async def test_a_stream_that_breaks_later_is_not(routed, auth, sink, end):
    """Half an answer followed by a whole one would be worse than the error."""
    upstream = FakeUpstream((200, [HELLO, *end]), STREAMED)
    app = routed(upstream, repeated("a"), repeated("b"))

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert answer.chunks[0] == HELLO
    assert len(answer.chunks) == 2
    assert json.loads(answer.chunks[1].removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
    assert asked(upstream) == ["a"]
    assert upstream.replies[0].is_closed
    [record] = sink.records
    assert record.outcome == Outcome.UPSTREAM_BROKE
    assert [(each.name, each.status, each.reason) for each in record.spans] == [("a/m", 502, "stream_interrupted")]


async def test_a_stream_that_breaks_later_counts_against_its_target(routed, auth):
    upstream = FakeUpstream((200, [HELLO]), (200, [HELLO]), STREAMED)
    app = routed(upstream, target("a"), target("b"))

    for _ in range(3):
        await post(app, CHAT, STREAM, headers=auth)

    assert asked(upstream) == ["a", "a", "b"]


async def test_comments_are_no_part_of_an_answer(routed, auth, until):
    """They keep a connection alive that nothing was sent on, so another target may still answer."""
    goes_on = asyncio.Event()
    upstream = FakeUpstream((200, [PING, goes_on, BrokeOff("cut")]), STREAMED)
    client = Client(routed(upstream, target("a"), target("b"), timing=QUICK), STREAM, auth)

    await until(lambda: client.answer.chunks)
    goes_on.set()
    await client.task

    chunks = client.answer.chunks
    assert client.answer.status == 200
    assert [chunk for chunk in chunks if chunk != KEEP_ALIVE] == [HELLO, STOP, DONE]
    assert chunks[0] == KEEP_ALIVE
    assert asked(upstream) == ["a", "b"]
    assert json.loads(client.answer.headers["x-tfy-applied-rules"]) == {"routing_model_order": ["a/m", "b/m"]}
    assert "x-tfy-resolved-model" not in client.answer.headers, "nobody knew yet"


async def test_when_all_fail_after_a_comment_the_error_is_the_last_event(routed, auth, until):
    goes_on = asyncio.Event()
    upstream = FakeUpstream((200, [PING, goes_on, BrokeOff("cut")]), no(503, "busy"))
    client = Client(routed(upstream, target("a"), target("b"), timing=QUICK), STREAM, auth)

    await until(lambda: client.answer.chunks)
    goes_on.set()
    await client.task

    assert json.loads(client.answer.chunks[-1].removeprefix(b"data: "))["error"]["message"] == "busy"
    assert asked(upstream) == ["a", "b"]


# --- what is changed on the way --------------------------------------------------------------------------------------


async def test_targets_may_change_fields_and_headers(routed, auth):
    upstream = FakeUpstream(no(503), OK)
    changed = target(
        "a",
        override_params={"temperature": 0.2, "stop": ["x"]},
        headers_override={"set": {"X-Region": "eu"}, "remove": ["Authorization"]},
    )

    await post(routed(upstream, changed, target("b")), CHAT, {**ASK, "temperature": 1, "n": 1}, headers=auth)

    assert upstream.asked(0) == {**ASK, "model": "real-a", "temperature": 0.2, "stop": ["x"], "n": 1}
    assert upstream.requests[0].endpoint.head == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a.internal\r\naccept-encoding: identity\r\n"
        b"content-type: application/json\r\nx-region: eu\r\n"
    )
    assert upstream.asked(1) == {**ASK, "model": "real-b", "temperature": 1, "n": 1}
    assert upstream.requests[1].endpoint.head == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: b.internal\r\naccept-encoding: identity\r\n"
        b"content-type: application/json\r\nauthorization: Bearer secret-of-b\r\n"
    )


@pytest.mark.parametrize(
    "override",
    [
        {"set": {"Content-Length": "3"}},
        {"set": {"host": "evil.test"}},
        {"set": {"x": "a\r\nhost: evil.test"}},
        {"set": {"x\r\nhost": "evil.test"}},
        {"set": {"x-naïve": "a"}},
        {"remove": ["Host"]},
    ],
)
def test_headers_that_make_the_request_are_not_for_manifests(routed, override):
    with pytest.raises(ConfigError, match="headers_override"):
        routed(FakeUpstream(OK), target("a", headers_override=override))


# --- time ------------------------------------------------------------------------------------------------------------


async def test_each_attempt_may_take_so_long(routed, auth, sink):
    upstream = FakeUpstream((200, [asyncio.Event()]), (200, [asyncio.Event()]))
    app = routed(upstream, target("a"), target("b"))

    answer = await post(app, CHAT, ASK, headers={**auth, "x-tfy-request-timeout": "20"})
    await app.close()

    assert (answer.status, answer.json()["error"]["code"]) == (408, "upstream_timeout")
    assert answer.json()["error"]["message"] == "the provider did not answer within 0.02 s"
    assert asked(upstream) == ["a", "b"]
    assert [reply.is_closed for reply in upstream.replies] == [True, True]
    attempts = sink.records[0].spans
    assert [(each.name, each.status) for each in attempts] == [("a/m", 408), ("b/m", 408)]
    assert min(each.duration_ms for each in attempts) >= 19


async def test_a_model_named_directly_may_take_so_long(routed, auth):
    upstream = FakeUpstream((200, [asyncio.Event()]))
    headers = {**auth, "x-tfy-request-timeout": "20"}

    answer = await post(routed(upstream), CHAT, {**ASK, "model": "b/m"}, headers=headers)

    assert answer.status == 408
    assert asked(upstream) == ["b"]


async def test_without_a_first_token_the_next_is_asked(routed, auth):
    """Even when 408 is not among the statuses."""
    upstream = FakeUpstream((200, [PING, asyncio.Event()]), STREAMED)
    app = routed(upstream, target("a", fallback_status_codes=["500"]), target("b"))

    answer = await post(app, CHAT, STREAM, headers={**auth, "x-tfy-ttft-timeout-ms": "20"})

    assert answer.chunks == [HELLO, STOP, DONE]
    assert asked(upstream) == ["a", "b"]


async def test_without_any_first_token_it_is_a_408(routed, auth):
    upstream = FakeUpstream((200, [PING, asyncio.Event()]))
    app = routed(upstream, target("a"))

    answer = await post(app, CHAT, STREAM, headers={**auth, "x-tfy-ttft-timeout-ms": "20"})

    assert (answer.status, answer.json()["error"]["message"]) == (408, "no token came within 0.02 s")


@pytest.mark.parametrize("name", ["x-tfy-ttft-timeout-ms", "x-tfy-request-timeout"])
async def test_a_stream_that_has_begun_may_go_on(routed, auth, name):
    goes_on = asyncio.Event()
    upstream = FakeUpstream((200, [HELLO, goes_on, STOP, DONE]))
    app = routed(upstream, target("a"))
    asyncio.get_running_loop().call_later(0.05, goes_on.set)

    answer = await post(app, CHAT, STREAM, headers={**auth, name: "20"})

    assert answer.chunks == [HELLO, STOP, DONE]


async def test_the_limit_for_first_tokens_is_for_streams(routed, auth):
    goes_on = asyncio.Event()
    upstream = FakeUpstream((200, [goes_on, REPLY], {"content-type": "application/json"}))
    app = routed(upstream, target("a"))
    asyncio.get_running_loop().call_later(0.05, goes_on.set)

    answer = await post(app, CHAT, ASK, headers={**auth, "x-tfy-ttft-timeout-ms": "20"})

    assert (answer.status, answer.body) == (200, REPLY)


@pytest.mark.parametrize(("takes_s", "order"), [(29.0, ["a", "b"]), (30.0, ["a"])])
async def test_no_attempt_begins_when_the_client_waits_no_longer(routed, takes_s, order):
    clock = Clock(1000.0)
    upstream = SlowUpstream(clock, takes_s, no(503), OK)
    call, choice = call_of(routed(upstream, target("a"), target("b")))
    exchange = Exchange(started=1000.0, options=RequestOptions(deadline_s=30.0))

    with suppress(Refused):
        await respond(dispatcher_with(upstream, clock=clock), exchange, call, choice)

    assert asked(upstream) == order


async def test_nobody_is_asked_when_it_is_too_late_already(routed):
    clock = Clock(1030.0)
    upstream = FakeUpstream(OK)
    call, choice = call_of(routed(upstream, target("a")))
    exchange = Exchange(started=1000.0, options=RequestOptions(deadline_s=30.0))

    with pytest.raises(TimedOut, match="the time the client allows was over"):
        await respond(dispatcher_with(upstream, clock=clock), exchange, call, choice)

    assert asked(upstream) == []


async def test_a_short_retry_after_is_waited_for(routed, auth):
    upstream = Timed(no(429, retry_after_ms="60"), OK)

    answer = await post(routed(upstream, repeated("a")), CHAT, ASK, headers=auth)

    assert answer.status == 200
    assert upstream.at[1] - upstream.at[0] >= 0.059


@pytest.mark.parametrize("value", ["60", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_long_one_is_not_and_the_target_rests(routed, auth, value):
    upstream = FakeUpstream(no(429, retry_after=value), OK)
    app = routed(upstream, repeated("a"), repeated("b"))

    await post(app, CHAT, ASK, headers=auth)
    await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "b", "b"]


async def test_a_retry_after_that_is_none_is_not_minded(routed, auth):
    upstream = FakeUpstream(no(429, retry_after="soon"), OK)
    app = routed(upstream, repeated("a"), repeated("b"))

    await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "a"]


# --- the client ------------------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_in_a_pause_ends_it(routed, auth, sink, until):
    upstream = FakeUpstream(no(503), OK)
    app = routed(upstream, repeated("a", delay=60_000), timing=QUICK)
    client = Client(app, ASK, auth)

    await until(lambda: upstream.replies and upstream.replies[0].is_closed)
    client.leaves.set()
    await client.task
    await app.close()

    assert asked(upstream) == ["a"]
    [record] = sink.records
    assert (record.outcome, record.status) == (Outcome.CLIENT_LEFT, 499)
    assert [(each.name, each.status, each.reason) for each in record.spans] == [("a/m", 503, "upstream_error")]


async def test_a_client_that_leaves_in_the_second_attempt_ends_it(routed, auth, until):
    upstream = FakeUpstream(no(503), (200, [asyncio.Event()]), OK)
    client = Client(routed(upstream, target("a"), target("b"), target("c"), timing=QUICK), ASK, auth)

    await until(lambda: len(upstream.replies) == 2)
    client.leaves.set()
    await client.task

    assert asked(upstream) == ["a", "b"]
    assert [reply.is_closed for reply in upstream.replies] == [True, True]


async def test_a_client_whose_connection_times_out_is_no_fault_of_a_target(routed):
    """`TimeoutError` is what the system calls it."""
    upstream = FakeUpstream(OK)
    call, choice = call_of(routed(upstream, target("a"), target("b")))
    exchange = Exchange()

    async def send(message):
        raise TimeoutError(110, "Connection timed out")

    with pytest.raises(TimeoutError, match="Connection timed out"):
        await respond(dispatcher_with(upstream), exchange, call, choice, ResponseWriter(send, exchange))

    assert asked(upstream) == ["a"]
    assert upstream.replies[0].is_closed


# --- the error at the end --------------------------------------------------------------------------------------------


async def test_the_last_error_is_the_answer(routed, auth):
    upstream = FakeUpstream(no(503, "first"), no(500, "second", x_should_retry="false", x_internal="1"))

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()) == (500, {"error": {"message": "second"}})
    assert answer.headers["x-should-retry"] == "false"
    assert "x-internal" not in answer.headers
    assert "x-tfy-resolved-model" not in answer.headers


async def test_when_all_are_busy_the_one_to_come_back_to_soonest_is(routed, auth):
    upstream = FakeUpstream(no(429, "one", retry_after="20"), no(429, "two", retry_after="60"), no(503, "three"))

    answer = await post(routed(upstream, target("a"), target("b"), target("c")), CHAT, ASK, headers=auth)

    assert (answer.status, answer.headers["retry-after"]) == (429, "20")
    assert answer.json() == {"error": {"message": "one"}}
    assert "x-should-retry" not in answer.headers, "the SDK decides, as without a gateway"


async def test_it_names_no_secret(routed, auth):
    upstream = FakeUpstream(no(401, "Incorrect API key provided: secret-of-a at http://a.internal/v1"))

    answer = await post(routed(upstream, target("a"), target("b")), CHAT, ASK, headers=auth)

    assert answer.status == 401
    assert answer.json()["error"]["message"] == (
        "the provider does not accept the gateway's credentials; tell whoever runs the gateway"
    )
    assert b"secret" not in answer.body
    assert b"internal" not in answer.body


async def test_a_route_that_fits_nobody_says_so(routed, auth):
    upstream = FakeUpstream(OK)
    app = routed(upstream, target("a", metadata_match={"region": "eu"}))

    answer = await post(app, CHAT, ASK, headers=auth)
    matching = await post(app, CHAT, ASK, headers={**auth, "x-tfy-metadata": '{"region": "eu"}'})

    assert (answer.status, matching.status) == (503, 200)
    assert answer.json()["error"]["code"] == "no_target"
    assert answer.json()["error"]["message"] == "v/m has no target for this request: none matches its metadata"
    assert answer.headers["x-should-retry"] == "false"


async def test_an_error_that_breaks_off_is_still_an_error():
    assert await read_error(FakeReply(500, [b"a", BrokeOff("cut")], {})) == b"a"


async def test_an_error_without_end_is_not_read_to_it():
    assert len(await read_error(FakeReply(500, [65536 * b"x"] * 1000, {}))) == MAX_ERROR_BODY


async def test_an_error_that_trickles_is_not_waited_for():
    """Another target may be waiting to be asked, and what has come of it is enough."""
    assert await read_error(FakeReply(500, [b"a", asyncio.Event()], {}), within_s=0.01) == b"a"


# --- what is told of it ----------------------------------------------------------------------------------------------


async def test_the_record_has_all_attempts(routed, auth, sink):
    upstream = FakeUpstream(no(503), Unreachable("nobody"), OK)
    app = routed(upstream, repeated("a"), target("b"))

    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    [record] = sink.records
    assert [(each.name, each.status, each.reason) for each in record.spans] == [
        ("a/m", 503, "upstream_error"),
        ("a/m", 502, "upstream_unreachable"),
        ("b/m", 200, None),
    ]
    started = [each.started_ms for each in record.spans]
    assert started == sorted(started)
    assert all(0 <= each.started_ms + each.duration_ms <= record.duration_ms for each in record.spans)
    assert (record.resolved_model, record.model, record.upstream_status) == ("b/m", "v/m", 200)


async def test_an_answer_at_once_needs_no_attempts(routed, auth, sink):
    app = routed(FakeUpstream(OK), target("a"))

    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert sink.records[0].spans == ()


async def test_the_status_of_the_record_is_that_of_the_last_attempt(routed, auth, sink):
    app = routed(FakeUpstream(no(503), Unreachable("nobody")), target("a"), target("b"))

    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert (sink.records[0].resolved_model, sink.records[0].upstream_status) == ("b/m", None)


@pytest.mark.parametrize(("body", "reply"), [(ASK, OK), (STREAM, STREAMED)])
async def test_the_answer_says_who_gave_it(routed, auth, body, reply):
    app = routed(FakeUpstream(no(503), reply), target("a"), target("b"))

    answer = await post(app, CHAT, body, headers=auth)

    assert answer.headers["x-tfy-resolved-model"] == "b/m"
    assert json.loads(answer.headers["x-tfy-applied-rules"]) == {
        "resolved_model": "b/m",
        "routing_model_order": ["a/m", "b/m"],
    }


async def test_a_direct_answer_does_so_in_short(routed, auth):
    answer = await post(routed(FakeUpstream(OK)), CHAT, {**ASK, "model": "b/m"}, headers=auth)

    assert answer.headers["x-tfy-resolved-model"] == "b/m"
    assert "x-tfy-applied-rules" not in answer.headers


async def test_how_long_it_took_is_told_when_it_is_known(routed, auth):
    """The head of a stream goes out before that."""
    app = routed(FakeUpstream(OK, STREAMED), target("a"))

    whole = await post(app, CHAT, ASK, headers=auth)
    stream = await post(app, CHAT, STREAM, headers=auth)

    first, second = whole.headers["server-timing"].split(", ")
    assert first.startswith("gateway;dur=")
    assert second.startswith("model;dur=")
    assert float(first.removeprefix("gateway;dur=")) > 0
    assert "server-timing" not in stream.headers


# --- health ----------------------------------------------------------------------------------------------------------


async def test_two_failures_move_a_target_to_the_end(routed, auth):
    upstream = FakeUpstream(no(500), OK, no(500), OK)
    app = routed(upstream, target("a"), target("b"))

    for _ in range(2):
        await post(app, CHAT, ASK, headers=auth)
    answer = await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "b", "a", "b", "b"]
    assert json.loads(answer.headers["x-tfy-applied-rules"])["routing_model_order"] == ["b/m", "a/m"]


async def test_failures_of_direct_calls_count_as_well(routed, auth):
    upstream = FakeUpstream(no(500), no(500), OK)
    app = routed(upstream, target("a"), target("b"))

    for model in ("a/m", "a/m", "v/m"):
        await post(app, CHAT, {**ASK, "model": model}, headers=auth)

    assert asked(upstream) == ["a", "a", "b"]


async def test_successes_of_direct_calls_count_as_well(routed):
    """Five failures in a row open the breaker, and these are none."""
    upstream = FakeUpstream(*[no(500)] * 4, OK, *[no(500)] * 4, OK)
    call, choice = call_of(routed(upstream), {**ASK, "model": "a/m"})
    dispatcher = dispatcher_with(upstream)

    for _ in range(9):
        exchange = Exchange()
        with suppress(Refused):
            await respond(dispatcher, exchange, call, choice)

    assert dispatcher.health.may_ask("a/m", dispatcher.clock())


SHORT = Timing(watch_after_s=0.0, keep_alive_s=0.01, first_byte_s=0.01)


@pytest.mark.parametrize(("ask", "chunks"), [(ASK, []), (STREAM, []), (STREAM, [ROLE])])
async def test_a_provider_that_is_silent_is_replaced(routed, auth, sink, ask, chunks):
    """Also after it has said that it will speak. What keeps the stream alive meanwhile is nothing of an answer."""
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.01, first_byte_s=0.01, idle_s=0.01)
    upstream = FakeUpstream((200, [*chunks, asyncio.Event()]), STREAMED if ask is STREAM else OK)
    app = routed(upstream, target("a"), target("b"), timing=timing)

    answer = await post(app, CHAT, ask, headers=auth)
    await app.close()

    assert answer.status == 200
    assert answer.body.replace(KEEP_ALIVE, b"") == (HELLO + STOP + DONE if ask is STREAM else REPLY)
    assert [reply.is_closed for reply in upstream.replies] == [True, True]
    [record] = sink.records
    tried = [(each.name, each.status, each.reason) for each in record.spans]
    assert tried == [("a/m", 408, "upstream_timeout"), ("b/m", 200, None)]


async def test_all_that_are_silent_end_the_request(routed, auth):
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = routed(upstream, target("a"), target("b"), timing=SHORT)

    answer = await post(app, CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (408, "upstream_timeout")
    assert asked(upstream) == ["a", "b"]


async def test_a_client_that_leaves_while_another_is_asked_is_noticed(routed, auth, sink, until):
    """Overcoming one interruption must not make the request deaf for the next."""
    upstream = FakeUpstream((200, [asyncio.Event()]), (200, [asyncio.Event()]))
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.05, first_byte_s=0.05)
    app = routed(upstream, target("a"), target("b"), timing=timing)
    client = Client(app, ASK, auth)
    await until(lambda: len(upstream.replies) == 2)

    client.leaves.set()
    await client.task
    await app.close()

    assert [record.outcome for record in sink.records] == [Outcome.CLIENT_LEFT]
    assert [reply.is_closed for reply in upstream.replies] == [True, True]


async def test_a_provider_that_is_silent_is_unwell(routed, auth):
    """Nobody may wait for it in vain for ever, only because each of them gave up in the end."""
    upstream = FakeUpstream((200, [asyncio.Event()]), (200, [asyncio.Event()]), OK)
    app = routed(upstream, target("a"), target("b"), timing=SHORT)

    asks = [{**ASK, "model": name} for name in ("a/m", "a/m", "v/m")]
    statuses = [(await post(app, CHAT, ask, headers=auth)).status for ask in asks]

    assert statuses == [408, 408, 200]
    assert asked(upstream) == ["a", "a", "b"]


async def test_a_client_that_leaves_shows_nothing(routed, auth, until):
    upstream = FakeUpstream((200, [asyncio.Event()]), (200, [asyncio.Event()]), OK)
    app = routed(upstream, target("a"), target("b"), timing=QUICK)
    for number in (1, 2):
        client = Client(app, ASK, auth)
        await until(lambda number=number: len(upstream.replies) == number)
        client.leaves.set()
        await client.task

    await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "a", "a"]


async def test_a_probe_whose_client_leaves_makes_room_for_another(routed, until):
    """Else the target would not be asked for half a minute."""
    clock, upstream = Clock(), FakeUpstream((200, [asyncio.Event()]))
    call, choice = call_of(routed(upstream))
    dispatcher, exchange = dispatcher_with(upstream, clock=clock), Exchange()
    for _ in range(5):
        dispatcher.health.failed("a/m", "a", FaultOwner.TARGET, 0.0)
    assert not dispatcher.health.may_ask("a/m", 0.0)
    clock.now_s = 100.0

    probe = asyncio.create_task(respond(dispatcher, exchange, call, choice))
    await until(lambda: upstream.replies)
    assert not dispatcher.health.may_ask("a/m", 100.0)
    probe.cancel()
    await asyncio.wait([probe])

    assert dispatcher.health.may_ask("a/m", 100.0)


async def test_a_key_the_provider_does_not_know_is_the_accounts(routed, auth):
    upstream = FakeUpstream(no(401), OK, no(401), OK)
    app = routed(upstream, target("a"), target("b"))

    for _ in range(3):
        await post(app, CHAT, ASK, headers=auth)

    assert asked(upstream) == ["a", "b", "a", "b", "b"]


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_unless_the_caller_brought_it(routed, token, status):
    """One caller's bad key must not take the account from all others."""
    upstream = FakeUpstream(no(status), OK, no(status), OK)
    app = routed(upstream, target("keyless"), target("b"))
    headers = {"x-tfy-api-key": token, "authorization": "Bearer sk-of-the-caller"}

    for _ in range(3):
        await post(app, CHAT, ASK, headers=headers)

    assert asked(upstream) == ["keyless", "b", "keyless", "b", "keyless"]
    assert b"authorization: Bearer sk-of-the-caller" in upstream.requests[0].endpoint.head
    assert b"sk-of-the-caller" not in upstream.requests[1].endpoint.head


async def test_little_traffic_has_three_extra_attempts(routed, auth):
    """With the budget used up, requests still have their first attempt."""
    upstream = FakeUpstream(no(500))
    app = routed(upstream, repeated("a", attempts=4), target("b"))

    await post(app, CHAT, ASK, headers=auth)
    assert asked(upstream) == ["a", "a", "a", "a"]

    await post(app, CHAT, ASK, headers=auth)
    assert asked(upstream)[4:] == ["b"], "a is unwell, and nobody may be asked besides"


async def test_who_cannot_be_reached_is_named(routed, auth):
    """Behind a virtual model, the address alone tells nobody whose server that is."""
    app = routed(FakeUpstream(Unreachable("no connection to 127.0.0.1:9: connection refused")), target("a"))

    answer = await post(app, CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()["message"]) == (
        502,
        "a/m: no connection to 127.0.0.1:9: connection refused",
    )


# --- what is left behind ---------------------------------------------------------------------------------------------


async def test_failures_leave_no_ring_behind(routed):
    """It would keep the client's body, and in granian its connection, until the collector comes."""
    upstream = FakeUpstream(no(503), Unreachable("nobody"), OK)
    call, choice = call_of(routed(upstream, target("a"), target("b"), target("c")))
    dispatcher, exchange = dispatcher_with(upstream), Exchange()
    writer = ResponseWriter(ignore, exchange)
    is_there = weakref.ref(writer)

    gc.disable()
    try:
        await respond(dispatcher, exchange, call, choice, writer)
        del writer
        assert is_there() is None
    finally:
        gc.enable()


async def test_a_choice_without_a_route_is_asked_by_itself(routed):
    """A target may have its own upstream, which needs no network."""
    own, network = FakeUpstream(OK), FakeUpstream(OK)
    call, choice = call_of(routed(network), {**ASK, "model": "a/m"})
    exchange = Exchange()

    alone = Choice(msgspec.structs.replace(choice.target, upstream=own))
    await respond(dispatcher_with(network), exchange, call, alone)

    assert (len(own.requests), len(network.requests)) == (1, 0)
    assert exchange.attempt.target.name == "a/m"


class Slow:
    """A provider that has not written its request before others have had a turn."""

    def __init__(self, provider):
        self.provider = provider
        self.others = threading.Event()
        self.had_a_turn = False

    def request(self, call, target):
        self.had_a_turn = self.others.wait(timeout=5)
        return self.provider.request(call, target)

    def reading(self, call, target, head):
        return self.provider.reading(call, target, head)


async def test_nobody_waits_while_a_large_body_is_translated(routed):
    """Half a million turns in 15 MB held all others up for two seconds."""
    upstream = FakeUpstream(OK)
    call, choice = call_of(routed(upstream), {**ASK, "model": "a/m"})
    request = msgspec.structs.replace(call.request, body=JsonBody(call.fields, bytes(LARGE + 1)))
    slow = Slow(choice.target.provider)
    alone = Choice(msgspec.structs.replace(choice.target, provider=slow))
    asyncio.get_running_loop().call_soon(slow.others.set)

    await respond(dispatcher_with(upstream), Exchange(), msgspec.structs.replace(call, request=request), alone)

    assert slow.had_a_turn
    assert upstream.asked()["model"] == "real-a"


async def test_a_model_that_was_named_directly_has_its_attempt_in_the_record(routed, auth, sink):
    app = routed(FakeUpstream(no(503)))

    await post(app, CHAT, {**ASK, "model": "a/m"}, headers=auth)
    await app.close()

    assert [(each.name, each.status) for each in sink.records[0].spans] == [("a/m", 503)]


async def test_what_failed_attempts_took_is_not_the_gateways_time(routed, auth, sink):
    """Nor is the pause before another."""
    upstream = FakeUpstream((503, [b"{}"]), OK)
    app = routed(upstream, repeated("a", delay=80))

    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    [record] = sink.records
    assert record.duration_ms > 40
    assert record.overhead_ms < record.duration_ms - 35


async def test_the_attempt_that_a_client_left_is_listed(routed, auth, sink, until):
    """It was missing, and the pause before it counted as the gateway's own time."""
    upstream = FakeUpstream(no(503), (200, [HELLO, asyncio.Event()]))
    app = routed(upstream, repeated("a", delay=80), timing=Timing(watch_after_s=0.0))
    client = Client(app, STREAM, auth)

    await until(lambda: client.answer.chunks)
    client.leaves.set()
    await client.task
    await app.close()

    [record] = sink.records
    tried = [(each.name, each.status, each.reason) for each in record.spans]
    assert tried == [("a/m", 503, "upstream_error"), ("a/m", 200, "client_closed_request")]
    assert record.overhead_ms < record.duration_ms - 35


@pytest.mark.parametrize(
    ("headers", "reason"), [({}, "retry_budget"), ({"x-stainless-read-timeout": "0.000001"}, "deadline")]
)
async def test_says_why_nobody_else_was_asked(routed, auth, sink, headers, reason):
    """Nothing told a retry that was held back from one that had failed."""
    upstream = FakeUpstream(no(500))
    app = routed(upstream, repeated("a", attempts=9))

    answer = await post(app, CHAT, ASK, headers={**auth, **headers})
    await app.close()

    assert json.loads(answer.headers["x-tfy-applied-rules"]) == {"routing_model_order": ["a/m"], "gave_up": reason}
    assert sink.records[0].gave_up == reason


# --- room for so many ------------------------------------------------------------------------------------------------


ONE = {"max_requests": 1, "max_queued": 1, "queue_timeout_ms": 60_000}
NO_QUEUE = {"max_requests": 1, "max_queued": 0}


async def test_an_account_takes_no_more_at_once_than_it_should(routed, auth, until):
    first, second = asyncio.Event(), asyncio.Event()
    upstream = FakeUpstream((200, [first, REPLY]), (200, [second, REPLY]))
    app = routed(upstream, concurrency=ONE)
    ask = {**ASK, "model": "a/m"}
    running = Client(app, ask, auth)
    await until(lambda: len(upstream.replies) == 1)
    waiting = Client(app, ask, auth)
    await asyncio.sleep(0)

    refused = await post(app, CHAT, ask, headers=auth)
    first.set()
    await running.task
    await until(lambda: len(upstream.replies) == 2)
    second.set()
    await waiting.task

    assert (refused.status, refused.json()["error"]["code"]) == (503, "account_busy")
    assert refused.headers["retry-after"] == "1"
    assert [running.answer.status, waiting.answer.status] == [200, 200]


async def test_who_waits_too_long_is_refused(routed, auth, until):
    upstream = FakeUpstream((200, [asyncio.Event()]), OK)
    app = routed(upstream, concurrency={**ONE, "queue_timeout_ms": 1})
    ask = {**ASK, "model": "a/m"}
    running = Client(app, ask, auth)
    await until(lambda: len(upstream.replies) == 1)

    refused = await post(app, CHAT, ask, headers=auth)
    running.leaves.set()
    await running.task
    after = await post(app, CHAT, ask, headers=auth)

    assert (refused.status, refused.json()["error"]["code"]) == (503, "account_busy")
    assert after.status == 200


async def test_who_finds_no_room_goes_to_the_next_target(routed, auth, sink, until):
    """That is nobody's fault and no traffic more: neither health nor the retry budget hears of it."""
    upstream = FakeUpstream((200, [asyncio.Event()]), OK)
    app = routed(upstream, target("a"), target("b"), concurrency=NO_QUEUE)
    running = Client(app, ASK, auth)
    await until(lambda: len(upstream.replies) == 1)

    statuses = [(await post(app, CHAT, ASK, headers=auth)).status for _ in range(20)]
    running.leaves.set()
    await running.task
    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert statuses == [200] * 20
    assert asked(upstream) == ["a", *["b"] * 20, "a"]
    tried = [(each.name, each.status, each.reason) for each in sink.records[0].spans]
    assert tried == [("a/m", 503, "account_busy"), ("b/m", 200, None)]


async def test_when_all_are_busy_the_caller_is_told_when_to_come_back(routed, auth, until):
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = routed(upstream, repeated("a"), concurrency=NO_QUEUE)
    running = Client(app, ASK, auth)
    await until(lambda: len(upstream.replies) == 1)

    answer = await post(app, CHAT, ASK, headers=auth)
    running.leaves.set()
    await running.task

    assert (answer.status, answer.json()["error"]["code"]) == (503, "account_busy")
    assert answer.headers["retry-after"] == "1"


async def test_rules_say_who_goes_first(routed, auth, until):
    gates = [asyncio.Event() for _ in range(3)]
    upstream = FakeUpstream(*((200, [gate, REPLY]) for gate in gates))
    rules = [{"id": "vip", "priority": 5, "when": {"metadata": {"tier": "gold"}}}]
    priorities = {"type": "gateway-priority-config", "name": "who-first", "rules": rules}
    app = routed(upstream, concurrency={**ONE, "max_queued": 10}, more=[priorities])
    ask = {**ASK, "model": "a/m"}
    running = Client(app, ask, auth)
    await until(lambda: len(upstream.replies) == 1)
    plain = Client(app, ask, auth)
    await asyncio.sleep(0)
    vip = Client(app, ask, {**auth, "x-tfy-metadata": '{"tier": "gold"}'})
    await asyncio.sleep(0)

    gates[0].set()
    gates[1].set()
    await vip.task

    assert not plain.task.done()
    gates[2].set()
    await asyncio.gather(running.task, plain.task)
    assert [client.answer.status for client in (running, plain, vip)] == [200, 200, 200]


async def test_a_stream_keeps_its_place_to_its_end(routed, auth, until):
    goes_on = asyncio.Event()
    upstream = FakeUpstream((200, [HELLO, goes_on, STOP, DONE]), OK)
    app = routed(upstream, concurrency=NO_QUEUE)
    stream = Client(app, {**STREAM, "model": "a/m"}, auth)
    await until(lambda: HELLO in stream.answer.chunks)

    refused = await post(app, CHAT, {**ASK, "model": "a/m"}, headers=auth)
    goes_on.set()
    await stream.task
    after = await post(app, CHAT, {**ASK, "model": "a/m"}, headers=auth)

    assert [refused.status, after.status] == [503, 200]


async def test_a_reload_changes_the_room_of_those_who_come_after(routed, auth, tmp_path, until):
    upstream = FakeUpstream((200, [asyncio.Event()]), OK)
    app = routed(upstream, concurrency=NO_QUEUE)
    ask = {**ASK, "model": "a/m"}
    running = Client(app, ask, auth)
    await until(lambda: len(upstream.replies) == 1)
    before = await post(app, CHAT, ask, headers=auth)

    (tmp_path / "routed.yaml").write_text(json.dumps([account("a", concurrency={"max_requests": 2, "max_queued": 0})]))
    await app.config.reload()
    after = await post(app, CHAT, ask, headers=auth)
    running.leaves.set()
    await running.task

    assert [before.status, after.status] == [503, 200]


# --- signed requests ---------------------------------------------------------


class Stamp:
    """A `Signer` that keeps whom it may ask."""

    def __init__(self, *errors):
        self.errors = [*errors]
        self.networks = []

    async def sign(self, request, network):
        self.networks.append(network)
        if self.errors:
            raise self.errors.pop(0)
        endpoint = request.endpoint.with_headers({"x-signature": "canary-signature"})
        return msgspec.structs.replace(request, endpoint=endpoint)


SIGNED = b"x-signature: canary-signature\r\n"


def signed(app, stamp, upstream=None):
    """The target a/m, to be signed for, and reached by a network of its own if one is given."""
    found = app.config.snapshot.find("a/m")
    return msgspec.structs.replace(found, signer=stamp, upstream=upstream)


@pytest.fixture
def dispatcher():
    return lambda upstream: Dispatcher(upstream, health=Health(Random(0)), random=Random(0))


def a_call():
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in {**ASK, "model": "a/m"}.items()}
    request = Request(body=JsonBody(fields))
    return Call(DIALECT, DIALECT.parse(request), request)


async def test_what_is_sent_is_signed(routed, dispatcher):
    common, stamp = FakeUpstream(OK), Stamp()
    target = signed(routed(common), stamp)

    assert await dispatcher(common).ask(a_call(), target) == REPLY
    assert stamp.networks == [common]
    assert SIGNED in common.requests[0].endpoint.head


async def test_a_signer_asks_by_the_network_of_its_target(routed, dispatcher):
    """The rules for addresses that hold of it are other ones."""
    common, own, stamp = FakeUpstream(OK), FakeUpstream(OK), Stamp()
    target = signed(routed(common), stamp, upstream=own)

    await dispatcher(common).ask(a_call(), target)

    assert stamp.networks == [own]
    assert (len(common.requests), len(own.requests)) == (0, 1)


async def test_what_cannot_be_signed_is_not_sent(routed, dispatcher):
    """As if the provider had not answered, so that another target is asked."""
    common = FakeUpstream(OK)
    target = signed(routed(common), Stamp(Unreachable("no connection to the token endpoint")))

    with pytest.raises(Unreachable, match=r"^a/m: no connection to the token endpoint$"):
        await dispatcher(common).ask(a_call(), target)

    assert common.requests == []
