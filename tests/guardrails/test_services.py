"""Guardrails that ask somebody: what is sent, and what each answer means. What is none is a failure, and no pass."""

import json
import re
from base64 import b64encode

import msgspec
import pytest

from gateway.contract import Call, Caller, GuardrailSpec, Hook, JsonBody, Request, Subject, Text
from gateway.contract.call import Ask
from gateway.dialects import CHAT
from gateway.errors import UpstreamError
from gateway.guardrails import KINDS
from gateway.guardrails.services import OUTPUTS
from gateway.manifests.guardrail_kinds import (
    AzureConfig,
    AzurePiiConfig,
    AzureSafetyConfig,
    CustomConfig,
    ModerationConfig,
    OpaConfig,
    OpenAiModerationsConfig,
)
from gateway.proxy.checks import Reach
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

ANA = Caller(subject="user:ana@example.com", teams=frozenset({"red"}))
KEY = {"type": "api-key", "api_key": "key-of-vendor"}


def guardrail(kind, config=None, auth=KEY, **fields):
    return KINDS[kind](GuardrailSpec(name="g/x", kind=kind, config=config, auth=auth, **fields))


async def checked(guard, said, *texts, hook=Hook.LLM_INPUT, status=200, **fields):
    """What it says, and what it asked: the body, and the head as text."""
    upstream = FakeUpstream((status, [said if isinstance(said, bytes) else json.dumps(said).encode()]))
    reach = Reach(upstream, ask=None, find=lambda _: None, dialects={})
    spoken = [each if isinstance(each, Text) else Text("user", each) for each in texts or ("hello",)]
    finding = await guard.check(
        Subject(hook, fields.pop("call", None), ANA, {"env": "x"}, spoken, outside=reach, **fields)
    )
    return finding, upstream


def head(upstream):
    return upstream.requests[0].endpoint.head.decode()


# --- custom -----------------------------------------------------------------------------------------------------------

CUSTOM = CustomConfig(
    url="https://guard.example.com/check?a=1", headers={"X-A": Secret("b")}, config={"threshold": 0.7}
)


def custom(config=CUSTOM, auth=None, **fields):
    return guardrail("custom", config, auth, **{"target": "request", **fields})


def chat_call(**fields):
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    return Call(CHAT, Ask("mock/m"), Request(body=JsonBody(raw)))


async def test_what_a_custom_one_is_sent():
    call = chat_call(model="mock/m", messages=[{"role": "user", "content": "hello"}], temperature=0.5)

    _, upstream = await checked(custom(auth={"bearer_token": "t0ken"}), b"null", call=call)

    assert upstream.asked() == {
        "requestBody": {"model": "mock/m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5},
        "context": {
            "user": {
                "subjectId": "user:ana@example.com",
                "subjectType": "user",
                "subjectSlug": "ana@example.com",
                "subjectDisplayName": "ana@example.com",
            },
            "metadata": {"env": "x"},
        },
        "config": {"threshold": 0.7},
    }
    assert "POST /check?a=1 HTTP/1.1" in head(upstream)
    assert "authorization: Bearer t0ken\r\n" in head(upstream)
    assert "x-a: b\r\n" in head(upstream)


async def test_basic_credentials():
    _, upstream = await checked(custom(auth={"username": "ana", "password": "p:w"}), b"null")

    assert f"authorization: Basic {b64encode(b'ana:p:w').decode()}\r\n" in head(upstream)


async def test_an_answer_is_sent_beside_what_was_asked():
    answer = {"choices": [{"message": {"content": "hi"}}]}

    _, upstream = await checked(custom(target="response"), b"null", "hi", hook=Hook.LLM_OUTPUT, answer=answer)

    assert upstream.asked()["responseBody"] == answer
    assert upstream.asked()["requestBody"] == {"model": "", "messages": []}


@pytest.mark.parametrize(
    ("said", "verdict", "message"),
    [
        (b"null", "pass", ""),
        (b"", "pass", ""),
        ({}, "pass", ""),
        ({"verdict": True}, "pass", ""),
        ({"verdict": False}, "block", "the guardrail said no"),
        ({"verdict": False, "message": "too rude"}, "block", "too rude"),
        ({"verdict": True, "result": False}, "pass", ""),
        ({"result": False, "message": "old words"}, "block", "old words"),
        ({"result": True}, "pass", ""),
    ],
)
async def test_what_a_custom_one_says(said, verdict, message):
    finding, _ = await checked(custom(), said)

    assert (finding.verdict, finding.message) == (verdict, message)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"<html>", 200),
        (b"[1]", 200),
        ({"verdict": "yes"}, 200),
        ({"verdict": 1}, 200),
        ({}, 500),
        ({}, 404),
        ({}, 302),
    ],
)
async def test_what_a_custom_one_must_not_say(said, status):
    with pytest.raises(UpstreamError):
        await checked(custom(), said, status=status)


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [(200, b"null", "pass"), (204, b"", "pass"), (400, b"no", "block"), (500, b"", "block")],
)
async def test_the_older_contract_in_which_the_status_is_the_verdict(status, said, verdict):
    config = CustomConfig(url="https://guard.example.com", status_is_verdict=True)

    finding, _ = await checked(custom(config), said, status=status)

    assert finding.verdict == verdict


