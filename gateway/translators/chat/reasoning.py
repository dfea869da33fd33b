"""How much a model is to think before it answers."""

from collections.abc import Mapping
from typing import Self

import msgspec

from gateway.errors import BadRequest

LEAST_BUDGET = 1024
"""Tokens; of Bedrock as well.

Source: platform.claude.com/docs/en/build-with-claude/extended-thinking, read 2026-11.
"""
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
"""Effort -> tokens. Source: up to `high`, ai.google.dev/gemini-api/docs/openai, read 2026-11; nobody has published
others, and the ones above are an estimate."""


class ReasoningOption(msgspec.Struct):
    """Anthropic's `thinking`: type, budget_tokens, display. OpenRouter's `reasoning`: effort, max_tokens, enabled."""

    type: str | None = None
    budget_tokens: int | None = None
    display: str | None = None
    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """What the caller says of it; nothing at all: the model's own default.

    Args:
        effort: in lower case, as in `BUDGETS`, or whatever else a vendor may know.
        budget_tokens: the caller's own.
        is_off: it is not to think.
        is_adaptive: as much as it thinks right.
        display: Anthropic's: `summarized` or `omitted`.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    is_off: bool = False
    is_adaptive: bool = False
    display: str | None = None

    @classmethod
    def of(cls, effort: str | None, thinking: ReasoningOption | None, reasoning: ReasoningOption | None) -> Self:
        thinking, reasoning = thinking or ReasoningOption(), reasoning or ReasoningOption()
        effort = (effort or reasoning.effort or "").lower() or None
        budget = thinking.budget_tokens if thinking.budget_tokens is not None else reasoning.max_tokens
        if thinking.type == "disabled" or effort == "none" or reasoning.enabled is False:
            return cls(is_off=True)
        if thinking.type == "enabled" or reasoning.enabled:
            effort = effort or (None if budget is not None else "medium")
        return cls(effort, budget, is_adaptive=thinking.type == "adaptive", display=thinking.display)

    @property
    def is_asked_for(self) -> bool:
        return not self.is_off and (self.effort is not None or self.budget_tokens is not None or self.is_adaptive)

    @property
    def worth(self) -> str | None:
        """The effort, or that which the budget is worth; None: neither was given."""
        if self.effort is not None or self.budget_tokens is None:
            return self.effort
        return next(name for name in ("high", "medium", "low") if name == "low" or self.budget_tokens >= BUDGETS[name])

    def check(self) -> None:
        """Raises BadRequest: an effort that is not in `BUDGETS`."""
        if self.effort is not None and self.effort not in BUDGETS:
            raise BadRequest(f"reasoning_effort must be none or one of {', '.join(BUDGETS)}", param="reasoning_effort")

    def budget(self, max_tokens: int | None) -> int | None:
        """In tokens, for models that want a number; None: it is not asked for, or there is no room for it.

        Args:
            max_tokens: the caller's limit, in which reasoning counts; a fifth of it is left for the answer.
        """
        if not self.is_asked_for:
            return None
        wanted = self.budget_tokens
        if wanted is None:
            wanted = BUDGETS.get(self.effort or "medium", BUDGETS["medium"])
            if max_tokens is not None:
                wanted = min(wanted, max_tokens * 4 // 5)
        return wanted if wanted >= LEAST_BUDGET else None
