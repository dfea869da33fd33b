"""Tools, which of them is to be called, and answers in JSON.

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools and /web-search-tool, /build-with-claude/
structured-outputs; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL, ChatRequest, ResponseFormat, Tool, ToolChoice, closed_schema
from gateway.translators.claude import Claude

WEB_SEARCH = "web_search_20250305"


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


def tools_of(request: ChatRequest, claude: Claude) -> Tools:
    said = Tools([_tool(tool, request, claude) for tool in request.tools])
    search = request.take("web_search_options", dict[str, Any])
    if search is not None:
        said.tools.append(_search(search, request))
    choice = _choice(request.tool_choice, is_single=not request.has_parallel_tools)
    if said.tools:
        said.choice = choice
    elif request.tool_choice.mode in ("function", "required"):
        raise BadRequest("tool_choice demands a call, and there are no tools", param="tool_choice")
    if (wanted := request.response_format) is not None:
        _answer_in_json(wanted, said, request, claude)
    return said


def _tool(tool: Tool, request: ChatRequest, claude: Claude) -> Any:
    function = tool.function
    if function is None:
        if tool.type == "custom":
            raise BadRequest("tools of the type custom cannot be sent to this model: use a function", param="tools")
        return tool.raw
    block: dict[str, Any] = {"name": function.name, "input_schema": function.object_schema}
    if function.description:
        block["description"] = function.description
    if function.strict:
        closed = closed_schema(function.schema, "tools") if claude.has_schemas else None
        if closed is not None:
            block |= {"input_schema": closed, "strict": True}
        else:
            request.drop("tools.strict")
    if tool.cache_control is not None:
        block["cache_control"] = tool.cache_control
    return block


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


def _answer_in_json(wanted: ResponseFormat, said: Tools, request: ChatRequest, claude: Claude) -> None:
    """By a schema where the model is held to it; else by a tool that it has to call, unless it calls another."""
    if wanted.schema is not None and claude.has_schemas:
        closed = closed_schema(wanted.schema, "response_format")
        if closed is not None:
            said.format = {"type": "json_schema", "schema": closed}
            return
    if not claude.forces_tools:
        said.instruction = wanted.in_words
        return
    if any(tool.name == ANSWER_TOOL for tool in request.tools):
        raise BadRequest(f"with response_format, no tool can have the name {ANSWER_TOOL}", param="tools")
    if said.choice is not None and said.choice["type"] == "tool":
        return  # that call comes first; the answer in JSON, when its result is there
    tool = wanted.as_tool()
    is_only_one = not said.tools or (said.choice is not None and said.choice["type"] == "none")
    said.tools.append({"name": tool.name, "description": tool.description, "input_schema": tool.object_schema})
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
