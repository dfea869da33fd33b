"""Limits and budgets in the pipeline: what is taken, what is paid, and who is sent away."""

import asyncio
import json
from types import SimpleNamespace

import msgspec
import pytest

from gateway.contract import Ask, Call, Outcome, Request, Target
from gateway.contract.limits import Hold, Unit
from gateway.contract.price import Price, Rate, Tariff
from gateway.contract.usage import Usage
from gateway.contract.windows import Window
from gateway.dialects.openai import OpenAIDialect
from gateway.errors import BrokeOff
from gateway.providers.demo import Demo
from gateway.proxy.admission import Admission
from gateway.proxy.exchange import Attempt, Exchange
from gateway.proxy.watch import Timing
from gateway.state.counters.memory import MemoryCounters
from gateway.testing import FakeUpstream, post

CHAT = "/v1/chat/completions"
ASK = {"model": "a/m", "messages": [{"role": "user", "content": "say hello"}], "max_tokens": 10}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}

REPLY = b'{"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
HELLO = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"
OK = (200, [REPLY])
INPUT_ONLY = b'{"id":"1","choices":[],"usage":{"prompt_tokens":7}}'
PRICED = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}}
"""A thousand nano-dollars for each token of input, ten thousand for each of output."""


KEY = {"type": "api-key", "api_key": "key-of-o"}


def account(name, **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": "m",
        "url": f"http://{name}.internal/v1",
        "model_server": "openai-compatible",
        "model_types": ["chat", "completion", "embedding"],
        "cost": PRICED,
        **fields,
    }
    return {"type": "provider-account/self-hosted-model", "name": name, "integrations": [model]}


def virtual(*names, name="v"):
    targets = [
        {"target": f"{name}/m", "priority": number, "retry_config": {"attempts": 1}}
        for number, name in enumerate(names)
    ]
    routing = {"type": "priority-based-routing", "load_balance_targets": targets}
    types = ["chat", "completion", "embedding"]
    model = {"type": "integration/model/virtual", "name": "m", "model_types": types, "routing_config": routing}
    return {"type": "provider-account/virtual-model", "name": name, "integrations": [model]}


def limit(id_, limit_to, unit, **fields):
    rule = {"id": id_, "when": {}, "limit_to": limit_to, "unit": unit, **fields}
    return {"type": "gateway-rate-limiting-config", "name": id_, "rules": [rule]}


def budget(name, dollars, mode="enforce", window="month", **fields):
    limits = {f"cost_per_{window}": dollars}
    return {
        "type": "tenant-budget-config",
        "name": name,
        "limits": limits,
        "applies_to": {"type": "aggregate"},
        "mode": mode,
        **fields,
    }


@pytest.fixture
def limited(app_with, tmp_path, with_ledger):
    """`limited(upstream, limit(...), budget(...))`: an app with the models a/m, b/m and v/m, which leads to both."""

    def make(upstream, *manifests, **options):
        path = tmp_path / "limited.yaml"
        path.write_text(json.dumps([account("a"), account("b"), virtual("a", "b"), *manifests]))
        return with_ledger(app_with(upstream, path, **options))

    return make


def rules_of(answer):
    return json.loads(answer.headers["x-tfy-applied-rules"])


async def test_a_limit_is_the_limit(limited, auth):
    upstream = FakeUpstream(OK)
    app = limited(upstream, limit("two", 2, "requests_per_minute"))

    answers = [await post(app, CHAT, ASK, headers=auth) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert len(upstream.requests) == 2
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
    refused = answers[2]
    assert rules_of(refused)["rate_limit"]["rule"] == "two"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 58 <= int(refused.headers["retry-after"]) <= 61


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, ASK),
        (CHAT, STREAM),
        ("/v1/completions", {"model": "a/m", "prompt": "hello"}),
        ("/embeddings", {"model": "a/m", "input": "hello"}),
        ("/api/llm/chat/completions", {**ASK, "model": "v/m"}),
    ],
)
async def test_it_is_the_same_limit_on_every_route(limited, auth, path, body):
    app = limited(FakeUpstream(OK), limit("none", 0, "requests_per_day"))

    answer = await post(app, path, body, headers=auth)

    assert answer.status == 429
    assert answer.headers["x-should-retry"] == "false"


