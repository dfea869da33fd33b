"""Chunks of a chat completion as the events of `streamGenerateContent?alt=sse`.

Each event has the parts that are new, functions as whole calls. The last one has the reason for which each candidate
ended, and what was used; nothing comes behind it.

Source: ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BrokeOff
from gateway.translators.chat import FunctionCall
from gateway.translators.chunked import CallPlaces, ChunkReading
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
from gateway.translators.said import NO_ARGUMENTS, Call, Choice, Completion, Said
from gateway.wire.whole import MAX_DOCUMENT

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

    def argue(self, fragment: str) -> None:
        if self.arguments or fragment.strip() not in NO_ARGUMENTS:
            self.arguments.append(fragment)


class _Candidate:
    """How far one answer has come."""

    __slots__ = ("annotations", "calls", "finish", "is_refused", "places", "thoughts")

    def __init__(self) -> None:
        self.thoughts = Thoughts()
        self.calls: list[_Calling] = []
        self.places = CallPlaces()
        self.annotations: list[dict[str, Any]] = []
        self.finish: str | None = None
        self.is_refused = False


class StreamedReply(ChunkReading):
    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self._shown = shown
        self._about = b""
        """What each event says, without the braces around it."""
        self._candidates: dict[int, _Candidate] = {}
        self._size = 0
        """Bytes of arguments that are held."""

    def chunk(self, chunk: Completion) -> bytes:
        if not self._about:
            self._about = _encode(self._shown.about(chunk.id))[1:-1]
        return b"".join(map(self._choice, chunk.choices or ()))

    def has_finished(self) -> bool:
        candidates = self._candidates.values()
        return bool(candidates) and all(each.finish is not None for each in candidates)

    def last(self) -> bytes:
        told = {
            "candidates": [self._last(index, each) for index, each in sorted(self._candidates.items())],
            **usage_fields(self.told_usage),
        }
        return b"data: %b,%b}\n\n" % (_encode(told)[:-1], self._about)

    def _choice(self, choice: Choice) -> bytes:
        candidate = self._candidates.get(choice.index)
        if candidate is None:
            if len(self._candidates) >= MAX_CANDIDATES:
                raise BrokeOff(f"the provider gave more than {MAX_CANDIDATES} answers")
            candidate = self._candidates[choice.index] = _Candidate()
        said = choice.delta or choice.message
        parts = self._parts(said, candidate) if said is not None else []
        if choice.finish_reason:
            candidate.finish = finish_of(choice)
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
        for call in said.calls:
            self._call(call, candidate)
        return parts

    def _call(self, call: Call, candidate: _Candidate) -> None:
        number = candidate.places.of(call)
        if number is None:
            if not call.function.name:
                return  # nothing that could be called
            id_ = str(call.id or f"call_{self._shown.new_id()}")
            number = candidate.places.add(call, id_)
            candidate.calls.append(_Calling(id_, call.function.name, call.extra_content))
        self.has_begun = True
        if fragment := call.fragment:
            self._size += len(fragment)
            if self._size > MAX_DOCUMENT:
                raise BrokeOff("the provider's calls are too large to be translated")
            candidate.calls[number].argue(fragment)

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
