"""Other vendors of guardrails: what each is sent, and what its answer means. A row each.

None was tried against the vendor. What answers otherwise than is expected here counts as a failure of the guardrail,
never as a pass. Sources, all read 2026-11: of `akto`, `cisco-ai-defense`, `crowdstrike-aidr`, `enkrypt-ai`,
`grayswan-cygnal` and `noma-security` the clients that BerriAI/litellm has (proxy/guardrails/guardrail_hooks), of the
last also Noma's plugin for Kong; of `calypsoai` and `patronus` those of Portkey-AI/gateway (plugins/f5-guardrails and
plugins/patronus); of `fiddler` that of NVIDIA/NeMo-Guardrails (library/fiddler); of `palo-alto-prisma-airs` examples of
the vendor's own. From memory: the hosts of Cisco outside the US, and that Patronus calls its evaluators as
TrueFoundry's manifests do.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.contract import Hook, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.custom import request_body
from gateway.guardrails.services import at, expected, joined
from gateway.wire.address import below
from gateway.wire.wording import ASKED, request_spots

_REGIONS = {"us": "us", "eu": "eu-central-1", "ap": "ap-northeast-1"}
_FAITHFUL = "fiddler-response-faithfulness"
Config = Mapping[str, Any]


class Vendor(msgspec.Struct, frozen=True):
    """
    Args:
        url: from the config, with `base_url` filled in.
        headers: from the key and the config.
        body: from the config and the subject.
        problems: what an answer objects to. Raises UpstreamError: it is none.
        texts: what it puts in place of what it was sent, if anything. Without that, the vendor only judges here.
        takes_one: it is sent one text at a time, where it is to change them.
        compares: it sets an answer against what was asked, all of it, so that it is asked about answers alone.
    """

    base_url: str
    url: Callable[[str, Config], str]
    headers: Callable[[str, Config], Mapping[str, str]]
    body: Callable[[Config, Subject], Any]
    problems: Callable[[Config, Any], Mapping[str, Any]]
    texts: Callable[[Any], list[str] | None] | None = None
    takes_one: bool = False
    compares: Callable[[Config], bool] = lambda _: False


def _bearer(key: str, _: Config) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key}"}


def _in(name: str) -> Callable[[str, Config], Mapping[str, str]]:
    return lambda key, _: {name: key}


def _path(path: str) -> Callable[[str, Config], str]:
    return lambda base, _: below(base, path)


def _messages(subject: Subject) -> list[dict[str, str]]:
    return [{"role": text.role, "content": text.text} for text in subject.texts]


def _asked(subject: Subject) -> str:
    """What was asked, where an answer is looked at."""
    call = subject.call
    if call is None:
        return ""
    fields = {name: msgspec.json.decode(value) for name, value in call.fields.items() if name in ASKED}
    return "\n".join(spot.text for spot in request_spots(fields))


def _is_answer(subject: Subject) -> bool:
    return subject.hook in (Hook.LLM_OUTPUT, Hook.MCP_POST)


def _prisma(config: Config, subject: Subject) -> Any:
    content = {"response" if _is_answer(subject) else "prompt": joined(subject)}
    return {"ai_profile": {"profile_name": config.get("profile_name")}, "contents": [content]}


def _prisma_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    if expected(at(answer, "action"), str, "action") == "allow":
        return {}
    return {str(at(answer, "category") or "blocked"): 1}


def _enkrypt_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    summary = expected(at(answer, "summary"), dict, "summary")
    if not summary:
        raise UpstreamError("the service's answer has an empty summary")
    return {name: 1 for name, value in summary.items() if value not in (0, 0.0, [], None, False, "")}


def _fiddler(config: Config, subject: Subject) -> Any:
    if config.get("guard_type") == _FAITHFUL:
        return {"data": {"response": joined(subject), "context": _asked(subject)}}
    return {"data": {"input": joined(subject)}}


def _fiddler_problems(config: Config, answer: Any) -> Mapping[str, Any]:
    least = float(config.get("threshold") or 0.5)
    if config.get("guard_type") == _FAITHFUL:
        score = _number(at(answer, "fdl_faithful_score"), "fdl_faithful_score")
        return {"not faithful": score} if score <= least else {}
    scores = {name: score for name, score in expected(answer, dict, "scores").items() if name.startswith("fdl_")}
    if not scores:
        raise UpstreamError("the service's answer has no scores")
    return {name: score for name, score in scores.items() if _number(score, name) >= least}


def _number(value: Any, what: str) -> float:
    return (
        float(value) if isinstance(value, int) and not isinstance(value, bool) else float(expected(value, float, what))
    )


def _cisco_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    if expected(at(answer, "is_safe"), bool, "is_safe"):
        return {}
    return {str(each): 1 for each in at(answer, "classifications") or ["not safe"]}


def _crowdstrike(_: Config, subject: Subject) -> Any:
    kind = "output" if _is_answer(subject) else "input"
    return {"guard_input": {"messages": _messages(subject)}, "event_type": kind}


def _crowdstrike_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    result = expected(at(answer, "result"), dict, "result")
    if "blocked" in result and result["blocked"] is None:  # the policy has nothing that blocks
        return {}
    if not expected(result.get("blocked"), bool, "result.blocked"):
        return {}
    detectors = result.get("detectors") or {}
    return {name: 1 for name in detectors if at(detectors, name, "detected")} or {"blocked": 1}


def _crowdstrike_texts(answer: Any) -> list[str] | None:
    if at(answer, "result", "transformed") is not True:
        return None
    messages = expected(at(answer, "result", "guard_output", "messages"), list, "result.guard_output.messages")
    return [expected(at(message, "content"), str, "content") for message in messages]


def _patronus(config: Config, subject: Subject) -> Any:
    evaluators = [
        {"evaluator": at(each, "type"), **({"criteria": each["criteria"]} if at(each, "criteria") else {})}
        for each in config.get("evaluators") or []
    ]
    if not _is_answer(subject):
        return {"evaluators": evaluators, "evaluated_model_input": joined(subject)}
    texts = {"evaluated_model_input": _asked(subject), "evaluated_model_output": joined(subject)}
    return {"evaluators": evaluators, **texts}


def _patronus_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    results = expected(at(answer, "results"), list, "results")
    expected(at(results, 0, "evaluation_result", "pass"), bool, "results[0].evaluation_result.pass")
    return {
        str(at(each, "evaluator_id") or "evaluator"): 1
        for each in results
        if at(each, "evaluation_result", "pass") is not True
    }


def _grayswan(config: Config, subject: Subject) -> Any:
    body: dict[str, Any] = {"messages": _messages(subject), "reasoning_mode": config.get("reasoning_mode") or "off"}
    policies = config.get("policy_ids") or []
    if len(policies) == 1:
        body["policy_id"] = policies[0]
    elif policies:
        body["policy_ids"] = policies
    if config.get("rules"):
        body["rules"] = config["rules"]
    return body


def _grayswan_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    score = _number(at(answer, "violation"), "violation")
    return {"violation": score} if score >= 0.5 else {}


def _calypso_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    outcome = expected(at(answer, "result", "outcome"), str, "result.outcome")
    return {} if outcome == "cleared" else {outcome: 1}


def _calypso_texts(answer: Any) -> list[str] | None:
    if at(answer, "result", "outcome") != "redacted":
        return None
    return [expected(at(answer, "redactedInput"), str, "redactedInput")]


def _noma(config: Config, subject: Subject) -> Any:
    context = {"applicationId": config.get("application_id") or "gateway", "sessionId": config.get("session_id")}
    messages = [
        {"type": "message", "role": text.role, "content": [{"type": "input_text", "text": text.text}]}
        for text in subject.texts
    ]
    return {"input": messages, "x-noma-context": {name: value for name, value in context.items() if value}}


def _noma_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    if not expected(at(answer, "aggregatedScanResult"), bool, "aggregatedScanResult"):
        return {}
    results = [at(each, "results") for each in at(answer, "scanResult") or [] if isinstance(each, dict)]
    found = {name: 1 for each in results if isinstance(each, dict) for name in each if at(each, name, "result") is True}
    return found or {"not safe": 1}


def _akto(_: Config, subject: Subject) -> Any:
    """A request, and perhaps its answer, as if it had been recorded on the way. Bodies are JSON within JSON."""
    answer = {"choices": [{"message": message} for message in _messages(subject)]} if _is_answer(subject) else None
    return {
        "path": "/v1/chat/completions",
        "method": "POST",
        "requestHeaders": '{"content-type":"application/json"}',
        "responseHeaders": '{"content-type":"application/json"}' if answer is not None else "{}",
        "requestPayload": _within(request_body(subject)),
        "responsePayload": _within(answer) if answer is not None else "{}",
        "statusCode": "200",
        "status": "200",
        "type": "HTTP/1.1",
        "akto_account_id": "1000000",
        "akto_vxlan_id": "0",
        "is_pending": "false",
        "source": "MIRRORING",
        "tag": '{"gen-ai":"Gen AI"}',
        "contextSource": "AGENTIC",
    }


def _within(body: Any) -> str:
    return msgspec.json.encode({"body": msgspec.json.encode(body).decode()}).decode()


def _akto_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    result = expected(at(answer, "data", "guardrailsResult"), dict, "data.guardrailsResult")
    return {} if expected(result.get("Allowed"), bool, "Allowed") else {"not allowed": 1}


VENDORS: Mapping[str, Vendor] = {
    "palo-alto-prisma-airs": Vendor(
        base_url="https://service.api.aisecurity.paloaltonetworks.com",
        url=_path("/v1/scan/sync/request"),
        headers=_in("x-pan-token"),
        body=_prisma,
        problems=_prisma_problems,
    ),
    "enkrypt-ai": Vendor(
        base_url="https://api.enkryptai.com",
        url=_path("/guardrails/policy/detect"),
        headers=lambda key, config: {"apikey": key, "x-enkrypt-policy": str(config.get("guardrail_name") or "")},
        body=lambda _, subject: {"text": joined(subject)},
        problems=_enkrypt_problems,
    ),
    "fiddler": Vendor(
        base_url="https://guardrails.cloud.fiddler.ai",
        url=lambda base, config: below(
            base, f"/v3/guardrails/ftl-{'response-faithfulness' if config.get('guard_type') == _FAITHFUL else 'safety'}"
        ),
        headers=_bearer,
        body=_fiddler,
        problems=_fiddler_problems,
        compares=lambda config: config.get("guard_type") == _FAITHFUL,
    ),
    "cisco-ai-defense": Vendor(
        base_url="https://us.api.inspect.aidefense.security.cisco.com",
        url=lambda base, config: below(
            base.replace("//us.", f"//{_REGIONS.get(str(config.get('region')), 'us')}."), "/api/v1/inspect/chat"
        ),
        headers=_in("x-cisco-ai-defense-api-key"),
        body=lambda config, subject: {"messages": _messages(subject), "metadata": config.get("metadata") or {}},
        problems=_cisco_problems,
    ),
    "crowdstrike-aidr": Vendor(
        base_url="",
        url=_path("/v1/guard_chat_completions"),
        headers=_bearer,
        body=_crowdstrike,
        problems=_crowdstrike_problems,
        texts=_crowdstrike_texts,
    ),
    "patronus": Vendor(
        base_url="https://api.patronus.ai",
        url=_path("/v1/evaluate"),
        headers=_in("x-api-key"),
        body=_patronus,
        problems=_patronus_problems,
    ),
    "grayswan-cygnal": Vendor(
        base_url="https://api.grayswan.ai",
        url=_path("/cygnal/monitor"),
        headers=lambda key, _: {"authorization": f"Bearer {key}", "grayswan-api-key": key},
        body=_grayswan,
        problems=_grayswan_problems,
    ),
    "calypsoai": Vendor(
        base_url="https://us1.calypsoai.app",
        url=_path("/backend/v1/scans"),
        headers=_bearer,
        body=lambda config, subject: {"input": joined(subject), "project": config.get("project")},
        problems=_calypso_problems,
        texts=_calypso_texts,
        takes_one=True,
    ),
    "noma-security": Vendor(
        base_url="https://api.noma.security",
        url=_path("/ai-dr/v2/prompt/scan"),
        headers=_bearer,
        body=_noma,
        problems=_noma_problems,
    ),
    "akto": Vendor(
        base_url="",
        url=lambda base, _: below(base, "/api/http-proxy") + "?akto_connector=gateway&guardrails=true",
        headers=_in("authorization"),
        body=_akto,
        problems=_akto_problems,
    ),
}
