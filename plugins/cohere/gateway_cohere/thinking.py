"""How much the model is to think.

Source: docs.cohere.com/docs/reasoning, /docs/models and /docs/compatibility-api, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import BUDGETS, ChatRequest

_WITHOUT = (
    "c4ai-",
    "command-a-03",
    "command-a-translate",
    "command-a-vision",
    "command-light",
    "command-nightly",
    "command-r",
    "tiny-aya",
)
"""Beginnings of the names of models that do not think. What is not known yet does, as the newest do."""
_LIMITED = frozenset({"minimal", "low", "medium"})
"""Efforts that have a budget. For more, Cohere recommends none."""


class OwnThinking(msgspec.Struct):
    """`thinking` as Cohere has it."""

    token_budget: int | None = None


def thinks(model: str) -> bool:
    return model != "command" and not model.startswith(_WITHOUT)


def thinking_of(request: ChatRequest, model: str) -> dict[str, Any] | None:
    """The field `thinking`; None: as the model does by itself. Raises BadRequest."""
    asked, own = request.reasoning, request.take("thinking", OwnThinking) or OwnThinking()
    if asked.effort is not None and asked.effort not in BUDGETS:
        raise BadRequest(f"reasoning_effort must be none or one of {', '.join(BUDGETS)}", param="reasoning_effort")
    budget = own.token_budget if own.token_budget is not None else asked.budget_tokens
    is_asked_for = asked.is_asked_for or budget is not None
    if not thinks(model):
        if is_asked_for and not asked.is_off:
            request.drop(request.reasoning_field)
        return None
    if asked.is_off:
        return {"type": "disabled"}
    if not is_asked_for:
        return None
    if asked.display is not None:
        request.drop("thinking.display")
    if budget is None and asked.effort in _LIMITED:
        budget, most = BUDGETS[asked.effort], request.max_tokens
        if most is not None:
            budget = min(budget, most * 4 // 5)
    return {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": max(1, budget)}
