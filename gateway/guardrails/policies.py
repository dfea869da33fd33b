"""Open Policy Agent: whether a request, or the use of a tool, is allowed.

Source: openpolicyagent.org/docs/rest-api, section "Get a Document (with Input)"; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Finding, GuardrailSpec, Hook, Subject
from gateway.errors import UpstreamError
from gateway.guardrails.services import endpoint, post
from gateway.manifests.guardrail_kinds import OpaConfig
from gateway.wire.address import below


class OpaGuardrail:
    """The document it asks for is a truth, or an object with `allow`, and perhaps `reason`. If there is none, the
    policy has nothing to say, which is no permission."""

    hooks = frozenset(Hook)

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, OpaConfig)
        path = "/".join(quote(part, safe="") for part in config.policy_path.strip("/").split("/"))
        self.name = spec.name
        self._endpoint = endpoint(below(config.opa_url, f"/v1/data/{path}"), _headers(spec.auth))

    async def check(self, subject: Subject) -> Finding:
        answer = await post(subject, self._endpoint, {"input": _input(subject)})
        result = answer.get("result") if isinstance(answer, dict) else None
        allow, reason = (result.get("allow"), result.get("reason")) if isinstance(result, dict) else (result, None)
        if allow is None:
            return Finding("block", "no policy allows it")
        if not isinstance(allow, bool):
            raise UpstreamError("the policy's document is neither true nor false, and has no allow that is")
        return Finding() if allow else Finding("block", str(reason)[:300] if reason else "the policy does not allow it")


make = OpaGuardrail


def _headers(auth: Mapping[str, str] | None) -> Mapping[str, str]:
    """Raises ValueError."""
    if not auth:
        return {}
    if "bearer_token" in auth:
        return {"authorization": f"Bearer {auth['bearer_token']}"}
    if "header_name" in auth and "header_value" in auth:
        return {auth["header_name"]: auth["header_value"]}
    raise ValueError("auth_data needs bearer_token, or header_name and header_value")


def _input(subject: Subject) -> dict[str, Any]:
    caller, call = subject.caller, subject.call
    return {
        "hook": str(subject.hook),
        "subject": caller.subject if caller is not None else None,
        "teams": sorted(caller.teams) if caller is not None else [],
        "model": call.ask.name if call is not None else None,
        "api": call.dialect.name if call is not None else None,
        "metadata": dict(subject.metadata),
        "tool": msgspec.to_builtins(subject.tool) if subject.tool is not None else None,
        "messages": [{"role": text.role, "content": text.text} for text in subject.texts],
    }
