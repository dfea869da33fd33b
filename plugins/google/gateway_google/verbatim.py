"""Callers who speak the Gemini API themselves: each byte goes on as it is, with the account's credentials.

What of it is the gateway's own is left out: signatures of other vendors' thoughts, and the name by which it knows the
model. Source: ai.google.dev/api/generate-content and /tokens, read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Target, UpstreamRequest
from gateway.errors import BadRequest
from gateway.providers.openai_compatible import Settings
from gateway.translators.chat.request import read
from gateway.translators.gemini.embeddings import OF_ROUTES as OF_EMBEDDINGS
from gateway.translators.gemini.request import OF_ROUTES
from gateway.translators.gemini.sealed import without_foreign
from gateway.wire.address import path_of
from gateway.wire.gemini import action_of
from gateway.wire.native import body_of, with_query

GENERATE, COUNT, EMBED = "gemini", "gemini_count_tokens", "gemini_embeddings"
"""Names of the dialects."""

_CONFIG: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Fields that a route has set -> their place in `generationConfig`."""
_INNER = "generateContentRequest"


def request(call: Call, target: Target) -> UpstreamRequest:
    settings: Settings = target.settings
    endpoint = settings.endpoints[GENERATE]
    path = path_of(endpoint.url).removesuffix(":generateContent")
    try:
        endpoint = endpoint.at(with_query(f"{path}:{action_of(call.request)}", call.request))
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    if call.dialect.name == EMBED:
        return UpstreamRequest(endpoint, *_embedding(call, f"models/{target.model}"))
    call, dropped = _with_routes(call)
    if call.dialect.name == COUNT and _INNER in call.fields:
        inner = {**read(call.fields[_INNER], dict[str, msgspec.Raw], _INNER), "model": f"models/{target.model}"}
        call = call.with_fields({**call.fields, _INNER: msgspec.Raw(msgspec.json.encode(inner))})
    return UpstreamRequest(endpoint, without_foreign(body_of(call)), dropped)


def _embedding(call: Call, model: str) -> tuple[bytes, tuple[str, ...]]:
    """A body of embeddings, in which Google wants the name of the path again; and what of a route was left out."""
    of_route = {name for name in (*OF_ROUTES, *OF_EMBEDDINGS) if name in call.fields}
    fields: dict[str, Any] = {name: raw for name, raw in call.fields.items() if name not in of_route}
    said: dict[str, Any] = {"model": msgspec.Raw(msgspec.json.encode(model))}
    if "dimensions" in of_route:
        said["outputDimensionality"] = call.fields["dimensions"]
    if "requests" in fields:
        asked = read(fields["requests"], list[dict[str, msgspec.Raw]], "requests")
        fields["requests"] = [{**each, **said} for each in asked]
    else:
        fields |= said
    return msgspec.json.encode(fields), tuple(sorted(of_route - {"dimensions"}))


def _with_routes(call: Call) -> tuple[Call, tuple[str, ...]]:
    """What a route has set, in the words of this API; and what of that it has no words for."""
    given = {name: call.fields[name] for name in OF_ROUTES if name in call.fields}
    if not given:
        return call, ()
    fields: dict[str, Any] = {name: raw for name, raw in call.fields.items() if name not in given}
    place = "generation_config" if "generation_config" in fields else "generationConfig"
    config: dict[str, Any] = read(fields[place], dict[str, msgspec.Raw], place) if place in fields else {}
    for name in given.keys() & _CONFIG.keys():
        is_one_text = name == "stop" and bytes(given[name]).startswith(b'"')
        config[_CONFIG[name]] = [given[name]] if is_one_text else given[name]
    fields[place] = msgspec.Raw(msgspec.json.encode(config))
    return call.with_fields(fields), tuple(sorted(given.keys() - _CONFIG.keys()))
