"""Asks one guardrail, for as long as it may take, and says what its answer counts for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import msgspec
import structlog

from gateway.contract import (
    Ask,
    Call,
    Dialect,
    Fetched,
    Finding,
    JsonBody,
    Outside,
    Request,
    Span,
    Subject,
    Target,
    Upstream,
    UpstreamRequest,
)
from gateway.contract.usage import Usage
from gateway.errors import Blocked, BrokeOff, GatewayError, NoTarget
from gateway.logs import traceback_text
from gateway.proxy.exchange import Exchange
from gateway.rules.guards import Check

MAX_FETCHED = 1024 * 1024
"""Bytes of what a service may answer."""

AskModel: TypeAlias = Callable[[Call, Target], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class Checked(msgspec.Struct, frozen=True):
    """What came of one check.

    Args:
        objection: why it must not go on; None: it may.
        explanation: what the guardrail said, whether that counts or not.
        finding: None: it has none, because it failed.
    """

    span: Span
    objection: str | None = None
    explanation: str = ""
    finding: Finding | None = None

    @property
    def name(self) -> str:
        return self.span.name


async def checked(check: Check, subject: Subject, *, started: float, timeout_s: float, request_id: str = "") -> Checked:
    """Never raises, but when it is cancelled.

    Args:
        started: when the request came in.
    """
    began_at, name = perf_counter(), check.name
    status, reason, objection, finding = 200, None, None, None
    try:
        async with asyncio.timeout(timeout_s):
            finding = await check.guardrail.check(subject)
        _refuse_garbage(finding, subject)
    except TimeoutError:
        status, reason, result, said = 408, "guardrail_timeout", "error", f"{name} did not answer in time"
        objection = said if check.blocks_on_error else None
    except Exception as error:  # a plugin's, or that of a service it asks
        known = error.message if isinstance(error, GatewayError) else traceback_text()
        log.error("guardrail failed", request_id=request_id, guardrail=name, why=known)
        status, reason, result, said, finding = 500, "guardrail_error", "error", f"{name} failed", None
        objection = said if check.blocks_on_error else None
    else:
        result, said = _result(check, finding), finding.message
        if result == "failed":
            status, reason, objection = Blocked.status, Blocked.code, said
        elif result != "passed":
            reason = result
    span = Span(
        kind="guardrail",
        name=name,
        status=status,
        reason=reason,
        started_ms=int((began_at - started) * 1e6) / 1e3,
        duration_ms=int((perf_counter() - began_at) * 1e6) / 1e3,
        hook=subject.hook,
        result=result,
        found=finding.data if finding is not None else None,
    )
    return Checked(span, objection, said, finding)


def _result(check: Check, finding: Finding) -> str:
    changes = check.mutates and (finding.texts is not None or finding.body is not None)
    if finding.verdict == "block":
        return "failed" if check.blocks else "flagged"
    if changes and check.blocks:
        return "mutated"
    return "flagged" if changes or finding.verdict == "flag" else "passed"


def _refuse_garbage(finding: Finding, subject: Subject) -> None:
    if not isinstance(finding, Finding):
        raise TypeError(f"a guardrail answers with a Finding, and not with {type(finding).__name__}")
    if finding.texts is not None and len(finding.texts) != len(subject.texts):
        raise ValueError(f"{len(finding.texts)} texts in place of {len(subject.texts)}")


class Reach(Outside):
    """What the guardrails of one request may reach."""

    def __init__(
        self,
        network: Upstream,
        *,
        ask: AskModel,
        find: Callable[[str], Target | None],
        dialects: Mapping[str, Dialect],
        exchange: Exchange | None = None,
    ) -> None:
        self.network = network
        self.ask_model = ask
        self._find = find
        self._dialects = dialects
        self._exchange = exchange

    def of(self, exchange: Exchange | None, network: Upstream | None = None) -> "Reach":
        """The same for a request, by another network if one is given."""
        return Reach(
            network or self.network, ask=self.ask_model, find=self._find, dialects=self._dialects, exchange=exchange
        )

    def asking(self, ask: AskModel) -> "Reach":
        """The same, with another way to ask models."""
        return Reach(self.network, ask=ask, find=self._find, dialects=self._dialects, exchange=self._exchange)

    async def fetch(self, request: UpstreamRequest) -> Fetched:
        reply = await self.network.call(request)
        parts: list[bytes] = []
        size = 0
        try:
            while data := await reply.read():
                parts.append(data)
                size += len(data)
                if size > MAX_FETCHED:
                    raise BrokeOff(f"the service answered with more than {MAX_FETCHED:,} bytes")
        finally:
            reply.close()
        return Fetched(reply.status, b"".join(parts))

    async def ask(self, model: str, body: Mapping[str, Any], *, kind: str = "chat") -> bytes:
        target = self._find(model)
        if target is None:
            raise NoTarget(f"the guardrail's model {model} is no real model of any account")
        fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in {"model": "", **body}.items()}
        ask = Ask(model=target.name, has_output=kind == "chat")
        call = Call(dialect=self._dialects[kind], ask=ask, request=Request(body=JsonBody(fields)))
        data = await self.ask_model(call, target)
        if self._exchange is not None and (usage := usage_in(data)) is not None:
            self._exchange.side_calls.append((target, usage))
        return data


class _Answer(msgspec.Struct):
    usage: Any = None


def usage_in(data: bytes) -> Usage | None:
    try:
        return Usage.from_openai(msgspec.json.decode(data, type=_Answer).usage)
    except (msgspec.DecodeError, RecursionError):
        return None


def told(results: Sequence[Checked]) -> list[dict[str, object]]:
    """As callers are told, in the shape of TrueFoundry's answers."""
    return [
        {
            "guardrail_integration": each.name,
            "result": each.span.result or "passed",
            "data": {"explanation": each.explanation} if each.explanation else {},
        }
        for each in results
    ]
