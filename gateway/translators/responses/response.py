"""The response itself, around what is in it.

Source: platform.openai.com/docs/api-reference/responses/object; openresponses.org/specification (ResponseResource);
read 2026-11.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.contract import Call
from gateway.contract.usage import Usage
from gateway.wire.response_items import response_id

_NULL = msgspec.Raw(b"null")
_ECHOED: dict[str, msgspec.Raw] = {
    "background": msgspec.Raw(b"false"),
    "frequency_penalty": msgspec.Raw(b"0.0"),
    "instructions": _NULL,
    "max_output_tokens": _NULL,
    "max_tool_calls": _NULL,
    "metadata": msgspec.Raw(b"{}"),
    "parallel_tool_calls": msgspec.Raw(b"true"),
    "presence_penalty": msgspec.Raw(b"0.0"),
    "previous_response_id": _NULL,
    "prompt_cache_key": _NULL,
    "reasoning": msgspec.Raw(b"{}"),
    "safety_identifier": _NULL,
    "service_tier": msgspec.Raw(b'"auto"'),
    "store": msgspec.Raw(b"true"),
    "temperature": msgspec.Raw(b"1.0"),
    "text": msgspec.Raw(b"{}"),
    "tool_choice": msgspec.Raw(b'"auto"'),
    "tools": msgspec.Raw(b"[]"),
    "top_logprobs": msgspec.Raw(b"0"),
    "top_p": msgspec.Raw(b"1.0"),
    "truncation": msgspec.Raw(b'"disabled"'),
    "user": _NULL,
}
"""Fields of the request that stand in the response -> what OpenAI says where they were not given."""
_OF_TYPES: Mapping[bytes, Mapping[str, Any]] = {
    b'"function"': {"description": None, "parameters": None, "strict": None},
    b'"json_schema"': {"description": None, "strict": False},
}
"""Type of a tool, or of the form of a text -> the same of what is in it: clients that check types want all of it."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def response_to(call: Call, hexadecimal: str, created_at: int) -> dict[str, Any]:
    """As it begins.

    Args:
        hexadecimal: of its id.
        created_at: seconds since 1970.
    """
    echo = _echo(call.fields)
    return {
        "id": response_id(hexadecimal),
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": call.ask.name,
        "output": [],
        "usage": None,
        **echo,
    }


def _echo(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    echo: dict[str, Any] = {
        name: given if (given := fields.get(name, _NULL)) != _NULL else usual for name, usual in _ECHOED.items()
    }
    with suppress(msgspec.DecodeError, RecursionError):  # who made it has refused what cannot be read
        echo["tools"] = [_completed(tool) for tool in _tools.decode(echo["tools"])]
        echo["reasoning"] = {"effort": None, "summary": None, **_fields.decode(echo["reasoning"])}
        text = _fields.decode(echo["text"])
        form = text.get("format", _NULL)
        echo["text"] = {**text, "format": {"type": "text"} if form == _NULL else _completed(_fields.decode(form))}
    return echo


def _completed(given: Mapping[str, msgspec.Raw]) -> Mapping[str, Any]:
    return {**_OF_TYPES.get(bytes(given.get("type", b"")), {}), **given}


def usage_fields(usage: Usage | None) -> dict[str, Any]:
    used = usage or Usage()
    into, out = used.input_tokens, used.output_tokens
    written = used.cache_write + used.cache_write_1h
    return {
        "input_tokens": into,
        "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": written},
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": into + out,
    }
