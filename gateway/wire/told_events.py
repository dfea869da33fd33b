"""The events of a stream, put together to the answer that they told, as far as they came."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.wire.wording import TooManyTexts
from gateway.wire.wording_events import event_wording

Document = dict[str, Any]


def whole_of(events: Iterable[Any]) -> Document | None:
    """In the shape of a whole answer of OpenAI's chat or responses or Anthropic's messages; of others, their texts.
    None: there was nothing in them.
    """
    choices: dict[int, Document] = {}
    blocks: dict[int, Document] = {}
    texts: dict[int | str, str] = {}
    message: Document = {}
    for event in events:
        if not isinstance(event, dict):
            continue
        kind = event.get("type")
        if isinstance(event.get("choices"), list):
            for choice in event["choices"]:
                if isinstance(choice, dict):
                    _add_choice(choices, choice)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            if isinstance(response := event.get("response"), dict):
                return response
        elif kind in ("message_start", "content_block_start", "content_block_delta", "message_delta"):
            _add_block(message, blocks, event, kind)
        elif not (isinstance(kind, str) and kind.endswith(".done")):  # which says again what was said
            _add_texts(texts, event)
    if choices:
        return {"choices": [*choices.values()]}
    if message or blocks:
        return {**message, "role": "assistant", "content": [*blocks.values()]}
    if texts:
        return {"content": [{"type": "text", "text": text} for text in texts.values()], "role": "assistant"}
    return None


def _add_choice(choices: dict[int, Document], choice: Mapping[str, Any]) -> None:
    known = choices.setdefault(_place(choice), {"finish_reason": None})
    if choice.get("finish_reason"):
        known["finish_reason"] = choice["finish_reason"]
    if isinstance(choice.get("text"), str):
        known["text"] = known.get("text", "") + choice["text"]
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return
    message = known.setdefault("message", {"role": "assistant"})
    for name in ("content", "reasoning_content", "reasoning"):
        if isinstance(delta.get(name), str):
            message[name] = message.get(name, "") + delta[name]
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            _add_call(message.setdefault("tool_calls", []), call)


def _add_call(calls: list[Document], call: Mapping[str, Any]) -> None:
    index = _place(call, len(calls))
    known = next((each for each in calls if each["index"] == index), None)
    if known is None:
        known = {"index": index, "id": None, "function": {"name": "", "arguments": ""}}
        calls.append(known)
    known["id"] = known["id"] or call.get("id")
    function = call.get("function")
    for name in ("name", "arguments"):
        if isinstance(function, dict) and isinstance(function.get(name), str):
            known["function"][name] += function[name]


def _add_block(message: Document, blocks: dict[int, Document], event: Mapping[str, Any], kind: str) -> None:
    delta = event.get("delta")
    match kind:
        case "message_delta" if isinstance(delta, dict):
            message["stop_reason"] = delta.get("stop_reason")
        case "message_start":
            message.setdefault("stop_reason", None)
        case "content_block_start" if isinstance(block := event.get("content_block"), dict):
            blocks[_place(event)] = {**block}
        case "content_block_delta" if isinstance(delta, dict):
            block = blocks.setdefault(_place(event), {"type": "text"})
            for name in ("text", "thinking"):
                if isinstance(delta.get(name), str):
                    block[name] = block.get(name, "") + delta[name]
            if isinstance(delta.get("partial_json"), str):
                told = block.get("input")
                block["input"] = (told if isinstance(told, str) else "") + delta["partial_json"]


def _add_texts(texts: dict[int | str, str], event: Document) -> None:
    try:
        for piece in event_wording(event).pieces:
            if piece.slot is None and str(event.get("type")).startswith("response."):
                continue  # ids and names, and at the end all of it once more
            slot = repr(piece.slot) if piece.slot is not None else len(texts)
            texts[slot] = texts.get(slot, "") + piece.spot.text
    except TooManyTexts:
        return


def _place(holder: Mapping[str, Any], default: int = 0) -> int:
    index = holder.get("index", default)
    return index if isinstance(index, int) else default
