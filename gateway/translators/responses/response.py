"""The response itself, around what is in it.

Source: platform.openai.com/docs/api-reference/responses/object, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call
from gateway.contract.usage import Usage
from gateway.wire.responses import response_id

_NULL = msgspec.Raw(b"null")
_ECHOED: dict[str, msgspec.Raw] = {
    "background": msgspec.Raw(b"false"),
    "instructions": _NULL,
    "max_output_tokens": _NULL,
    "max_tool_calls": _NULL,
    "metadata": msgspec.Raw(b"{}"),
    "parallel_tool_calls": msgspec.Raw(b"true"),
    "previous_response_id": _NULL,
    "prompt_cache_key": _NULL,
    "reasoning": msgspec.Raw(b'{"effort":null,"summary":null}'),
    "safety_identifier": _NULL,
    "service_tier": msgspec.Raw(b'"auto"'),
    "store": msgspec.Raw(b"true"),
    "temperature": msgspec.Raw(b"1.0"),
    "text": msgspec.Raw(b'{"format":{"type":"text"}}'),
    "tool_choice": msgspec.Raw(b'"auto"'),
    "tools": msgspec.Raw(b"[]"),
    "top_logprobs": msgspec.Raw(b"0"),
    "top_p": msgspec.Raw(b"1.0"),
    "truncation": msgspec.Raw(b'"disabled"'),
    "user": _NULL,
}
"""Fields of the request that stand in the response -> what OpenAI says where they were not given."""


def response_to(call: Call, hexadecimal: str, created_at: int) -> dict[str, Any]:
    """As it begins.

    Args:
        hexadecimal: of its id.
        created_at: seconds since 1970.
    """
    fields = call.fields
    echo = {name: given if (given := fields.get(name, _NULL)) != _NULL else usual for name, usual in _ECHOED.items()}
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
