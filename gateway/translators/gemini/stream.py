"""Chunks of a chat completion as the events of `streamGenerateContent?alt=sse`.

Each event has the parts that are new, functions as whole calls. The last one has the reason for which each candidate
ended, and what was used; nothing comes behind it.

Source: ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.chat import FunctionCall
from gateway.translators.gemini.reply import (
    MALFORMED,
    Part,
    Shown,
    Thoughts,
    call_part,
    finish_of,
    grounding_of,
    pictures_of,
    usage_fields,
)
from gateway.translators.messages.said import Call, Choice, Said, completion_of
from gateway.translators.reading import EventReading
from gateway.wire.sse import DONE
from gateway.wire.whole import MAX_DOCUMENT

MAX_CALLS = 1000
MAX_CANDIDATES = 128
_EVENT = b'data: {"candidates":[{"content":{"parts":[%b],"role":"model"},"index":%d}],%b}\n\n'
_encode = msgspec.json.Encoder().encode


class _Calling:
    """A call that comes in pieces."""

    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self, id_: str, name: str, extra: dict[str, Any] | None) -> None:
        self.id = id_
        self.name = name
        self.extra = extra
        self.arguments: list[str] = []


class _Candidate:
    """How far one answer has come."""

    __slots__ = ("annotations", "calls", "finish", "is_refused", "numbers", "thoughts")

    def __init__(self) -> None:
        self.thoughts = Thoughts()
        self.calls: list[_Calling] = []
        self.numbers: dict[int, _Calling] = {}
        """Index of a call with the provider -> the call."""
        self.annotations: list[dict[str, Any]] = []
        self.finish: str | None = None
        self.is_refused = False

    def calling(self, call: Call) -> _Calling | None:
        """The one of which this is a piece; None: a new one."""
        if call.index is not None:
            return self.numbers.get(call.index)
        if id_ := str(call.id or ""):
            return next((each for each in self.calls if each.id == id_), None)
        return None if call.function.name or not self.calls else self.calls[-1]


class StreamedReply(EventReading):
    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self._shown = shown
        self._about = b""
        """What each event says, without the braces around it."""
        self._candidates: dict[int, _Candidate] = {}
        self._size = 0
        """Bytes of arguments that are held."""
        self._tier: str | None = None

    def event(self, data: bytes) -> bytes:
        if data == DONE:
            return self._end()
        try:
            chunk = completion_of(data)
        except UpstreamError as error:
            if not self.has_begun:
                raise
            raise BrokeOff(error.message, code=error.code) from error
        if not self._about:
            self._about = _encode(self._shown.about(chunk.id))[1:-1]
        if chunk.usage is not None and (usage := Usage.from_openai(chunk.usage)) is not None:
            self.told_usage = usage.over(self.told_usage)
        self._tier = chunk.service_tier or self._tier
        return b"".join(map(self._choice, chunk.choices or ()))

    def end(self) -> bytes:
        """Some leave out `[DONE]`; a finish reason is as good."""
        out = super().end()
        if rest := bytes(self._held).strip():
            self._held.clear()
            out += self.feed(b"%b\n\n" % rest) if rest.startswith(b"data:") else self.event(rest)
        if self.events == 0 and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        candidates = self._candidates.values()
        is_whole = bool(candidates) and all(each.finish is not None for each in candidates)
        return out + self._end() if is_whole and not self.is_over else out

    def service_tier(self) -> str | None:
        return self._tier

    def _choice(self, choice: Choice) -> bytes:
        candidate = self._candidates.get(choice.index)
        if candidate is None:
            if len(self._candidates) >= MAX_CANDIDATES:
                raise BrokeOff(f"the provider gave more than {MAX_CANDIDATES} answers")
            candidate = self._candidates[choice.index] = _Candidate()
        said = choice.delta or choice.message
        parts = self._parts(said, candidate) if said is not None else []
        if choice.finish_reason:
            candidate.finish = finish_of(choice.finish_reason)
            self.has_begun = True
        if not parts:
            return b""
        self.has_begun = True
        return _EVENT % (b",".join(map(_encode, parts)), choice.index, self._about)

    def _parts(self, said: Said, candidate: _Candidate) -> list[Part]:
        thoughts = candidate.thoughts
        parts: list[Part] = []
        thought = thoughts.text(said.thought) if said.thought else ""
        if said.thinking_blocks:
            thought += "".join(map(thoughts.block, said.thinking_blocks))
        if thought and self._shown.shows_thinking:
            parts.append({"text": thought, "thought": True})
        text = said.text
        if said.refusal:
            candidate.is_refused = True
            text += said.refusal
        if text:
            parts.append({"text": text, **thoughts.of_text()})
        if said.images:
            parts += pictures_of(said.images)
        if said.annotations:
            candidate.annotations += said.annotations
        for call in said.tool_calls or ():
            self._call(call, candidate)
        return parts

    def _call(self, call: Call, candidate: _Candidate) -> None:
        calling = candidate.calling(call)
        if calling is None:
            if not call.function.name:
                return  # nothing that could be called
            if len(candidate.calls) >= MAX_CALLS:
                raise BrokeOff(f"the provider made more than {MAX_CALLS:,} calls")
            id_ = str(call.id or f"call_{self._shown.new_id()}")
            calling = _Calling(id_, call.function.name, call.extra_content)
            candidate.calls.append(calling)
            if call.index is not None:
                candidate.numbers[call.index] = calling
        self.has_begun = True
        arguments = call.function.arguments
        if arguments:
            text = arguments if isinstance(arguments, str) else _encode(arguments).decode()
            self._size += len(text)
            if self._size > MAX_DOCUMENT:
                raise BrokeOff("the provider's calls are too large to be translated")
            calling.arguments.append(text)

    def _end(self) -> bytes:
        if not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        self.is_over = True
        told = {
            "candidates": [self._last(index, each) for index, each in sorted(self._candidates.items())],
            **usage_fields(self.told_usage),
        }
        return b"data: %b,%b}\n\n" % (_encode(told)[:-1], self._about)

    def _last(self, index: int, candidate: _Candidate) -> dict[str, Any]:
        """What of it has waited for its end, and why that came."""
        finish = "SAFETY" if candidate.is_refused else candidate.finish or "STOP"
        parts: list[Part] = []
        for calling in candidate.calls:
            function = FunctionCall(calling.name, "".join(calling.arguments))
            part = call_part(calling.id, function, candidate.thoughts, calling.extra)
            if part is not None:
                parts.append(part)
            elif finish == "STOP":
                finish = MALFORMED
        left = candidate.thoughts.of_text()
        if left or not parts:
            parts.append({"text": "", **left})
        return {
            "content": {"parts": parts, "role": "model"},
            "finishReason": finish,
            "index": index,
            **grounding_of(candidate.annotations),
        }
