"""A stream of ConverseStream as chunks of a chat completion.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, and the service description of
botocore 1.44.5; read 2026-11.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import BrokeOff
from gateway.translators.chat import ChatChunks
from gateway.translators.reading import EventReading
from gateway_aws.failures import broken
from gateway_aws.frames import Frames, opened
from gateway_aws.reply import (
    FINISH,
    ServiceTier,
    Struct,
    TokenUsage,
    ToolUse,
    annotation,
    redacted_block,
    thinking_block,
)


class ToolInput(Struct):
    input: str = ""


class ReasoningDelta(Struct):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Delta(Struct):
    text: str | None = None
    tool_use: ToolInput | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: dict[str, Any] | None = None


class Start(Struct):
    tool_use: ToolUse | None = None


class BlockStart(Struct):
    start: Start
    content_block_index: int = 0


class BlockDelta(Struct):
    delta: Delta
    content_block_index: int = 0


class MessageStop(Struct):
    stop_reason: str = ""


class Metadata(Struct):
    usage: TokenUsage | None = None
    service_tier: ServiceTier | None = None


class BlockStop(Struct):
    content_block_index: int = 0


_start = msgspec.json.Decoder(BlockStart).decode
_delta = msgspec.json.Decoder(BlockDelta).decode
_stop = msgspec.json.Decoder(BlockStop).decode
_message_stop = msgspec.json.Decoder(MessageStop).decode
_metadata = msgspec.json.Decoder(Metadata).decode


class ConverseStreamReading(EventReading):
    """
    Args:
        chunks: writes what the caller gets.
        shows_tier: the caller asked for a tier, and hears which it got.
    """

    def __init__(self, chunks: ChatChunks, *, shows_tier: bool) -> None:
        super().__init__()
        self._chunks = chunks
        self._shows_tier = shows_tier
        self._frames = Frames()
        self._tier: str | None = None
        self._has_stopped = False
        self._tool_at = -1
        """Index of the block that is a call; -1: no call is open."""
        self._has_input = False
        self._thought: list[str] = []
        self._signature: list[str] = []
        self._redacted = bytearray()
        self._cited: list[dict[str, Any]] = []
        self._text_at = self._block_at = 0

    def split(self, data: bytes) -> Iterable[bytes]:
        return self._frames.feed(data)

    def event(self, data: bytes) -> bytes:
        frame = opened(data)
        if frame.kind != "event":
            raise broken(frame, has_begun=self.has_begun)
        try:
            match frame.name:
                case "contentBlockDelta":
                    more = _delta(frame.payload)
                    return self._more(more.delta, more.content_block_index)
                case "contentBlockStart":
                    begun = _start(frame.payload)
                    return self._begin_block(begun.start, begun.content_block_index)
                case "contentBlockStop":
                    _stop(frame.payload)
                    return self._end_block()
                case "messageStart":
                    return self._chunks.start()
                case "messageStop":
                    return self._finish(_message_stop(frame.payload).stop_reason)
                case "metadata":
                    return self._end(_metadata(frame.payload))
        except (ValueError, RecursionError) as error:
            raise BrokeOff("the provider sent an event that is none of Bedrock's Converse API") from error
        return b""  # what may come one day

    def end(self) -> bytes:
        """Without its last event, which tells the usage, an answer is complete no less."""
        out = super().end()
        if self._has_stopped and not self.is_over and self._frames.is_empty:
            self.is_over = True
            out += self._chunks.end(self.told_usage)
        return out

    def service_tier(self) -> str | None:
        return self._tier

    def _begin_block(self, start: Start, index: int) -> bytes:
        out = self._end_block()
        tool = start.tool_use
        if tool is None or tool.type is not None:  # a call that the provider makes itself
            return out
        self.has_begun = True
        self._tool_at, self._has_input = index, False
        return out + self._chunks.tool_call(tool.tool_use_id, tool.name)

    def _more(self, delta: Delta, index: int) -> bytes:
        if delta.text is not None:
            self.has_begun = True
            self._text_at += len(delta.text)
            return self._chunks.text(delta.text)
        if delta.tool_use is not None:
            return self._input(delta.tool_use.input, index)
        if delta.reasoning_content is not None:
            return self._reasoning(delta.reasoning_content)
        if delta.citation is not None:
            self._cited.append(delta.citation)
        return b""

    def _input(self, fragment: str, index: int) -> bytes:
        if index != self._tool_at:
            if self._tool_at >= 0:
                raise BrokeOff("the provider mixed the arguments of two calls")
            return b""
        self._has_input = self._has_input or bool(fragment)
        return self._chunks.arguments(fragment)

    def _reasoning(self, delta: ReasoningDelta) -> bytes:
        self.has_begun = True
        if delta.signature:
            self._signature.append(delta.signature)
        self._redacted += b64decode(delta.redacted_content or "", validate=True)
        if not delta.text:
            return b""
        self._thought.append(delta.text)
        return self._chunks.reasoning(delta.text)

    def _end_block(self) -> bytes:
        out = []
        if self._tool_at >= 0:
            self._tool_at = -1
            if not self._has_input:
                out.append(self._chunks.arguments("{}"))
        if self._thought or self._signature:
            block = thinking_block("".join(self._thought), "".join(self._signature))
            out.append(self._chunks.thinking_block(block))
            self._thought, self._signature = [], []
        if self._redacted:
            out.append(self._chunks.thinking_block(redacted_block(b64encode(self._redacted).decode())))
            self._redacted.clear()
        places = (annotation(citation, self._block_at, self._text_at) for citation in self._cited)
        out += map(self._chunks.annotation, places)
        self._cited, self._block_at = [], self._text_at
        return b"".join(out)

    def _finish(self, reason: str) -> bytes:
        out = self._end_block()
        self.has_begun = self._has_stopped = True
        return out + self._chunks.finish(FINISH.get(reason, "stop"))

    def _end(self, metadata: Metadata) -> bytes:
        if metadata.usage is not None:
            self.told_usage = metadata.usage.usage
        if metadata.service_tier is not None:
            self._tier = metadata.service_tier.type
        if self._shows_tier:
            self._chunks.service_tier = self._tier
        if not self._has_stopped:
            return b""  # it is not the end before the message has stopped
        self.is_over = True
        return self._chunks.end(self.told_usage)
