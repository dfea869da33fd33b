"""Tools of the Gemini API as functions, and which of them is to be called.

Source: ai.google.dev/gemini-api/docs/function-calling and /tools; `Tool` and `FunctionCallingConfig` in types.py of
google-genai 3.6.1; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.gemini.schema import json_schema
from gateway.translators.messages.extent import Extent

_SEARCH = frozenset({"googleSearch", "googleSearchRetrieval"})
_MODES = {"": "auto", "MODE_UNSPECIFIED": "auto", "AUTO": "auto", "VALIDATED": "auto", "ANY": "required"}
_NOTHING = (b"", b"null")


class Declaration(msgspec.Struct, rename="camel"):
    name: str = ""
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    parameters_json_schema: msgspec.Raw = msgspec.Raw()


class Calling(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: Calling | None = None


def tools_of(request: ChatRequest, extent: Extent) -> dict[str, Any]:
    """`tools`, and what else of chat they become. Raises BadRequest: one of them is run by Google alone, or a call is
    demanded of a function that is not there."""
    functions: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    for tool in request.take("tools", list[dict[str, msgspec.Raw]]) or ():
        for name, raw in tool.items():
            if bytes(raw) == b"null":
                continue
            if name == "functionDeclarations":
                functions += map(_function, _declarations(raw))
            elif name in _SEARCH and extent.is_hub:
                fields["web_search_options"] = {}
            else:
                raise BadRequest(
                    f"this model does not know {name[:60]!r}, a tool of Google's: leave it out, or declare a function",
                    param="tools",
                )
    config = request.take("toolConfig", ToolConfig) or ToolConfig()
    choice, functions = _choice(config.function_calling_config or Calling(), functions)
    tools = [{"type": "function", "function": function} for function in functions]
    return {**fields, "tools": tools, **choice} if tools else fields


def _declarations(raw: msgspec.Raw) -> list[Declaration]:
    try:
        return msgspec.json.decode(raw, type=list[Declaration])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"tools.functionDeclarations is not valid: {error}", param="tools") from error


def _function(declared: Declaration) -> dict[str, Any]:
    if not declared.name:
        raise BadRequest("a function in tools.functionDeclarations has no name", param="tools")
    said: dict[str, Any] = {"name": declared.name}
    if declared.description:
        said["description"] = declared.description
    if bytes(declared.parameters_json_schema) not in _NOTHING:
        said["parameters"] = declared.parameters_json_schema
    elif bytes(declared.parameters) not in _NOTHING:
        said["parameters"] = json_schema(declared.parameters, "tools")
    return said


def _choice(calling: Calling, functions: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """And those of the functions that may be called: not every server knows how to be told by a name."""
    mode = (calling.mode or "").upper()
    if mode == "NONE":
        return {"tool_choice": "none"}, functions
    if mode not in _MODES:
        raise BadRequest(
            "toolConfig.functionCallingConfig.mode must be AUTO, ANY, VALIDATED or NONE", param="toolConfig"
        )
    allowed = set(calling.allowed_function_names or ())
    if unknown := allowed - {function["name"] for function in functions}:
        raise BadRequest(f"allowedFunctionNames has {min(unknown)[:64]!r}, which is not in tools", param="toolConfig")
    if _MODES[mode] == "required" and not functions:
        raise BadRequest("toolConfig demands a call, and there are no functions in tools", param="toolConfig")
    if allowed:
        functions = [function for function in functions if function["name"] in allowed]
    if _MODES[mode] == "auto":
        return {}, functions
    if len(allowed) == 1:
        return {"tool_choice": {"type": "function", "function": {"name": min(allowed)}}}, functions
    return {"tool_choice": "required"}, functions
