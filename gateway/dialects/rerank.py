"""Which documents fit a query best, as Cohere and Jina have it; OpenAI has no such API.

Source: docs.cohere.com/reference/rerank (v2), api.jina.ai/redoc; vllm/entrypoints of vLLM, which serves both below all
of these paths; read 2026-11.
"""

from collections.abc import Sequence
from math import ceil

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import model_of
from gateway.dialects.openai import estimated_tokens, how_many
from gateway.wire.openai import BodyReading

PER_SEARCH = 100
"""Documents; so many are billed as one search."""
MAX_UNITS = 10**9


class Rerank(OpenAIErrors):
    """A `Dialect`; the answers of both are passed on as they are."""

    name = "rerank"
    routes: Sequence[tuple[str, str]] = (("POST", "/rerank"), ("POST", "/v2/rerank"))
    model_type = "rerank"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        documents = body.fields.get("documents")
        tokens = estimated_tokens(documents, body.data)
        searches = ceil(how_many(documents) / PER_SEARCH) if documents is not None else 1
        return Ask(
            model_of(body.fields),
            input_tokens=tokens,
            has_output=False,
            expected=(Usage(input=tokens + 1), Usage(searches=searches)),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return RerankReading()


class _Units(msgspec.Struct):
    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Units | None = None


class _Answer(msgspec.Struct):
    meta: _Meta | None = None


_answer = msgspec.json.Decoder(_Answer)


class RerankReading(BodyReading):
    """Jina says what was used as OpenAI does, Cohere in `meta.billed_units`."""

    def usage(self) -> Usage | None:
        if (usage := super().usage()) is not None or not self._is_whole:
            return usage
        try:
            meta = _answer.decode(self._tail()).meta
        except (msgspec.DecodeError, RecursionError):
            return None
        units = meta.billed_units if meta is not None else None
        if units is None:
            return None
        counts = (units.search_units, units.input_tokens)
        searches, tokens = (ceil(max(0, min(count or 0, MAX_UNITS))) for count in counts)
        return Usage(input=tokens, searches=searches) if searches or tokens else None


RERANK = Rerank()
