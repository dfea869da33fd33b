"""A body of the Messages API as a chat request.

Source: platform.claude.com/docs/en/api/messages; platform.openai.com/docs/api-reference/chat/create and
/docs/guides/reasoning; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.errors import BadRequest
from gateway.translators.chat import BUDGETS, ChatRequest, ReasoningOption
from gateway.translators.chat.thinkers import is_thinker
from gateway.translators.instructions import gathered
from gateway.translators.messages.extent import Extent
from gateway.translators.messages.tools import choice_of, tools_of
from gateway.translators.messages.turns import Block, Turn, Turns

_EFFORTS = ("low", "medium", "high", "xhigh")
MOST_USER_CHARS = 64
"""Source: platform.openai.com/docs/api-reference/chat/create, `safety_identifier`."""
_encode = msgspec.json.encode


class Format(msgspec.Struct):
    type: str = ""
    schema: msgspec.Raw = msgspec.Raw()


class OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: Format | None = None


class Metadata(msgspec.Struct):
    user_id: str | None = None


def body_of(call: Call, model: str, extent: Extent) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request = ChatRequest(call)  # of its methods, those that know no field of chat
    turns = Turns(request, extent)
    turns.system(request.take("system", str | list[Block]))  # type: ignore[arg-type]
    for turn in request.take("messages", list[Turn]) or []:
        turns.add(turn)
    if not turns.messages:
        raise BadRequest("messages must not be empty", param="messages")
    thinks = is_thinker(model)
    config = request.take("output_config", OutputConfig) or OutputConfig()
    tools = tools_of(request, extent)
    fields: dict[str, Any] = {
        "model": model,
        "messages": turns.messages if extent.is_hub else gathered(turns.messages),
        "max_completion_tokens" if thinks and not extent.is_hub else "max_tokens": request.raw("max_tokens"),
        "stop": request.raw("stop_sequences"),
        **tools,
        **choice_of(request, has_tools="tools" in tools),
        **_sampling(request, is_fixed=thinks and not extent.is_hub),
        "response_format": _response_format(request, config),
        "user": _user(request),
        "stream": call.ask.stream or None,
    }
    if extent.is_hub:
        fields["thinking"], fields["reasoning_effort"] = request.raw("thinking"), config.effort
        fields |= {name: request.raw(name) for name in call.fields if name not in _TRANSLATED | fields.keys()}
    else:
        fields["top_k"] = request.raw("top_k") if extent.has_reasoning else None
        fields["reasoning_effort"] = _effort(request, config, thinks=thinks)
        if request.take("mcp_servers", list[Any]):
            raise BadRequest("this model cannot reach MCP servers: leave out mcp_servers", param="mcp_servers")
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


_TRANSLATED = frozenset(
    {"max_tokens", "metadata", "output_config", "output_format", "stop_sequences", "system", "tool_choice", "tools"}
)


def _sampling(request: ChatRequest, *, is_fixed: bool) -> dict[str, Any]:
    given = {name: request.take(name, float) for name in ("temperature", "top_p")}
    if is_fixed:
        for name, value in given.items():
            if value not in (None, 1):
                request.drop(name)
        return {}
    return given


def _response_format(request: ChatRequest, config: OutputConfig) -> dict[str, Any] | None:
    """Of `output_config`, or of the field that there was before."""
    form = config.format or request.take("output_format", Format)
    if form is None:
        return None
    if form.type != "json_schema" or not bytes(form.schema):
        raise BadRequest("output_config.format must be of the type json_schema, with a schema", param="output_config")
    schema = {"name": "answer", "schema": form.schema, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _user(request: ChatRequest) -> str | None:
    user = (request.take("metadata", Metadata) or Metadata()).user_id
    if user is not None and len(user) > MOST_USER_CHARS:
        request.drop("metadata.user_id")
        return None
    return user


def _effort(request: ChatRequest, config: OutputConfig, *, thinks: bool) -> str | None:
    """`reasoning_effort`, for models of which it is known that they take it: others refuse the whole request."""
    thinking = request.take("thinking", ReasoningOption) or ReasoningOption()
    wanted = config.effort
    if wanted is None and thinking.budget_tokens is not None and thinking.type == "enabled":
        budget = thinking.budget_tokens
        wanted = "low" if budget < BUDGETS["medium"] else "medium" if budget < BUDGETS["high"] else "high"
    if not thinks:
        if thinking.type is not None and thinking.type != "disabled":
            request.drop("thinking")
        if config.effort is not None:
            request.drop("output_config.effort")
        return None
    if thinking.type == "disabled":
        request.drop("thinking")
        return None
    if wanted is None or wanted in _EFFORTS:
        return wanted
    request.drop("output_config.effort")
    return "high"
