"""A body of `generateContent` as a chat request.

Source: ai.google.dev/api/generate-content; `GenerationConfig` in types.py of google-genai 3.6.1; platform.openai.com/
docs/api-reference/chat/create; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.errors import BadRequest
from gateway.translators.chat import BUDGETS, ChatRequest
from gateway.translators.chat.thinkers import is_thinker
from gateway.translators.gemini.names import ThinkingConfig, in_camel_case
from gateway.translators.gemini.parts import Content, Part
from gateway.translators.gemini.schema import json_schema
from gateway.translators.gemini.tools import tools_of
from gateway.translators.gemini.turns import Turns
from gateway.translators.messages.extent import Extent

OF_ROUTES = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty",
    "frequency_penalty", "reasoning_effort", "service_tier", "user", "metadata",
)  # fmt: skip
"""Fields of chat that a route may set, whatever the API of the caller: they count for more than the caller's."""

_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_MEDIUM": "auto", "MEDIA_RESOLUTION_HIGH": "high"}
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_EFFORTS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
_USUAL_TYPES = (None, "", "text/plain")
_IGNORED = frozenset({"model", "store"})
"""Said elsewhere, or of what is kept at Google."""
_encode = msgspec.json.encode


class Config(msgspec.Struct, rename="camel"):
    """Numbers may be written as text. What is not here is noted as dropped."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | str | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_schema: msgspec.Raw = msgspec.Raw()
    response_json_schema: msgspec.Raw = msgspec.Raw()
    response_modalities: list[str] | str | None = None
    thinking_config: ThinkingConfig | None = None
    media_resolution: str | None = None


_FIELDS = frozenset(Config.__struct_encode_fields__)
_OTHER_SCHEMA = "_responseJsonSchema"
"""What google-genai called it for a while."""


def body_of(call: Call, model: str, extent: Extent) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    given = {name: raw for name, raw in call.fields.items() if name not in OF_ROUTES and name not in _IGNORED}
    request = ChatRequest(call.with_fields(in_camel_case(given)))
    config = _config(request)
    turns = Turns(request, extent, _DETAILS.get(config.media_resolution or ""))
    turns.system(request.take("systemInstruction", Content | str))  # type: ignore[arg-type]
    contents: list[Content] | Content | None = request.take("contents", list[Content] | Content)  # type: ignore[arg-type]
    for content in _joined([contents] if isinstance(contents, Content) else contents or []):
        turns.add(content)
    if all(message["role"] == "system" for message in turns.messages):
        raise BadRequest("contents must not be empty", param="contents")
    if request.raw("cachedContent") is not None:
        raise BadRequest("what is cached at Google is not known to this model: send it whole", param="cachedContent")
    thinks = not extent.is_hub and is_thinker(model)
    limit = "max_completion_tokens" if thinks else "max_tokens"
    fields: dict[str, Any] = {
        "model": model,
        "messages": turns.messages,
        **tools_of(request, extent),
        **_sampling(request, config, extent, is_fixed=thinks),
        limit: config.max_output_tokens,
        "n": config.candidate_count if config.candidate_count != 1 else None,
        "stop": _listed(config.stop_sequences) or None,
        "response_format": _response_format(config),
        "modalities": _modalities(config),
        **_thinking(request, config.thinking_config or ThinkingConfig(), extent, thinks=thinks),
        "service_tier": _TIERS.get((request.take("serviceTier", str) or "").lower().removeprefix("service_tier_")),
        "stream": call.ask.stream or None,
        **_of_routes(call, limit=limit),
    }
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


def _of_routes(call: Call, *, limit: str) -> dict[str, Any]:
    """`limit`: what the model calls that of an answer's tokens."""
    fields = {name: raw for name, raw in call.fields.items() if name in OF_ROUTES}
    limits = [fields.pop(name) for name in ("max_completion_tokens", "max_tokens") if name in fields]
    return {**fields, limit: limits[0]} if limits else fields


def _joined(contents: list[Content]) -> list[Content]:
    """What the model has said at once is one turn: SDKs keep each event of a stream as a content of its own."""
    joined: list[Content] = []
    last: list[Part] = []
    for content in contents:
        if joined and content.role == "model" == joined[-1].role:
            last += content.listed
        else:
            last = [*content.listed]
            joined.append(Content(content.role, last))
    return joined


def _config(request: ChatRequest) -> Config:
    fields = request.take("generationConfig", dict[str, msgspec.Raw]) or {}
    for name, raw in fields.items():
        if name not in _FIELDS and name != _OTHER_SCHEMA and bytes(raw) != b"null":
            request.drop(f"generationConfig.{name}")
    config = request.take("generationConfig", Config) or Config()
    if not bytes(config.response_json_schema) and _OTHER_SCHEMA in fields:
        config.response_json_schema = fields[_OTHER_SCHEMA]
    return config


def _sampling(request: ChatRequest, config: Config, extent: Extent, *, is_fixed: bool) -> dict[str, Any]:
    """`is_fixed`: it takes nothing but the usual."""
    sampling: dict[str, Any] = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "presence_penalty": config.presence_penalty,
        "frequency_penalty": config.frequency_penalty,
    }
    if is_fixed:
        for name, usual in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
            if sampling[name] not in (None, usual):
                request.drop(f"generationConfig.{name}")
        sampling = {}
    if config.top_k is not None and extent.has_reasoning:
        sampling["top_k"] = config.top_k
    elif config.top_k is not None:
        request.drop("generationConfig.topK")
    sampling["seed"] = config.seed
    if config.response_logprobs:
        request.drop("generationConfig.responseLogprobs")
    return sampling


def _response_format(config: Config) -> dict[str, Any] | None:
    if config.response_mime_type in _USUAL_TYPES:
        return None
    if config.response_mime_type != "application/json":
        raise BadRequest(
            "responseMimeType must be text/plain or application/json for this model", param="generationConfig"
        )
    if bytes(config.response_json_schema) not in (b"", b"null"):
        schema: Any = config.response_json_schema
    elif bytes(config.response_schema) not in (b"", b"null"):
        schema = json_schema(config.response_schema, "responseSchema")
    else:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _modalities(config: Config) -> list[str] | None:
    wanted = [name.lower() for name in _listed(config.response_modalities)]
    return wanted if set(wanted) - {"text", "modality_unspecified"} else None


def _listed(texts: list[str] | str | None) -> list[str]:
    """One may stand there without its list."""
    return [texts] if isinstance(texts, str) else texts or []


def _thinking(request: ChatRequest, asked: ThinkingConfig, extent: Extent, *, thinks: bool) -> dict[str, Any]:
    """`thinks`: a model of OpenAI's that takes an effort; of others it is not known, and they may refuse it."""
    budget, effort = asked.thinking_budget, _EFFORTS.get((asked.thinking_level or "").upper())
    if extent.is_hub:
        if budget is not None and budget > 0:
            return {"thinking": {"type": "enabled", "budget_tokens": budget}}
        if budget is not None:
            return {"thinking": {"type": "disabled" if budget == 0 else "adaptive"}}
        return {"reasoning_effort": effort}
    if budget is not None and budget > 0:
        effort = "low" if budget < BUDGETS["medium"] else "medium" if budget < BUDGETS["high"] else "high"
    if thinks and effort is not None:
        return {"reasoning_effort": effort}
    if effort is not None or (thinks and budget == 0):
        request.drop("generationConfig.thinkingConfig")
    return {}