async def test_a_refusal_takes_nothing(limited, auth):
    app = limited(FakeUpstream(OK), limit("all", 100, "tokens_per_day"), budget("none", 0))

    first = await post(app, CHAT, ASK, headers=auth)

    assert first.status == 429
    assert rules_of(first)["budget"]["rule"] == "none"
    assert first.headers["x-ratelimit-remaining-tokens"] == "100"
    assert app.admission.ledger.entries == []


@pytest.mark.parametrize("ask", [{**ASK, "model": "a/none"}, {"messages": []}, {**ASK, "max_tokens": "many"}])
async def test_what_is_no_request_takes_nothing(limited, auth, ask):
    app = limited(FakeUpstream(OK), limit("two", 2, "requests_per_minute"))

    wrong = await post(app, CHAT, ask, headers=auth)
    right = await post(app, CHAT, ASK, headers=auth)

    assert wrong.status in (400, 404)
    assert right.headers["x-ratelimit-remaining-requests"] == "1"


async def test_what_was_reserved_becomes_what_was_used(limited, auth):
    """20 tokens are reserved: 10 for the text, as it seems, and 10 that the caller allows. 10 of them are used.

    The second request is estimated by what was learned from the first: one token less.
    """
    app = limited(FakeUpstream(OK), limit("tokens", 100, "tokens_per_minute"))

    first = await post(app, CHAT, ASK, headers=auth)
    second = await post(app, CHAT, ASK, headers=auth)

    left = [answer.headers["x-ratelimit-remaining-tokens"] for answer in (first, second)]
    assert left == ["80", "71"]


