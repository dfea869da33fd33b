"""Replies of Google's Gemini API, read from bytes that pass by: usage, errors, their beginning and their end.

Source: ai.google.dev/api/generate-content and /tokens; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract.call import Head
from gateway.contract.request import Request
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.wire import sse
from gateway.wire.google import NOT_A_REPLY, TokenUsage, error_of
from gateway.wire.lenient import decoded
from gateway.wire.openai_failures import failure_told
from gateway.wire.passing import PassingReading
from gateway.wire.whole import WholeReading

STREAM = "streamGenerateContent"
EMBED, BATCH_EMBED = "embedContent", "batchEmbedContents"
MAX_EVENT = sse.MAX_EVENT
MAX_CANDIDATES = 1000


def action_of(request: Request) -> str:
    return request.route.rpartition(":")[2]


def wants_list(request: Request) -> bool:
    """A stream that is no stream of events, but one list of what would be in them."""
    return action_of(request) == STREAM and b"alt=sse" not in request.query.split(b"&")


class _Content(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[msgspec.Raw] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Reply(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Any = None
    error: Any = None
    total_tokens: int | None = None
    """Of an answer of `countTokens`."""
    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: msgspec.Raw = msgspec.Raw()

    @property
    def searches(self) -> int:
        grounds = [each.grounding_metadata for each in self.candidates or () if each.grounding_metadata is not None]
        return sum(len(ground.web_search_queries or ()) for ground in grounds)

    @property
    def is_blocked(self) -> bool:
        return self.prompt_feedback is not None and self.prompt_feedback.block_reason is not None


_reply = msgspec.json.Decoder(_Reply)
_list = msgspec.json.Decoder(list[_Reply])


class GenerateReading(WholeReading):
    """A `Reading` of one JSON object, an answer or a count of tokens. It is held back until it is whole.

    Args:
        is_free: it was not answered by a model, and uses nothing.
    """

    other = NOT_A_REPLY

    def __init__(self, *, is_free: bool = False) -> None:
        super().__init__()
        self._is_free = is_free
        self._usage: Usage | None = None
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        try:
            said = decoded(body, _reply)
        except (ValueError, RecursionError) as error:
            raise error_of(body, is_passed_on=True) from error
        if said.error:
            raise error_of(body, is_passed_on=True)
        if self._is_free:
            self._usage = Usage()
        elif (counts := TokenUsage.of(said.usage_metadata)) is not None:
            self._usage, self._tier = counts.usage(said.searches), counts.tier
        if not self.is_answer(said):
            raise failure_told(body) or BrokeOff(self.other)
        return body

    def is_answer(self, said: _Reply) -> bool:
        """Whether it is what was asked for."""
        told = (said.candidates, said.usage_metadata, said.total_tokens)
        return said.is_blocked or any(each is not None for each in told)

    def usage(self) -> Usage | None:
        return self._usage

    def service_tier(self) -> str | None:
        return self._tier


class EmbeddingsReading(GenerateReading):
    """The same of embeddings. Of older models Google tells no usage."""

    other = "the provider's answer holds no embeddings"

    def usage(self) -> Usage | None:
        """There is no output of which something could be told."""
        return msgspec.structs.replace(self._usage, untold=None) if self._usage is not None else None

    def is_answer(self, said: _Reply) -> bool:
        return bool(bytes(said.embedding) or bytes(said.embeddings))


class GenerateStreamReading:
    """A `Reading` of an event stream. No byte of it is changed. Its end is the connection's: it is whole if each
    candidate has said why it ended."""

    content_type: str | None = None
    is_stream = True
    is_over = False

    def __init__(self) -> None:
        self.events = 0
        self.has_begun = False
        self._splitter = sse.EventSplitter()
        self._counts: TokenUsage | None = None
        self._searches = 0
        self._finished: dict[int, bool] = {}
        self._is_blocked = False
        self._error: UpstreamError | None = None

    def feed(self, data: bytes) -> bytes:
        events = self._splitter.feed(data)
        if len(self._splitter) > MAX_EVENT:
            raise BrokeOff(f"the provider sent an event of over {MAX_EVENT:,} bytes")
        for event in events:
            self._judge(event)
        return data

    def end(self) -> bytes:
        if rest := self._splitter.end():
            self._judge(rest)
        if not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        return b""

    def is_complete(self) -> bool:
        return self._is_blocked or (bool(self._finished) and all(self._finished.values()))

    def told_error(self) -> UpstreamError | None:
        return self._error

    def usage(self) -> Usage | None:
        return self._counts.usage(self._searches) if self._counts is not None else None

    def service_tier(self) -> str | None:
        return self._counts.tier if self._counts is not None else None

    def _judge(self, event: bytes) -> None:
        """Raises UpstreamError: an error comes first."""
        data = sse.data_of(event.removeprefix(sse.BOM))
        if not data:
            if event.lstrip().startswith(sse.BODY):
                self._fail(event)
            return
        self.events += 1
        try:
            said = decoded(data, _reply)
        except (ValueError, RecursionError):
            return  # of a shape that is not known here
        if said.error:
            self._fail(data)
            return
        if (counts := TokenUsage.of(said.usage_metadata)) is not None:
            self._counts = counts.over(self._counts)
        self._searches = max(self._searches, said.searches)
        self._is_blocked = self._is_blocked or (said.is_blocked and not said.candidates)
        for candidate in said.candidates or ():
            if len(self._finished) < MAX_CANDIDATES:
                ended = self._finished.get(candidate.index, False)
                self._finished[candidate.index] = ended or candidate.finish_reason is not None
            if candidate.finish_reason is not None or (candidate.content is not None and candidate.content.parts):
                self.has_begun = True
        self.has_begun = self.has_begun or self._is_blocked

    def _fail(self, data: bytes) -> None:
        error = error_of(data, is_passed_on=True)
        if not self.has_begun:
            raise error
        self._error = BrokeOff(error.message, code=error.code)


class GenerateListReading(PassingReading):
    """A `Reading` of a stream that comes as one list, and goes on as it comes."""

    def __init__(self) -> None:
        super().__init__(Head(200, {}))

    def look(self, data: bytes) -> None:
        for said in _list.decode(data):
            if (counts := TokenUsage.of(said.usage_metadata)) is not None:
                self.told_usage = counts.usage(said.searches) or self.told_usage
