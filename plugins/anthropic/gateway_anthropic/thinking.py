"""How much the model is to think, in the way it can be told.

Source: platform.claude.com/docs/en/build-with-claude/thinking, /extended-thinking and /effort, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.translators.chat import ChatRequest, Reasoning, ReasoningOption
from gateway.translators.claude import Claude

BETWEEN_TOOLS = "between_tools"
"""A kind of `thinking` that nobody else has."""


class Thinking(msgspec.Struct, frozen=True):
    """`config`: the field `thinking`; `effort`: of `output_config`."""

    config: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.config is not None and self.config["type"] in ("enabled", "adaptive")


def thinking_of(request: ChatRequest, claude: Claude, *, is_forced: bool, max_tokens: int) -> Thinking:
    """What cannot be said to this model is noted as dropped.

    Args:
        is_forced: a call of a tool is demanded, which goes before thinking: both together are refused.
        max_tokens: as they are sent; thinking counts in them.
    """
    asked = request.reasoning
    asked.check()
    if asked.is_off:
        return _off(request, claude)
    own = request.take("thinking", ReasoningOption)
    if own is not None and own.type == BETWEEN_TOOLS:
        return Thinking({"type": BETWEEN_TOOLS})
    if not asked.is_asked_for:
        return Thinking()
    if (is_forced and claude.forces_tools) or not (claude.is_adaptive or claude.takes_budget):
        request.drop(request.reasoning_field)
        return Thinking()
    if claude.is_adaptive and not (claude.takes_budget and asked.budget_tokens is not None):
        if asked.budget_tokens is not None:
            request.drop("thinking.budget_tokens")
        return Thinking(claude.thinking("adaptive", asked), _effort(request, asked, claude))
    budget = asked.budget(max_tokens)
    if budget is None:
        request.drop(request.reasoning_field)
        return Thinking()
    return Thinking({**claude.thinking("enabled", asked), "budget_tokens": budget})


def _off(request: ChatRequest, claude: Claude) -> Thinking:
    if not claude.thinks_unasked:
        return Thinking()
    if claude.off is not None:
        return Thinking({"type": claude.off})
    request.drop(request.reasoning_field)
    return Thinking(effort="low")


def _effort(request: ChatRequest, asked: Reasoning, claude: Claude) -> str | None:
    """The one that was asked for, or the next lower that the model has; a budget counts as the effort it is worth."""
    wanted = asked.worth
    effort = claude.effort(wanted) if wanted is not None else None
    if effort not in (None, wanted) and wanted != "minimal":
        request.drop(request.reasoning_field)
    return effort
