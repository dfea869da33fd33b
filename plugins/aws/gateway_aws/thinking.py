"""How much the model is to think, in the way it can be told.

Source: docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and claude-messages-
adaptive-thinking.html, docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html, `OutputConfig` in
botocore 1.44.5; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import BUDGETS, ChatRequest, Reasoning
from gateway_aws.models import Traits

_NOVA = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


class Thinking(msgspec.Struct, frozen=True):
    """
    Args:
        fields: of `additionalModelRequestFields`.
        effort: of `outputConfig`.
        samples: temperature and the like may be set beside it.
    """

    fields: dict[str, Any] = {}
    effort: str | None = None
    samples: bool = True


def thinking_of(request: ChatRequest, traits: Traits, *, is_forced: bool, max_tokens: int | None) -> Thinking:
    """What cannot be said to this model is noted as dropped.

    Args:
        is_forced: a call of a tool is demanded, which goes before thinking: Claude refuses both together.
        max_tokens: the caller's; thinking counts in them.
    """
    asked = request.reasoning
    if asked.effort is not None and asked.effort not in BUDGETS:
        raise BadRequest(f"reasoning_effort must be none or one of {', '.join(BUDGETS)}", param="reasoning_effort")
    if asked.is_off:
        return _off(request, traits)
    if not asked.is_asked_for:
        return Thinking()
    effort = asked.effort or _worth(asked.budget_tokens)
    if "nova" in traits.thinks:
        return _of_nova(request, _NOVA[effort], max_tokens)
    if "effort" in traits.thinks:
        return Thinking({"reasoning_effort": _NOVA[effort]})
    if "adaptive" in traits.thinks and not ("budget" in traits.thinks and asked.budget_tokens is not None):
        if is_forced:
            return _dropped(request)
        if asked.budget_tokens is not None:
            request.drop("thinking.budget_tokens")
        is_said = asked.effort is not None or asked.budget_tokens is not None
        return Thinking(
            {"thinking": _shown("adaptive", asked, traits)},
            _effort(request, effort, traits) if is_said else None,
            samples=False,
        )
    budget = asked.budget(max_tokens) if "budget" in traits.thinks and not is_forced else None
    if budget is None:
        return _dropped(request)
    if max_tokens is not None and budget >= max_tokens:
        raise BadRequest(
            f"max_tokens ({max_tokens}) must be more than the {budget} tokens to think with", param="max_tokens"
        )
    return Thinking({"thinking": {**_shown("enabled", asked, traits), "budget_tokens": budget}}, samples=False)


def _of_nova(request: ChatRequest, effort: str, max_tokens: int | None) -> Thinking:
    """The highest effort takes no limit, and the caller's limit counts for more."""
    if effort == "high" and max_tokens is not None:
        _dropped(request)
        effort = "medium"
    config = {"type": "enabled", "maxReasoningEffort": effort}
    return Thinking({"reasoningConfig": config}, samples=effort != "high")


def _off(request: ChatRequest, traits: Traits) -> Thinking:
    if not traits.thinks_unasked:
        return Thinking()
    if traits.off is not None:
        return Thinking({"thinking": {"type": traits.off}})
    _dropped(request)
    return Thinking(effort="low")


def _dropped(request: ChatRequest) -> Thinking:
    names = ("reasoning_effort", "thinking", "reasoning")
    request.drop(next((name for name in names if request.raw(name) is not None), names[0]))
    return Thinking()


def _shown(kind: str, asked: Reasoning, traits: Traits) -> dict[str, Any]:
    """Whoever asks for reasoning sees it, unless they say otherwise."""
    display = asked.display or (None if traits.shows_thinking else "summarized")
    return {"type": kind} if display is None else {"type": kind, "display": display}


def _worth(budget: int | None) -> str:
    """A budget as an effort."""
    if budget is None:
        return "medium"
    return "low" if budget < BUDGETS["medium"] else "medium" if budget < BUDGETS["high"] else "high"


def _effort(request: ChatRequest, wanted: str, traits: Traits) -> str | None:
    """The one that was asked for, or the next lower that the model has."""
    if not traits.efforts:
        return None
    if wanted in traits.efforts:
        return wanted
    if wanted == "minimal":
        return "low"
    _dropped(request)
    return "high"
