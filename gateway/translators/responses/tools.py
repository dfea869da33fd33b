"""Tools of the Responses API as functions.

Functions in namespaces are called by both names together; custom tools, which take any text, by a function with one
text in it.

Source: platform.openai.com/docs/api-reference/responses/create and /docs/guides/function-calling, read 2026-11;
namespaces as Codex 0.171 sends them.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.messages.extent import Extent

MAX_NAME = 64
"""Source: platform.openai.com/docs/api-reference/chat/create, `tools[].function.name`."""
_FOR_MORE = frozenset({"tool_search"})
"""Tools without which the model sees as much: all others are sent to it."""
_WEB_SEARCH = "web_search"
_NOTHING = (b"null", b"false", b"[]", b"{}")
_CHOICES = frozenset({"auto", "none", "required"})


class Format(msgspec.Struct):
    """Of what a custom tool takes."""

    type: str = "text"
    syntax: str = ""
    definition: str = ""


class Tool(msgspec.Struct):
    """One tool, of any type. `tools`: of a namespace."""

    type: str = "function"
    name: str = ""
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    format: Format | None = None
    tools: "list[Tool]" = []
    external_web_access: bool | None = None
    search_context_size: str | None = None
    user_location: dict[str, Any] | None = None


class Offered(msgspec.Struct, frozen=True):
    """A tool as its caller knows it."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class Choice(msgspec.Struct):
    type: str = ""
    name: str = ""
    mode: str = "auto"
    tools: list[dict[str, Any]] = []


def function_name(name: str, namespace: str | None) -> str:
    """Under which a model calls it; the same each time."""
    if not namespace:
        return name
    whole = f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
    if len(whole) <= MAX_NAME:
        return whole
    return f"{whole[: MAX_NAME - 9]}_{sha256(whole.encode()).hexdigest()[:8]}"


def offered(tools: list[Tool]) -> dict[str, Offered]:
    """Name of a function -> what it stands for."""
    found: dict[str, Offered] = {}
    for tool in tools:
        if tool.type == "namespace":
            found |= {
                function_name(inner.name, tool.name): Offered(inner.name, tool.name, inner.type == "custom")
                for inner in tool.tools
            }
        elif tool.type in ("function", "custom"):
            found[tool.name] = Offered(tool.name, is_custom=tool.type == "custom")
    return found


def offered_in(fields: Mapping[str, msgspec.Raw]) -> dict[str, Offered]:
    """The same of a body that was translated before."""
    try:
        return offered(msgspec.json.decode(fields.get("tools", b"[]"), type=list[Tool] | None) or [])
    except (msgspec.DecodeError, RecursionError):
        return {}


def tools_of(request: ChatRequest, extent: Extent) -> dict[str, Any]:
    """`tools`, and what else of chat they become. Raises BadRequest: one of them is run by OpenAI alone."""
    functions: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    _note_unknown(request)
    for index, tool in enumerate(request.take("tools", list[Tool]) or ()):
        if tool.type == "namespace":
            functions += [_function(inner, index, request, tool) for inner in tool.tools]
        elif tool.type in ("function", "custom"):
            functions.append(_function(tool, index, request))
        elif tool.type in _FOR_MORE:
            request.drop(f"tools.{tool.type}")
        elif tool.type.startswith(_WEB_SEARCH):
            if extent.is_hub and tool.external_web_access is not False:
                fields["web_search_options"] = _web_search(tool)
            else:
                request.drop(f"tools.{tool.type}")
        else:
            raise BadRequest(
                f"tools[{index}]: this model does not know {tool.type[:60]!r}, a tool of OpenAI's own: leave it out, "
                "or send a function",
                param="tools",
            )
    _choose(request, functions, fields)
    if functions:
        fields["tools"] = functions
        if request.take("parallel_tool_calls", bool) is False:
            fields["parallel_tool_calls"] = False
    else:
        request.take("parallel_tool_calls", bool)
    return fields


def _note_unknown(request: ChatRequest) -> None:
    """What stands in tools of the caller's own, and in those for the web, that is not known here."""
    for fields in request.take("tools", list[dict[str, msgspec.Raw]]) or ():
        for name in fields.keys() - set(Tool.__struct_fields__):
            if bytes(fields[name]) not in _NOTHING:
                request.drop(f"tools.{name}")


def _choose(request: ChatRequest, functions: list[dict[str, Any]], fields: dict[str, Any]) -> None:
    """Adds `tool_choice`, and leaves in `functions` those that may be called. Raises BadRequest: it cannot be done."""
    given: str | Choice | None = request.take("tool_choice", str | Choice)  # type: ignore[arg-type]
    choice = Choice(given) if isinstance(given, str) else given
    if choice is None:
        return
    if choice.type == "allowed_tools":
        names = {function_name(str(tool.get("name", "")), tool.get("namespace")) for tool in choice.tools}
        functions[:] = [tool for tool in functions if tool["function"]["name"] in names]
        choice = Choice(choice.mode)
    if choice.type in ("function", "custom") and choice.name:
        if not any(tool["function"]["name"] == choice.name for tool in functions):
            raise BadRequest(f"tool_choice names {choice.name[:64]!r}, which is none of the tools", param="tool_choice")
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.type not in _CHOICES:
        raise BadRequest(
            "tool_choice must be auto, none or required, or name a function or custom tool", param="tool_choice"
        )
    elif functions:
        fields["tool_choice"] = choice.type
    elif choice.type == "required":
        raise BadRequest("tool_choice demands a call, and there are no tools for this model", param="tool_choice")


def _function(tool: Tool, index: int, request: ChatRequest, namespace: Tool | None = None) -> dict[str, Any]:
    if not tool.name or tool.type not in ("function", "custom"):
        raise BadRequest(f"tools[{index}] must be a function or a custom tool, with a name", param="tools")
    function: dict[str, Any] = {"name": function_name(tool.name, namespace.name if namespace is not None else None)}
    about = tool.description
    if tool.type == "custom":
        about, function["parameters"] = _custom(tool)
        if tool.format is not None and tool.format.type != "text":
            request.drop("tools.format")  # told to the model, and not enforced
    else:
        if bytes(tool.parameters) not in (b"", b"null"):
            function["parameters"] = tool.parameters
        if tool.strict is not None:
            function["strict"] = tool.strict
    if about:
        function["description"] = about
    return {"type": "function", "function": function}


def _custom(tool: Tool) -> tuple[str, dict[str, Any]]:
    """Its description and parameters as a function."""
    about = [tool.description or ""]
    if tool.format is not None and tool.format.definition:
        about.append(f"The input has to keep to this {tool.format.syntax} grammar:\n{tool.format.definition}")
    text = {"type": "string", "description": "All that the tool is given, as plain text."}
    schema = {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}
    return "\n\n".join(filter(None, about)), schema


def _web_search(tool: Tool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if tool.search_context_size is not None:
        options["search_context_size"] = tool.search_context_size
    if tool.user_location is not None:
        place = {name: value for name, value in tool.user_location.items() if name != "type" and value is not None}
        options["user_location"] = {"type": "approximate", "approximate": place}
    return options
