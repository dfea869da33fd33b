"""Tools of the Messages API as functions.

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, /tool-reference and /tool-search-tool; read
2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.chat.request import read
from gateway.translators.messages.extent import Extent

_OWN = frozenset({"custom", "function", "null"})
_SEARCH_AMONG_TOOLS = "tool_search_tool_"
_WEB_SEARCH = "web_search_"
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Choice(msgspec.Struct):
    type: str = "auto"
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class WebSearch(msgspec.Struct):
    user_location: dict[str, Any] | None = None


def tools_of(request: ChatRequest, extent: Extent) -> dict[str, Any]:
    """`tools`, and what else of chat they become. Raises BadRequest: one of them is run by Anthropic alone."""
    tools: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    for index, tool in enumerate(request.take("tools", list[dict[str, msgspec.Raw]]) or ()):
        kind = _text(tool, "type", f"tools[{index}]") or "custom"
        if kind in _OWN:
            tools.append(_function(tool, index, request, extent))
        elif kind.startswith(_SEARCH_AMONG_TOOLS):
            request.drop("tools.tool_search")  # it sees all of them, then
        elif kind.startswith(_WEB_SEARCH) and extent.is_hub:
            fields["web_search_options"] = _web_search(tool, request)
        else:
            raise BadRequest(
                f"tools[{index}]: this model does not know {kind[:60]!r}, a tool of Anthropic's: leave it out, or send"
                " a tool with an input_schema",
                param="tools",
            )
    return {**fields, "tools": tools} if tools else fields


def choice_of(request: ChatRequest, *, has_tools: bool) -> dict[str, Any]:
    """Raises BadRequest: a call is demanded, and there are no tools."""
    choice = request.take("tool_choice", Choice)
    if choice is None:
        return {}
    if not has_tools:  # which OpenAI refuses
        if choice.type in ("any", "tool"):
            raise BadRequest("tool_choice demands a call, and there are no tools", param="tool_choice")
        return {}
    said: dict[str, Any] = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    if choice.type == "tool":
        return {**said, "tool_choice": {"type": "function", "function": {"name": choice.name}}}
    if choice.type not in _CHOICES:
        raise BadRequest("tool_choice.type must be auto, any, tool or none", param="tool_choice")
    return {**said, "tool_choice": _CHOICES[choice.type]}


def _function(tool: dict[str, msgspec.Raw], index: int, request: ChatRequest, extent: Extent) -> dict[str, Any]:
    name = _text(tool, "name", f"tools[{index}]")
    if not name:
        raise BadRequest(f"tools[{index}] has no name", param="tools")
    function = {"name": name, **{out: tool[own] for own, out in _FIELDS.items() if own in tool}}
    said: dict[str, Any] = {"type": "function", "function": function}
    for field in tool:
        if field == "cache_control" and extent.is_hub:
            said[field] = tool[field]
        elif field not in _FIELDS and field not in ("type", "name") and bytes(tool[field]) not in (b"null", b"false"):
            request.drop("cache_control" if field == "cache_control" else f"tools.{field}")
    return said


_FIELDS = {"description": "description", "input_schema": "parameters", "strict": "strict"}


def _web_search(tool: dict[str, msgspec.Raw], request: ChatRequest) -> dict[str, Any]:
    for name in tool.keys() - {"type", "name", "user_location", "cache_control"}:
        request.drop(f"tools.web_search.{name}")
    if "user_location" not in tool:
        return {}
    place = read(tool["user_location"], dict[str, Any], "tools")
    return {"user_location": {"type": "approximate", "approximate": {k: v for k, v in place.items() if k != "type"}}}


def _text(tool: dict[str, msgspec.Raw], name: str, where: str) -> str:
    raw = tool.get(name)
    if raw is None or bytes(raw) == b"null":
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError as error:
        raise BadRequest(f"{where}.{name} must be a text", param="tools") from error
