"""What judges cost that are asked where there is no request: whoever tries them, or has the hook, pays."""

import json

import pytest

from gateway.testing import FakeUpstream, post

JUDGED = {
    "id": "1",
    "choices": [{"message": {"role": "assistant", "content": '{"violation": false}'}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}
ACCOUNT = {
    "type": "provider-account/self-hosted-model",
    "name": "a",
    "integrations": [
        {
            "type": "integration/model/self-hosted-model",
            "name": "m",
            "hosted_model_name": "m",
            "url": "http://a.internal/v1",
            "model_server": "openai-compatible",
            "model_types": ["chat"],
            "cost": {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}},
        }
    ],
}
GROUP = {
    "type": "provider-account/guardrail-config-group",
    "name": "safety",
    "integrations": [
        {
            "type": "integration/guardrail-config/llm-judge",
            "name": "judge",
            "enforcing_strategy": "enforce",
            "config": {"model": "a/m", "policy": "no cats"},
        }
    ],
}
TEST = {"guardrails": ["safety/judge"], "texts": ["hello"]}
HOOK = {"hook_event_name": "UserPromptSubmit", "prompt": "hello"}
CHOSEN = {"x-tfy-guardrails": json.dumps({"llm_input_guardrails": ["safety/judge"]})}


def limit(count):
    rule = {"id": "few", "when": {}, "limit_to": count, "unit": "requests_per_minute"}
    return {"type": "gateway-rate-limiting-config", "name": "few", "rules": [rule]}


@pytest.fixture
def app(app_with, tmp_path, with_ledger):
    def make(upstream, *manifests):
        path = tmp_path / "judged.yaml"
        path.write_text(json.dumps([ACCOUNT, GROUP, *manifests]))
        return with_ledger(app_with(upstream, path))

    return make


def asking(app, auth, kind):
    if kind == "test":
        return post(app, "/api/svc/v1/guardrails/test", TEST, headers=auth)
    return post(app, "/hooks/claude-code", HOOK, headers={**auth, **CHOSEN})


@pytest.mark.parametrize("kind", ["test", "hook"])
async def test_the_caller_pays(app, auth, sink, kind):
    """It was on nobody's bill."""
    app = app(FakeUpstream((200, [json.dumps(JUDGED).encode()])))

    answer = await asking(app, auth, kind)

    assert answer.status == 200
    [entry] = app.admission.ledger.entries
    assert (entry.model, entry.resolved_model, entry.bill.cost) == ("a/m", "a/m", 7 * 1000 + 3 * 10_000)
    assert entry.request_id == answer.headers["x-request-id"] + "/1"


@pytest.mark.parametrize("kind", ["test", "hook"])
async def test_limits_of_the_caller_count(app, auth, kind):
    upstream = FakeUpstream((200, [json.dumps(JUDGED).encode()]))
    app = app(upstream, limit(1))

    answers = [await asking(app, auth, kind) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert len(upstream.requests) == 1
    assert len(app.admission.ledger.entries) == 1


async def test_a_judge_that_fails_is_written_down(app, auth):
    app = app(FakeUpstream((500, [b"{}"])))

    answer = await asking(app, auth, "test")

    assert answer.json()["results"][0]["result"] == "error"
    assert [entry.bill for entry in app.admission.ledger.entries] == [None]
