"""How much the model is to think, in the way it can be told.

Source: platform.claude.com/docs/en/build-with-claude/thinking, /extended-thinking and /effort, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import BUDGETS, ChatRequest, Reasoning, ReasoningOption
from gateway_anthropic.models import Traits

BETWEEN_TOOLS = "between_tools"
"""A kind of `thinking` that nobody else has."""


class Thinking(msgspec.Struct, frozen=True):
    """`config`: the field `thinking`; `effort`: of `output_config`."""

    config: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.config is not None and self.config["type"] in ("enabled", "adaptive")


def thinking_of(request: ChatRequest, traits: Traits, *, is_forced: bool, max_tokens: int) -> Thinking:
    """What cannot be said to this model is noted as dropped.

    Args:
        is_forced: a call of a tool is demanded, which goes before thinking: both together are refused.
        max_tokens: as they are sent; thinking counts in them.
    """
    asked = request.reasoning
    if asked.effort is not None and asked.effort not in BUDGETS:
        raise BadRequest(f"reasoning_effort must be none or one of {', '.join(BUDGETS)}", param="reasoning_effort")
    if asked.is_off:
        return _off(request, traits)
    own = request.take("thinking", ReasoningOption)
    if own is not None and own.type == BETWEEN_TOOLS:
        return Thinking({"type": BETWEEN_TOOLS})
    if not asked.is_asked_for:
        return Thinking()
    if (is_forced and traits.forces_tools) or not (traits.is_adaptive or traits.takes_budget):
        request.drop(_name(request))
        return Thinking()
    if traits.is_adaptive and not (traits.takes_budget and asked.budget_tokens is not None):
        if asked.budget_tokens is not None:
            request.drop("thinking.budget_tokens")
        return Thinking(_shown("adaptive", asked, traits), _effort(request, asked, traits))
    budget = asked.budget(max_tokens)
    if budget is None:
        request.drop(_name(request))
        return Thinking()
    return Thinking({**_shown("enabled", asked, traits), "budget_tokens": budget})


def _off(request: ChatRequest, traits: Traits) -> Thinking:
    if not traits.thinks_unasked:
        return Thinking()
    if traits.off is not None:
        return Thinking({"type": traits.off})
    request.drop(_name(request))
    return Thinking(effort="low")


def _shown(kind: str, asked: Reasoning, traits: Traits) -> dict[str, Any]:
    """Whoever asks for reasoning sees it, unless they say otherwise."""
    display = asked.display or (None if traits.shows_thinking else "summarized")
    return {"type": kind} if display is None else {"type": kind, "display": display}


def _effort(request: ChatRequest, asked: Reasoning, traits: Traits) -> str | None:
    """The one that was asked for, or the next lower that the model has; a budget counts as the effort it is worth."""
    wanted = asked.effort
    if wanted is None and asked.budget_tokens is not None:
        budget = asked.budget_tokens
        wanted = "low" if budget < BUDGETS["medium"] else "medium" if budget < BUDGETS["high"] else "high"
    if wanted is None or not traits.efforts:
        return None
    if wanted in traits.efforts:
        return wanted
    if wanted == "minimal":
        return "low"
    request.drop(_name(request))
    return "high"


def _name(request: ChatRequest) -> str:
    """Of the field that asks for it."""
    names = ("reasoning_effort", "thinking", "reasoning")
    return next((name for name in names if request.raw(name) is not None), names[0])
