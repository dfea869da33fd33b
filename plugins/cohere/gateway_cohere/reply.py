"""A reply of Cohere's chat as a chat completion.

Source: docs.cohere.com/reference/chat, /docs/tool-use-citations and /docs/reasoning, types of cohere 7.3; read 2026-11.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import Answer, completion
from gateway.translators.reading import DocumentReading, decoded
from gateway.wire.openai_failures import failure_told, told
from gateway_cohere.usage import TokenUsage

FINISH: Mapping[str, str] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_calls",
    "MAX_TOKENS": "length",
    "TIMEOUT": "length",
}
"""What was stopped for the time it took is not at its end, as what has grown too long."""
FAILED = "ERROR"
"""A finish reason that is none: the model has failed."""
_TEXT = "TEXT_CONTENT"


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    id: str = ""
    function: Function = msgspec.field(default_factory=Function)


class Content(msgspec.Struct):
    """`text` or `thinking`, by its type; in the deltas of a stream the type is left out."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Citation(msgspec.Struct):
    """
    Args:
        start, end: characters of one block of content.
        type: what is cited: `TEXT_CONTENT`, or else `THINKING_CONTENT` and `PLAN`.
    """

    start: int = 0
    end: int = 0
    text: str = ""
    sources: list[dict[str, Any]] | None = None
    content_index: int | None = None
    type: str | None = None


class Logprobs(msgspec.Struct):
    """Of a piece of text, which may be several tokens."""

    text: str | None = None
    logprobs: list[float] | None = None


class Message(msgspec.Struct):
    content: list[Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None
    citations: list[Citation] | None = None


class Reply(msgspec.Struct):
    message: Message
    id: str = ""
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    logprobs: list[Logprobs] | None = None


_reply = msgspec.json.Decoder(Reply)


class ReplyReading(DocumentReading):
    """
    Args:
        model: to be told, since Cohere does not.
        created_s: when it is read, seconds since 1970.
        answer_tool: as in `Answer`.
    """

    def __init__(self, model: str, created_s: float, *, answer_tool: bool) -> None:
        super().__init__()
        self._model = model
        self._created_s = created_s
        self._answer_tool = answer_tool

    def document(self, body: bytes) -> bytes:
        reply = _read(body)
        if reply.usage is not None:
            self.told_usage = reply.usage.usage
        if reply.finish_reason == FAILED:
            raise failed(None)
        answer = Answer(answer_tool=self._answer_tool)
        _fill(answer, reply.message)
        answer.finish_reason = FINISH.get(reply.finish_reason or "", "stop")
        if reply.logprobs is not None:
            answer.logprobs = tokens_of(reply.logprobs)
        return completion([answer], id=reply.id, model=self._model, created_s=self._created_s, usage=self.told_usage)


def _fill(answer: Answer, message: Message) -> None:
    starts, at = [], 0
    for content in message.content or ():
        starts.append(at)
        if content.text:
            answer.text(content.text)
            at += len(content.text)
        if content.thinking:
            answer.reasoning(content.thinking)
            answer.thinking_block(thinking_block(content.thinking))
    if message.tool_plan:
        answer.reasoning(message.tool_plan)
    for call in message.tool_calls or ():
        answer.tool_call(call.id, call.function.name or "", call.function.arguments or "")
    for citation in message.citations or ():
        for annotation in annotations(citation, starts):
            answer.annotation(annotation)


def thinking_block(thinking: str) -> dict[str, str]:
    """Cohere signs nothing."""
    return {"type": "thinking", "thinking": thinking, "signature": ""}


def annotations(citation: Citation, starts: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One for each source: of the web as OpenAI has it, of others with all that Cohere says. What is cited in
    reasoning has no place in an answer.

    Args:
        starts: of each block of content, so many characters of text came before it.
    """
    if citation.type not in (None, _TEXT):
        return
    index = citation.content_index
    base = starts[index] if index is not None and 0 <= index < len(starts) else 0
    place = {"start_index": base + citation.start, "end_index": base + citation.end}
    for source in citation.sources or ():
        content = source.get("document") or source.get("tool_output")
        if isinstance(content, Mapping) and isinstance(url := content.get("url"), str) and url:
            title = content.get("title")
            told_url = {"url": url, "title": title if isinstance(title, str) else "", **place}
            yield {"type": "url_citation", "url_citation": told_url}
        else:
            yield {"type": "file_citation", "file_citation": {**source, "cited_text": citation.text, **place}}


def tokens_of(pieces: Sequence[Logprobs]) -> list[dict[str, Any]]:
    """As OpenAI has them; the probability of a piece is that of all its tokens."""
    return [
        {
            "token": piece.text or "",
            "logprob": sum(piece.logprobs or ()),
            "bytes": list((piece.text or "").encode(errors="replace")),
            "top_logprobs": [],
        }
        for piece in pieces
    ]


def failed(message: str | None) -> Refused:
    """What takes the place of an answer that the model could not give."""
    return told({"message": message or "the provider says that the model has failed", "status": 502}, None)


def _read(body: bytes) -> Reply:
    try:
        return decoded(body, _reply)
    except (ValueError, RecursionError) as error:
        raise _not_a_reply(body) from error


def _not_a_reply(body: bytes) -> Refused | BrokeOff:
    return failure_told(body) or BrokeOff("the provider's answer is not a reply of Cohere's chat")
