"""Tools, which of them is to be called, and answers of a given form.

Source: platform.openai.com/docs/guides/function-calling and /structured-outputs, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest

ANSWER_TOOL = "answer_in_json"
"""Its arguments are the answer, where a model knows tools but no schema for its answers."""

_ANY_OBJECT = msgspec.Raw(b'{"type":"object","additionalProperties":true}')
_JSON_ONLY = "Answer with one JSON object, and with nothing before or after it."
_CHOICES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


class Function(msgspec.Struct, omit_defaults=True):
    """`parameters`: a JSON schema, as it came; empty: none were given."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None

    @property
    def schema(self) -> msgspec.Raw:
        """Of its parameters, of which there may be none."""
        given = bytes(self.parameters)
        return self.parameters if given and given != b"null" else msgspec.Raw(b'{"type":"object","properties":{}}')

    @property
    def object_schema(self) -> Any:
        """The same as it came, but with the type `object`, which some demand. Raises BadRequest: it is no schema."""
        try:
            schema = msgspec.json.decode(self.schema, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise BadRequest(f"the parameters of {self.name[:64]} are no JSON schema", param="tools") from error
        return self.schema if "type" in schema else {"type": "object", **schema}


class Tool(msgspec.Struct):
    """`raw`: all of it, as it came: for tools of a vendor's own, which have no `function`."""

    type: str = "function"
    function: Function | None = None
    own_name: str = msgspec.field(default="", name="name")
    cache_control: dict[str, Any] | None = None
    raw: Any = None

    @property
    def name(self) -> str:
        return self.function.name if self.function is not None else self.own_name or self.type


class ToolChoice(msgspec.Struct, frozen=True):
    """
    Args:
        mode: `auto`, `none`, `required` (any of them) or `function` (this one); None: not said.
        name: of the function.
        allowed: only these are offered; None: all.
    """

    mode: str | None = None
    name: str = ""
    allowed: frozenset[str] | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """`schema`: a JSON schema, as it came; None: any JSON object."""

    schema: msgspec.Raw | None = None
    name: str = ""
    description: str | None = None
    strict: bool | None = None

    def as_tool(self) -> Function:
        """To be called in place of an answer; `ChatChunks` and `Answer` make an answer of such a call again."""
        about = f" {self.description}" if self.description else ""
        described = f"Gives the final answer to the user, in the form that is wanted.{about}"
        return Function(ANSWER_TOOL, described, self.schema or _ANY_OBJECT)

    @property
    def in_words(self) -> str:
        """For models that can neither be held to it, nor be made to call a tool."""
        if self.schema is None:
            return _JSON_ONLY
        return f"{_JSON_ONLY} It must fit this JSON schema: {bytes(self.schema).decode()}"


class _JsonSchema(msgspec.Struct):
    schema: msgspec.Raw = msgspec.Raw()
    name: str = ""
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: _JsonSchema | None = None


_tool = msgspec.json.Decoder(Tool)
_format = msgspec.json.Decoder(_Format)


def read_tools(given: list[msgspec.Raw]) -> list[Tool]:
    """Raises BadRequest: one of them is not a tool."""
    tools = []
    for index, raw in enumerate(given):
        try:
            tool = _tool.decode(raw)
        except msgspec.DecodeError as error:
            raise BadRequest(f"tools[{index}] is not valid: {error}", param="tools") from error
        if tool.type == "function" and tool.function is None:
            raise BadRequest(f"tools[{index}] has no function", param="tools")
        tool.raw = raw
        tools.append(tool)
    return tools


def read_choice(given: Any) -> ToolChoice:
    """Raises BadRequest: it is none that OpenAI, Anthropic or Mistral have."""
    match given:
        case None:
            return ToolChoice()
        case str() if given in _CHOICES:
            return ToolChoice(_CHOICES[given])
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function" | "tool", "name": str(name)}:
            return ToolChoice("function", name)
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(tools), **more}}:
            names = frozenset(name for tool in tools if (name := _name_of(tool)))
            return ToolChoice(_CHOICES.get(str(more.get("mode", "auto")), "auto"), allowed=names)
        case {"type": str(kind)} if kind in _CHOICES:
            return ToolChoice(_CHOICES[kind])
    raise BadRequest('tool_choice must be "auto", "none", "required" or name a function', param="tool_choice")


def read_format(given: msgspec.Raw | None) -> ResponseFormat | None:
    """None: text. Raises BadRequest: it is none that is known."""
    if given is None:
        return None
    try:
        asked = _format.decode(given)
    except msgspec.DecodeError as error:
        raise BadRequest(f"response_format is not valid: {error}", param="response_format") from error
    schema = asked.json_schema
    match asked.type:
        case "text":
            return None
        case "json_object":
            return ResponseFormat()
        case "json_schema" if schema is not None and bytes(schema.schema).startswith(b"{"):
            return ResponseFormat(schema.schema, schema.name, schema.description, schema.strict)
        case "json_schema":
            raise BadRequest("response_format.json_schema.schema is missing", param="response_format")
    raise BadRequest("response_format.type must be text, json_object or json_schema", param="response_format")


def _name_of(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}} | {"name": str(name)} | {"type": str(name)}:
            return name
    return ""
