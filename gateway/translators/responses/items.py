"""Items of the Responses API as messages of a chat.

Source: platform.openai.com/docs/api-reference/responses/create and /docs/guides/conversation-state, /images-vision,
/pdf-files, /function-calling, /reasoning; types/responses of openai-python 3.57; read 2026-11.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.chat.request import read
from gateway.translators.messages.extent import Extent
from gateway.translators.responses.sealed import unseal
from gateway.translators.responses.tools import function_name
from gateway.wire.response_items import SUMMARY_HEAD, summary_in

_SYSTEM = frozenset({"system", "developer"})
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_SHOWN_CHARS = 40

Part = dict[str, Any]


class Content(msgspec.Struct):
    """One part of what is said, of any type."""

    type: str = "input_text"
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: dict[str, Any] | None = None


class Item(msgspec.Struct):
    """One item, of any type; without one it is a message."""

    type: str | None = None
    id: str | None = None
    role: str = ""
    content: str | list[Content] | None = None
    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    arguments: str = ""
    input: str = ""
    output: msgspec.Raw = msgspec.Raw(b'""')
    summary: list[Content] | None = None
    encrypted_content: str | None = None


class _Turn:
    """What a model has said between two things that it was told: it becomes one message, and the results of its calls
    behind it, wherever they stood."""

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self.blocks: list[dict[str, Any]] = []
        self.extras: dict[str, dict[str, Any]] = {}
        self.texts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.shown: list[Part] = []
        """Files in results, for those who take them from users only."""


class Items:
    """Puts a conversation together; `messages` is what it comes to."""

    def __init__(self, request: ChatRequest, extent: Extent) -> None:
        self._request = request
        self._extent = extent
        self._said: list[dict[str, Any] | list[str] | _Turn] = []
        """Messages; of the system what it says at once, which becomes one text; and turns."""
        self._turn: _Turn | None = None
        self._turns: dict[str, _Turn] = {}
        """Id of a call -> where it was made."""

    def add(self, item: Item) -> None:
        """Raises BadRequest: there is something in it that cannot be said."""
        match item.type or "message":
            case "message":
                self._message(item)
            case "function_call":
                self._call(item, item.arguments or "{}")
            case "custom_tool_call":
                self._call(item, msgspec.json.encode({"input": item.input}).decode())
            case "function_call_output" | "custom_tool_call_output":
                self._output(item)
            case "reasoning":
                self._reasoning(item)
            case "item_reference":
                raise BadRequest(f"no item with the id {(item.id or '')[:100]!r} is kept here", param="input")
            case "compaction" if (summary := summary_in(item.encrypted_content or "")) is not None:
                self._say("user", [{"type": "text", "text": f"{SUMMARY_HEAD}\n\n{summary}"}])
            case "compaction" | "context_compaction" as kind:
                raise BadRequest(
                    f"an item of the type {kind} can be read by OpenAI alone: send the conversation itself",
                    param="input",
                )
            case kind:  # of tools that OpenAI runs
                self._request.drop(f"input.{kind}")

    def system(self, text: str) -> None:
        self._system([{"type": "text", "text": text}] if text else [])

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for each in self._said for message in self._messages_of(each)]

    def _message(self, item: Item) -> None:
        contents = [Content(text=item.content)] if isinstance(item.content, str) else item.content or []
        if item.role == "assistant":
            said = (content.text if content.text is not None else content.refusal or "" for content in contents)
            self._open().texts += filter(None, said)
            return
        parts = self._parts(contents)
        if item.role in _SYSTEM:
            self._system(parts)
        elif item.role == "user":
            self._say("user", parts)
        else:
            raise BadRequest("the role of a message must be user, assistant, system or developer", param="input")

    def _system(self, parts: list[Part]) -> None:
        """Some servers take nothing but one text, and that at the beginning."""
        if any(part["type"] != "text" for part in parts):
            raise BadRequest("system and developer can say only text", param="input")
        text = "\n\n".join(part["text"] for part in parts)
        last = self._said[-1] if self._said else None
        if isinstance(last, list) and text:
            last.append(text)
        elif text:
            self._turn = None
            self._said.append([text])

    def _say(self, role: str, parts: list[Part]) -> None:
        self._turn = None
        if parts:
            is_plain = len(parts) == 1 and parts[0]["type"] == "text"
            self._said.append({"role": role, "content": parts[0]["text"] if is_plain else parts})

    def _open(self) -> _Turn:
        """The turn under way; once results of its calls are known, what comes is another."""
        if self._turn is None or self._turn.results:
            self._turn = _Turn()
            self._said.append(self._turn)
        return self._turn

    def _call(self, item: Item, arguments: str) -> None:
        if not item.call_id or not item.name:
            raise BadRequest("a call needs its call_id and its name", param="input")
        turn = self._open()
        function = {"name": function_name(item.name, item.namespace), "arguments": arguments}
        turn.calls.append({"id": item.call_id, "type": "function", "function": function})
        self._turns[item.call_id] = turn

    def _output(self, item: Item) -> None:
        turn = self._turns.get(item.call_id)
        if turn is None:
            raise BadRequest(
                f"there is no call with the call_id {item.call_id[:100]!r} before its output", param="input"
            )
        message: dict[str, Any] = {"role": "tool", "tool_call_id": item.call_id}
        parts = self._parts(_contents(item.output))
        files = [part for part in parts if part["type"] != "text"]
        if self._extent.is_hub and files:
            message["content"] = parts
        else:
            message["content"] = "\n".join(part["text"] for part in parts if part["type"] == "text")
            if files:
                message["content"] = message["content"] or "The result follows."
                turn.shown += [{"type": "text", "text": f"Of the result of {item.call_id}:"}, *files]
        turn.results.append(message)

    def _reasoning(self, item: Item) -> None:
        turn = self._open()
        whole = item.content if isinstance(item.content, list) and item.content else item.summary or []
        turn.thoughts += [content.text for content in whole if content.text]
        if not item.encrypted_content:
            return
        sealed = unseal(item.encrypted_content)
        if sealed is None or (not self._extent.is_hub and sealed.blocks):
            self._request.drop("input.reasoning.encrypted_content")
        elif self._extent.is_hub:
            turn.blocks += sealed.blocks
            turn.extras |= sealed.extras

    def _messages_of(self, said: dict[str, Any] | list[str] | _Turn) -> Iterable[dict[str, Any]]:
        if isinstance(said, list):
            yield {"role": "system", "content": "\n\n".join(said)}
            return
        if isinstance(said, dict):
            yield said
            return
        if said.thoughts and not self._extent.has_reasoning:
            self._request.drop("input.reasoning")
        if said.texts or said.calls:
            yield self._spoken(said)
        yield from said.results
        if said.shown:
            yield {"role": "user", "content": said.shown}

    def _spoken(self, turn: _Turn) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(turn.texts) or None}
        if self._extent.has_reasoning and turn.thoughts:
            message["reasoning_content"] = "\n\n".join(turn.thoughts)
        if turn.blocks:
            message["thinking_blocks"] = turn.blocks
        for call in turn.calls:
            if (extra := turn.extras.get(call["id"])) is not None:
                call["extra_content"] = extra
        if turn.calls:
            message["tool_calls"] = turn.calls
        return message

    def _parts(self, contents: Iterable[Content]) -> list[Part]:
        return [part for content in contents for part in self._of(content)]

    def _of(self, content: Content) -> list[Part]:
        match content.type:
            case kind if kind in _TEXTS:
                return [{"type": "text", "text": content.text}] if content.text else []
            case "refusal":
                return [{"type": "text", "text": content.refusal}] if content.refusal else []
            case "input_image" if content.image_url:
                detail = {"detail": content.detail} if content.detail else {}
                return [{"type": "image_url", "image_url": {"url": content.image_url, **detail}}]
            case "input_audio" if content.input_audio:
                return [{"type": "input_audio", "input_audio": content.input_audio}]
            case "input_file" if content.file_data or content.file_url:
                return [self._file(content)]
            case "input_image" | "input_file" if content.file_id:
                raise BadRequest("a file_id means nothing to this model: send the file itself", param="input")
        shown = content.type[:_SHOWN_CHARS]
        raise BadRequest(
            f"content of the type {shown!r} cannot be sent to this model, or has nothing in it", param="input"
        )

    def _file(self, content: Content) -> Part:
        name = {"filename": content.filename} if content.filename else {}
        if content.file_data:
            return {"type": "file", "file": {**name, "file_data": content.file_data}}
        if not self._extent.is_hub:
            raise BadRequest("this model fetches no files: send file_data in place of file_url", param="input")
        return {"type": "file", "file": {**name, "file_url": content.file_url}}


def _contents(output: msgspec.Raw) -> list[Content]:
    given: str | list[Content] | None = read(output, str | list[Content] | None, "input")  # type: ignore[arg-type]
    return [Content(text=given)] if isinstance(given, str) else given or []