RESULT = {"messages": [{"role": "user", "content": "[SAFE]"}]}


@pytest.mark.parametrize(
    ("redacts", "said", "texts"),
    [
        (True, {"verdict": True, "transformed": True, "result": RESULT}, ["[SAFE]"]),
        (True, {"verdict": True, "transformed": False, "result": RESULT}, None),
        (False, {"verdict": True, "transformed": True, "result": RESULT}, None),
    ],
)
async def test_what_a_custom_one_changes(redacts, said, texts):
    finding, _ = await checked(custom(redacts=redacts), said)

    assert finding.texts == texts


async def test_a_result_with_other_messages_is_a_whole_new_body():
    """Where it is in the caller's own API; else nobody could tell where its texts belong."""
    more = {"messages": [{"role": "system", "content": "be nice"}, *RESULT["messages"]], "temperature": 0}
    said = {"verdict": True, "transformed": True, "result": more}
    call = chat_call(model="m", messages=[{"role": "user", "content": "hello"}])

    finding, _ = await checked(custom(redacts=True), said, call=call)

    assert (finding.texts, finding.body) == (None, more)
    with pytest.raises(UpstreamError, match="2 texts in place of 1"):
        await checked(custom(redacts=True), said)


@pytest.mark.parametrize(
    ("config", "auth", "fault"),
    [
        (CUSTOM, {"api_key": "k"}, "auth_data has to be bearer-auth with bearer_token"),
        (CustomConfig(url="https://guard.example.com", headers={"Host": Secret("x")}), None, "host"),
    ],
)
def test_a_custom_one_that_cannot_be_asked(config, auth, fault):
    with pytest.raises(ValueError, match=re.compile(re.escape(fault), re.IGNORECASE)):
        custom(config, auth)


# --- moderation -------------------------------------------------------------------------------------------------------


def scores(**values):
    return {"category_scores": values, "categories": {name: score > 0.5 for name, score in values.items()}}


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([scores(violence=0.1)], ""),
        ([scores(violence=0.1), scores(violence=0.6)], "flagged: violence"),
        ([scores(hate=0.3)], "flagged: hate"),
        ([scores(hate=0.1)], ""),
    ],
)
async def test_openais_moderations(results, message):
    """A threshold takes the place of OpenAI's own."""
    config = OpenAiModerationsConfig(category_thresholds={"hate": 0.2})

    finding, upstream = await checked(guardrail("openai-moderations", config), {"results": results}, "a", "b")

    assert finding.message == message
    assert upstream.asked() == {"model": "omni-moderation-latest", "input": ["a", "b"]}
    assert "POST /v1/moderations" in head(upstream)
    assert "authorization: Bearer key-of-vendor\r\n" in head(upstream)


@pytest.mark.parametrize("answer", [{}, {"results": 5}, {"results": [{}]}, {"results": [{"category_scores": []}]}])
async def test_what_is_no_moderation(answer):
    with pytest.raises(UpstreamError, match="the service's answer has no"):
        await checked(guardrail("openai-moderations", OpenAiModerationsConfig()), answer)


def test_content_moderation_needs_a_model():
    with pytest.raises(ValueError, match="needs `model`"):
        guardrail("tfy-content-moderation", ModerationConfig())


# --- Azure ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"categoriesAnalysis": [{"category": "Hate", "severity": 2}]}, "block"),
        ({"categoriesAnalysis": [{"category": "Hate", "severity": 0}]}, "pass"),
        ({"categoriesAnalysis": [], "blocklistsMatch": [{"blocklistName": "b"}]}, "block"),
    ],
)
async def test_azure_content_safety(answer, verdict):
    finding, upstream = await checked(
        guardrail("azure-content-safety", AzureSafetyConfig(resource_name="mine")), answer
    )

    assert finding.verdict == verdict
    assert upstream.requests[0].endpoint.url == (
        "https://mine.cognitiveservices.azure.com/contentsafety/text:analyze?api-version=2024-09-01"
    )
    assert "ocp-apim-subscription-key: key-of-vendor\r\n" in head(upstream)
    assert upstream.asked()["categories"] == ["Hate", "SelfHarm", "Sexual", "Violence"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"userPromptAnalysis": {"attackDetected": False}, "documentsAnalysis": []}, ""),
        ({"userPromptAnalysis": {"attackDetected": True}}, "prompt shield: attack in the prompt"),
        (
            {"userPromptAnalysis": {"attackDetected": False}, "documentsAnalysis": [{"attackDetected": True}]},
            "prompt shield: attack in a document",
        ),
    ],
)
async def test_azure_prompt_shield(answer, message):
    texts = (Text("system", "s"), Text("user", "u"), Text("tool", "t"))

    guard = guardrail("azure-prompt-shield", AzureConfig(custom_host="https://azure.example.com"))
    finding, upstream = await checked(guard, answer, *texts)

    assert finding.message == message
    assert upstream.asked() == {"userPrompt": "u", "documents": ["t"]}


