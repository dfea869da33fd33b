"""A chat request as a body of `generateContent`.

Source: ai.google.dev/api/generate-content and /gemini-api/docs/openai; the converters in models.py of google-genai
3.6.1; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway_google.models import traits_of
from gateway_google.thinking import thinking_of
from gateway_google.tools import tools_of
from gateway_google.turns import Turns

_SAME = {
    "safety_settings": "safetySettings",
    "safetySettings": "safetySettings",
    "cached_content": "cachedContent",
    "cachedContent": "cachedContent",
    "labels": "labels",
}
"""Google's own fields, which a caller may send as they are -> their place."""
_TIERS = {"auto": None, "default": "standard", "flex": "flex", "priority": "priority"}
"""OpenAI's names -> Google's; None is what it does unasked."""
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_encode = msgspec.json.encode


def body_of(call: Call, model: str) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request, traits = ChatRequest(call), traits_of(model)
    turns = Turns(request, traits)
    tools = tools_of(request, traits)
    own = _own(request)
    thinking = own.pop("thinking_config", None) or thinking_of(request, traits)
    config = {
        **_sampling(request),
        **_logprobs(request),
        **tools.format,
        "responseModalities": _modalities(request),
        "mediaResolution": turns.resolution,
        "thinkingConfig": thinking,
    }
    config = {name: value for name, value in config.items() if value is not None}
    fields: dict[str, Any] = {
        "contents": turns.contents,
        "systemInstruction": {"parts": turns.system} if turns.system else None,
        "tools": tools.tools or None,
        "toolConfig": tools.config,
        "generationConfig": config or None,
        "serviceTier": _tier(request),
        **own,
    }
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


def _sampling(request: ChatRequest) -> dict[str, Any]:
    return {
        "temperature": request.take("temperature", float),
        "topP": request.take("top_p", float),
        "topK": request.take("top_k", int),
        "candidateCount": request.choices if request.choices != 1 else None,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": request.stop or None,
        "seed": request.take("seed", int),
        # 0 says nothing, and models that know no penalties refuse it all the same.
        "presencePenalty": request.take("presence_penalty", float) or None,
        "frequencyPenalty": request.take("frequency_penalty", float) or None,
    }


def _logprobs(request: ChatRequest) -> dict[str, Any]:
    most = request.take("top_logprobs", int)
    if not request.take("logprobs", bool):
        return {}
    return {"responseLogprobs": True, "logprobs": most or None}


def _modalities(request: ChatRequest) -> list[str] | None:
    wanted = request.take("modalities", list[str]) or ["text"]
    if unknown := [name for name in wanted if name not in _MODALITIES]:
        raise BadRequest(
            f"{unknown[0][:40]} cannot be made by this model in a chat: leave out modalities and audio",
            param="modalities",
        )
    return [_MODALITIES[name] for name in wanted] if set(wanted) != {"text"} else None


def _tier(request: ChatRequest) -> str | None:
    given = request.take("service_tier", str)
    if given is not None and given not in _TIERS:
        request.drop("service_tier")
    return _TIERS.get(given or "auto")


def _own(request: ChatRequest) -> dict[str, Any]:
    """Google's own fields, at the top, or below `extra_body.google` as at its OpenAI-compatible API."""
    fields = {place: raw for name, place in _SAME.items() if (raw := request.raw(name)) is not None}
    extra = request.take("extra_body", dict[str, Any]) or {}
    for name in extra.keys() - {"google"}:
        request.drop(f"extra_body.{name}")
    google = extra.get("google")
    for name, value in google.items() if isinstance(google, dict) else ():
        if name in ("thinking_config", "thinkingConfig"):
            fields["thinking_config"] = value
        elif name in _SAME:
            fields[_SAME[name]] = value
        else:
            request.drop(f"extra_body.google.{name}")
    return fields
