"""How much the model is to think, in the way it can be told: by a level since Gemini 3, by a budget before.

Source: ai.google.dev/gemini-api/docs/thinking and /openai; docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking;
read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from gateway.translators.chat import ChatRequest, Reasoning
from gateway_google.models import Traits

LEVELS: Mapping[str, str] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""Effort -> level. There is one above HIGH, of which no page says which models have it."""
DYNAMIC = -1
"""A budget: as much as the model thinks right."""
_ORDER = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def thinking_of(request: ChatRequest, traits: Traits) -> dict[str, Any] | None:
    """`thinkingConfig`; None: the model's own default. What cannot be said to this model is noted as dropped."""
    asked = request.reasoning
    asked.check()
    if asked.is_off:
        return _off(request, traits)
    if not asked.is_asked_for:
        return None
    if traits.budgets is None:
        request.drop(request.reasoning_field)
        return None
    shown = {} if asked.display == "omitted" else {"includeThoughts": True}
    if traits.levels and asked.budget_tokens is None:
        return {**shown, **_level(request, asked, traits)}
    budget = _budget(request, asked, traits.budgets)
    return {**shown, "thinkingBudget": budget} if budget is not None else shown or None


def _off(request: ChatRequest, traits: Traits) -> dict[str, Any] | None:
    """The least there is; the caller is told where that is not nothing."""
    if traits.budgets is None:
        return None
    if traits.can_be_off:
        return {"thinkingBudget": 0}
    if traits.levels[:1] != ("MINIMAL",):
        request.drop(request.reasoning_field)
    return {"thinkingLevel": traits.levels[0]} if traits.levels else {"thinkingBudget": traits.budgets[0]}


def _level(request: ChatRequest, asked: Reasoning, traits: Traits) -> dict[str, str]:
    """The one that was asked for, or the next lower that the model has; if there is none, the lowest."""
    if asked.effort is None:  # adaptive, which it is unasked
        return {}
    wanted = LEVELS[asked.effort]
    lower = [level for level in traits.levels if _ORDER.index(level) <= _ORDER.index(wanted)]
    level = lower[-1] if lower else traits.levels[0]
    if level != asked.effort.upper():
        request.drop(request.reasoning_field)
    return {"thinkingLevel": level}


def _budget(request: ChatRequest, asked: Reasoning, limits: tuple[int, int]) -> int | None:
    least, most = limits
    own = asked.budget_tokens
    if own is None and asked.is_adaptive and asked.effort is None:
        return DYNAMIC
    wanted = own if own is not None else asked.budget(request.max_tokens)
    if wanted is None:  # max_tokens leaves no room for it
        wanted = least
    budget = min(max(wanted, least), most)
    if own is not None and own != budget:
        request.drop("thinking.budget_tokens")
    return budget
