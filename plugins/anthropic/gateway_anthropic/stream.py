"""A streamed message of the Messages API as chunks of a chat completion.

Source: platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.translators.chat import ChatChunks
from gateway.translators.reading import EventReading, decoded
from gateway.wire.anthropic import TokenUsage, error_of, tier_of
from gateway.wire.sse import DONE
from gateway_anthropic.reply import (
    FINISH,
    Block,
    Reply,
    StopDetails,
    annotation,
    redacted_block,
    thinking_block,
)

CHARS_PER_TOKEN = 4
"""For what came of an answer that broke off: how many tokens it had is told at its end."""


class Delta(msgspec.Struct):
    """More of a block; or, in `message_delta`, how the message ended."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class Event(msgspec.Struct):
    type: str = ""
    index: Any = None
    message: Reply | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Any = None
    error: Any = None


class Typed(msgspec.Struct):
    type: str


_event = msgspec.json.Decoder(Event)
_typed = msgspec.json.Decoder(Typed)
_NOTHING = Block()


class StreamedReply(EventReading):
    """Takes events as JSON, whatever frames they came in: see `EventReading.split`.

    Args:
        created_s: when it begins, seconds since 1970.
        wants_usage, answer_tool: as in `ChatChunks`.
        shows_tier: as in `ReplyReading`.
    """

    own = re.compile(rb'"type"\s*+:\s*+"(?:message|content_block)_|"error"')

    def __init__(self, created_s: float, *, wants_usage: bool, answer_tool: bool, shows_tier: bool) -> None:
        super().__init__()
        self._created_s = created_s
        self._wants_usage = wants_usage
        self._answer_tool = answer_tool
        self._shows_tier = shows_tier
        self._chunks: ChatChunks | None = None
        self._counts: TokenUsage | None = None
        self._is_counted = False
        self._is_finished = False
        """The reason for its end has been told: imitations of the API leave it at that, or send `[DONE]`."""
        self._chars = 0
        self._block = _NOTHING
        """The one that is open."""
        self._index: Any = None
        self._calls: list[Any] = []
        """Indexes of the blocks that are calls."""
        self._thought: list[str] = []
        self._signature: list[str] = []
        self._has_input = False
        self._cited: list[dict[str, Any]] = []
        self._text_at = 0
        self._block_at = 0

    def event(self, data: bytes) -> bytes:
        if data == DONE:
            return self._stop() if self._is_finished else b""
        try:
            event = decoded(data, _event)
        except (ValueError, RecursionError) as error:
            if _is_typed(data) and not self.own.search(data):
                return b""
            raise BrokeOff("the provider sent an event that is none of Anthropic's API") from error
        match event.type:
            case "content_block_delta" if event.delta is not None:
                return self._more(event.delta, event.index)
            case "content_block_start" if event.content_block is not None:
                return self._end_block() + self._begin_block(event.content_block, event.index)
            case "content_block_stop":
                return self._end_block()
            case "message_start" if event.message is not None and self._chunks is None:
                return self._begin(event.message).start()
            case "message_delta":
                return self._finish(event)
            case "message_stop":
                return self._stop()
            case "error" | "" if event.error:
                said = error_of({"error": event.error})
                raise BrokeOff(said.message, code=said.code) if self.has_begun else said
        return b""  # ping, and what may come one day

    def end(self) -> bytes:
        told = super().end()
        return told + self._stop() if self._is_finished and not self.is_over else told

    def usage(self) -> Usage | None:
        if self._counts is None:
            return None
        usage = self._counts.usage
        if self._is_counted or usage is None:
            return usage
        if usage.untold == "input":
            return None
        output = max(usage.output_tokens, self._chars // CHARS_PER_TOKEN)
        return msgspec.structs.replace(usage, output=output, reasoning=0, estimated=True, untold=None)

    def service_tier(self) -> str | None:
        return tier_of(self._counts) if self._counts is not None else None

    @property
    def _out(self) -> ChatChunks:
        return self._chunks or self._begin(Reply())

    def _begin(self, message: Reply) -> ChatChunks:
        self._counts = TokenUsage.of(message.usage) or self._counts
        self._chunks = ChatChunks(
            id=message.id,
            model=message.model,
            created_s=self._created_s,
            wants_usage=self._wants_usage,
            answer_tool=self._answer_tool,
        )
        return self._chunks

    def _begin_block(self, block: Block, index: Any) -> bytes:
        self._block, self._has_input = block, False
        self._index = index
        self._block_at = self._text_at
        match block.type:
            case "text" if block.text:
                return self._text(block.text)
            case "thinking" if block.thinking:
                return self._thinking(block.thinking)
            case "tool_use":
                self.has_begun = True
                self._calls.append(index)
                return self._out.tool_call(block.id, block.name)
        return b""

    def _more(self, delta: Delta, index: Any) -> bytes:
        match delta.type:
            case "text_delta":
                return self._text(delta.text)
            case "input_json_delta" if index != self._index and index in self._calls:
                raise BrokeOff("the provider mixed the arguments of two calls")
            case "input_json_delta" if self._block.type == "tool_use":  # and not of a tool that Anthropic calls itself
                self._chars += len(delta.partial_json)
                self._has_input = self._has_input or bool(delta.partial_json)
                return self._out.arguments(delta.partial_json)
            case "thinking_delta":
                return self._thinking(delta.thinking)
            case "signature_delta":
                self.has_begun = True
                self._signature.append(delta.signature)
            case "citations_delta" if delta.citation is not None:
                self._cited.append(delta.citation)
        return b""

    def _text(self, text: str) -> bytes:
        self.has_begun = True
        self._chars += len(text)
        self._text_at += len(text)
        return self._out.text(text)

    def _thinking(self, text: str) -> bytes:
        self.has_begun = True
        self._chars += len(text)
        self._thought.append(text)
        return self._out.reasoning(text)

    def _end_block(self) -> bytes:
        block, self._block = self._block, _NOTHING
        match block.type:
            case "tool_use" if not self._has_input:
                return self._out.arguments(block.arguments)
            case "thinking":
                signature = "".join(self._signature) or block.signature or ""
                whole = thinking_block("".join(self._thought), signature)
                self._thought, self._signature = [], []
                return self._out.thinking_block(whole)
            case "redacted_thinking":
                self.has_begun = True
                return self._out.thinking_block(redacted_block(block))
            case "text":
                cited, self._cited = [*(block.citations or ()), *self._cited], []
                places = (annotation(each, self._block_at, self._text_at) for each in cited)
                return b"".join(self._out.annotation(place) for place in places)
        return b""

    def _finish(self, event: Event) -> bytes:
        if (counts := TokenUsage.of(event.usage)) is not None:
            self._counts = counts.over(self._counts)
            self._is_counted = counts.tells_output
        delta = event.delta
        if delta is None or delta.stop_reason is None:
            return b""
        self.has_begun = self._is_finished = True
        out = self._end_block()
        if (details := delta.stop_details) is not None and details.explanation:
            out += self._out.refusal(details.explanation)
        if self._shows_tier:
            self._out.service_tier = self.service_tier()
        return out + self._out.finish(FINISH.get(delta.stop_reason, "stop"))

    def _stop(self) -> bytes:
        if not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        self.is_over = True
        return self._end_block() + self._out.end(self.usage())


def _is_typed(data: bytes) -> bool:
    """Whether it says what it is, whatever else is in it."""
    try:
        _typed.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
