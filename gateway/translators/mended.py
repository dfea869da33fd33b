"""Chat completions in which something is not of its type, put right field by field: what is odd costs only itself.

Source: answers of servers that speak OpenAI's API, quoted in public issues, read 2026-11.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.contract.usage import whole_of

Mend = Callable[[Any], Any]
"""None: nothing of it can be used."""
_THOUGHTS = ("text", "content", "thinking", "reasoning", "summary")
_MOST_DEEP = 4


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _id(value: Any) -> str | int | None:
    return value if isinstance(value, str | int) else None


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _objects(value: Any) -> list[dict[str, Any]] | None:
    """One may stand there without its list."""
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else None


def _content(value: Any) -> str | list[Any] | None:
    """Some write a token that is a number as one."""
    match value:
        case str() | list():
            return value
        case dict():
            return [value]
        case int() | float() if not isinstance(value, bool):
            return str(value)
    return None


def _thought(value: Any) -> str:
    return "".join(_texts(value, _MOST_DEEP))


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _texts(each, depth - 1)
    elif isinstance(value, dict) and depth:
        yield from _texts(next((value[name] for name in _THOUGHTS if value.get(name)), None), depth - 1)


def _finish(value: Any) -> str | None:
    """Whatever stands there says that the answer has ended."""
    match value:
        case str():
            return value
        case {"type": str(reason)} | {"reason": str(reason)}:
            return reason
    return "stop" if value else None


def _arguments(value: Any) -> str | dict[str, Any] | None:
    return value if value is None or isinstance(value, str | dict) else json.dumps(value)


def _of(fields: Mapping[str, Mend]) -> Mend:
    def mend(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            return None
        mended = {name: fields[name](said) for name, said in value.items() if name in fields}
        return {name: said for name, said in mended.items() if said is not None}

    return mend


def _each(mend: Mend) -> Mend:
    def mend_each(value: Any) -> list[Any] | None:
        objects = _objects(value)
        return None if objects is None else [mend(each) for each in objects]

    return mend_each


_function = _of({"name": _text, "arguments": _arguments})
_call = _of({"index": whole_of, "id": _id, "function": _function, "extra_content": _object})
_message = _of(
    {
        "content": _content,
        "reasoning_content": _thought,
        "reasoning": _thought,
        "thinking_blocks": _objects,
        "tool_calls": _each(_call),
        "function_call": _function,
        "refusal": _text,
        "annotations": _objects,
        "images": _objects,
    }
)


def _said(value: Any) -> Any:
    return {"content": value} if isinstance(value, str) else _message(value)


_choice = _of(
    {
        "index": whole_of,
        "delta": _said,
        "message": _said,
        "finish_reason": _finish,
        "stop_reason": _same,
        "usage": _same,
    }
)

mended: Mend = _of(
    {
        "id": _id,
        "choices": _each(_choice),
        "usage": _same,
        "x_groq": _same,
        "error": _same,
        "service_tier": _text,
    }
)
"""A completion, or a chunk of one, as it is decoded; None: it is no object."""
