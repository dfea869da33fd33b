"""Guardrails that manifests ask for: through the whole app, and with guardrails that block, fail and hang."""

import asyncio
import json

import pytest

from gateway.contract import Call, Choice, Finding, Hook, Outcome, Request, Target
from gateway.dialects import CHAT
from gateway.errors import Blocked
from gateway.providers.demo import Demo
from gateway.proxy.exchange import Exchange
from gateway.proxy.guard import GuardResponder
from gateway.proxy.writer import ResponseWriter
from gateway.rules.guards import Check, GuardRule, GuardRules
from gateway.rules.limits.rule import Filter
from gateway.testing import FakeUpstream, post

REPLY = b'{"choices":[]}'
ASK = {"model": "mock/m", "messages": []}
MODEL = {
    "type": "integration/model/self-hosted-model",
    "hosted_model_name": "real-m",
    "url": "http://127.0.0.1:9/v1",
    "model_server": "openai-compatible",
    "model_types": ["chat"],
}
ACCOUNT = {
    "type": "provider-account/self-hosted-model",
    "name": "mock",
    "integrations": [{**MODEL, "name": "m"}, {**MODEL, "name": "free"}],
}


@pytest.fixture
def guarded(app_with, tmp_path):
    """`guarded(upstream)`: an app in which calls of mock/m need the metadata `project_id`."""

    def make(upstream, strategy="enforce", **rule):
        check = {
            "type": "integration/guardrail-config/tfy-metadata",
            "name": "need",
            "enforcing_strategy": strategy,
            "config": {"keys": {"project_id": {"required": True}}},
        }
        group = {"type": "provider-account/guardrail-config-group", "name": "safety", "integrations": [check]}
        lists = ("llm_output", "mcp_tool_pre_invoke", "mcp_tool_post_invoke")
        rules = {
            "id": "r",
            "when": {"target": {"conditions": {"model": {"condition": "in", "values": ["mock/m"]}}}},
            "llm_input_guardrails": ["safety/need"],
            **{f"{name}_guardrails": [] for name in lists},
            **rule,
        }
        path = tmp_path / "guarded.yaml"
        path.write_text(json.dumps([ACCOUNT, group, {"type": "gateway-guardrails-config", "rules": [rules]}]))
        return app_with(upstream, path)

    return make


def spans(record):
    return [(span.kind, span.name, span.status, span.reason) for span in record.spans]


# --- through the app -------------------------------------------------------------------------------------------------


async def test_a_call_that_does_not_pass_is_a_400_and_goes_nowhere(guarded, auth, sink):
    upstream = FakeUpstream((200, [REPLY]))
    app = guarded(upstream)

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    error = answer.json()["error"]
    assert (answer.status, error["type"]) == (400, "guardrail_checks_failed")
    assert error["message"] == (
        "Input Guardrail checks failed for integrations: [safety/need]: metadata has to have the key 'project_id'"
    )
    assert upstream.requests == []
    [record] = sink.records
    assert record.outcome == Outcome.BLOCKED
    assert spans(record) == [("guardrail", "safety/need", 400, "guardrail_checks_failed")]


async def test_in_the_words_of_the_rule(guarded, auth):
    app = guarded(
        FakeUpstream((200, [REPLY])), custom_error_message="{{failed_guardrails}} says: {{guardrail_message}}"
    )

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)

    assert answer.json()["error"]["message"] == "safety/need says: metadata has to have the key 'project_id'"


@pytest.mark.parametrize(
    ("ask", "headers", "looked"),
    [
        (ASK, {"x-tfy-metadata": '{"project_id":"p1"}'}, [("guardrail", "safety/need", 200, None)]),
        ({**ASK, "model": "mock/free"}, {}, []),
    ],
    ids=["passes", "no rule"],
)
async def test_all_others_are_answered(guarded, auth, sink, ask, headers, looked):
    """The record says which guardrails have looked at it."""
    app = guarded(FakeUpstream((200, [REPLY])))

    answer = await post(app, "/v1/chat/completions", ask, headers={**auth, **headers})
    await app.close()

    assert (answer.status, answer.body) == (200, REPLY)
    assert [span for span in spans(sink.records[0]) if span[0] == "guardrail"] == looked


