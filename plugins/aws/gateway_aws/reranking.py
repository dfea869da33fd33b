"""Reranking by InvokeModel: Cohere's models on Bedrock, and Amazon's, whose bodies differ in a version.

What they use is billed by searches or tokens, and they tell neither.

Source: docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html and model-parameters-cohere-rerank.html, and
opensearch.org/docs/latest/vector-search/tutorials/reranking/reranking-cohere-bedrock; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.rerank import RankingReading, Ranks, rerank_of

API_VERSION = 2
"""Of Cohere's; it has to be said."""


class ToRerank:
    """A `Translator`."""

    dialect = "rerank"
    format = "bedrock"

    def request(self, call: Call, model: str) -> JsonBody:
        is_cohere = "cohere.rerank" in model
        if not is_cohere and "amazon.rerank" not in model:
            raise BadRequest(f"{model} ranks nothing here: only Cohere's and Amazon's rerank models do", param="model")
        request = ChatRequest(call)
        asked = rerank_of(request)
        fields: dict[str, Any] = {"query": asked.query, "documents": asked.documents}
        if asked.top_n is not None:
            fields["top_n"] = min(asked.top_n, len(asked.documents))  # more is refused
        if is_cohere:
            fields["api_version"] = API_VERSION
        told = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> RankingReading:
        return RankingReading(call, head, _ranks_in)


class _Rank(msgspec.Struct):
    index: int
    relevance_score: float


class _Results(msgspec.Struct):
    results: list[_Rank]


_results = msgspec.json.Decoder(_Results)


def _ranks_in(body: bytes, head: Head) -> tuple[Ranks, Usage | None]:
    return [(each.index, each.relevance_score) for each in _results.decode(body).results], None
