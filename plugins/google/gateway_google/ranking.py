"""Reranking by the ranking API of Vertex AI Search, which models named `semantic-ranker-...` have.

It is billed by searches, and tells of none.

Source: docs.cloud.google.com/generative-ai-app-builder/docs/ranking and .../docs/reference/rest/v1/
projects.locations.rankingConfigs/rank; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.rerank import RankingReading, Ranks, rerank_of


class ToRanking:
    """A `Translator`."""

    dialect = "rerank"
    format = "vertex-ranking"

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)
        asked = rerank_of(request)
        fields: dict[str, Any] = {
            "model": model,
            "query": asked.query,
            "records": [{"id": str(index), "content": text} for index, text in enumerate(asked.documents)],
            "ignoreRecordDetailsInResponse": True,
        }
        if asked.top_n is not None:
            fields["topN"] = asked.top_n
        told = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> RankingReading:
        return RankingReading(call, head, _ranks_in)


class _Record(msgspec.Struct):
    """`score` is left out where it is 0, as all of Google's numbers are."""

    id: str
    score: float = 0.0


class _Records(msgspec.Struct):
    records: list[_Record]


_records = msgspec.json.Decoder(_Records)


def _ranks_in(body: bytes, head: Head) -> tuple[Ranks, Usage | None]:
    found = _records.decode(body).records
    if not all(record.id.isascii() and record.id.isdecimal() and len(record.id) < 10 for record in found):
        raise BrokeOff("the provider has ranked documents that it was not sent")
    return [(int(record.id), record.score) for record in found], None
