"""What guardrails may reach, and what comes of what they answer."""

import json

import pytest

from gateway.contract import Endpoint, Finding, Hook, Subject, Target, Text, UpstreamRequest
from gateway.dialects import CHAT, MODERATIONS
from gateway.errors import BrokeOff, NoTarget
from gateway.providers.demo import Demo
from gateway.proxy.checks import MAX_FETCHED, Reach, checked
from gateway.proxy.exchange import Exchange
from gateway.rules.guards import Check
from gateway.testing import FakeUpstream

JUDGE = Target(name="mock/judge", model="j", model_types=frozenset({"chat"}), provider=Demo())
REQUEST = UpstreamRequest(Endpoint("https://guard.example.com"), b"{}")


def reach(upstream=None, answer=b"{}", exchange=None):
    asked = []

    async def ask(call, target):
        asked.append((call, target))
        return answer

    find = {"mock/judge": JUDGE}.get
    return Reach(upstream, ask=ask, find=find, dialects={"chat": CHAT, "moderation": MODERATIONS}).of(exchange), asked


async def test_an_answer_is_read_to_its_end_and_given_back():
    upstream = FakeUpstream((200, [b"a", b"b"]))

    answer = await reach(upstream)[0].fetch(REQUEST)

    assert (answer.status, answer.body) == (200, b"ab")
    assert upstream.replies[0].is_closed


@pytest.mark.parametrize("chunks", [[b"x" * (MAX_FETCHED + 1)], [b"a", BrokeOff("cut")]])
async def test_an_answer_that_is_none(chunks):
    upstream = FakeUpstream((200, chunks))

    with pytest.raises(BrokeOff):
        await reach(upstream)[0].fetch(REQUEST)
    assert upstream.replies[0].is_closed


async def test_what_a_judge_used_is_paid_for_with_the_request():
    exchange = Exchange()
    answer = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
    outside, asked = reach(answer=answer, exchange=exchange)

    assert await outside.ask("mock/judge", {"messages": [], "temperature": 0}) == answer

    [(target, usage)] = exchange.side_calls
    assert (target, usage.input_tokens, usage.output_tokens) == (JUDGE, 7, 3)
    assert {name: json.loads(bytes(value)) for name, value in asked[0][0].fields.items()} == {
        "model": "",
        "messages": [],
        "temperature": 0,
    }


async def test_moderation_is_asked_in_its_own_api():
    outside, asked = reach()

    await outside.ask("mock/judge", {"input": ["a"]}, kind="moderation")

    assert asked[0][0].dialect is MODERATIONS


async def test_a_model_that_is_not_there():
    with pytest.raises(NoTarget, match="mock/none is no real model"):
        await reach()[0].ask("mock/none", {})


class Says:
    name = "g/x"
    hooks = frozenset(Hook)

    def __init__(self, finding):
        self.finding = finding

    async def check(self, subject):
        return self.finding


@pytest.mark.parametrize(
    ("finding", "mutates", "strategy", "result", "objection"),
    [
        (Finding(texts=["b"]), True, "enforce", "mutated", None),
        (Finding(texts=["b"]), True, "audit", "flagged", None),
        (Finding(texts=["b"]), False, "enforce", "passed", None),
        (Finding(texts=["a", "b"]), True, "enforce", "error", "g/x failed"),
        (Finding(texts=["a", "b"]), True, "enforce_but_ignore_on_error", "error", None),
        (Finding("block", "no", ["b"]), True, "enforce", "failed", "no"),
        (None, False, "enforce", "error", "g/x failed"),
        ("block", False, "audit", "error", None),
    ],
)
async def test_what_an_answer_counts_for(finding, mutates, strategy, result, objection):
    check = Check(Says(finding), strategy, 1, mutates)

    came = await checked(check, Subject(Hook.LLM_INPUT, None, None, {}, [Text("user", "a")]), started=0.0, timeout_s=5)

    assert (came.span.result, came.objection, came.span.hook) == (result, objection, "llm_input")
