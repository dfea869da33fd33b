"""A body of the Responses API as a chat request.

Source: platform.openai.com/docs/api-reference/responses/create, /api-reference/chat/create and
/docs/guides/migrate-to-responses; read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.contract import Call, JsonBody
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.instructions import gathered
from gateway.translators.messages.extent import Extent
from gateway.translators.responses.items import Item, Items
from gateway.translators.responses.tools import tools_of

_THINKS = re.compile(r"(?:\A|/)(?:o[1-9](?![0-9a-z])|gpt-[5-9]|gpt-oss)")
"""Models of OpenAI's that take `reasoning_effort`."""
_LIMITS_ALL = re.compile(r"(?:\A|/)(?:o[1-9](?![0-9a-z])|gpt-[5-9])")
"""Those of them that take no `max_tokens`."""
_NOT_FOR_ANSWERS = re.compile(r"chat-latest")
_PASSED_ON = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty"),
    *("service_tier", "prompt_cache_key", "safety_identifier", "user"),
)
"""Fields that chat has under the same name, and with the same meaning."""
_KEPT_HERE = ("background", "metadata", "previous_response_id", "store")
"""What the gateway itself sees to."""
_ELSEWHERE = {
    "conversation": "the gateway keeps no conversations for this model: use previous_response_id, or send all of it",
    "prompt": "the gateway keeps no prompts for this model: send instructions and input",
}
_LOGPROBS = "message.output_text.logprobs"
_encode = msgspec.json.encode


class Reasoning(msgspec.Struct):
    effort: str | None = None


class Format(msgspec.Struct):
    type: str = "text"
    name: str = "answer"
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class Text(msgspec.Struct):
    format: Format | None = None
    verbosity: str | None = None


def body_of(call: Call, model: str, extent: Extent) -> JsonBody:
    """Raises BadRequest: it asks for something that cannot be said here."""
    request = ChatRequest(call)  # of its methods, those that know no field of chat
    for name, why in _ELSEWHERE.items():
        if request.raw(name) is not None:
            raise BadRequest(why, param=name)
    for name in _KEPT_HERE:
        request.raw(name)
    is_thinker = _THINKS.search(model) is not None and _NOT_FOR_ANSWERS.search(model) is None
    limit = "max_completion_tokens" if _LIMITS_ALL.search(model) and not extent.is_hub else "max_tokens"
    fields: dict[str, Any] = {
        "model": model,
        "messages": messages_of(request, extent),
        limit: request.raw("max_output_tokens"),
        **tools_of(request, extent),
        **_text(request, takes_verbosity=is_thinker),
        **{name: request.raw(name) for name in _PASSED_ON},
        "reasoning_effort": _effort(request, takes_effort=is_thinker or extent.is_hub),
        "stream": call.ask.stream or None,
    }
    if (request.take("truncation", str) or "disabled") != "disabled":
        request.drop("truncation")
    if _LOGPROBS in (request.take("include", list[str]) or ()):
        request.drop(f"include.{_LOGPROBS}")
    told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


def messages_of(request: ChatRequest, extent: Extent) -> list[dict[str, Any]]:
    """What `instructions` and `input` say. Raises BadRequest."""
    items = Items(request, extent)
    items.system(request.take("instructions", str) or "")
    given: str | list[Item] | None = request.take("input", str | list[Item])  # type: ignore[arg-type]
    for item in [Item(role="user", content=given)] if isinstance(given, str) else given or ():
        items.add(item)
    messages = items.messages
    if not messages:
        raise BadRequest("input must not be empty", param="input")
    return messages if extent.is_hub else gathered(messages)


def _text(request: ChatRequest, *, takes_verbosity: bool) -> dict[str, Any]:
    text = request.take("text", Text) or Text()
    said: dict[str, Any] = {}
    if text.verbosity is not None and takes_verbosity:
        said["verbosity"] = text.verbosity
    elif text.verbosity not in (None, "medium"):
        request.drop("text.verbosity")
    form = text.format or Format()
    match form.type:
        case "text":
            return said
        case "json_object":
            return {**said, "response_format": {"type": "json_object"}}
        case "json_schema" if bytes(form.schema).startswith(b"{"):
            about = {"description": form.description, "strict": form.strict}
            given = {name: value for name, value in about.items() if value is not None}
            schema = {"name": form.name, "schema": form.schema, **given}
            return {**said, "response_format": {"type": "json_schema", "json_schema": schema}}
    raise BadRequest("text.format must be text, json_object, or json_schema with a schema", param="text")


def _effort(request: ChatRequest, *, takes_effort: bool) -> str | None:
    """For models of which it is known that they take it: others refuse the whole request."""
    effort = (request.take("reasoning", Reasoning) or Reasoning()).effort
    if effort is not None and not takes_effort:
        request.drop("reasoning.effort")
        return None
    return effort
