"""A chat request as a body of Converse.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the service description of botocore
1.44.5; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.translators.chat import ChatRequest, only_one_answer, only_text_out
from gateway_aws.models import Traits, traits_of
from gateway_aws.thinking import Thinking, thinking_of
from gateway_aws.tools import Tools, tools_of
from gateway_aws.turns import Turns

OWN_FIELDS = (
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
)
"""Of Converse, and sent as they come."""
TIERS = {"auto": None, "default": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}
"""OpenAI's names -> Bedrock's; None is what it does unasked."""

_encode = msgspec.json.encode


def body_of(call: Call, model: str) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request, traits = ChatRequest(call), traits_of(model)
    only_one_answer(request)
    only_text_out(request)
    turns = Turns(request, traits)
    tools = tools_of(request, traits, turns.called)
    thinking = thinking_of(request, traits, is_forced=tools.is_forced, max_tokens=request.max_tokens)
    if tools.instruction is not None:
        turns.system.append({"text": tools.instruction})
    output = {"textFormat": tools.format, "effort": thinking.effort}
    fields: dict[str, Any] = {
        "messages": turns.messages,
        "system": turns.system or None,
        "inferenceConfig": _inference(request, traits, thinking),
        "toolConfig": tools.config,
        "outputConfig": {name: value for name, value in output.items() if value is not None} or None,
        "serviceTier": _tier(request),
        **{name: request.raw(name) for name in OWN_FIELDS},
        "additionalModelRequestFields": _additional(request, traits, thinking, tools),
    }
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


def _inference(request: ChatRequest, traits: Traits, thinking: Thinking) -> dict[str, Any] | None:
    given = {name: value for name in ("temperature", "top_p") if (value := request.take(name, float)) is not None}
    kept = dict(given)
    if not traits.samplers or not thinking.samples:
        kept = {}
        if traits.samplers and traits.family == "anthropic" and given.get("top_p", 0.0) >= 0.95:
            kept = {"top_p": given["top_p"]}  # which is as low as it may be while Claude thinks
    elif traits.samplers == 1 and "temperature" in kept:
        kept.pop("top_p", None)
    if kept.get("temperature", 0.0) > 1:  # OpenAI's ends at 2
        kept["temperature"] = 1.0
    for name, value in given.items():
        if kept.get(name, 1.0) != value:
            request.drop(name)
    stop = [text for text in request.stop if text.strip()]  # those of nothing but whitespace are refused
    if len(stop) < len(request.stop):
        request.drop("stop")
    fields = {
        "maxTokens": request.max_tokens,
        "temperature": kept.get("temperature"),
        "topP": kept.get("top_p"),
        "stopSequences": stop or None,
    }
    return {name: value for name, value in fields.items() if value is not None} or None


def _additional(request: ChatRequest, traits: Traits, thinking: Thinking, tools: Tools) -> dict[str, Any] | None:
    """What only some models know; the caller's own goes before what follows from other fields."""
    fields: dict[str, Any] = dict(thinking.fields)
    for name, own_name in traits.own.items():
        takes_top_k = name != "top_k" or (traits.samplers == 3 and thinking.samples)
        if takes_top_k and (value := request.raw(name)) is not None:
            *around, last = own_name.split(".")
            inner = fields
            for each in around:
                inner = inner.setdefault(each, {})
            inner[last] = value
    if tools.own:
        fields["tools"] = tools.own
    if (beta := request.take("anthropic_beta", list[str])) is not None:
        fields["anthropic_beta"] = beta
    fields |= request.take("additionalModelRequestFields", dict[str, Any]) or {}
    return fields or None


def _tier(request: ChatRequest) -> dict[str, str] | None:
    own = request.take("serviceTier", dict[str, str])
    given = request.take("service_tier", str)
    if own is not None or given is None:
        return own
    if given not in TIERS:
        request.drop("service_tier")
    tier = TIERS.get(given)
    return {"type": tier} if tier is not None else None