async def test_one_that_only_audits_is_written_down(guarded, auth, sink):
    app = guarded(FakeUpstream((200, [REPLY])), strategy="audit")

    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert answer.status == 200
    assert spans(sink.records[0]) == [
        ("guardrail", "safety/need", 200, "flagged"),
        ("model", "mock/m", 200, None),
    ]


# --- the driver ------------------------------------------------------------------------------------------------------


class Says:
    """A guardrail that finds, raises, or waits for an event."""

    hooks = frozenset({Hook.LLM_INPUT})

    def __init__(self, name, *does):
        self.name = name
        self.does = does
        self.subjects = []

    async def check(self, subject):
        self.subjects.append(subject)
        finding = Finding()
        for each in self.does:
            if isinstance(each, Exception):
                raise each
            if isinstance(each, Finding):
                finding = each
            else:
                await each()
        return finding


class Answers:
    """A `Responder` that counts."""

    def __init__(self):
        self.calls = 0

    async def respond(self, exchange, writer):
        self.calls += 1


def rule(*guardrails, strategy="enforce"):
    checks = tuple(Check(guardrail, strategy) for guardrail in guardrails)
    return GuardRule(Filter(), (Filter(),), {}, checks)


async def ask(*rules, timeout_s=5.0):
    """The spans, and why it was blocked."""
    inner, blocked = Answers(), None
    responder = GuardResponder(inner, rules=lambda: GuardRules({Hook.LLM_INPUT: rules}, timeout_s, is_parallel=False))
    target = Target(name="mock/m", model="m", model_types=frozenset({"chat"}), provider=Demo())
    exchange = Exchange(call=Call(CHAT, None, Request()), choice=Choice(target), metadata={"a": "1"})
    try:
        await responder.respond(exchange, ResponseWriter(None, exchange))
    except Blocked as error:
        blocked = error.message
    assert inner.calls == (blocked is None)
    return [(span.name, span.status, span.reason) for span in exchange.guard_spans], blocked


async def never():
    await asyncio.Event().wait()


NO = Finding("block", "no")
FAILED = "Input Guardrail checks failed for integrations: "


@pytest.mark.parametrize(
    ("does", "strategy", "span", "blocked"),
    [
        (Finding(), "enforce", (200, None), None),
        (Finding("flag", "hm"), "enforce", (200, "flagged"), None),
        (NO, "enforce", (400, "guardrail_checks_failed"), f"{FAILED}[g]: no"),
        (NO, "enforce_but_ignore_on_error", (400, "guardrail_checks_failed"), f"{FAILED}[g]: no"),
        (NO, "audit", (200, "flagged"), None),
        (ValueError("key"), "enforce", (500, "guardrail_error"), f"{FAILED}[g]: g failed"),
        (ValueError("key"), "enforce_but_ignore_on_error", (500, "guardrail_error"), None),
        (ValueError("key"), "audit", (500, "guardrail_error"), None),
        (never, "enforce", (408, "guardrail_timeout"), f"{FAILED}[g]: g did not answer in time"),
        (never, "enforce_but_ignore_on_error", (408, "guardrail_timeout"), None),
        (never, "audit", (408, "guardrail_timeout"), None),
    ],
)
async def test_what_a_strategy_means(does, strategy, span, blocked):
    """What a guardrail fails with is for the log alone."""
    found = await ask(rule(Says("g", does), strategy=strategy), timeout_s=0.01 if does is never else 5.0)

    assert found == ([("g", *span)], blocked)


async def test_all_are_asked_at_once_and_each_one_time():
    """The first waits until the second has been asked."""
    asked = asyncio.Event()

    async def tell():
        asked.set()

    first, second = Says("first", asked.wait, NO), Says("second", tell, Finding("block", "never"))

    spans, blocked = await ask(rule(first), rule(second, first))

    assert {name for name, *_ in spans} == {"first", "second"}
    assert blocked == f"{FAILED}[first, second]: no; never"
    assert (len(first.subjects), len(second.subjects)) == (1, 1)
    assert (first.subjects[0].hook, first.subjects[0].metadata) == (Hook.LLM_INPUT, {"a": "1"})


async def test_a_request_that_ends_takes_its_checks_along():
    ended = asyncio.Event()

    async def wait():
        try:
            await never()
        finally:
            ended.set()

    asking = asyncio.create_task(ask(rule(Says("a", wait), Says("b", wait))))
    for _ in range(5):
        await asyncio.sleep(0)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert ended.is_set()