async def test_a_budget_counts_what_it_cost(limited, auth):
    """Each answer costs 7 * 1,000 + 3 * 10,000 nano-dollars; what it may cost has to fit before it is asked."""
    upstream = FakeUpstream(OK)
    app = limited(upstream, budget("month", 0.0002))

    answers = [await post(app, CHAT, ASK, headers=auth) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert (
        answers[3]
        .json()["message"]
        .startswith(
            "Budget exceeded for model: a/m with rule: month. It allows $0.0002 per month (UTC); $0.000111 used or "
        )
    )
    assert [entry.bill.cost for entry in app.admission.ledger.entries] == [37_000] * 3


@pytest.mark.parametrize(
    ("reply", "ask", "usage", "cost", "outcome"),
    [
        (OK, ASK, Usage(input=7, output=3), 37_000, Outcome.COMPLETE),
        ((200, [HELLO, STOP, USAGE, DONE]), STREAM, Usage(input=7, output=3), 37_000, Outcome.COMPLETE),
        ((200, [HELLO, USAGE, BrokeOff("cut")]), STREAM, Usage(input=7, output=3), 37_000, Outcome.UPSTREAM_BROKE),
        (
            (200, [HELLO, HELLO, HELLO, BrokeOff("cut")]),
            STREAM,
            Usage(input=9, output=2, estimated=True),
            29_000,
            Outcome.UPSTREAM_BROKE,
        ),
        ((200, [b'{"id":"1"}']), ASK, Usage(input=10, output=10, estimated=True), 110_000, Outcome.COMPLETE),
        ((200, [INPUT_ONLY]), ASK, Usage(input=7, output=10, estimated=True), 107_000, Outcome.COMPLETE),
        (
            (200, [HELLO, HELLO, STOP, b'data: {"choices":[],"usage":{"prompt_tokens":7}}\n\n', DONE]),
            STREAM,
            Usage(input=7, output=4, estimated=True),
            47_000,
            Outcome.COMPLETE,
        ),
        (
            (200, [HELLO, STOP, b'data: {"choices":[],"usage":{"completion_tokens":3}}\n\n', DONE]),
            STREAM,
            Usage(input=9, output=3, estimated=True),
            39_000,
            Outcome.COMPLETE,
        ),
        ((200, [BrokeOff("cut")]), STREAM, None, None, Outcome.UPSTREAM_BROKE),
        ((500, [b"{}"]), ASK, None, None, Outcome.REFUSED),
        ((200, [b'{"error":{"message":"no"}}']), ASK, None, None, Outcome.REFUSED),
    ],
    ids=[
        "whole",
        "stream",
        "broke after usage",
        "broke",
        "says nothing",
        "no output",
        "no output in a stream",
        "no input in a stream",
        "broke at once",
        "refused",
        "error in a 200",
    ],
)
async def test_one_bill_however_it_ends(limited, auth, sink, reply, ask, usage, cost, outcome):
    app = limited(FakeUpstream(reply), budget("month", 100), limit("tokens", 1000, "tokens_per_day"))

    answer = await post(app, CHAT, ask, headers=auth)
    after = await post(app, CHAT, {**ASK, "max_tokens": 1}, headers=auth)
    await app.close()

    entry = app.admission.ledger.entries[0]
    assert (entry.usage, entry.bill.cost if entry.bill else None, entry.outcome) == (usage, cost, outcome)
    assert (entry.model, entry.resolved_model, entry.request_id) == ("a/m", "a/m", answer.headers["x-request-id"])
    assert [(charge.hold.rule, charge.amount) for charge in entry.charges] == [("month", cost or 0)]
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (usage, cost)
    tokens = usage.input_tokens + usage.output_tokens if usage else 0
    again = 11 if usage is None or usage.estimated else 10  # the input of the second, by what the first has taught
    assert int(after.headers["x-ratelimit-remaining-tokens"]) == 1000 - tokens - again


async def test_what_a_request_under_way_comes_to_by_now(limited, auth, until):
    """It is noted each second, so that a process which is killed leaves bills; asking changes nothing."""
    upstream, leaves = FakeUpstream((200, [HELLO, HELLO, HELLO, asyncio.Event()])), asyncio.Event()
    app = limited(upstream, budget("org", 1.0), timing=Timing(watch_after_s=0.0))
    asking = asyncio.create_task(post(app, CHAT, STREAM, headers=auth, leaves=leaves))
    await until(
        lambda: upstream.replies and [each.attempt.reading.events for each in app.drain if each.attempt.reading] == [3]
    )

    [open_request] = app.drain
    by_now = [entry.billed() for _ in range(2) for entry in app.admission.so_far(open_request)]
    usage_then = open_request.attempt.usage
    leaves.set()
    await asking

    [bill] = app.admission.ledger.entries
    assert by_now == [msgspec.structs.replace(bill, outcome=Outcome.STOPPED)] * 2
    assert (bill.outcome, bill.bill.cost, usage_then) == (Outcome.CLIENT_LEFT, bill.charges[0].amount, None)


async def test_a_request_that_is_not_answered_yet_comes_to_its_input(limited, auth, until):
    """The provider reads what it was sent, whether anybody lives to see the answer or not."""
    upstream = SilentUpstream()
    app = limited(upstream)
    asking = asyncio.create_task(post(app, CHAT, ASK, headers=auth))
    await until(lambda: upstream.is_asked)

    [open_request] = app.drain
    [entry] = app.admission.so_far(open_request)
    asking.cancel()

    assert (entry.usage.estimated, entry.usage.output) == (True, 0)
    assert entry.usage.input > 0


async def test_a_request_that_was_not_sent_comes_to_nothing(limited):
    assert list(limited(FakeUpstream(OK)).admission.so_far(Exchange())) == []


class SilentUpstream:
    """Takes requests and does not answer."""

    is_asked = False

    async def call(self, _):
        self.is_asked = True
        await asyncio.Event().wait()


async def test_a_client_that_leaves_pays_for_what_it_saw(limited, auth, until):
    upstream, leaves = FakeUpstream((200, [HELLO, HELLO, HELLO, asyncio.Event()])), asyncio.Event()
    app = limited(upstream, budget("month", 100), timing=Timing(watch_after_s=0.0))

    asking = asyncio.create_task(post(app, CHAT, STREAM, headers=auth, leaves=leaves))
    await until(lambda: upstream.replies)
    await asyncio.sleep(0.05)
    leaves.set()
    await asking

    [entry] = app.admission.ledger.entries
    assert (entry.outcome, entry.usage.estimated, entry.usage.output) == (Outcome.CLIENT_LEFT, True, 2)


async def test_a_request_that_nobody_could_send_is_given_back(limited, auth):
    """A place was not free in time, so no provider has heard of it."""
    busy = account("c")
    busy["concurrency"] = {"max_requests": 1, "max_queued": 0}
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = limited(upstream, busy, limit("three", 3, "requests_per_day"), timing=Timing(watch_after_s=0.0))
    leaves = asyncio.Event()
    ask = {**ASK, "model": "c/m"}
    running = asyncio.create_task(post(app, CHAT, ask, headers=auth, leaves=leaves))
    await asyncio.sleep(0.01)

    answers = [await post(app, CHAT, ask, headers=auth) for _ in range(5)]
    leaves.set()
    await running

    assert [answer.status for answer in answers] == [503] * 5
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1"] * 5


async def test_a_rule_that_only_watches_is_told_in_the_record(limited, auth, sink):
    app = limited(FakeUpstream(OK), budget("watched", 0.00001, mode="audit"))

    answer = await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert answer.status == 200
    assert [record.over_limits for record in sink.records] == [("watched",)]
    assert app.admission.audited == {"watched": 1}


# --- models that lead to others --------------------------------------------------------------------------------------


def asked(upstream):
    return [request.endpoint.host.removesuffix(".internal") for request in upstream.requests]


async def test_the_limit_of_a_target_holds_behind_a_virtual_model(limited, auth):
    """And a target without room is passed over, without being asked and without being blamed."""
    upstream = FakeUpstream(OK)
    app = limited(upstream, limit("of-a", 2, "requests_per_day", when={"models": ["a/m"]}))

    answers = [await post(app, CHAT, {**ASK, "model": "v/m"}, headers=auth) for _ in range(4)]
    direct = await post(app, CHAT, ASK, headers=auth)

    assert [answer.status for answer in answers] == [200] * 4
    assert asked(upstream) == ["a", "a", "b", "b"]
    assert direct.status == 429


async def test_when_no_target_has_room_the_caller_is_told(limited, auth):
    upstream = FakeUpstream(OK)
    app = limited(
        upstream,
        limit("of-a", 1, "requests_per_minute", when={"models": ["a/m"]}),
        limit("of-b", 0, "requests_per_minute", when={"models": ["b/m"]}),
    )

    first, second = [await post(app, CHAT, {**ASK, "model": "v/m"}, headers=auth) for _ in range(2)]

    assert (first.status, second.status) == (200, 429)
    assert rules_of(second)["rate_limit"]["rule"] in ("of-a", "of-b")
    assert 0 < int(second.headers["retry-after"]) <= 61


async def test_a_target_that_failed_gives_its_tokens_back(limited, auth):
    upstream = FakeUpstream((503, [b"{}"]), OK, OK)
    app = limited(upstream, limit("of-a", 40, "tokens_per_day", when={"models": ["a/m"]}))

    first = await post(app, CHAT, {**ASK, "model": "v/m"}, headers=auth)
    second = await post(app, CHAT, ASK, headers=auth)

    assert first.headers["x-tfy-resolved-model"] == "b/m"
    assert (second.status, second.headers["x-ratelimit-remaining-tokens"]) == (200, "20")


FREE = {"metric": "per_1000_tokens", "value": {"input": 0, "output": 0}}
DEAR = {"metric": "per_1000_tokens", "value": {"input": 1, "output": 1}}


@pytest.mark.parametrize("mode", ["enforce", "soft_enforce"])
async def test_what_costs_nothing_passes_a_budget_that_is_overdrawn(limited, auth, mode):
    """It was refused with "this request may take $0.00"."""
    upstream = FakeUpstream((200, [REPLY.replace(b":7", b":1000")]), OK)
    either = virtual("a", "f", name="w")
    app = limited(upstream, account("f", cost=FREE), either, budget("month", 0.0002, mode=mode))

    answers = [await post(app, CHAT, {**ASK, "model": model}, headers=auth) for model in ("a/m", "a/m", "f/m", "w/m")]

    assert [answer.status for answer in answers] == [200, 429, 200, 200]
    assert asked(upstream) == ["a", "f", "f"]
    assert answers[3].headers["x-tfy-resolved-model"] == "f/m"


async def test_targets_that_are_too_dear_are_passed_over(limited, auth):
    """The whole model was refused, because its most expensive target might have been asked."""
    upstream = FakeUpstream(OK)
    app = limited(upstream, account("d", cost=DEAR), virtual("d", "a", name="w"), budget("month", 0.0002))

    answers = [await post(app, CHAT, {**ASK, "model": "w/m"}, headers=auth) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert asked(upstream) == ["a", "a", "a"]
    assert rules_of(answers[3])["budget"]["rule"] == "month"


async def test_what_is_left_when_all_that_fits_fails_is_told(limited, auth):
    upstream = FakeUpstream((503, [b"{}"]))
    app = limited(upstream, account("d", cost=DEAR), virtual("a", "d", name="w"), budget("month", 0.0002))

    answer = await post(app, CHAT, {**ASK, "model": "w/m"}, headers=auth)

    assert answer.status == 429
    assert asked(upstream) == ["a"]


async def test_an_audit_does_not_blame_what_costs_nothing(limited, auth):
    app = limited(FakeUpstream(OK), account("f", cost=FREE), budget("watched", 0.00001, mode="audit"))

    for model in ("a/m", "f/m", "f/m"):
        await post(app, CHAT, {**ASK, "model": model}, headers=auth)

    assert app.admission.audited == {"watched": 1}


async def test_a_budget_for_each_model_counts_both_names(limited, auth):
    each = budget("each", 1, applies_to={"type": "per-model"})
    app = limited(FakeUpstream(OK), each)

    await post(app, CHAT, {**ASK, "model": "v/m"}, headers=auth)

    [entry] = app.admission.ledger.entries
    assert [(charge.hold.scope, charge.amount) for charge in entry.charges] == [
        ("model:v/m", 37_000),
        ("model:a/m", 37_000),
    ]


async def test_settles_once_when_the_ledger_is_absent(app_with, manifest, auth):
    counters = MemoryCounters()
    app = app_with(FakeUpstream(OK), counters=counters)

    answer = await post(app, CHAT, {**ASK, "model": "mock/m"}, headers=auth)

    assert answer.status == 200
    assert isinstance(app.admission, Admission)
    assert len(counters) == 0


@pytest.fixture
def judged(limited):
    """An app whose model `judged/m` asks `b/m` who should answer, and then `a/m`."""
    judge = b'{"choices":[{"message":{"content":"simple"}}],"usage":{"prompt_tokens":90,"completion_tokens":1}}'
    routing = {
        "type": "complexity-based-routing",
        "load_balance_targets": [{"target": "a/m", "tier": "simple"}, {"target": "b/m", "tier": "complex"}],
        "classification_strategy": {"type": "llm-classifier", "model": "b/m"},
    }
    model = {"type": "integration/model/virtual", "name": "m", "model_types": ["chat"], "routing_config": routing}
    group = {"type": "provider-account/virtual-model", "name": "judged", "integrations": [model]}
    return limited(FakeUpstream((200, [judge]), OK), group, budget("month", 1))


def billed(app):
    entries = [entry.billed() for entry in app.admission.ledger.entries]
    costs = [entry.bill.cost if entry.bill is not None else None for entry in entries]
    return [
        (entry.request_id, entry.resolved_model, cost, [charge.amount for charge in entry.charges])
        for entry, cost in zip(entries, costs, strict=True)
    ]


async def test_who_judges_a_request_is_paid_by_it(judged, auth):
    """In the ledger it has a line of its own; the budget is charged once for both."""
    answer = await post(judged, CHAT, {**ASK, "model": "judged/m"}, headers=auth)

    assert answer.headers["x-tfy-resolved-model"] == "a/m"
    assert billed(judged) == [
        (answer.headers["x-request-id"], "a/m", 37_000, [137_000]),
        (answer.headers["x-request-id"] + "/1", "b/m", 100_000, []),
    ]


async def test_who_judged_is_paid_also_when_nobody_answers(judged, auth):
    """The client's time was over before anybody could be asked."""
    late = {**auth, "x-stainless-read-timeout": "0.000001"}

    answer = await post(judged, CHAT, {**ASK, "model": "judged/m"}, headers=late)

    assert answer.status == 408
    assert billed(judged) == [
        (answer.headers["x-request-id"], None, None, [100_000]),
        (answer.headers["x-request-id"] + "/1", "b/m", 100_000, []),
    ]


def public(model_id):
    """The account o, whose model m has its price from the list."""
    key = {"type": "provider-account/openai", "base_url": "http://o.internal/v1", "auth_data": KEY}
    priced = account("o") | key
    priced["integrations"][0] = {
        "type": "integration/model/openai",
        "name": "m",
        "model_id": model_id,
        "model_types": ["chat"],
        "cost": {"metric": "public_cost"},
    }
    return priced


async def test_record_and_bill_are_of_one_moment(with_ledger):
    """It came in at one price, and drew on its budget a moment later, at another."""
    tariffs = Tariff(rates={"input": Rate(1000, 1)}), Tariff(rates={"input": Rate(2000, 1)}, starts_s=1_000_000)
    price = Price(row="m", version="private", tariffs=tariffs)
    target = Target(name="a/m", model="m", model_types=frozenset({"chat"}), provider=Demo(), price=price)
    admission = Admission(counters=MemoryCounters(lambda: 1_000_000.5))
    ledger = with_ledger(SimpleNamespace(admission=admission)).admission.ledger
    exchange = Exchange(at=999_999.5)
    exchange.call = Call(dialect=OpenAIDialect, ask=Ask("a/m"), request=Request("POST", "/chat/completions"))
    exchange.holds = [Hold(key="k", rule="month", unit=Unit.COST, window=Window.MONTH, limit=10**9)]
    exchange.attempt = Attempt(target, 0.0, lambda: None, sent_at=0.0, usage=Usage(input=7))

    await admission.enter(exchange)
    admission.leave(exchange, None)

    [entry] = ledger.entries
    assert (exchange.cost, entry.bill.cost, entry.charges[0].amount) == (14_000, 14_000, 14_000)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("tier", "cost"), [("flex", 5_250), ("default", 10_500)])
async def test_a_tier_of_service_has_its_own_price(limited, auth, stream, tier, cost):
    """What the answer says it got counts, not what was asked for."""
    said = b'"service_tier":"%b","usage":{"prompt_tokens":2,"completion_tokens":2}}' % tier.encode()
    end = b'data: {"choices":[],' + said + b"\n\n"
    reply = [HELLO, STOP, end, DONE] if stream else [b'{"choices":[],' + said]
    app = limited(FakeUpstream((200, reply)), public("gpt-5.4-mini"))

    await post(app, CHAT, {**STREAM, "stream": stream, "model": "o/m", "service_tier": "flex"}, headers=auth)

    assert [entry.bill.cost for entry in app.admission.ledger.entries] == [cost]


STATED = b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"cost":0.00014}}'
STATED_REPLY = b'{"id":"1","choices":[],' + STATED
STATED_EVENT = b'data: {"id":"1","choices":[],' + STATED + b"\n\n"


