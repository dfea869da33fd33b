"""Embeddings of the Gemini API as OpenAI's, and their replies back.

Source: ai.google.dev/api/embeddings; platform.openai.com/docs/api-reference/embeddings; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.gemini.names import in_camel_case
from gateway.translators.gemini.parts import Part
from gateway.translators.reading import DocumentReading, decoded
from gateway.wire.gemini import BATCH_EMBED, action_of

OF_ROUTES = ("dimensions", "user")
"""Fields of OpenAI's that a route may set: they count for more than the caller's."""
_encode = msgspec.json.encode


class _Content(msgspec.Struct, frozen=True):
    parts: list[Part]


class _Config(msgspec.Struct, rename="camel"):
    """Of each content of a batch, and the newer place of what else stands beside the content."""

    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _Request(_Config):
    content: _Content = _Content([])
    embed_content_config: _Config | None = None

    @property
    def config(self) -> _Config:
        inner = self.embed_content_config or _Config()
        return _Config(
            inner.task_type or self.task_type,
            inner.title or self.title,
            inner.output_dimensionality or self.output_dimensionality,
        )

    def text(self) -> str:
        """Raises BadRequest: there is something else in it."""
        parts = self.content.parts
        if not parts or any(part.text is None for part in parts):
            raise BadRequest("each content needs parts, and this model takes none but texts", param="content")
        return "\n".join(part.text or "" for part in parts)


class ToEmbeddings:
    """A `Translator`.

    Args:
        keeps_task: who gets it knows `task_type` and `title`, as Google's own models do.
    """

    dialect = "gemini_embeddings"
    format = "embeddings"

    def __init__(self, *, keeps_task: bool = False) -> None:
        self._keeps_task = keeps_task

    def request(self, call: Call, model: str) -> JsonBody:
        """Raises BadRequest: it asks for something that cannot be said here."""
        given = {name: raw for name, raw in call.fields.items() if name not in OF_ROUTES}
        request = ChatRequest(call.with_fields(in_camel_case(given)))
        asked = _requests(request, is_batch=_is_batch(call))
        config = asked[0].config
        if any(each.config != config for each in asked):
            raise BadRequest("this model embeds all of a batch in one way: ask it several times", param="requests")
        texts = [each.text() for each in asked]
        fields: dict[str, Any] = {
            "model": model,
            "input": texts if _is_batch(call) else texts[0],
            "dimensions": config.output_dimensionality,
            **{name: raw for name, raw in call.fields.items() if name in OF_ROUTES},
        }
        task = config.task_type if config.task_type != "TASK_TYPE_UNSPECIFIED" else None
        if self._keeps_task:
            fields |= {"task_type": task, "title": config.title}
        else:
            for name, value in (("taskType", task), ("title", config.title)):
                if value is not None:
                    request.drop(name)
        told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> "VectorsReading":
        return VectorsReading(is_batch=_is_batch(call))


def _is_batch(call: Call) -> bool:
    return action_of(call.request) == BATCH_EMBED


def _requests(request: ChatRequest, *, is_batch: bool) -> list[_Request]:
    """At least one."""
    if is_batch:
        asked = request.take("requests", list[_Request]) or []
        if not asked:
            raise BadRequest("requests must not be empty", param="requests")
        return asked
    config = request.take("embedContentConfig", _Config)
    content = request.take("content", _Content) or _Content([])
    task, title = request.take("taskType", str), request.take("title", str)
    return [_Request(task, title, request.take("outputDimensionality", int), content, config)]


class _Vector(msgspec.Struct):
    """`embedding`: a list of numbers, as they were written."""

    embedding: msgspec.Raw
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: Any = None


_vectors = msgspec.json.Decoder(_Vectors)


class VectorsReading(DocumentReading):
    """
    Args:
        is_batch: of several contents.
    """

    def __init__(self, *, is_batch: bool) -> None:
        super().__init__()
        self._is_batch = is_batch

    def document(self, body: bytes) -> bytes:
        try:
            said = decoded(body, _vectors)
        except (ValueError, RecursionError) as error:
            raise BrokeOff("the provider's answer holds no embeddings") from error
        found = [{"values": each.embedding} for each in sorted(said.data, key=lambda each: each.index)]
        if not found or not all(bytes(each["values"])[:1] == b"[" for each in found):
            raise BrokeOff("the provider's answer holds no embeddings that are lists of numbers")
        self.told_usage = Usage.from_openai(said.usage)
        answer: dict[str, Any] = {"embeddings": found} if self._is_batch else {"embedding": found[0]}
        if self.told_usage is not None:
            answer["usageMetadata"] = {"promptTokenCount": self.told_usage.input_tokens}
        return _encode(answer)
