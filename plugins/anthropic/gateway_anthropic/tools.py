"""Tools, which of them is to be called, and answers in JSON.

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools and /web-search-tool, /build-with-claude/
structured-outputs; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL, ChatRequest, Function, ResponseFormat, Tool, ToolChoice
from gateway_anthropic.models import Traits
from gateway_anthropic.schema import adapted

WEB_SEARCH = "web_search_20250305"
JSON_ONLY = "Answer with one JSON object, and with nothing before or after it."
"""For models that can neither be held to any JSON object at all, nor be made to call a tool."""


class Tools(msgspec.Struct):
    """
    Args:
        format: of `output_config`.
        instruction: for the system, where nothing else can be said.
    """

    tools: list[Any]
    choice: dict[str, Any] | None = None
    format: dict[str, Any] | None = None
    instruction: str | None = None

    @property
    def is_forced(self) -> bool:
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def tools_of(request: ChatRequest, traits: Traits) -> Tools:
    said = Tools([_tool(tool, request, traits) for tool in request.tools])
    search = request.take("web_search_options", dict[str, Any])
    if search is not None:
        said.tools.append(_search(search, request))
    choice = _choice(request.tool_choice, is_single=not request.has_parallel_tools)
    if said.tools:
        said.choice = choice
    elif request.tool_choice.mode in ("function", "required"):
        raise BadRequest("tool_choice demands a call, and there are no tools", param="tool_choice")
    if (wanted := request.response_format) is not None:
        _answer_in_json(wanted, said, request, traits)
    return said


def _tool(tool: Tool, request: ChatRequest, traits: Traits) -> Any:
    function = tool.function
    if function is None:
        if tool.type == "custom":
            raise BadRequest("tools of the type custom cannot be sent to this model: use a function", param="tools")
        return tool.raw
    block: dict[str, Any] = {"name": function.name, "input_schema": _schema(function)}
    if function.description:
        block["description"] = function.description
    if function.strict and traits.has_schemas:
        block |= {"input_schema": adapted(function.schema, "tools"), "strict": True}
    elif function.strict:
        request.drop("tools.strict")
    if tool.cache_control is not None:
        block["cache_control"] = tool.cache_control
    return block


def _schema(function: Function) -> Any:
    """As it came, but an object, which it must be."""
    try:
        schema = msgspec.json.decode(function.schema, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise BadRequest(f"the parameters of {function.name[:64]} are no JSON schema", param="tools") from error
    return function.schema if "type" in schema else {"type": "object", **schema}


def _choice(choice: ToolChoice, *, is_single: bool) -> dict[str, Any] | None:
    match choice.mode:
        case None if not is_single:
            return None
        case "none":
            return {"type": "none"}
        case "required":
            said: dict[str, Any] = {"type": "any"}
        case "function":
            said = {"type": "tool", "name": choice.name}
        case _:
            said = {"type": "auto"}
    return {**said, "disable_parallel_tool_use": True} if is_single else said


def _answer_in_json(wanted: ResponseFormat, said: Tools, request: ChatRequest, traits: Traits) -> None:
    """By a schema where the model is held to it; else by a tool that it has to call, unless it calls another."""
    if wanted.schema is not None and traits.has_schemas:
        said.format = {"type": "json_schema", "schema": adapted(wanted.schema, "response_format")}
        return
    if not traits.forces_tools:
        said.instruction = JSON_ONLY
        return
    if any(tool.name == ANSWER_TOOL for tool in request.tools):
        raise BadRequest(f"with response_format, no tool can have the name {ANSWER_TOOL}", param="tools")
    if said.choice is not None and said.choice["type"] == "tool":
        return  # that call comes first; the answer in JSON, when its result is there
    tool = wanted.as_tool()
    is_only_one = not said.tools or (said.choice is not None and said.choice["type"] == "none")
    said.tools.append({"name": tool.name, "description": tool.description, "input_schema": _schema(tool)})
    said.choice = {"type": "tool", "name": tool.name} if is_only_one else {**(said.choice or {}), "type": "any"}


def _search(options: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
    """`web_search_options` of OpenAI's chat."""
    if options.get("search_context_size") not in (None, "medium"):
        request.drop("web_search_options.search_context_size")
    tool: dict[str, Any] = {"type": WEB_SEARCH, "name": "web_search"}
    match options.get("user_location"):
        case {"approximate": dict(place)}:
            names = ("city", "country", "region", "timezone")
            tool["user_location"] = {"type": "approximate", **{key: place[key] for key in names if place.get(key)}}
    return tool
