"""From OpenAI's embeddings into the bodies of InvokeModel, which each vendor has of its own.

Source: docs.aws.amazon.com/bedrock/latest/userguide: model-parameters-titan-embed-text.html, model-parameters-titan-
embed-mm.html, model-parameters-embed-v3.html and model-parameters-embed-v4.html; .../nova/latest/userguide/
embeddings-schema.html; read 2026-11.
"""

import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.reading import DocumentReading

COUNT = "x-amzn-bedrock-input-token-count"
INPUT_TYPE = "search_document"
"""Of Cohere, who wants to know; unless the caller says another."""

PURPOSES: Mapping[str, str] = {
    "search_document": "GENERIC_INDEX",
    "search_query": "GENERIC_RETRIEVAL",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Cohere's word for what an embedding is for -> Nova's; its own are taken as well."""

_encode = msgspec.json.encode


class _Vector(msgspec.Struct):
    embedding: list[float]


class _Vectors(msgspec.Struct):
    """Of Titan, then of Cohere: a list, or one for each type; of Nova: a list of objects."""

    embedding: list[float] | None = None
    inputTextTokenCount: int = 0  # noqa: N815  on the wire
    embeddings: list[list[float] | _Vector] | dict[str, list[list[float]]] | None = None

    @property
    def all(self) -> list[list[float]] | None:
        if self.embedding is not None:
            return [self.embedding]
        if isinstance(self.embeddings, dict):
            return self.embeddings.get("float")
        if self.embeddings is None:
            return None
        return [each.embedding if isinstance(each, _Vector) else each for each in self.embeddings]


_vectors = msgspec.json.Decoder(_Vectors)


class ToEmbeddings:
    """A `Translator`."""

    dialect = "embeddings"
    format = "bedrock"

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)  # it knows which fields were left, of any API
        texts = _texts(request)
        request.take("encoding_format", str)
        if "titan-embed" in model:
            fields = _titan(request, texts, model)
        elif "cohere.embed" in model:
            fields = _cohere(request, texts, model)
        elif "amazon.nova" in model and "embed" in model:
            fields = _nova(request, texts)
        else:
            raise BadRequest(f"{model} gives no embeddings here: only Titan's, Nova's and Cohere's do", param="model")
        told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> "EmbeddingsReading":
        return EmbeddingsReading(
            call.ask.name, head.headers, is_base64=bytes(call.fields.get("encoding_format", b"")) == b'"base64"'
        )


def _texts(request: ChatRequest) -> list[str]:
    given: Any = request.take("input", Any)
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest("input must be a text or a list of texts: this model takes no tokens", param="input")
    return texts


def _titan(request: ChatRequest, texts: list[str], model: str) -> dict[str, Any]:
    text = _only(texts)
    if "titan-embed-image" in model:
        size = request.take("dimensions", int)
        return {"inputText": text, "embeddingConfig": {"outputEmbeddingLength": size} if size is not None else None}
    is_old = "titan-embed-text-v1" in model or "titan-embed-g1" in model
    return {"inputText": text, "dimensions": None if is_old else request.take("dimensions", int)}


def _nova(request: ChatRequest, texts: list[str]) -> dict[str, Any]:
    """What is too long is an error, as it is at OpenAI, unless the caller says by `truncate` what to cut."""
    given = request.take("input_type", str) or INPUT_TYPE
    text = {"truncationMode": request.take("truncate", str) or "NONE", "value": _only(texts)}
    params = {
        "embeddingPurpose": PURPOSES.get(given, given),
        "embeddingDimension": request.take("dimensions", int),
        "text": text,
    }
    told = {name: value for name, value in params.items() if value is not None}
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": told}


def _only(texts: list[str]) -> str:
    if len(texts) > 1:
        raise BadRequest("this model takes one text at a time: send each in a request of its own", param="input")
    return texts[0]


def _cohere(request: ChatRequest, texts: list[str], model: str) -> dict[str, Any]:
    has_sizes = "embed-v4" in model
    return {
        "texts": texts,
        "input_type": request.take("input_type", str) or INPUT_TYPE,
        "truncate": request.take("truncate", str),
        "embedding_types": ["float"],
        "output_dimension": request.take("dimensions", int) if has_sizes else None,
    }


class EmbeddingsReading(DocumentReading):
    """`is_base64`: each vector as 32-bit floats, the lowest byte first, which OpenAI's client asks for unless told."""

    def __init__(self, model: str, headers: Mapping[str, str], *, is_base64: bool) -> None:
        super().__init__()
        self._model = model
        self._headers = headers
        self._is_base64 = is_base64

    def document(self, body: bytes) -> bytes:
        try:
            said = _vectors.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer holds no embeddings") from error
        vectors = said.all
        if vectors is None:
            raise BrokeOff("the provider's answer holds no embeddings")
        counted = self._headers.get(COUNT, "")
        tokens = int(counted) if counted.isascii() and counted.isdecimal() else said.inputTextTokenCount
        if tokens:
            self.told_usage = Usage(input=tokens)
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if self._is_base64 else vector}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _encode({"object": "list", "data": data, "model": self._model, "usage": usage})


def _packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
