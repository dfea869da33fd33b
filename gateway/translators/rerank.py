"""Reranking, in the words of Cohere and Jina, for servers that have words of their own.

    asked = rerank_of(ChatRequest(call))                    what is asked for, checked
    RankingReading(call, head, ranks)                       the answer, from pairs of an index and a score

Source: docs.cohere.com/reference/rerank (v2) and /v1/reference/rerank, api.jina.ai/redoc; read 2026-11.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from gateway.contract import Call, Head
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.reading import DocumentReading

Ranks = Sequence[tuple[int, float]]
"""Which document, counted from 0 in the caller's order, and how well it fits: the more, the better."""

_encode = msgspec.json.encode


class Rerank(msgspec.Struct, frozen=True):
    """
    Args:
        top_n: so many of the best; None: all.
        returns_documents: each with its text.
    """

    query: str
    documents: list[str]
    top_n: int | None
    returns_documents: bool


def rerank_of(request: ChatRequest) -> Rerank:
    """Raises BadRequest."""
    query, documents = request.take("query", str), request.take("documents", list[Any])
    if query is None or not query.strip():
        raise BadRequest("query must be a text, and not empty", param="query")
    if not documents:
        raise BadRequest("documents must be a list of texts, and not empty", param="documents")
    top_n = request.take("top_n", int)
    if top_n is not None and top_n < 1:
        raise BadRequest("top_n must be at least 1", param="top_n")
    return Rerank(query, [*map(_text, documents)], top_n, request.take("return_documents", bool) is True)


def _text(document: Any) -> str:
    """As Jina has it, and Cohere's first version: some are objects around a text."""
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        message = 'each document must be a text, or {"text": ...}: this model ranks nothing else'
        raise BadRequest(message, param="documents")
    return text


class RankingReading(DocumentReading):
    """What a server has ranked, best first, cut to what was asked for.

    Args:
        read: the body of an answer -> its ranks in any order, and what it says was used. Raises what msgspec raises.
        new_id: of an answer.
    """

    def __init__(
        self,
        call: Call,
        head: Head,
        read: Callable[[bytes, Head], tuple[Ranks, Usage | None]],
        *,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        super().__init__()
        self._call = call
        self._head = head
        self._read = read
        self._new_id = new_id

    def document(self, body: bytes) -> bytes:
        asked = rerank_of(ChatRequest(self._call))
        try:
            ranks, self.told_usage = self._read(body, self._head)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer holds no ranks") from error
        if any(not 0 <= index < len(asked.documents) for index, _ in ranks):
            raise BrokeOff("the provider has ranked documents that it was not sent")
        best = sorted(ranks, key=lambda rank: (-rank[1], rank[0]))[: asked.top_n]
        results = _results(best, asked)
        answer: dict[str, Any] = {"id": self._new_id(), "model": self._call.ask.name, "results": results}
        if (used := self.told_usage) is not None and used.input_tokens:
            answer["usage"] = {"prompt_tokens": used.input_tokens, "total_tokens": used.input_tokens}
        return _encode(answer)


def _results(ranks: Iterable[tuple[int, float]], asked: Rerank) -> list[dict[str, Any]]:
    if not asked.returns_documents:
        return [{"index": index, "relevance_score": score} for index, score in ranks]
    return [
        {"index": index, "relevance_score": score, "document": {"text": asked.documents[index]}}
        for index, score in ranks
    ]
