"""What was asked and answered, as OpenTelemetry's conventions for generative AI have it: messages made of parts.

Source: the JSON schemas of `gen_ai.input.messages` and `gen_ai.output.messages` in the conventions, read 2026-11.
Requests and answers of OpenAI's chat, completions and responses and of Anthropic's messages are read part by part; of
other APIs it is the texts alone, by whom they are said.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.wire import sse
from gateway.wire.told_events import whole_of
from gateway.wire.wording import Spot, TooManyTexts, answer_spots, request_spots

Part = dict[str, Any]
Message = dict[str, Any]
"""`role`, `parts`, and of an answer `finish_reason`."""

TEXTS = frozenset({"text", "input_text", "output_text"})
THOUGHTS = frozenset({"thinking", "reasoning", "reasoning_text", "summary_text"})
CALLS = frozenset({"tool_use", "function_call"})
RESULTS = frozenset({"tool_result", "function_call_output"})
ENDS: Mapping[str, str] = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "incomplete": "length",
    "refusal": "content_filter",
    "failed": "error",
}
"""How an answer ended, where the conventions have another word for it."""

MOST_DEEP = 64
"""Objects within each other, in what a tool is given."""

_decode = msgspec.json.decode


def asked(body: bytes) -> list[Message] | None:
    """None: it cannot be read, or is only the beginning of something."""
    document = _decoded(body)
    if not isinstance(document, dict):
        return None
    found = [*_instructions(document)]
    turns = document.get("messages") if "messages" in document else document.get("input")
    if isinstance(turns, str):
        return [*found, _message("user", [_text(turns)])]
    if isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns):
        return [*found, *map(_turn, turns)]
    return _by_texts(request_spots(document)) or None


def answered(body: bytes) -> list[Message] | None:
    """The same of an answer; a stream may have been cut anywhere."""
    if sse.looks_like_events(body):
        splitter = sse.EventSplitter()
        events = [*splitter.feed(body.removeprefix(sse.BOM)), splitter.end()]
        document = whole_of(decoded for event in events if (decoded := _decoded(sse.data_of(event))) is not None)
    else:
        document = _decoded(body)
    if not isinstance(document, dict):
        return None
    match document:
        case {"choices": [*choices]}:
            return [_choice(choice) for choice in choices if isinstance(choice, dict)] or None
        case {"output": [*items]}:
            parts = [part for item in items if isinstance(item, dict) for part in _turn(item)["parts"]]
            return [_ended(_message("assistant", parts), document.get("status"))]
        case {"content": list() | str() as content, "role": str()}:
            return [_ended(_message("assistant", [*_parts(content)]), document.get("stop_reason"))]
    found = _by_texts(answer_spots(document))
    return [_ended(message, None) for message in found] or None


# --- messages ----------------------------------------------------------------


def _instructions(document: Mapping[str, Any]) -> Iterator[Message]:
    for name in ("system", "instructions"):
        if parts := [*_parts(document.get(name))]:
            yield _message("system", parts)


def _turn(turn: Mapping[str, Any]) -> Message:
    """A message, or an item that is as good as one: a call of a tool, or what that answered."""
    kind, role = turn.get("type"), turn.get("role")
    if kind in RESULTS or role in ("tool", "function"):
        return _message("tool", [_result(turn)])
    if kind in CALLS | THOUGHTS:
        return _message("assistant", [*_parts([turn])])
    parts = [*_thoughts(turn), *_parts(turn.get("content"))]
    calls = turn.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            function = call.get("function")
            parts.append(_call(call.get("id"), function if isinstance(function, dict) else {}))
    return _message(role if isinstance(role, str) else "user", parts)


def _choice(choice: Mapping[str, Any]) -> Message:
    message = choice.get("message")
    if not isinstance(message, dict):  # of completions
        return _ended(_message("assistant", [*_parts(choice.get("text"))]), choice.get("finish_reason"))
    return _ended(_turn({"role": "assistant", **message}), choice.get("finish_reason"))


def _ended(message: Message, reason: Any) -> Message:
    """Which the conventions want of each answer; one that was cut off has none, so it ended by an error."""
    said = reason if isinstance(reason, str) else "error"
    return {**message, "finish_reason": ENDS.get(said, said)}


def _message(role: str, parts: list[Part]) -> Message:
    return {"role": role, "parts": parts}


def _by_texts(spots: Iterator[Spot]) -> list[Message]:
    found: list[Message] = []
    try:
        for spot in spots:
            if not found or found[-1]["role"] != spot.role:
                found.append(_message(spot.role, []))
            found[-1]["parts"].append(_text(spot.text))
    except TooManyTexts:
        return []
    return found


# --- parts -------------------------------------------------------------------


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield _text(content)
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict):
                yield from _part(part)
            elif isinstance(part, str):
                yield _text(part)


def _part(part: Mapping[str, Any]) -> Iterator[Part]:
    """Of pictures and files, that there was one: what is in them is none of a trace's business."""
    kind = part.get("type")
    if kind in TEXTS:
        yield _text(_words(part.get("text")))
    elif kind in THOUGHTS:
        texts = part.get("summary") or part.get("content") or part.get("thinking") or part.get("text")
        said = texts if isinstance(texts, str) else "\n".join(each["content"] for each in _parts(texts))
        yield {"type": "reasoning", "content": said}
    elif kind in CALLS:
        yield _call(part.get("call_id") or part.get("id"), part)
    elif kind in RESULTS:
        yield _result(part)
    elif kind == "message":
        yield from _parts(part.get("content"))
    elif kind == "refusal":
        yield _text(_words(part.get("refusal")))
    else:
        yield {"type": kind if isinstance(kind, str) else "unknown"}


def _thoughts(turn: Mapping[str, Any]) -> Iterator[Part]:
    said = turn.get("reasoning_content") or turn.get("reasoning")
    if isinstance(said, str):
        yield {"type": "reasoning", "content": said}


def _call(id_: Any, function: Mapping[str, Any]) -> Part:
    said = function.get("arguments", function.get("input"))
    opened = _decoded(said.encode(errors="replace")) if isinstance(said, str) else said
    return {"type": "tool_call", "id": id_, "name": _words(function.get("name")), "arguments": opened or said}


def _result(turn: Mapping[str, Any]) -> Part:
    said = turn.get("output", turn.get("content"))
    id_ = turn.get("tool_call_id") or turn.get("tool_use_id") or turn.get("call_id")
    texts = said if isinstance(said, str) else "\n".join(each.get("content", "") for each in _parts(said))
    return {"type": "tool_call_response", "id": id_, "response": texts}


def _text(content: str) -> Part:
    return {"type": "text", "content": content}


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decoded(data: bytes) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def texts_changed(messages: Iterable[Message], change: Callable[[str], str]) -> list[Message]:
    """With each text as `change` makes it, also those that tools are given and answer."""
    return [{**message, "parts": [_changed(part, change) for part in message["parts"]]} for message in messages]


def _changed(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return change(value)
    if depth > MOST_DEEP:
        return None
    if isinstance(value, dict):
        return {change(name): _changed(inner, change, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed(inner, change, depth + 1) for inner in value]
    return value
