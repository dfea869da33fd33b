"""A chat request as a body of Cohere's chat.

Source: docs.cohere.com/reference/chat, and its OpenAPI document of 2026-08; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.translators.chat import ChatRequest, only_one_answer, only_text_out
from gateway_cohere.thinking import thinking_of, thinks
from gateway_cohere.tools import tools_of
from gateway_cohere.turns import messages_of

OWN_FIELDS = ("citation_options", "documents", "priority", "safety_mode")
"""Those that OpenAI has nothing like; callers may send them as they are, and so `k`, `p` and `strict_tools`."""
_LEAST_P, _MOST_P = 0.01, 0.99
_encode = msgspec.json.encode


def body_of(call: Call, model: str) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request = ChatRequest(call)
    only_one_answer(request)
    only_text_out(request)
    thinking = thinking_of(request, model)
    tools = tools_of(request)
    takes_thinking = thinks(model) and (thinking is None or thinking["type"] == "enabled")
    fields: dict[str, Any] = {
        "model": model,
        "messages": messages_of(request, takes_thinking=takes_thinking),
        "tools": tools.tools,
        "tool_choice": tools.choice,
        "strict_tools": tools.is_strict,
        "response_format": tools.format,
        "thinking": thinking,
        "max_tokens": request.max_tokens,
        "stop_sequences": request.stop or None,
        "logprobs": request.take("logprobs", bool) or None,
        **{name: request.raw(name) for name in OWN_FIELDS},
        **_sampling(request),
        "stream": call.ask.stream or None,
    }
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


def _sampling(request: ChatRequest) -> dict[str, Any]:
    """What goes further at OpenAI is cut to what Cohere takes, and told. Penalties of 0 are as good as none, and many
    models take but one of the two."""
    penalties = ("frequency_penalty", "presence_penalty")
    top_p, top_k, seed = request.take("top_p", float), request.take("top_k", int), request.take("seed", int)
    if seed is not None and seed < 0:
        request.drop("seed")
        seed = None
    return {
        "temperature": _up_to_one(request, "temperature"),
        **{name: _up_to_one(request, name) or None for name in penalties},
        "p": request.raw("p") if top_p is None else min(max(top_p, _LEAST_P), _MOST_P),
        "k": request.raw("k") if top_k is None else max(top_k, 0),
        "seed": seed,
    }


def _up_to_one(request: ChatRequest, name: str) -> float | None:
    given = request.take(name, float)
    if given is None:
        return None
    cut = min(max(given, 0.0), 1.0)
    if cut != given:
        request.drop(name)
    return cut
