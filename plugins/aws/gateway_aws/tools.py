"""Tools, which of them is to be called, and answers in JSON.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html and API_runtime_OutputFormat.
html, .../userguide/tool-use-inference-call.html and structured-output.html; read 2026-11.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL, ChatRequest, Function, ResponseFormat, Tool, closed_schema
from gateway_aws.content import Block, Blocks
from gateway_aws.models import Traits

SYSTEM_TOOLS = frozenset({"nova_code_interpreter", "nova_grounding"})
"""Which Nova calls itself. Source: docs.aws.amazon.com/nova/latest/nova2-userguide/using-tools.html, read 2026-11."""

_ANY_INPUT = msgspec.Raw(b'{"type":"object","additionalProperties":true}')


class Tools(msgspec.Struct):
    """
    Args:
        own: those of Anthropic's own, for `additionalModelRequestFields`.
        format: of `outputConfig`.
        instruction: for the system, where nothing else can be said.
    """

    tools: list[Block]
    own: list[Any]
    choice: Block | None = None
    format: Block | None = None
    instruction: str | None = None

    @property
    def is_forced(self) -> bool:
        return self.choice is not None and "auto" not in self.choice

    @property
    def config(self) -> Block | None:
        if not self.tools:
            return None
        return {"tools": self.tools} if self.choice is None else {"tools": self.tools, "toolChoice": self.choice}


def tools_of(request: ChatRequest, traits: Traits, called: Iterable[str]) -> Tools:
    """`called`: as in `Turns`: who has called tools must have some."""
    said = Tools([], [])
    points = Blocks(request, traits)
    for tool in request.tools:
        if tool.function is None:
            _add_own(tool, said, traits)
            continue
        said.tools.append(_spec(tool.function, request, traits))
        said.tools += points.cache_point(tool.cache_control)
    if request.has_parallel_tools is False and said.tools:
        request.drop("parallel_tool_calls")
    mode = request.tool_choice.mode
    if mode == "function" and not said.tools:
        raise BadRequest("tool_choice names a function, and there are no tools", param="tool_choice")
    if mode == "none":
        if called and said.tools:
            request.drop("tool_choice")
        else:
            said.tools = []
    elif said.tools:
        said.choice = _choice(request)
    if (wanted := request.response_format) is not None:
        _answer_in_json(wanted, said, request, traits)
    if not said.tools:
        said.tools = [_open_spec(name) for name in called]
    return said


def _spec(function: Function, request: ChatRequest, traits: Traits) -> Block:
    spec: dict[str, Any] = {"name": function.name, "inputSchema": {"json": function.object_schema}}
    if function.description and function.description.strip():
        spec["description"] = function.description
    if function.strict:
        strict = closed_schema(function.schema, "tools") if traits.has_schemas else None
        if strict is not None:
            spec |= {"inputSchema": {"json": strict}, "strict": True}
        else:
            request.drop("tools.strict")
    return {"toolSpec": spec}


def _open_spec(name: str) -> Block:
    """For a tool that was called, and is not offered any more: Bedrock refuses its calls without it."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": _ANY_INPUT}}}


def _add_own(tool: Tool, said: Tools, traits: Traits) -> None:
    """A tool of a vendor's own."""
    if tool.type in SYSTEM_TOOLS or tool.name in SYSTEM_TOOLS:
        said.tools.append({"systemTool": {"name": tool.name}})
    elif traits.family in ("anthropic", "") and tool.type != "custom":
        said.own.append(tool.raw)
    else:
        raise BadRequest(f"tools of the type {tool.type[:40]} cannot be sent to this model", param="tools")


def _choice(request: ChatRequest) -> Block | None:
    match request.tool_choice.mode:
        case "auto":
            return {"auto": {}}
        case "required":
            return {"any": {}}
        case "function":
            return {"tool": {"name": request.tool_choice.name}}
    return None


def _answer_in_json(wanted: ResponseFormat, said: Tools, request: ChatRequest, traits: Traits) -> None:
    """By a schema where the model is held to it; else by a tool that it has to call, unless it calls another."""
    if wanted.schema is not None and traits.has_schemas:
        schema = closed_schema(wanted.schema, "response_format")
        if schema is not None:
            text = {"schema": msgspec.json.encode(schema).decode()}
            about = {"name": wanted.name, "description": wanted.description}
            text |= {name: value for name, value in about.items() if value}
            said.format = {"type": "json_schema", "structure": {"jsonSchema": text}}
            return
    if any(tool.name == ANSWER_TOOL for tool in request.tools):
        raise BadRequest(f"with response_format, no tool can have the name {ANSWER_TOOL}", param="tools")
    if not traits.forces_tools:
        said.instruction = wanted.in_words
        return
    if said.choice is not None and "tool" in said.choice:
        return  # that call comes first; the answer in JSON, when its result is there
    tool = wanted.as_tool()
    # Of one tool, `any` says the same as its name, and more models know it.
    said.choice = {"tool": {"name": tool.name}} if request.tool_choice.mode == "none" and said.tools else {"any": {}}
    spec = {"name": tool.name, "description": tool.description, "inputSchema": {"json": tool.object_schema}}
    said.tools.append({"toolSpec": spec})
