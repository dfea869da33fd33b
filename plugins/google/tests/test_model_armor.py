"""Google Cloud's Model Armor."""

import json
from types import SimpleNamespace

import pytest
from gateway_google.guardrail import ModelArmor

from gateway.contract import Fetched, GuardrailSpec, Hook, Subject, Text
from gateway.errors import UpstreamError

CONFIG = SimpleNamespace(project_id="my-project", location="europe-west4", template_id="strict")


class Outside:
    network = None

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def fetch(self, request):
        self.requests.append(request)
        return Fetched(200, json.dumps(self.answers.pop(0)).encode())


def guardrail(auth=None, **fields):
    auth = {"api_key": "k"} if auth is None else auth
    return ModelArmor(GuardrailSpec(name="g/x", kind="google-model-armor", config=CONFIG, auth=auth, **fields))


async def checked(guard, *answers, texts=("hello",), hook=Hook.LLM_INPUT):
    outside = Outside(*answers)
    subject = Subject(hook, None, None, {}, [Text("user", text) for text in texts], outside=outside)
    return await guard.check(subject), outside


def result(state="NO_MATCH_FOUND", **filters):
    return {"sanitizationResult": {"filterMatchState": state, "filterResults": filters}}


INJECTION = {"piAndJailbreakFilterResult": {"matchState": "MATCH_FOUND"}}
CLEAN = {"raiFilterResult": {"matchState": "NO_MATCH_FOUND"}}
SDP = {"sdpFilterResult": {"deidentifyResult": {"matchState": "MATCH_FOUND", "data": {"text": "[EMAIL]"}}}}


@pytest.mark.parametrize(
    ("hook", "method", "field"),
    [
        (Hook.LLM_INPUT, "sanitizeUserPrompt", "userPromptData"),
        (Hook.LLM_OUTPUT, "sanitizeModelResponse", "modelResponseData"),
    ],
)
async def test_what_it_is_sent(hook, method, field):
    finding, outside = await checked(guardrail(), result(), hook=hook)

    [request] = outside.requests
    assert finding.verdict == "pass"
    assert request.endpoint.url == (
        "https://modelarmor.europe-west4.rep.googleapis.com/v1/projects/my-project/locations/europe-west4"
        f"/templates/strict:{method}"
    )
    assert "x-goog-api-key: k\r\n" in request.endpoint.head.decode()
    assert json.loads(request.body) == {field: {"text": "hello"}}


async def test_what_it_objects_to():
    finding, _ = await checked(guardrail(redacts=True), result("MATCH_FOUND", pi_and_jailbreak=INJECTION, rai=CLEAN))

    assert (finding.verdict, finding.message) == ("block", "Model Armor: pi_and_jailbreak")


@pytest.mark.parametrize(("redacts", "texts"), [(True, ["fine", "[EMAIL]"]), (False, None)])
async def test_what_it_takes_out(redacts, texts):
    answers = (result(), result("MATCH_FOUND", sdp=SDP))

    finding, _ = await checked(guardrail(redacts=redacts), *answers, texts=("fine", "ana@example.com"))

    assert (finding.verdict, finding.texts) == ("pass" if redacts else "block", texts)


@pytest.mark.parametrize(
    "answer", [{}, [], {"sanitizationResult": {}}, {"sanitizationResult": {"filterMatchState": 5}}]
)
async def test_what_is_no_answer(answer):
    with pytest.raises(UpstreamError):
        await checked(guardrail(), answer)


def test_credentials_that_are_none():
    with pytest.raises(ValueError, match="auth_data needs api_key or key_file_content"):
        guardrail({"token": "x"})
