"""A stream of `streamGenerateContent?alt=sse` as chunks of a chat completion.

Each event has the parts that are new, functions as whole calls, and what was used so far. The last one of a candidate
has its finish reason; the stream ends with the connection's body, and nothing else.

Source: ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, read 2026-11.
"""

import re
from collections.abc import Callable

from gateway.contract.usage import Usage
from gateway.translators.chat import ChatChunks
from gateway.translators.reading import EventReading
from gateway.wire.google import TokenUsage
from gateway.wire.sse import DONE
from gateway_google.reply import (
    FILTERED,
    Candidate,
    Citations,
    Grounding,
    Piece,
    Reply,
    annotations_of,
    failure_of,
    finish_of,
    read,
)
from gateway_google.signatures import OF_TEXT, OF_THOUGHT, block_of, extra_of


class _Choice:
    """How far one candidate has come."""

    __slots__ = ("citations", "grounding", "has_calls", "has_content", "reason", "texts", "thought")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thought: list[str] = []
        """Since the last signature."""
        self.has_calls = False
        self.has_content = False
        self.reason: str | None = None
        self.grounding: Grounding | None = None
        self.citations: Citations | None = None


class GeminiStream(EventReading):
    """The finish reason is told at the end: calls may come behind it, and what the answer was taken from.

    Args:
        wants_usage, answer_tool: as in `ChatChunks`.
        others: as in `GeminiDocument`.
    """

    own = re.compile(rb'"(?:candidates|usageMetadata|promptFeedback|error)"')

    def __init__(
        self,
        created_s: float,
        *,
        new_id: Callable[[], str],
        wants_usage: bool,
        answer_tool: bool,
        shows_tier: bool,
        tier: str | None,
    ) -> None:
        super().__init__()
        self._created_s = created_s
        self._new_id = new_id
        self._wants_usage = wants_usage
        self._answer_tool = answer_tool
        self._shows_tier = shows_tier
        self._tier = tier
        self._chunks: ChatChunks | None = None
        self._choices: dict[int, _Choice] = {}
        self._counts: TokenUsage | None = None
        self._refusal: str | None = None

    def event(self, data: bytes) -> bytes:
        if data == DONE:  # of proxies in front of Google; what was told has said by itself whether it is all
            return b""
        reply = read(data)
        if (counts := TokenUsage.of(reply.usage_metadata)) is not None:
            self._counts = counts.over(self._counts)
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = self._begun(reply)
        if reply.prompt_feedback is not None and not reply.candidates:
            self._refusal = reply.prompt_feedback.refusal or self._refusal
        return b"".join([self._candidate(candidate, chunks) for candidate in reply.candidates])

    def end(self) -> bytes:
        told = super().end()
        chunks = self._chunks
        if chunks is None or self.is_over:
            return told
        is_refused = self._refusal is not None and not self._choices
        if not is_refused and (not self._choices or any(each.reason is None for each in self._choices.values())):
            return told
        self.is_over = self.has_begun = True
        chunks.service_tier = self.service_tier() if self._shows_tier else None
        out = [told]
        if is_refused:
            out += (chunks.refusal(self._refusal or ""), chunks.finish(FILTERED))
        for index, choice in sorted(self._choices.items()):
            for annotation in annotations_of(choice.grounding, choice.citations, ["".join(choice.texts)]):
                out.append(chunks.annotation(annotation, index))
            out.append(chunks.finish(finish_of(choice.reason, has_calls=choice.has_calls), index))
        return b"".join(out) + chunks.end(self.usage())

    def usage(self) -> Usage | None:
        if self._counts is None:
            return None
        grounds = [choice.grounding for choice in self._choices.values() if choice.grounding is not None]
        return self._counts.usage(sum(len(ground.web_search_queries) for ground in grounds))

    def service_tier(self) -> str | None:
        return (self._counts.tier if self._counts is not None else None) or self._tier

    def _begun(self, reply: Reply) -> ChatChunks:
        return ChatChunks(
            id=reply.response_id or self._new_id(),
            model=reply.model_version,
            created_s=self._created_s,
            wants_usage=self._wants_usage,
            answer_tool=self._answer_tool,
        )

    def _candidate(self, candidate: Candidate, chunks: ChatChunks) -> bytes:
        index = candidate.index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        out = b""
        if candidate.content is not None:
            out = b"".join([self._part(part, choice, chunks, index) for part in candidate.content.parts])
        if candidate.grounding_metadata is not None:
            choice.grounding = candidate.grounding_metadata
        if candidate.citation_metadata is not None:
            choice.citations = candidate.citation_metadata
        if candidate.logprobs_result is not None:
            out += chunks.logprobs(candidate.logprobs_result.told, index)
        if candidate.finish_reason:
            choice.reason = candidate.finish_reason
            # Raised with the next piece, or at the end: what came in this one is passed on first.
            self._error = failure_of(candidate, has_content=choice.has_content)
        return out

    def _part(self, part: Piece, choice: _Choice, chunks: ChatChunks, index: int) -> bytes:
        signature = part.thought_signature
        if part.thought:
            text = part.text or ""
            self.has_begun = self.has_begun or bool(text)
            choice.thought.append(text)
            out = chunks.reasoning(text, index)
            return out + self._sealed(OF_THOUGHT, signature, choice, chunks, index) if signature else out
        if part.function_call is not None:
            self.has_begun = choice.has_calls = choice.has_content = True
            call, extra = part.function_call, extra_of(signature)
            id_ = call.id or self._new_id()
            return chunks.tool_call(id_, call.name, call.arguments, extra_content=extra, choice=index)
        if part.inline_data is not None:
            self.has_begun = choice.has_content = True
            out = chunks.image(part.inline_data.uri, index)
        elif text := part.text or part.shown:
            self.has_begun = choice.has_content = True
            choice.texts.append(text)
            out = chunks.text(text, index)
        else:
            out = b""
        return out + self._sealed(OF_TEXT, signature, choice, chunks, index) if signature else out

    def _sealed(self, prefix: str, signature: str, choice: _Choice, chunks: ChatChunks, index: int) -> bytes:
        thought = "".join(choice.thought)
        choice.thought.clear()
        return chunks.thinking_block(block_of(prefix, thought, signature), index)
