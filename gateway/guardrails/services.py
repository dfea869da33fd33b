"""What guardrails have in common that ask somebody over HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Endpoint, Finding, Hook, Signer, Subject, UpstreamRequest
from gateway.errors import UpstreamError

BOTH = frozenset({Hook.LLM_INPUT, Hook.LLM_OUTPUT, Hook.MCP_PRE, Hook.MCP_POST})
INPUTS = frozenset({Hook.LLM_INPUT, Hook.MCP_PRE})
OUTPUTS = frozenset({Hook.LLM_OUTPUT, Hook.MCP_POST})
MAX_SENT_CHARS = 100_000
"""Of texts, to services that are sent text: of longer ones, as much from the beginning and as much from the end."""


def endpoint(url: str, headers: Mapping[str, str] | None = None) -> Endpoint:
    """Raises ValueError, worded for the operator."""
    return Endpoint(url, {"content-type": "application/json", **(headers or {})})


def credential(auth: Mapping[str, str] | None, *names: str) -> str:
    """The first that is given. Raises ValueError: none is."""
    for name in names:
        if auth and auth.get(name):
            return auth[name]
    raise ValueError(f"needs auth_data with {' or '.join(names)}")


async def post(subject: Subject, endpoint: Endpoint, body: Any, *, signer: Signer | None = None) -> Any:
    """The JSON that a service answers. Raises UpstreamError: it did not answer as it should."""
    if subject.outside is None:
        raise UpstreamError("there is no network to ask the service")
    request = UpstreamRequest(endpoint, msgspec.json.encode(body))
    if signer is not None:
        request = await signer.sign(request, subject.outside.network)
    answer = await subject.outside.fetch(request)
    if not 200 <= answer.status < 300:
        raise UpstreamError(f"the service answered {answer.status}")  # its words may repeat the text
    return json_of(answer.body)


def json_of(body: bytes) -> Any:
    """Raises UpstreamError: it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamError("the service answered with something else than JSON") from error


def at(value: Any, *steps: str | int) -> Any:
    """What stands deep inside; None: it is not there."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def expected(value: Any, kind: type, what: str) -> Any:
    """Raises UpstreamError: it is something else, so that the answer says nothing."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UpstreamError(f"the service's answer has no {what}")
    return value


def joined(subject: Subject, *roles: str) -> str:
    """All that is said, or all that those say."""
    text = "\n".join(each.text for each in subject.texts if not roles or each.role in roles)
    if len(text) <= MAX_SENT_CHARS:
        return text
    half = MAX_SENT_CHARS // 2
    return f"{text[:half]}\n{text[-half:]}"


def judged(problems: Mapping[str, Any], what: str) -> Finding:
    """Blocks if there are any. Only their names are told."""
    if not problems:
        return Finding()
    return Finding("block", f"{what}: {', '.join(sorted(problems))}", data=dict(problems))