async def test_azure_pii_puts_its_texts_together():
    documents = [
        {"id": "1", "redactedText": "b***", "entities": [{"category": "Person"}]},
        {"id": "0", "redactedText": "a***", "entities": []},
    ]
    guard = guardrail("azure-pii", AzurePiiConfig(resource_name="mine", domain="phi"), redacts=True)

    finding, upstream = await checked(guard, {"results": {"documents": documents}}, "ana", "bob")

    assert (finding.texts, finding.data) == (["a***", "b***"], {"Person": 1})
    assert upstream.asked()["parameters"] == {"modelVersion": "latest", "domain": "phi"}


@pytest.mark.parametrize("kind", ["azure-content-safety", "azure-prompt-shield", "azure-pii"])
async def test_what_azure_does_not_say(kind):
    configs = {"azure-content-safety": AzureSafetyConfig, "azure-pii": AzurePiiConfig}
    guard = guardrail(kind, configs.get(kind, AzureConfig)(resource_name="mine"))

    for answer in ({}, [], {"results": {"documents": []}}, b"<html>"):
        with pytest.raises(UpstreamError):
            await checked(guard, answer)


@pytest.mark.parametrize(
    ("config", "auth", "fault"),
    [(AzureConfig(), KEY, "needs resource_name"), (AzureConfig(resource_name="a"), {}, "needs auth_data with api_key")],
)
def test_azure_that_cannot_be_asked(config, auth, fault):
    with pytest.raises(ValueError, match=fault):
        guardrail("azure-prompt-shield", config, auth)


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict", "message"),
    [
        ({"result": True}, "pass", ""),
        ({"result": False}, "block", "the policy does not allow it"),
        ({"result": {"allow": True}}, "pass", ""),
        ({"result": {"allow": False, "reason": "not at night"}}, "block", "not at night"),
        ({}, "block", "no policy allows it"),
    ],
)
async def test_opa(answer, verdict, message):
    config = OpaConfig(opa_url="https://opa.example.com:8181", policy_path="/authz/allow")

    finding, upstream = await checked(guardrail("opa", config, {"bearer_token": "t"}), answer)

    assert (finding.verdict, finding.message) == (verdict, message)
    assert "POST /v1/data/authz/allow HTTP/1.1" in head(upstream)
    said = upstream.asked()["input"]
    assert (said["subject"], said["teams"], said["hook"]) == ("user:ana@example.com", ["red"], "llm_input")


async def test_opa_that_says_something_else():
    with pytest.raises(UpstreamError):
        await checked(guardrail("opa", OpaConfig(opa_url="https://o", policy_path="a"), None), {"result": "yes"})


# --- other vendors ----------------------------------------------------------------------------------------------------

GOOD_AND_BAD = {
    "palo-alto-prisma-airs": ({"action": "allow"}, {"action": "block", "category": "malicious"}, "malicious"),
    "enkrypt-ai": ({"summary": {"toxicity": []}}, {"summary": {"injection_attack": 1}}, "injection_attack"),
    "fiddler": ({"fdl_harmful": 0.1}, {"fdl_harmful": 0.9}, "fdl_harmful"),
    "cisco-ai-defense": ({"is_safe": True}, {"is_safe": False, "classifications": ["PII"]}, "PII"),
    "crowdstrike-aidr": (
        {"result": {"blocked": False}},
        {"result": {"blocked": True, "detectors": {"malicious_prompt": {"detected": True}}}},
        "malicious_prompt",
    ),
    "patronus": (
        {"results": [{"evaluation_result": {"pass": True}}]},
        {"results": [{"evaluator_id": "toxicity", "evaluation_result": {"pass": False}}]},
        "toxicity",
    ),
    "grayswan-cygnal": ({"violation": 0}, {"violation": 0.8}, "violation"),
    "calypsoai": ({"result": {"outcome": "cleared"}}, {"result": {"outcome": "flagged"}}, "flagged"),
    "noma-security": (
        {"aggregatedScanResult": False, "scanResult": []},
        {"aggregatedScanResult": True, "scanResult": [{"results": {"prompt_injection": {"result": True}}}]},
        "prompt_injection",
    ),
    "akto": (
        {"data": {"guardrailsResult": {"Allowed": True}}},
        {"data": {"guardrailsResult": {"Allowed": False, "Reason": "x"}}},
        "not allowed",
    ),
}


