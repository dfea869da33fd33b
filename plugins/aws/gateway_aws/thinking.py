"""How much the model is to think, in the way it can be told.

Source: docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and claude-messages-
adaptive-thinking.html, docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html, `OutputConfig` in
botocore 1.44.5; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.claude import Claude
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
    asked.check()
    if asked.is_off:
        return _off(request, traits.claude)
    if not asked.is_asked_for:
        return Thinking()
    effort = _NOVA[asked.worth or "medium"]
    if "nova" in traits.thinks:
        return _of_nova(request, effort, max_tokens)
    if "effort" in traits.thinks:
        return Thinking({"reasoning_effort": effort})
    if traits.claude is None or is_forced:
        return _dropped(request)
    return _of_claude(request, traits.claude, max_tokens)


def _of_claude(request: ChatRequest, claude: Claude, max_tokens: int | None) -> Thinking:
    asked = request.reasoning
    if claude.is_adaptive and not (claude.takes_budget and asked.budget_tokens is not None):
        if asked.budget_tokens is not None:
            request.drop("thinking.budget_tokens")
        return Thinking({"thinking": claude.thinking("adaptive", asked)}, _effort(request, claude), samples=False)
    budget = asked.budget(max_tokens) if claude.takes_budget else None
    if budget is None:
        return _dropped(request)
    if max_tokens is not None and budget >= max_tokens:
        raise BadRequest(
            f"max_tokens ({max_tokens}) must be more than the {budget} tokens to think with", param="max_tokens"
        )
    return Thinking({"thinking": {**claude.thinking("enabled", asked), "budget_tokens": budget}}, samples=False)


def _of_nova(request: ChatRequest, effort: str, max_tokens: int | None) -> Thinking:
    """The highest effort takes no limit, and the caller's limit counts for more."""
    if effort == "high" and max_tokens is not None:
        _dropped(request)
        effort = "medium"
    config = {"type": "enabled", "maxReasoningEffort": effort}
    return Thinking({"reasoningConfig": config}, samples=effort != "high")


def _off(request: ChatRequest, claude: Claude | None) -> Thinking:
    if claude is None or not claude.thinks_unasked:
        return Thinking()
    if claude.off is not None:
        return Thinking({"thinking": {"type": claude.off}})
    _dropped(request)
    return Thinking(effort="low")


def _dropped(request: ChatRequest) -> Thinking:
    names = ("reasoning_effort", "thinking", "reasoning")
    request.drop(next((name for name in names if request.raw(name) is not None), names[0]))
    return Thinking()


def _effort(request: ChatRequest, claude: Claude) -> str | None:
    """The one that was asked for, or the next lower that the model has."""
    wanted = request.reasoning.worth
    effort = claude.effort(wanted) if wanted is not None else None
    if effort not in (None, wanted) and wanted != "minimal":
        _dropped(request)
    return effort