def openrouter(cost=None):
    model = {"type": "integration/model/openrouter", "name": "m", "model_id": "openai/gpt-4o", "model_types": ["chat"]}
    return {
        "type": "provider-account/openrouter",
        "name": "or",
        "auth_data": {"type": "api-key", "api_key": "key-of-or"},
        "discount_percent": 50,
        "integrations": [{**model, "cost": cost} if cost is not None else model],
    }


@pytest.mark.parametrize("cost", [None, {"metric": "public_cost"}])
@pytest.mark.parametrize(
    ("ask", "reply"),
    [
        ({**ASK, "model": "or/m"}, STATED_REPLY),
        ({**STREAM, "model": "or/m"}, HELLO + STOP + STATED_EVENT + DONE),
        ({**ASK, "model": "or/m", "stream": True}, HELLO + STOP + STATED_EVENT + DONE),
    ],
)
async def test_what_the_provider_says_a_call_costs_is_what_it_costs(limited, auth, sink, ask, reply, cost):
    """With no price list, the router's own choice of a vendor would be billed at a price that nobody paid."""
    app = limited(FakeUpstream((200, [reply])), openrouter(cost), budget("month", 1))

    assert (await post(app, CHAT, ask, headers=auth)).status == 200

    [entry] = app.admission.ledger.entries
    assert (entry.bill.cost, entry.bill.row, entry.bill.version, entry.bill.discount_percent) == (
        140_000, "or/m", "the provider", 0.0
    )  # fmt: skip
    assert [(line.name, line.cost) for line in entry.bill.lines] == [("stated by the provider", 140_000)]
    assert [charge.amount for charge in entry.charges] == [140_000]
    assert app.admission.unpriced == 0


async def test_the_manifests_price_comes_before_a_stated_cost(limited, auth):
    app = limited(FakeUpstream((200, [STATED_REPLY])), openrouter(PRICED))

    await post(app, CHAT, {**ASK, "model": "or/m"}, headers=auth)

    [entry] = app.admission.ledger.entries
    assert (entry.bill.version, entry.bill.cost) == ("private", 18_500)


async def test_a_cost_that_is_absurd_is_not_known(limited, auth):
    reply = STATED_REPLY.replace(b"0.00014", b"900000")
    app = limited(FakeUpstream((200, [reply])), openrouter())

    await post(app, CHAT, {**ASK, "model": "or/m"}, headers=auth)

    assert [entry.bill for entry in app.admission.ledger.entries] == [None]
    assert app.admission.unpriced == 1


async def test_nobody_else_is_believed_in_what_a_call_costs(limited, auth):
    """A server of one's own may say anything."""
    app = limited(FakeUpstream((200, [STATED_REPLY])))

    await post(app, CHAT, ASK, headers=auth)

    assert [entry.bill.cost for entry in app.admission.ledger.entries] == [37_000]
