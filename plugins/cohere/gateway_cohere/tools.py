"""Tools, which of them is to be called, and answers in JSON.

Source: docs.cohere.com/docs/tool-use, /docs/structured-outputs and /reference/chat, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL, ChatRequest, Function, Tool, ToolChoice
from gateway_cohere.schema import adapted, has_required

Block = dict[str, Any]


class Tools(msgspec.Struct, frozen=True):
    """Values of the fields `tools`, `tool_choice`, `strict_tools` and `response_format`."""

    tools: list[Block] | None = None
    choice: str | None = None
    is_strict: bool | None = None
    format: Block | None = None


def tools_of(request: ChatRequest) -> Tools:
    """Raises BadRequest: there is something in it that cannot be said here."""
    functions, choice, wanted = _functions(request), _choice(request.tool_choice), request.response_format
    if wanted is None or request.tool_choice.mode == "function":  # after that call comes the answer in JSON
        return _with_tools(request, functions, choice)
    if functions and choice != "NONE":
        if any(function.name == ANSWER_TOOL for function in functions):
            raise BadRequest(f"with response_format, no tool can have the name {ANSWER_TOOL}", param="tools")
        return _with_tools(request, functions, "REQUIRED", wanted.as_tool())
    if request.raw("documents") is not None:
        raise BadRequest(
            "this model gives no answers by response_format while it reads documents: put them into the messages",
            param="response_format",
        )
    schema = adapted(wanted.schema, "response_format") if wanted.schema is not None else None
    return Tools(format={"type": "json_object"} if schema is None else {"type": "json_object", "json_schema": schema})


def _functions(request: ChatRequest) -> list[Function]:
    """Those that may be called: one of many cannot be demanded, but one of one."""
    choice = request.tool_choice
    functions = [_function(tool, request) for tool in request.tools]
    if choice.mode == "function":
        functions = [function for function in functions if function.name == choice.name]
    if not functions and choice.mode in ("function", "required"):
        raise BadRequest("tool_choice demands a call of a tool that is not among the tools", param="tool_choice")
    return functions


def _function(tool: Tool, request: ChatRequest) -> Function:
    if tool.function is None:
        raise BadRequest(f"this model calls functions only, and no tools of the type {tool.type[:64]}", param="tools")
    if tool.cache_control is not None:
        request.drop("tools.cache_control")
    return tool.function


def _choice(choice: ToolChoice) -> str | None:
    match choice.mode:
        case "none":
            return "NONE"
        case "required" | "function":
            return "REQUIRED"
    return None


def _with_tools(request: ChatRequest, functions: list[Function], choice: str | None, *answer_tool: Function) -> Tools:
    if not functions:
        return Tools()
    is_strict = _is_strict(request, functions, answer_tool)
    blocks = [_block(function, is_strict=is_strict) for function in (*functions, *answer_tool)]
    return Tools(blocks, choice, is_strict or None)


def _is_strict(request: ChatRequest, functions: list[Function], answer_tool: tuple[Function, ...]) -> bool:
    """Cohere has one word for all tools: it is said when they all ask for it, and can be."""
    own = request.take("strict_tools", bool)
    if own is not None:
        return own
    if not any(function.strict for function in functions):
        return False
    schemas = [adapted(function.schema, "tools") for function in (*functions, *answer_tool)]
    if all(function.strict for function in functions) and all(has_required(schema) for schema in schemas):
        return True
    request.drop("tools.strict")
    return False


def _block(function: Function, *, is_strict: bool) -> Block:
    schema = adapted(function.schema, "tools") if is_strict else function.schema
    block: Block = {"name": function.name, "parameters": schema}
    if function.description:
        block["description"] = function.description
    return {"type": "function", "function": block}
