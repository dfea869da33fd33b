"""A streamed reply of Cohere's chat as chunks of a chat completion.

Source: docs.cohere.com/docs/streaming, /docs/tool-use-streaming and /docs/rag-streaming, types of cohere 7.3; read
2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import ChatChunks
from gateway.translators.reading import EventReading, decoded
from gateway.wire.lenient import lenient_json
from gateway.wire.openai_failures import told
from gateway.wire.sse import DONE
from gateway_cohere.reply import (
    FAILED,
    FINISH,
    Call,
    Citation,
    Content,
    Logprobs,
    annotations,
    failed,
    thinking_block,
    tokens_of,
)
from gateway_cohere.usage import TokenUsage


class MessageDelta(msgspec.Struct):
    """In `message-start` there are empty lists where the others have one thing each."""

    content: Content | list[Any] | None = None
    tool_plan: str | None = None
    tool_calls: Call | list[Any] | None = None
    citations: Citation | list[Any] | None = None


class Delta(msgspec.Struct):
    """The last three are those of `message-end`."""

    message: MessageDelta | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    error: str | None = None


class Event(msgspec.Struct):
    type: str = ""
    id: str | None = None
    index: int | None = None
    delta: Delta | None = None
    logprobs: Logprobs | None = None


_event = msgspec.json.Decoder(Event)
_NO_MESSAGE = MessageDelta()
_NO_DELTA = Delta()


class StreamedReply(EventReading):
    """
    Args:
        model, created_s: as in `ReplyReading`.
        wants_usage, answer_tool: as in `ChatChunks`.
    """

    own = re.compile(rb'"type"\s*+:\s*+"(?:message|content|tool|citation)-|"error"')

    def __init__(self, model: str, created_s: float, *, wants_usage: bool, answer_tool: bool) -> None:
        super().__init__()
        self._model = model
        self._created_s = created_s
        self._wants_usage = wants_usage
        self._answer_tool = answer_tool
        self._chunks: ChatChunks | None = None
        self._thought: list[str] = []
        """Of the block that is open."""
        self._is_calling = False
        self._has_arguments = False
        self._text_at = 0
        self._starts: list[int] = []

    def event(self, data: bytes) -> bytes:
        if data == DONE:
            return b""
        try:
            event = decoded(data, _event)
        except (ValueError, RecursionError) as error:
            raise BrokeOff("the provider sent an event that is none of Cohere's chat") from error
        delta = event.delta or _NO_DELTA
        message = delta.message or _NO_MESSAGE
        match event.type:
            case "content-delta" if isinstance(message.content, Content):
                return self._content(message.content, event.logprobs)
            case "tool-call-delta" if isinstance(message.tool_calls, Call):
                return self._arguments(message.tool_calls.function.arguments or "")
            case "tool-plan-delta" if message.tool_plan:
                return self._reasoning(message.tool_plan)
            case "content-start" if isinstance(message.content, Content):
                return self._end_parts() + self._start_content(message.content, event.index)
            case "tool-call-start" if isinstance(message.tool_calls, Call):
                return self._end_parts() + self._start_call(message.tool_calls)
            case "content-end" | "tool-call-end":
                return self._end_parts()
            case "citation-start" if isinstance(message.citations, Citation):
                places = annotations(message.citations, self._starts)
                return b"".join(self._out.annotation(place) for place in places)
            case "message-start" if self._chunks is None:
                return self._begin(event.id or "").start()
            case "message-end":
                return self._finish(delta)
            case "" | "error":
                raise self._failure(told(lenient_json(data), None))
        return b""  # citation-end, debug, and what may come one day

    @property
    def _out(self) -> ChatChunks:
        return self._chunks or self._begin("")

    def _begin(self, id_: str) -> ChatChunks:
        self._chunks = ChatChunks(
            id=id_,
            model=self._model,
            created_s=self._created_s,
            wants_usage=self._wants_usage,
            answer_tool=self._answer_tool,
        )
        return self._chunks

    def _start_content(self, content: Content, index: int | None) -> bytes:
        at = len(self._starts) if index is None else index
        if at == len(self._starts):
            self._starts.append(self._text_at)
        return self._content(content, None)

    def _content(self, content: Content, logprobs: Logprobs | None) -> bytes:
        if content.thinking:
            self._thought.append(content.thinking)
            return self._reasoning(content.thinking)
        text = content.text
        if not text:
            return b""
        self.has_begun = True
        self._text_at += len(text)
        out = self._out.text(text)
        return out if logprobs is None else out + self._out.logprobs(tokens_of([logprobs]))

    def _reasoning(self, text: str) -> bytes:
        self.has_begun = True
        return self._out.reasoning(text)

    def _start_call(self, call: Call) -> bytes:
        self.has_begun = self._is_calling = True
        arguments = call.function.arguments or ""
        self._has_arguments = bool(arguments)
        return self._out.tool_call(call.id, call.function.name or "", arguments)

    def _arguments(self, fragment: str) -> bytes:
        if not self._is_calling:
            raise BrokeOff("the provider sent arguments of a call that it did not begin")
        self._has_arguments = self._has_arguments or bool(fragment)
        return self._out.arguments(fragment)

    def _end_parts(self) -> bytes:
        """Of what is open: at most one block, or one call."""
        out = b""
        if self._thought:
            out = self._out.thinking_block(thinking_block("".join(self._thought)))
            self._thought = []
        if self._is_calling and not self._has_arguments:
            out += self._out.arguments("{}")
        self._is_calling = False
        return out

    def _finish(self, delta: Delta) -> bytes:
        if delta.usage is not None:
            self.told_usage = delta.usage.usage
        if delta.finish_reason == FAILED or delta.error:
            raise self._failure(failed(delta.error))
        self.has_begun = self.is_over = True
        out = self._end_parts() + self._out.finish(FINISH.get(delta.finish_reason or "", "stop"))
        return out + self._out.end(self.told_usage)

    def _failure(self, said: Refused) -> Refused | BrokeOff:
        return BrokeOff(said.message) if self.has_begun else said
