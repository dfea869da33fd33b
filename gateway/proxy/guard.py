"""Asks guardrails about a call, before a provider is asked for an answer."""

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

import msgspec
import structlog

from gateway.contract import Hook, Span, Subject
from gateway.errors import Blocked
from gateway.logs import traceback_text
from gateway.proxy.exchange import Exchange
from gateway.proxy.responder import Responder
from gateway.proxy.writer import ResponseWriter
from gateway.rules.guards import Check, GuardRules, checks_of, refusal

log = structlog.get_logger(__name__)


class Checked(msgspec.Struct, frozen=True):
    """What came of one check. `objection`: why the call must not go on; None: it may."""

    span: Span
    objection: str | None = None


class GuardResponder:
    """Lets a call through once all guardrails have been passed that the rules ask for.

    Args:
        rules: gives those in force.
    """

    def __init__(self, responder: Responder, *, rules: Callable[[], GuardRules]) -> None:
        self.responder = responder
        self.rules = rules

    def respond(self, exchange: Exchange, writer: ResponseWriter) -> Coroutine[Any, Any, None]:
        """Raises Blocked, besides what the inner one raises."""
        rules = self.rules()
        if not rules.by_hook:
            return self.responder.respond(exchange, writer)
        return self._respond(rules, exchange, writer)

    async def _respond(self, rules: GuardRules, exchange: Exchange, writer: ResponseWriter) -> None:
        await self._pass(Hook.LLM_INPUT, rules, exchange)
        await self.responder.respond(exchange, writer)

    async def _pass(self, hook: Hook, rules: GuardRules, exchange: Exchange) -> None:
        """Raises Blocked, once all have said what they object to."""
        call, choice = exchange.call, exchange.choice
        assert call is not None
        assert choice is not None
        matching = rules.matching(hook, choice, exchange.caller, exchange.metadata)
        if not matching:
            return
        subject = Subject(hook, call, exchange.caller, exchange.metadata)
        checks = checks_of(matching)
        answers = await asyncio.gather(*[_checked(check, subject, exchange, rules.timeout_s) for check in checks])
        exchange.guard_spans += [checked.span for checked in answers]
        objections = {checked.span.name: checked.objection for checked in answers if checked.objection is not None}
        if objections:
            raise Blocked(refusal(matching, objections))


async def _checked(check: Check, subject: Subject, exchange: Exchange, timeout_s: float) -> Checked:
    began_at, name = perf_counter(), check.guardrail.name
    status, reason, objection = 200, None, None
    try:
        async with asyncio.timeout(timeout_s):
            finding = await check.guardrail.check(subject)
    except TimeoutError:
        status, reason = 408, "guardrail_timeout"
        objection = f"{name} did not answer in time" if check.blocks_on_error else None
    except Exception:  # a plugin's, or that of a service it asks
        log.error("guardrail failed", request_id=exchange.id, guardrail=name, traceback=traceback_text())
        status, reason = 500, "guardrail_error"
        objection = f"{name} failed" if check.blocks_on_error else None
    else:
        if finding.verdict == "block" and check.blocks:
            status, reason, objection = Blocked.status, Blocked.code, finding.message
        elif finding.verdict != "pass":
            reason = "flagged"
    span = Span(
        kind="guardrail",
        name=name,
        status=status,
        reason=reason,
        started_ms=int((began_at - exchange.started) * 1e6) / 1e3,
        duration_ms=int((perf_counter() - began_at) * 1e6) / 1e3,
    )
    return Checked(span, objection)
