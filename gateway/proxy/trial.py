"""Guardrails asked about texts that belong to no request: to try them, or for tools that run elsewhere."""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter

import msgspec

from gateway.contract import Caller, Hook, Subject, Text, ToolUse
from gateway.proxy.checks import Checked, Reach, checked
from gateway.proxy.exchange import Exchange
from gateway.rules.guards import Check


class Trial(msgspec.Struct, frozen=True):
    """
    Args:
        texts: as they are after all that was changed.
        objections: name of a guardrail -> why it must not go on.
    """

    results: Sequence[Checked]
    texts: Sequence[str]
    objections: Mapping[str, str]


async def trial(
    checks: Sequence[Check],
    hook: Hook,
    texts: Sequence[Text],
    *,
    caller: Caller | None,
    metadata: Mapping[str, str],
    reach: Reach,
    timeout_s: float,
    tool: ToolUse | None = None,
    exchange: Exchange | None = None,
    is_strict: bool = False,
) -> Trial:
    """Those that change something go one after the other; then the rest judge what has come of it.

    Args:
        checks: by their priorities.
        exchange: in which is written down who else was asked.
        is_strict: one that redacts and fails is a reason to stop, whatever its strategy says.
    """
    started, request_id = perf_counter(), exchange.id if exchange is not None else ""
    results: list[Checked] = []
    objections: dict[str, str] = {}

    async def ask(check: Check, about: Sequence[Text]) -> Checked:
        subject = Subject(hook, None, caller, metadata, about, None, reach.of(exchange, check.upstream), tool)
        return await checked(check, subject, started=started, timeout_s=timeout_s, request_id=request_id)

    for check in (check for check in checks if check.mutates and check.blocks):
        result = await ask(check, texts)
        results.append(result)
        if is_strict and result.span.result == "error":
            objections[result.name] = result.explanation
        if result.span.result == "mutated" and result.finding is not None and result.finding.texts is not None:
            pairs = zip(texts, result.finding.texts, strict=True)
            texts = [Text(text.role, changed) for text, changed in pairs]
    judges = [check for check in checks if not (check.mutates and check.blocks)]
    results += await asyncio.gather(*[ask(check, texts) for check in judges])
    objections |= {each.name: each.objection for each in results if each.objection is not None}
    return Trial(results, [text.text for text in texts], objections)
