"""Turns of the Messages API as messages of a chat.

Source: platform.claude.com/docs/en/api/messages, /build-with-claude/vision, /pdf-support, /citations and /thinking,
/agents-and-tools/tool-use/handle-tool-calls; read 2026-11.
"""

from base64 import b64encode
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.chat.request import read
from gateway.translators.messages.extent import Extent
from gateway.translators.messages.sealed import UNSIGNED, unsealed

BILLING = "x-anthropic-billing-header:"
"""How a block of Claude Code's system prompt begins that is for Anthropic alone, and differs between requests."""

_PDF = "application/pdf"
_NOTHING = (b"", b"null")

Part = dict[str, Any]


class Source(msgspec.Struct):
    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: msgspec.Raw = msgspec.Raw()


class Block(msgspec.Struct):
    """One block of content, of any type. `source`: of a search result it is a text."""

    type: str = "text"
    text: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    citations: Any = None
    cache_control: dict[str, Any] | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str = ""
    tool_name: str = ""
    content: msgspec.Raw = msgspec.Raw()
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class Turn(msgspec.Struct):
    role: str
    content: str | list[Block]


class Turns:
    def __init__(self, request: ChatRequest, extent: Extent) -> None:
        self.messages: list[dict[str, Any]] = []
        self._request = request
        self._extent = extent

    def system(self, content: str | list[Block] | None) -> None:
        """Raises BadRequest: it says something else than text."""
        if isinstance(content, str):
            content = [Block(text=content)]
        blocks = [block for block in content or () if not (block.text or "").startswith(BILLING)]
        if len(blocks) < len(content or ()):
            self._request.drop("system.x-anthropic-billing-header")
        parts = self._texts(blocks, "system")
        if self._extent.is_hub:
            self._say("system", parts)
        elif parts:  # some servers take nothing but one text here
            self.messages.append({"role": "system", "content": "\n\n".join(part["text"] for part in parts)})

    def add(self, turn: Turn) -> None:
        """Raises BadRequest: there is something in it that cannot be said."""
        blocks = [Block(text=turn.content)] if isinstance(turn.content, str) else turn.content
        match turn.role:
            case "assistant":
                self._assistant(blocks)
            case "user":
                self._user(blocks)
            case "system":
                self._say("system", self._texts(blocks, "messages"))
            case _:
                raise BadRequest("the role of a message must be user or assistant", param="messages")

    def _texts(self, blocks: list[Block], param: str) -> list[Part]:
        """Of the system. Raises BadRequest: it says something else than text."""
        if any(block.type != "text" for block in blocks):
            raise BadRequest("the system can say only text", param=param)
        return self._parts(blocks)

    def _say(self, role: str, parts: list[Part]) -> None:
        if parts:
            is_plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
            self.messages.append({"role": role, "content": parts[0]["text"] if is_plain else parts})

    def _user(self, blocks: list[Block]) -> None:
        """Results of tools become messages of their own, which have to come right behind their calls."""
        shown: list[Part] = []
        for block in blocks:
            if block.type == "tool_result":
                shown += self._result(block)
        self._say("user", shown + self._parts([block for block in blocks if block.type != "tool_result"]))

    def _result(self, block: Block) -> list[Part]:
        """Gives back what a result holds besides text, if it has to be shown by the user."""
        message: dict[str, Any] = {"role": "tool", "tool_call_id": block.tool_use_id}
        parts = self._parts(self._inside(block.content))
        self.messages.append(message)
        if self._extent.is_hub:
            is_plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
            message["content"] = parts[0]["text"] if is_plain else parts or ""
            if block.is_error:
                message["is_error"] = True
            if block.cache_control is not None:
                message["cache_control"] = block.cache_control
            return []
        self._note_marker(block)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        message["content"] = "\n".join([*(["Error:"] if block.is_error else ()), *texts])
        files = [part for part in parts if part["type"] != "text"]
        if not files:
            return []
        message["content"] = message["content"] or "The result follows."
        return [{"type": "text", "text": f"Of the result of {block.tool_use_id}:"}, *files]

    def _assistant(self, blocks: list[Block]) -> None:
        message: dict[str, Any] = {"role": "assistant"}
        said: list[Block] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[str] = []
        kept: list[dict[str, Any]] = []
        extras: dict[str, Any] = {}
        for block in blocks:
            match block.type:
                case "text":
                    said.append(block)
                case "compaction":
                    said += self._inside(block.content)
                case "tool_use":
                    given = bytes(block.input)
                    function = {"name": block.name, "arguments": given.decode() if given not in _NOTHING else "{}"}
                    calls.append({"id": block.id, "type": "function", "function": function})
                    self._mark(message, block)
                case "thinking":
                    thoughts.append(block.thinking or "")
                    if block.signature and block.signature != UNSIGNED:
                        thinking = {"thinking": block.thinking or "", "signature": block.signature}
                        kept.append({"type": "thinking", **thinking})
                case "redacted_thinking" if (extra := unsealed(block.data or "")) is not None:
                    extras |= extra
                case "redacted_thinking":
                    kept.append({"type": "redacted_thinking", "data": block.data})
                case _:  # of tools that Anthropic runs itself
                    self._request.drop(f"messages.{block.type}")
        parts = self._parts(said)
        is_marked = any(part.keys() != {"type", "text"} for part in parts)
        message["content"] = parts if is_marked else "".join(part["text"] for part in parts) or None
        if self._extent.has_reasoning and (text := "".join(thoughts)):
            message["reasoning_content"] = text
        elif any(thoughts):
            self._request.drop("messages.thinking")
        if self._extent.is_hub:
            if kept:
                message["thinking_blocks"] = kept
            for call in calls:
                if (extra := extras.get(call["id"])) is not None:
                    call["extra_content"] = extra
        elif any(block["type"] == "redacted_thinking" for block in kept):
            self._request.drop("messages.redacted_thinking")
        if calls:
            message["tool_calls"] = calls
        if calls or parts:
            self.messages.append(message)

    def _parts(self, blocks: list[Block]) -> list[Part]:
        parts: list[Part] = []
        for block in blocks:
            found = self._of(block)
            if found and block.cache_control is not None:
                self._mark(found[-1], block)
            parts += found
        return parts

    def _of(self, block: Block) -> list[Part]:
        match block.type:
            case "text":
                return [{"type": "text", "text": block.text}] if block.text else []
            case "image":
                return [{"type": "image_url", "image_url": {"url": _url(block)}}]
            case "document":
                return self._document(block)
            case "search_result":
                found = [part for inner in self._inside(block.content) for part in self._of(inner)]
                about = "\n".join(filter(None, (block.title, block.source if isinstance(block.source, str) else None)))
                return [{"type": "text", "text": about}, *found] if about else found
            case "tool_reference":
                return [{"type": "text", "text": f"tool: {block.tool_name}"}]
        raise BadRequest(f"content of the type {block.type[:40]!r} cannot be sent to this model", param="messages")

    def _document(self, block: Block) -> list[Part]:
        source = block.source if isinstance(block.source, Source) else Source()
        if source.type == "content":
            return self._titled(block, [part for inner in self._inside(source.content) for part in self._of(inner)])
        if source.type == "text" and not self._extent.is_hub:
            return self._titled(block, [{"type": "text", "text": source.data}] if source.data else [])
        file: dict[str, Any] = {"filename": block.title} if block.title else {}
        if source.type == "url":
            if not self._extent.is_hub:
                raise BadRequest("this model fetches no documents: send it as base64", param="messages")
            file |= {"file_url": source.url, "format": _PDF}
        elif source.type == "text":
            file["file_data"] = f"data:text/plain;base64,{b64encode(source.data.encode()).decode()}"
        else:
            file = {"filename": "document.pdf", **file, "file_data": _url(block)}
            if self._extent.is_hub and not block.title:
                del file["filename"]
        part: Part = {"type": "file", "file": file}
        if self._extent.is_hub:
            about = {"citations": block.citations, "context": block.context}
            return [{**part, **{name: value for name, value in about.items() if value is not None}}]
        self._note_citations(block)
        return [*([{"type": "text", "text": block.context}] if block.context else ()), part]

    def _titled(self, block: Block, parts: list[Part]) -> list[Part]:
        self._note_citations(block)
        about = "\n".join(filter(None, (block.title, block.context)))
        return [{"type": "text", "text": about}, *parts] if about else parts

    def _inside(self, content: msgspec.Raw) -> list[Block]:
        if bytes(content) in _NOTHING:
            return []
        inner: str | list[Block] = read(content, str | list[Block], "messages")  # type: ignore[arg-type]
        return [Block(text=inner)] if isinstance(inner, str) else inner

    def _mark(self, said: dict[str, Any], block: Block) -> None:
        if self._extent.is_hub and block.cache_control is not None:
            said["cache_control"] = block.cache_control
        self._note_marker(block)

    def _note_marker(self, block: Block) -> None:
        if block.cache_control is not None and not self._extent.is_hub:
            self._request.drop("cache_control")

    def _note_citations(self, block: Block) -> None:
        if isinstance(block.citations, dict) and block.citations.get("enabled"):
            self._request.drop("messages.citations")


def _url(block: Block) -> str:
    source = block.source if isinstance(block.source, Source) else Source()
    if source.type == "url" and source.url:
        return source.url
    if source.type == "file":
        raise BadRequest("a file_id of Anthropic's means nothing to this model: send the file itself", param="messages")
    if not source.data:
        raise BadRequest(f"an {block.type} needs a source with data", param="messages")
    return f"data:{source.media_type or _PDF};base64,{source.data}"
