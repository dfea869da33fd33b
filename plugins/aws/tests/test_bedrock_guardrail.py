"""Bedrock Guardrails, asked by themselves."""

import json
from types import SimpleNamespace

import pytest
from gateway_aws.guardrail import BedrockGuardrail

from gateway.contract import Fetched, GuardrailSpec, Hook, Subject, Text
from gateway.errors import UpstreamError

CONFIG = SimpleNamespace(guardrail_id="abc/1", guardrail_version="2", region="eu-west-1")
KEYS = {"type": "access-key-based", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}


class Outside:
    network = None

    def __init__(self, answer, status=200):
        self.answer = answer
        self.status = status
        self.requests = []

    async def fetch(self, request):
        self.requests.append(request)
        return Fetched(self.status, json.dumps(self.answer).encode())


def guardrail(auth=KEYS, **fields):
    return BedrockGuardrail(GuardrailSpec(name="g/x", kind="aws-bedrock", config=CONFIG, auth=auth, **fields))


async def checked(guard, answer, *texts, hook=Hook.LLM_INPUT, **how):
    outside = Outside(answer, **how)
    subject = Subject(hook, None, None, {}, [Text("user", text) for text in texts], outside=outside)
    return await guard.check(subject), outside


def intervened(action, *outputs, kind="piiEntities"):
    policy = {"sensitiveInformationPolicy": {kind: [{"type": "EMAIL", "action": action}]}}
    texts = [{"text": text} for text in outputs]
    return {"action": "GUARDRAIL_INTERVENED", "outputs": texts, "assessments": [policy]}


async def test_what_it_is_sent_is_signed():
    finding, outside = await checked(guardrail(), {"action": "NONE"}, "hello", " ")

    [request] = outside.requests
    head = request.endpoint.head.decode()
    assert finding.verdict == "pass"
    assert head.startswith("POST /guardrail/abc%2F1/version/2/apply HTTP/1.1\r\n")
    assert "host: bedrock-runtime.eu-west-1.amazonaws.com\r\n" in head
    assert "/eu-west-1/bedrock/aws4_request" in head
    assert json.loads(request.body) == {"source": "INPUT", "content": [{"text": {"text": "hello"}}]}


async def test_a_key_of_bedrocks_own():
    _, outside = await checked(guardrail({"api_key": "k"}), {"action": "NONE"}, "hello", hook=Hook.LLM_OUTPUT)

    assert "authorization: Bearer k\r\n" in outside.requests[0].endpoint.head.decode()
    assert json.loads(outside.requests[0].body)["source"] == "OUTPUT"


@pytest.mark.parametrize(
    ("redacts", "action", "verdict", "texts"),
    [
        (True, "ANONYMIZED", "pass", ["{EMAIL}", " "]),
        (False, "ANONYMIZED", "block", None),
        (True, "BLOCKED", "block", None),
    ],
)
async def test_what_it_finds(redacts, action, verdict, texts):
    finding, _ = await checked(guardrail(redacts=redacts), intervened(action, "{EMAIL}"), "ana@example.com", " ")

    assert (finding.verdict, finding.texts, finding.data) == (verdict, texts, {"EMAIL": action})


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        ({}, {}),
        ([], {}),
        ({"action": "MAYBE"}, {}),
        (intervened("ANONYMIZED", "a", "b"), {}),
        ({"action": "NONE"}, {"status": 403}),
    ],
)
async def test_what_is_no_answer(answer, how):
    with pytest.raises(UpstreamError):
        await checked(guardrail(redacts=True), answer, "hello", **how)


def test_credentials_that_are_none():
    with pytest.raises(ValueError, match="auth_data needs access_key_id"):
        guardrail({"token": "x"})


async def test_nothing_is_asked_about_nothing():
    _, outside = await checked(guardrail(), {}, "  ")

    assert outside.requests == []
