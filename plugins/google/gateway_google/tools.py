"""Tools, which of them is to be called, and answers in JSON.

Source: ai.google.dev/gemini-api/docs/function-calling, /google-search, /tools and /structured-output; `Tool` and
`ToolConfig` in types.py of google-genai 3.6.1; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Function, Tool
from gateway_google.models import Traits
from gateway_google.schema import json_schema, open_api

OWN_TOOLS = {
    "code_execution": "codeExecution",
    "computer_use": "computerUse",
    "enterprise_web_search": "enterpriseWebSearch",
    "file_search": "fileSearch",
    "google_maps": "googleMaps",
    "google_search": "googleSearch",
    "google_search_retrieval": "googleSearchRetrieval",
    "url_context": "urlContext",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
}
"""Type of a tool that is no function -> Google's name for it."""


class Tools(msgspec.Struct):
    """
    Args:
        format: fields of `generationConfig`.
    """

    tools: list[dict[str, Any]]
    config: dict[str, Any] | None = None
    format: dict[str, Any] = {}


def tools_of(request: ChatRequest, traits: Traits) -> Tools:
    choice, functions, own = request.tool_choice, [], []
    for tool in request.tools:
        if tool.cache_control is not None:
            request.drop("tools.cache_control")
        if tool.function is not None:
            functions.append(tool.function)
        else:
            own.append(_own(tool, request))
    search = request.take("web_search_options", dict[str, Any])
    if search is not None:
        own.append({"googleSearch": {}})
        for name in search:
            request.drop(f"web_search_options.{name}")
    said = Tools(own)
    said.format = _answer(request, traits, functions if choice.mode != "none" else [])
    if functions:
        declarations = [_declaration(function, traits, request) for function in functions]
        said.tools.append({"functionDeclarations": declarations})
        said.config = _config(request, functions, is_answer=not said.format and request.response_format is not None)
        if not request.has_parallel_tools:
            request.drop("parallel_tool_calls")  # there is no such switch
    elif choice.mode in ("required", "function"):
        raise BadRequest("tool_choice demands a function, and there are none in tools", param="tool_choice")
    return said


def _answer(request: ChatRequest, traits: Traits, functions: list[Function]) -> dict[str, Any]:
    """How the answer becomes JSON. Together with functions that is refused, so the answer becomes one of them; unless
    a certain one is to be called, which is then all that there is."""
    wanted, choice = request.response_format, request.tool_choice
    if wanted is None:
        return {}
    if functions:
        if choice.mode != "function":
            functions.append(wanted.as_tool())
        return {}
    fields: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.schema is not None and traits.has_json_schema:
        fields["responseJsonSchema"] = json_schema(wanted.schema, "response_format", request.drop)
    elif wanted.schema is not None:
        fields["responseSchema"] = open_api(wanted.schema, "response_format", request.drop)
    return fields


def _declaration(function: Function, traits: Traits, request: ChatRequest) -> dict[str, Any]:
    said: dict[str, Any] = {"name": function.name}
    if function.description:
        said["description"] = function.description
    if function.strict and request.tool_choice.mode not in ("required", "function"):  # which are held to their schemas
        request.drop("tools.strict")
    given = bytes(function.parameters)
    if not given or given == b"null":
        return said
    if traits.has_json_schema:
        said["parametersJsonSchema"] = json_schema(function.parameters, "tools", request.drop)
    elif (schema := open_api(function.parameters, "tools", request.drop)).get("properties"):
        said["parameters"] = schema  # an object without properties is refused
    return said


def _config(request: ChatRequest, functions: list[Function], *, is_answer: bool) -> dict[str, Any] | None:
    """
    Args:
        is_answer: the answer itself is a function, so one has to be called.
    """
    choice = request.tool_choice
    calling: dict[str, Any]
    if choice.mode == "function":
        if choice.name not in {function.name for function in functions}:
            raise BadRequest(f"tool_choice names {choice.name[:64]!r}, which is not in tools", param="tool_choice")
        calling = {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    elif choice.mode == "none":
        calling = {"mode": "NONE"}
    elif choice.mode == "required" or is_answer:
        calling = {"mode": "ANY"}
    elif choice.mode == "auto":
        calling = {"mode": "AUTO"}
    else:
        return None
    return {"functionCallingConfig": calling}


def _own(tool: Tool, request: ChatRequest) -> dict[str, Any]:
    """One of Google's own: `{"type": "google_search", "google_search": {...}}`, or with its fields beside the type."""
    name = OWN_TOOLS.get(tool.type)
    if name is None:
        raise BadRequest(f"tools of the type {tool.type[:40]!r} cannot be sent to this model", param="tools")
    given = msgspec.json.decode(tool.raw, type=dict[str, Any])
    fields = {key: value for key, value in given.items() if key not in ("type", tool.type, name)}
    inner = given.get(tool.type, given.get(name))
    if tool.type.startswith("web_search"):  # OpenAI's, whose fields are not Google's
        for field in fields:
            request.drop(f"tools.{field}")
        fields = {}
    return {name: {**fields, **(inner if isinstance(inner, dict) else {})}}
