"""From OpenAI's embeddings into the bodies of InvokeModel, which each vendor has of its own.

Source: docs.aws.amazon.com/bedrock/latest/userguide: model-parameters-titan-embed-text.html, model-parameters-embed-v3.
html and model-parameters-embed-v4.html; read 2026-11.
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

_encode = msgspec.json.encode


class _Vectors(msgspec.Struct):
    """Of Titan, then of Cohere: a list, or one for each type."""

    embedding: list[float] | None = None
    inputTextTokenCount: int = 0  # noqa: N815  on the wire
    embeddings: list[list[float]] | dict[str, list[list[float]]] | None = None

    @property
    def all(self) -> list[list[float]] | None:
        if self.embedding is not None:
            return [self.embedding]
        return self.embeddings.get("float") if isinstance(self.embeddings, dict) else self.embeddings


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
        else:
            raise BadRequest(
                f"{model} gives no embeddings here: only Titan's text models and Cohere's are known", param="model"
            )
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
    if len(texts) > 1:
        raise BadRequest("this model takes one text at a time: send each in a request of its own", param="input")
    is_old = "titan-embed-text-v1" in model or "titan-embed-g1" in model
    return {"inputText": texts[0], "dimensions": None if is_old else request.take("dimensions", int)}


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
