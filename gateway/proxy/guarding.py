"""Who is asked about one request, and what they said."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any

import msgspec

from gateway.contract import Hook, Span, Subject, Text
from gateway.errors import Blocked
from gateway.proxy.checks import Checked, Reach, checked, told
from gateway.proxy.exchange import Exchange
from gateway.rules.guards import Check, GuardRule, GuardRules, refusal

REPORT = b"x-tfy-applied-configurations"
MAX_REPORTED = 32


class Panel(msgspec.Struct, frozen=True):
    """Who is asked at one hook, by the order of priorities."""

    hook: Hook
    rules: Sequence[GuardRule] = ()
    checks: Sequence[Check] = ()

    def rule_of(self, name: str) -> str | None:
        """The first that asks for a guardrail; None: the caller does."""
        return next((rule.id for rule in self.rules if any(check.name == name for check in rule.checks)), None)

    @property
    def mutators(self) -> list[Check]:
        return [check for check in self.checks if check.mutates and check.blocks]

    @property
    def judges(self) -> list[Check]:
        return [check for check in self.checks if not (check.mutates and check.blocks)]


class Guarding:
    """The guardrails of one request.

    Args:
        reach: of that request.
    """

    def __init__(self, exchange: Exchange, rules: GuardRules, reach: Reach, panels: Mapping[Hook, Panel]) -> None:
        self.exchange = exchange
        self.timeout_s = rules.timeout_s
        self.reach = reach
        self.panels = panels
        self.results: dict[Hook, list[Checked]] = {Hook.LLM_INPUT: [], Hook.LLM_OUTPUT: []}

    async def ask(
        self, check: Check, hook: Hook, texts: Sequence[Text] = (), answer: Any = None, *, notes: bool = True
    ) -> Checked:
        exchange = self.exchange
        reach = self.reach.of(exchange, check.upstream)
        subject = Subject(hook, exchange.call, exchange.caller, exchange.metadata, texts, answer, reach)
        result = await checked(
            check, subject, started=exchange.started, timeout_s=self.timeout_s, request_id=exchange.id
        )
        if notes:
            self.note(hook, result)
        return result

    async def ask_all(
        self,
        checks: Iterable[Check],
        hook: Hook,
        texts: Sequence[Text] = (),
        answer: Any = None,
        *,
        notes: bool = True,
    ) -> list[Checked]:
        """All at the same time. Unless it `notes`, nothing of that is written down."""
        return await asyncio.gather(*[self.ask(check, hook, texts, answer, notes=notes) for check in checks])

    def failed(self, check: Check, hook: Hook, why: str) -> Checked:
        """Of a guardrail that could not be asked at all."""
        span = Span(
            kind="guardrail",
            name=check.name,
            status=500,
            reason="guardrail_error",
            started_ms=self.since_start_ms(),
            duration_ms=0.0,
            hook=hook,
            result="error",
        )
        result = Checked(span, why if check.blocks_on_error else None, why)
        self.note(hook, result)
        return result

    def since_start_ms(self) -> float:
        return int((perf_counter() - self.exchange.started) * 1e6) / 1e3

    def note(self, hook: Hook, result: Checked) -> None:
        self.results[hook].append(result)
        span = msgspec.structs.replace(result.span, rule=self.panels[hook].rule_of(result.name))
        self.exchange.guard_spans.append(span)

    def refuse(self, hook: Hook, results: Iterable[Checked]) -> None:
        """Raises Blocked, if one of them objects."""
        objections = {each.name: each.objection for each in results if each.objection is not None}
        if not objections:
            return
        error = Blocked(refusal(hook, self.panels[hook].rules, objections))
        error.checks = {
            "input_guardrails": told(self.results[Hook.LLM_INPUT]),
            "output_guardrails": told(self.results[Hook.LLM_OUTPUT]),
        }
        self.report()
        raise error

    def report(self) -> None:
        """Adds the header that says what was asked, once."""
        headers = self.exchange.limit_headers
        if any(name == REPORT for name, _ in headers):
            return
        lists = {
            name: [
                {"guardrail_integration": each.name, "result": each.span.result}
                for each in sorted(self.results[hook], key=lambda each: each.span.result == "passed")[:MAX_REPORTED]
            ]
            for hook, name in ((Hook.LLM_INPUT, "input_guardrails"), (Hook.LLM_OUTPUT, "output_guardrails"))
        }
        self.exchange.limit_headers = [*headers, (REPORT, msgspec.json.encode({"guardrails": lists}))]
