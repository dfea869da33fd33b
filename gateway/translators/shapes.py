"""Chat completions as Cursor asks for them: bodies of the Responses API, tools of three APIs in one list, and what
Anthropic's messages hold. They become chat as OpenAI has it, and the answer is one.

Source: BerriAI/litellm#34029, automazeio/vibeproxy#411 and icebear0828/codex-proxy#707, which show what was received;
platform.openai.com/docs/api-reference/chat/create (custom tools); read 2026-11.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Ask, Call, Dialect, JsonBody, Request
from gateway.errors import BadRequest
from gateway.translators.messages.extent import Extent
from gateway.translators.responses.request import body_of
from gateway.wire.items import MAX_ITEMS, has_more_items

_BLOCKS = (b'"tool_use"', b'"tool_result"')
_NESTED = re.compile(rb'"function"\s*+:\s*+\{')
_MODES = {"auto": "auto", "any": "required", "none": "none"}
_encode = msgspec.json.encode
_any = msgspec.json.Decoder()
_head = msgspec.json.Decoder(str)

Fields = dict[str, Any]


class ChatShapes:
    """
    Args:
        responses: the dialect of bodies with `input` in the place of `messages`.
    """

    def __init__(self, responses: Dialect) -> None:
        self._responses = responses

    def __call__(self, body: JsonBody) -> JsonBody:
        """The same body, if it is chat.

        Raises:
            BadRequest: what it asks for cannot be said in chat, or there is more of it than anybody should decode.
        """
        fields = body.fields
        if "messages" not in fields:
            return self._of_responses(body) if "input" in fields else body
        tools = bytes(fields.get("tools", b""))
        is_odd = tools.startswith(b"[{") and (
            b'"input_schema"' in tools or b'"custom"' in tools or not _NESTED.search(tools)
        )
        has_blocks = any(block in body.data for block in _BLOCKS)
        if not is_odd and not has_blocks:
            return body
        _refuse_long(fields, *(("tools",) if is_odd else ()), *(("messages",) if has_blocks else ()))
        changed: Fields = {}
        try:
            if is_odd:
                changed["tools"] = [_tool(tool) for tool in _any.decode(tools)]
            if is_odd and "tool_choice" in fields:
                changed["tool_choice"] = _choice(_any.decode(fields["tool_choice"]))
            if has_blocks:
                changed["messages"] = [said for each in _any.decode(fields["messages"]) for said in _messages(each)]
        except (msgspec.DecodeError, RecursionError, TypeError, AttributeError, KeyError):
            return body  # whoever is asked says what is wrong with it
        return _body({**fields, **changed})

    def _of_responses(self, body: JsonBody) -> JsonBody:
        fields = body.fields
        model = fields.get("model")
        if model is None:
            return body
        _refuse_long(fields, "input", "tools")
        try:
            name = _head.decode(model)
            ask = Ask(name, stream=bytes(fields.get("stream", b"")) == b"true")
            tools = {tool["name"]: tool for tool in _any.decode(fields.get("tools", b"[]")) or () if _is_custom(tool)}
        except (msgspec.DecodeError, RecursionError, TypeError, AttributeError, KeyError) as error:
            raise BadRequest(f"the body has input in the place of messages, and cannot be read: {error}") from error
        options = {"stream_options": fields["stream_options"]} if "stream_options" in fields else {}
        asked = {name: raw for name, raw in fields.items() if name not in ("stream_options", "messages")}
        request = Request("POST", "/responses", {}, b"", JsonBody(asked, body.data))
        chat = body_of(Call(self._responses, ask, request), name, Extent())
        changed: Fields = {**chat.fields, **options}
        if tools:
            offered = _any.decode(changed.get("tools", b"[]"))
            changed["tools"] = [_tool(tools.get(tool["function"]["name"], tool)) for tool in offered]
            messages = _any.decode(changed["messages"])
            for message in messages:
                if "tool_calls" in message:
                    message["tool_calls"] = [_custom_call(call, tools) for call in message["tool_calls"]]
            changed["messages"] = messages
        return _body(changed)


def _refuse_long(fields: Mapping[str, msgspec.Raw], *names: str) -> None:
    for name in names:
        if name in fields and has_more_items(fields[name]):
            raise BadRequest(f"{name} has more than {MAX_ITEMS:,} items; send fewer, larger ones", param=name)


def _body(fields: Mapping[str, Any]) -> JsonBody:
    raws = {
        name: value if isinstance(value, msgspec.Raw) else msgspec.Raw(_encode(value)) for name, value in fields.items()
    }
    return JsonBody(raws, _encode(raws))


def _is_custom(tool: Fields) -> bool:
    return tool.get("type") == "custom" and "custom" not in tool


def _tool(tool: Fields) -> Fields:
    """One of any of the APIs; what is none of them stays as it is."""
    match tool:
        case {"function": _} | {"custom": _}:
            return tool
        case {"type": "custom", "name": str(name), **more}:
            known = {key: more[key] for key in ("description", "format") if more.get(key) is not None}
            form = known.get("format")
            if isinstance(form, dict) and form.get("type") == "grammar" and "grammar" not in form:
                grammar = {key: form[key] for key in ("syntax", "definition") if key in form}
                known["format"] = {"type": "grammar", "grammar": grammar}
            return {"type": "custom", "custom": {"name": name, **known}}
        case {"name": str(name), "input_schema": schema, **more}:
            about = {"description": more["description"]} if more.get("description") else {}
            return {"type": "function", "function": {"name": name, **about, "parameters": schema}}
        case {"type": "function", "name": str(name), **more}:
            about = {key: value for key, value in more.items() if value is not None}
            return {"type": "function", "function": {"name": name, **about}}
    return tool


def _choice(choice: Any) -> Any:
    match choice:
        case {"type": "tool" | "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "custom", "name": str(name)}:
            return {"type": "custom", "custom": {"name": name}}
        case {"type": str(mode)} if mode in _MODES:
            return _MODES[mode]
    return choice


def _custom_call(call: Fields, tools: Mapping[str, Any]) -> Fields:
    function = call["function"]
    if function["name"] not in tools:
        return call
    try:
        given = _any.decode(function["arguments"])["input"]
    except (msgspec.DecodeError, RecursionError, TypeError, KeyError):
        return call  # it was made as that of a function
    return {"id": call["id"], "type": "custom", "custom": {"name": function["name"], "input": given}}


def _messages(message: Fields) -> Iterable[Fields]:
    """One as it may stand in Anthropic's API: results come first, as they follow the calls."""
    content = message.get("content")
    if not isinstance(content, list):
        yield message
        return
    calls = [_call(block) for block in content if block.get("type") == "tool_use"]
    results = [_result(block) for block in content if block.get("type") == "tool_result"]
    if not calls and not results:
        yield message
        return
    yield from results
    left = [part for block in content if (part := _part(block)) is not None]
    if calls:
        text = "".join(part["text"] for part in left if part.get("type") == "text")
        yield {**message, "content": text or None, "tool_calls": [*(message.get("tool_calls") or ()), *calls]}
    elif left:
        yield {**message, "content": left}


def _call(block: Fields) -> Fields:
    arguments = _encode(block.get("input") or {}).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _result(block: Fields) -> Fields:
    content = block.get("content") or ""
    if isinstance(content, list):
        content = [part for each in content if (part := _part(each)) is not None]
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}


def _part(block: Fields) -> Fields | None:
    """None: it is told elsewhere, or is nothing to other models."""
    match block:
        case {"type": "tool_use" | "tool_result" | "thinking" | "redacted_thinking"}:
            return None
        case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return {"type": "image_url", "image_url": {"url": url}}
    return block
