"""Other vendors of guardrails: what each is sent, and what its answer means.

A row each, from memory of the vendors' public API references, read 2026-11; none was tried against the vendor. What
answers otherwise than is expected here counts as a failure of the guardrail, never as a pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.contract import Finding, GuardrailSpec, Hook, Subject
from gateway.guardrails.services import BOTH, INPUTS, OUTPUTS, at, credential, endpoint, expected, joined, post
from gateway.wire.address import address_of, below

_REGIONS = {"us": "us", "eu": "eu-central-1", "ap": "ap-northeast-1"}
_FIDDLER = {"fiddler-safety": "ftl-safety", "fiddler-response-faithfulness": "ftl-response-faithfulness"}
Config = Mapping[str, Any]


class Vendor(msgspec.Struct, frozen=True):
    """
    Args:
        url: from the config, with `base_url` filled in.
        headers: from the key and the config.
        body: from the config and the subject.
        problems: what an answer objects to. Raises UpstreamError: it is none.
    """

    base_url: str
    url: Callable[[str, Config], str]
    headers: Callable[[str, Config], Mapping[str, str]]
    body: Callable[[Config, Subject], Any]
    problems: Callable[[Config, Any], Mapping[str, Any]]


class VendorGuardrail:
    def __init__(self, spec: GuardrailSpec) -> None:
        vendor, config = VENDORS[spec.kind], spec.config or {}
        if not isinstance(config, dict):
            raise ValueError("config has to be an object")
        if spec.redacts:
            raise ValueError(f"{spec.kind} only judges here: write operation: validate")
        base_url = str(config.get("base_url") or vendor.base_url)
        if not base_url:
            raise ValueError("needs base_url")
        address_of(base_url)
        headers = vendor.headers(credential(spec.auth, "api_key", "token"), config)
        self.name = spec.name
        self.hooks = {"request": INPUTS, "response": OUTPUTS}.get(str(config.get("target")), BOTH)
        self._endpoint = endpoint(vendor.url(base_url, config), headers)
        self._vendor = vendor
        self._config = config
        self._kind = spec.kind

    async def check(self, subject: Subject) -> Finding:
        answer = await post(subject, self._endpoint, self._vendor.body(self._config, subject))
        problems = self._vendor.problems(self._config, answer)
        if not problems:
            return Finding()
        return Finding("block", f"{self._kind}: {', '.join(sorted(problems))}", data=dict(problems))


def make(spec: GuardrailSpec) -> VendorGuardrail:
    """Raises ValueError."""
    return VendorGuardrail(spec)


def _bearer(key: str, _: Config) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key}"}


def _in(name: str) -> Callable[[str, Config], Mapping[str, str]]:
    return lambda key, _: {name: key}


def _path(path: str) -> Callable[[str, Config], str]:
    return lambda base, _: below(base, path)


def _messages(subject: Subject) -> list[dict[str, str]]:
    return [{"role": text.role, "content": text.text} for text in subject.texts]


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
    return {name: 1 for name, value in summary.items() if value not in (0, 0.0, [], None, False, "")}


def _fiddler_problems(config: Config, answer: Any) -> Mapping[str, Any]:
    least = float(config.get("threshold") or 0.5)
    if config.get("guard_type") == "fiddler-response-faithfulness":
        score = expected(at(answer, "fdl_faithful_score"), float, "fdl_faithful_score")
        return {"not faithful": score} if score < least else {}
    scores = {name: score for name, score in expected(answer, dict, "scores").items() if isinstance(score, float)}
    expected(next(iter(scores.values()), None), float, "scores")
    return {name: score for name, score in scores.items() if score >= least}


def _cisco_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    if expected(at(answer, "is_safe"), bool, "is_safe"):
        return {}
    return {str(each): 1 for each in at(answer, "classifications") or ["not safe"]}


def _crowdstrike(_: Config, subject: Subject) -> Any:
    kind = "output" if _is_answer(subject) else "input"
    return {"guard_input": {"messages": _messages(subject)}, "event_type": kind}


def _crowdstrike_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    if not expected(at(answer, "result", "blocked"), bool, "result.blocked"):
        return {}
    detectors = at(answer, "result", "detectors") or {}
    return {name: 1 for name in detectors if at(detectors, name, "detected")} or {"blocked": 1}


def _patronus(config: Config, subject: Subject) -> Any:
    evaluators = [
        {"evaluator": at(each, "type"), **({"criteria": each["criteria"]} if at(each, "criteria") else {})}
        for each in config.get("evaluators") or []
    ]
    name = "evaluated_model_output" if _is_answer(subject) else "evaluated_model_input"
    return {"evaluators": evaluators, name: joined(subject)}


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
    if config.get("policy_ids"):
        body["policy_ids"] = config["policy_ids"]
    return {**body, "rules": config.get("rules") or {}}


def _grayswan_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    violation = at(answer, "violation")
    score = float(violation) if isinstance(violation, int) else expected(violation, float, "violation")
    return {"violation": score} if score >= 0.5 else {}


def _calypso_problems(_: Config, answer: Any) -> Mapping[str, Any]:
    outcome = expected(at(answer, "result", "outcome"), str, "result.outcome")
    return {} if outcome == "cleared" else {outcome: 1}


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
        base_url="",
        url=lambda base, config: below(
            base, f"/v3/guardrails/{_FIDDLER.get(str(config.get('guard_type')), 'ftl-safety')}"
        ),
        headers=_bearer,
        body=lambda _, subject: {"data": {"input": joined(subject)}},
        problems=_fiddler_problems,
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
        headers=_in("grayswan-api-key"),
        body=_grayswan,
        problems=_grayswan_problems,
    ),
    "calypsoai": Vendor(
        base_url="",
        url=_path("/backend/v1/scans"),
        headers=_bearer,
        body=lambda config, subject: {"input": joined(subject), "project": config.get("project")},
        problems=_calypso_problems,
    ),
}
