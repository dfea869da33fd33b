"""A chat request as a body of the Messages API.

Source: platform.claude.com/docs/en/api/messages, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, only_one_answer, only_text_out
from gateway.translators.claude import Claude, claude_of
from gateway_anthropic.flavour import Flavour
from gateway_anthropic.thinking import Thinking, thinking_of
from gateway_anthropic.tools import tools_of
from gateway_anthropic.turns import Turns

_TIERS = {"auto": None, "priority": "auto", "default": "standard_only", "standard_only": "standard_only"}
"""OpenAI's names -> Anthropic's; None is what it does unasked."""
_encode = msgspec.json.encode


def body_of(call: Call, model: str, flavour: Flavour) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request, claude = ChatRequest(call), claude_of(model)
    only_one_answer(request)
    only_text_out(request)
    max_tokens = request.max_tokens
    if max_tokens is None:
        max_tokens = claude.max_output
    turns = Turns(request, flavour, has_later_system=claude.has_later_system and flavour.has_later_system)
    tools = tools_of(request, claude)
    thinking = thinking_of(request, claude, is_forced=tools.is_forced, max_tokens=max_tokens)
    if tools.instruction is not None:
        turns.system.append({"type": "text", "text": tools.instruction})
    if (budget := (thinking.config or {}).get("budget_tokens", 0)) >= max_tokens:
        raise BadRequest(
            f"max_tokens ({max_tokens}) must be more than the {budget} tokens to think with", param="max_tokens"
        )
    fields: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "messages": turns.messages,
        "system": turns.system or None,
        "tools": tools.tools or None,
        "tool_choice": tools.choice,
        "thinking": thinking.config,
        "output_config": _output_config(request, thinking, tools.format),
        "stop_sequences": _stop(request),
        "metadata": _metadata(request),
        "service_tier": _tier(request, flavour),
        **_sampling(request, claude, flavour, thinking),
        **{name: request.raw(name) for name in flavour.own_fields},
        "stream": call.ask.stream or None,
        **flavour.adds,
    }
    left = flavour.leaves_out
    told = {
        name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None and name not in left
    }
    return JsonBody(told, dropped_params=request.dropped_params)


def _output_config(request: ChatRequest, thinking: Thinking, form: dict[str, Any] | None) -> dict[str, Any] | None:
    """The caller's own goes before what follows from OpenAI's fields."""
    config = request.take("output_config", dict[str, Any]) or {}
    if thinking.effort is not None:
        config.setdefault("effort", thinking.effort)
    if form is not None:
        config.setdefault("format", form)
    return config or None


def _sampling(request: ChatRequest, claude: Claude, flavour: Flavour, thinking: Thinking) -> dict[str, Any]:
    names = ("temperature", "top_p", "top_k")
    given = {name: value for name in names if (value := request.take(name, float)) is not None}
    if not flavour.samples or not claude.samplers:
        kept: dict[str, Any] = {}
    elif thinking.is_on:  # then temperature must be 1, and top_p between 0.95 and 1
        kept = {"top_p": top_p} if (top_p := given.get("top_p", 0.0)) >= 0.95 else {}
    else:
        kept = dict(given)
        if claude.samplers == 1 and "temperature" in kept:
            kept.pop("top_p", None)
    if kept.get("temperature", 0.0) > 1:  # OpenAI's ends at 2
        kept["temperature"] = 1.0
    if "top_k" in kept:
        kept["top_k"] = int(kept["top_k"])
    for name, value in given.items():
        if kept.get(name, 1.0 if name != "top_k" else None) != value:
            request.drop(name)
    return kept


def _stop(request: ChatRequest) -> list[str] | None:
    kept = [text for text in request.stop if text.strip()]  # those of nothing but whitespace are refused
    if len(kept) < len(request.stop):
        request.drop("stop")
    return kept or None


def _metadata(request: ChatRequest) -> dict[str, str] | None:
    """Who asks: OpenAI's `safety_identifier`, which was called `user` before."""
    own = request.take("metadata", dict[str, Any]) or {}
    newer, older = request.take("safety_identifier", str), request.take("user", str)
    if own.keys() - {"user_id"}:
        request.drop("metadata")
    user_id = own.get("user_id") or newer or older
    return {"user_id": str(user_id)} if user_id else None


def _tier(request: ChatRequest, flavour: Flavour) -> str | None:
    given = request.take("service_tier", str)
    if given is None:
        return None
    tier = _TIERS.get(given)
    if given not in _TIERS or (tier == "auto" and not flavour.has_tiers):
        request.drop("service_tier")
    return tier if flavour.has_tiers else None