@pytest.mark.parametrize("kind", GOOD_AND_BAD)
async def test_a_vendor(kind):
    good, bad, why = GOOD_AND_BAD[kind]
    guard = guardrail(kind, {"base_url": "https://vendor.example.com/x", "profile_name": "p"})

    passed, upstream = await checked(guard, good)
    blocked, _ = await checked(guard, bad)

    assert (passed.verdict, blocked.verdict) == ("pass", "block")
    assert blocked.message == f"{kind}: {why}"
    assert "key-of-vendor" in head(upstream)
    assert "hello" in upstream.requests[0].body.decode()


@pytest.mark.parametrize("kind", GOOD_AND_BAD)
@pytest.mark.parametrize("answer", [{}, [], {"result": {}}, {"results": []}, b"<html>", b"null"])
async def test_what_no_vendor_says(kind, answer):
    with pytest.raises(UpstreamError):
        await checked(guardrail(kind, {"base_url": "https://vendor.example.com"}), answer)


@pytest.mark.parametrize("kind", sorted(GOOD_AND_BAD.keys() - {"crowdstrike-aidr", "calypsoai"}))
def test_a_vendor_that_only_judges(kind):
    with pytest.raises(ValueError, match="only judges here"):
        guardrail(kind, {"base_url": "https://vendor.example.com"}, redacts=True)


async def test_crowdstrike_may_change_texts():
    guard = guardrail("crowdstrike-aidr", {"base_url": "https://cs.example.com"}, redacts=True)
    messages = [{"role": "user", "content": "I am [NAME]"}, {"role": "user", "content": "b"}]
    said = {"result": {"blocked": None, "transformed": True, "guard_output": {"messages": messages}}}

    finding, _ = await checked(guard, said, "I am Ana", "b")

    assert (finding.verdict, finding.texts) == ("pass", ["I am [NAME]", "b"])


async def test_calypso_may_change_texts_and_is_sent_them_one_by_one():
    guard = guardrail("calypsoai", {"project": "p"}, redacts=True)
    answers = [
        {"result": {"outcome": "redacted"}, "redactedInput": "I am [NAME]"},
        {"result": {"outcome": "cleared"}, "redactedInput": None},
    ]
    upstream = FakeUpstream(*[(200, [json.dumps(answer).encode()]) for answer in answers])
    reach = Reach(upstream, ask=None, find=lambda _: None, dialects={})
    texts = [Text("user", "I am Ana"), Text("user", "b")]

    finding = await guard.check(Subject(Hook.LLM_INPUT, None, ANA, {}, texts, outside=reach))

    assert finding.texts == ["I am [NAME]", "b"]
    assert [json.loads(request.body)["input"] for request in upstream.requests] == ["I am Ana", "b"]
    assert "host: us1.calypsoai.app" in head(upstream)


async def test_faithfulness_is_about_an_answer_and_what_was_asked():
    """It was sent the answer as if it were a prompt, so that every answer was unfaithful, or none."""
    guard = guardrail("fiddler", {"guard_type": "fiddler-response-faithfulness"})
    call = Call(
        CHAT, Ask("m"), Request(body=JsonBody({"messages": msgspec.Raw(b'[{"content":"Paris is in France"}]')}))
    )

    finding, upstream = await checked(
        guard, {"fdl_faithful_score": 0.2}, Text("assistant", "in Spain"), hook=Hook.LLM_OUTPUT, call=call
    )

    assert finding.verdict == "block"
    assert upstream.asked() == {"data": {"response": "in Spain", "context": "Paris is in France"}}
    assert (guard.hooks, guard.needs_whole) == (OUTPUTS, True)


async def test_akto_is_told_of_a_request_as_it_was_recorded():
    _, upstream = await checked(
        guardrail("akto", {"base_url": "https://akto.example.com"}, {"token": "t0ken"}),
        GOOD_AND_BAD["akto"][0],
        Text("assistant", "hi"),
        hook=Hook.LLM_OUTPUT,
    )

    asked = upstream.asked()
    assert "POST /api/http-proxy?akto_connector=gateway&guardrails=true HTTP/1.1" in head(upstream)
    assert "authorization: t0ken" in head(upstream).lower()
    assert json.loads(json.loads(asked["responsePayload"])["body"])["choices"][0]["message"]["content"] == "hi"
    assert "messages" in json.loads(json.loads(asked["requestPayload"])["body"])
