"""The messages of a chat as Cohere takes them.

Source: docs.cohere.com/reference/chat, /docs/image-inputs, /docs/tool-use-overview and /reference/errors; what it says
of text beside tool calls, as quoted in vercel/ai#5794; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Media, Message, Part, ToolCall

Block = dict[str, Any]

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


def messages_of(request: ChatRequest, *, takes_thinking: bool) -> list[Block]:
    """What is said to the system comes first, in one message; all else is in the caller's order, and what is empty left
    out.

    Args:
        takes_thinking: the model may be shown what it thought before.

    Raises:
        BadRequest: there is something in them that cannot be said here, or nothing.
    """
    system: list[Block] = []
    turns: list[Block] = []
    for message in request.messages:
        _drop_what_is_lost(message, request)
        if message.is_system:
            system += _texts(message.parts, "system")
        elif message.role == "assistant":
            turns += _assistant(message, request, takes_thinking=takes_thinking)
        elif message.role == "tool":
            content = _plain(_texts(message.parts, "tool"))
            turns.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": content})
        elif content := [_of_user(part) for part in message.parts]:
            turns.append({"role": "user", "content": _plain(content)})
    if not turns:
        raise BadRequest("there must be a message that is not empty, and not the system's", param="messages")
    return [{"role": "system", "content": _plain(system)}, *turns] if system else turns


def _drop_what_is_lost(message: Message, request: ChatRequest) -> None:
    for name in ("name", "audio", "is_error", "cache_control"):
        if getattr(message, name):
            request.drop(f"messages.{name}")
    if not isinstance(message.content, str) and any(part.cache_control is not None for part in message.parts):
        request.drop("messages.cache_control")


def _plain(content: list[Block]) -> str | list[Block]:
    """One text without a list around it."""
    if not content:
        return ""
    is_text = len(content) == 1 and content[0]["type"] == "text"
    return str(content[0]["text"]) if is_text else content


def _texts(parts: list[Part], role: str) -> list[Block]:
    """Of those who can only say text. Raises BadRequest."""
    texts = []
    for part in parts:
        if part.type not in ("text", "refusal"):
            raise BadRequest(f"a {role} message to this model can hold only text", param="messages")
        if text := part.refusal if part.type == "refusal" else part.text:
            texts.append(_text(text))
    return texts


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _of_user(part: Part) -> Block:
    media = part.media
    if media is not None:
        return _image(media)
    if part.type != "text":
        raise BadRequest(f"content of the type {part.type[:40]!r} cannot be sent to this model", param="messages")
    return _text(part.text or "")


def _image(media: Media) -> Block:
    if media.kind != "image" or media.file_id:
        raise BadRequest(
            "this model takes text, and pictures by URL or as data:<media type>;base64,<data>: no other files",
            param="messages",
        )
    image = {"url": media.url or f"data:{media.media_type};base64,{media.data}"}
    if media.detail is not None:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _assistant(message: Message, request: ChatRequest, *, takes_thinking: bool) -> list[Block]:
    """Of none or one."""
    parts = message.parts
    texts = _texts([part for part in parts if part.type not in _THOUGHTS], "assistant")
    if message.refusal:
        texts.append(_text(message.refusal))
    thoughts = _thoughts(message, [part for part in parts if part.type in _THOUGHTS], request)
    turn: Block = {"role": "assistant"}
    if message.tool_calls:
        # Beside calls there can be no text, but what the model thought, or else a plan.
        plan = [*thoughts, *(text["text"] for text in texts)]
        if plan and not takes_thinking:
            turn["tool_plan"] = "\n".join(plan)
        thoughts, texts = plan if takes_thinking else [], []
        turn["tool_calls"] = [_call(call, request) for call in message.tool_calls]
    elif thoughts and not takes_thinking:
        request.drop("messages.thinking_blocks" if message.thinking_blocks else "messages.reasoning_content")
        thoughts = []
    if content := [*({"type": "thinking", "thinking": thought} for thought in thoughts), *texts]:
        turn["content"] = _plain(content)
    return [turn] if len(turn) > 1 else []


def _thoughts(message: Message, parts: list[Part], request: ChatRequest) -> list[str]:
    """Of an earlier turn. What is signed, or hidden, is another vendor's."""
    kept = []
    for block in (*(message.thinking_blocks or ()), *parts):
        if block.type == "thinking" and block.thinking and not block.signature:
            kept.append(block.thinking)
        else:
            request.drop("messages.thinking_blocks")
    told = message.reasoning_content or message.reasoning
    return [told] if told and not kept else kept


def _call(call: ToolCall, request: ChatRequest) -> Block:
    if call.extra_content is not None:
        request.drop("messages.tool_calls.extra_content")
    given = call.function.input
    arguments = bytes(given) if given is not None else msgspec.json.encode({"INVALID_JSON": call.function.arguments})
    function = {"name": call.function.name, "arguments": arguments.decode()}
    return {"id": call.id, "type": "function", "function": function}
