"""Servers of one's own that rerank in words of their own: Text Embeddings Inference and NVIDIA's NeMo Retriever.

What is too long for the model is cut, as Cohere and Jina do it, unless the caller says otherwise by `truncate`.

Source: router/src/http/types.rs and server.rs of text-embeddings-inference; docs.nvidia.com/nim/nemo-retriever/
text-reranking, using-reranking.html and reference.html; read 2026-11.
"""

from collections.abc import Mapping
from functools import partial
from math import tanh
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody, Translator
from gateway.contract.usage import Usage
from gateway.translators.chat import ChatRequest
from gateway.translators.rerank import RankingReading, Ranks, rerank_of

TOKENS = "x-compute-tokens"
"""Header of TEI's answers."""


class ToTei:
    """A `Translator`. TEI knows no model and no `top_n`; its scores are between 0 and 1, unless `raw_scores` is set."""

    dialect = "rerank"
    format = "tei"

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)
        asked = rerank_of(request)
        fields = {
            "query": asked.query,
            "texts": asked.documents,
            "raw_scores": request.take("raw_scores", bool),
            "truncate": request.take("truncate", bool) is not False,
            "truncation_direction": request.take("truncation_direction", str),
        }
        return _body(fields, request)

    def reading(self, call: Call, head: Head) -> RankingReading:
        return RankingReading(call, head, _of_tei)


class ToNemo:
    """A `Translator`. Its scores are logits, of which probabilities are made, unless `raw_scores` is set."""

    dialect = "rerank"
    format = "nemo-retriever"

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)
        asked = rerank_of(request)
        request.take("raw_scores", bool)
        fields = {
            "model": model,
            "query": {"text": asked.query},
            "passages": [{"text": text} for text in asked.documents],
            "truncate": request.take("truncate", str) or "END",
        }
        return _body(fields, request)

    def reading(self, call: Call, head: Head) -> RankingReading:
        is_raw = ChatRequest(call).take("raw_scores", bool) is True
        return RankingReading(call, head, partial(_of_nemo, is_raw=is_raw))


TRANSLATORS: Mapping[str, Translator] = MappingProxyType({"tei": ToTei(), "nemo-retriever": ToNemo()})
"""`model_server` -> between it and callers of `rerank`; the others speak that themselves."""


def _body(fields: dict[str, Any], request: ChatRequest) -> JsonBody:
    told = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items() if value is not None}
    return JsonBody(told, dropped_params=request.dropped_params)


class _Rank(msgspec.Struct):
    index: int
    score: float


class _Ranking(msgspec.Struct):
    index: int
    logit: float


class _Rankings(msgspec.Struct):
    rankings: list[_Ranking]
    usage: Any = None


_tei = msgspec.json.Decoder(list[_Rank])
_nemo = msgspec.json.Decoder(_Rankings)


def _of_tei(body: bytes, head: Head) -> tuple[Ranks, Usage | None]:
    ranks = [(rank.index, rank.score) for rank in _tei.decode(body)]
    count = head.headers.get(TOKENS, "")
    return ranks, Usage.from_openai({"total_tokens": count}) if count else None


def _of_nemo(body: bytes, head: Head, *, is_raw: bool) -> tuple[Ranks, Usage | None]:
    said = _nemo.decode(body)
    ranks = [(each.index, each.logit if is_raw else _sigmoid(each.logit)) for each in said.rankings]
    return ranks, Usage.from_openai(said.usage)


def _sigmoid(logit: float) -> float:
    return 0.5 + 0.5 * tanh(logit / 2)  # which ends nowhere in an overflow
