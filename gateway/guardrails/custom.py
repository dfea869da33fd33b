"""A service of the operator's own: TrueFoundry's contract for custom guardrails, both generations.

Since May 2026 a status of 2xx means that it ran, and `verdict` says what came of it; any other status is a failure.
Before, the status was the verdict, and the body what was changed: `status_is_verdict`.

Source: github.com/truefoundry/integrations-custom-guardrails (docs/gateway-contract.md), as restated in section 1.9.3
of the project's compatibility notes.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Finding, GuardrailSpec, Hook, Subject, UpstreamRequest
from gateway.contract.caller import Caller
from gateway.errors import UpstreamError
from gateway.guardrails.services import INPUTS, OUTPUTS, endpoint, json_of
from gateway.manifests.guardrail_kinds import CustomConfig
from gateway.wire.wording import ASKED, answer_spots, request_spots

_DENIED = "the guardrail said no"
_KINDS = {"user": "user", "team": "team", "virtualaccount": "serviceaccount"}


class CustomGuardrail:
    """
    Args:
        target: `request` or `response`.
    """

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, CustomConfig)
        headers = {name.lower(): value.reveal() for name, value in (config.headers or {}).items()}
        self.name = spec.name
        self.hooks = INPUTS if spec.target == "request" else OUTPUTS
        self._endpoint = endpoint(config.url, {**_authorization(spec.auth), **headers})
        self._config = config.config
        self._is_old = config.status_is_verdict
        self._mutates = spec.redacts

    async def check(self, subject: Subject) -> Finding:
        request = request_body(subject)
        body: dict[str, Any] = {"requestBody": request}
        if subject.hook in OUTPUTS:
            body["responseBody"] = answer_body(subject)
        body |= {"context": context_of(subject.caller, subject.metadata), "config": self._config or {}}
        if subject.outside is None:
            raise UpstreamError("there is no network to ask the service")
        fetched = await subject.outside.fetch(UpstreamRequest(self._endpoint, msgspec.json.encode(body)))
        is_good = 200 <= fetched.status < 300
        if not is_good and not self._is_old:
            raise UpstreamError(f"the service answered {fetched.status}")
        if not is_good:
            return Finding("block", _DENIED)
        said = json_of(fetched.body) if fetched.body.strip() else None
        return self._old_finding(said, subject) if self._is_old else self._finding(said, subject)

    def _old_finding(self, said: Any, subject: Subject) -> Finding:
        return _changed(said, subject, "") if self._mutates and isinstance(said, dict) and said else Finding()

    def _finding(self, said: Any, subject: Subject) -> Finding:
        if said is None:
            return Finding()
        if not isinstance(said, dict):
            raise UpstreamError("the service's answer is no JSON object")
        verdict, result = said.get("verdict"), said.get("result")
        message = str(said.get("message") or "")
        if verdict is None:
            verdict = result is not False
        if not isinstance(verdict, bool):
            raise UpstreamError("the service's answer has a verdict that is neither true nor false")
        if not verdict:
            return Finding("block", message or _DENIED)
        if not (self._mutates and said.get("transformed") is True):
            return Finding(message=message)
        if not isinstance(result, dict):
            raise UpstreamError("the service says it has changed something, and its answer has no result")
        return _changed(result, subject, message)


make = CustomGuardrail


def _changed(result: dict[str, Any], subject: Subject, message: str) -> Finding:
    """By its texts, as far as it has as many as there were; else all of it, where it is in the caller's own API."""
    spots = answer_spots(result) if subject.hook in OUTPUTS else request_spots(_asked(result))
    texts = [spot.text for spot in spots]
    if len(texts) == len(subject.texts):
        return Finding(message=message, texts=texts)
    if subject.answer is not None or (subject.hook is Hook.LLM_INPUT and _is_chat(subject)):
        return Finding(message=message, body=result)
    raise UpstreamError(f"the service's result has {len(texts)} texts in place of {len(subject.texts)}")


def _asked(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ASKED if name in result}


def _is_chat(subject: Subject) -> bool:
    return subject.call is not None and subject.call.dialect.name == "chat"


def request_body(subject: Subject) -> dict[str, Any]:
    """In the shape of OpenAI's chat API; what is asked in another is told by its texts."""
    call = subject.call
    if call is not None and _is_chat(subject):
        body: dict[str, Any] = {name: msgspec.json.decode(value) for name, value in call.fields.items()}
        return body
    texts = subject.texts if subject.hook in INPUTS else ()
    messages = [{"role": text.role, "content": text.text} for text in texts]
    return {"model": call.ask.name if call is not None else "", "messages": messages}


def answer_body(subject: Subject) -> Any:
    if isinstance(subject.answer, dict) and "choices" in subject.answer:
        return subject.answer
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text.text}, "finish_reason": "stop"}
        for index, text in enumerate(subject.texts)
    ]
    return {"object": "chat.completion", "choices": choices}


def context_of(caller: Caller | None, metadata: Mapping[str, str]) -> dict[str, Any]:
    subject = caller.subject if caller is not None else ""
    kind, _, slug = subject.partition(":")
    user = {
        "subjectId": subject,
        "subjectType": _KINDS.get(kind, kind),
        "subjectSlug": slug,
        "subjectDisplayName": slug,
    }
    return {"user": user, "metadata": dict(metadata)}


def _authorization(auth: Mapping[str, str] | None) -> dict[str, str]:
    """Raises ValueError: there are credentials, and not of a kind that is known."""
    if not auth:
        return {}
    if "bearer_token" in auth:
        return {"authorization": f"Bearer {auth['bearer_token']}"}
    if "username" in auth and "password" in auth:
        pair = f"{auth['username']}:{auth['password']}".encode()
        return {"authorization": f"Basic {b64encode(pair).decode()}"}
    raise ValueError("auth_data has to be bearer-auth with bearer_token, or basic-auth with username and password")
