"""From OpenAI's embeddings into Cohere's, and its replies back.

Source: docs.cohere.com/reference/embed and /docs/embeddings, types of cohere 7.3; read 2026-11.
"""

from array import array
from base64 import b64encode
from collections.abc import Mapping
from sys import byteorder
from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.reading import DocumentReading, decoded
from gateway_cohere.translator import FORMAT
from gateway_cohere.usage import TokenUsage

KINDS = ("float", "base64", "int8", "uint8", "binary", "ubinary")
"""What `encoding_format` may be; OpenAI has the first two."""
INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
OWN_FIELDS = ("images", "inputs", "max_tokens", "priority", "truncate")
"""Those that OpenAI has nothing like; callers may send them as they are."""

_BASE64 = b'"base64"'
_encode = msgspec.json.encode
_vector = msgspec.json.Decoder(list[float])


class Reply(msgspec.Struct):
    """`embeddings`: kind -> one for each text, or floats alone."""

    embeddings: dict[str, list[msgspec.Raw] | None] | list[msgspec.Raw]
    meta: TokenUsage | None = None


_reply = msgspec.json.Decoder(Reply)


class ToEmbed:
    """A `Translator`."""

    dialect = "embeddings"
    format = FORMAT

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)
        own = {name: request.raw(name) for name in OWN_FIELDS}
        fields: dict[str, Any] = {
            "model": model,
            "texts": _texts(request, is_needed=own["images"] is None and own["inputs"] is None),
            "input_type": _input_type(request),
            "embedding_types": [_kind(request)],
            "output_dimension": request.take("dimensions", int),
            **own,
        }
        told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> "EmbedReading":
        return EmbedReading(call.ask.name, as_base64=bytes(call.fields.get("encoding_format", b"")) == _BASE64)


class EmbedReading(DocumentReading):
    """
    Args:
        model: to be told, since Cohere does not.
        as_base64: of floats of four bytes, the lowest first, as OpenAI writes them. What Cohere's own base64 holds is
            not documented, so it is made here.
    """

    def __init__(self, model: str, *, as_base64: bool) -> None:
        super().__init__()
        self._model = model
        self._as_base64 = as_base64

    def document(self, body: bytes) -> bytes:
        try:
            reply = decoded(body, _reply)
            vectors: list[Any] = _vectors(reply.embeddings)
            if self._as_base64:
                vectors = [_base64(_vector.decode(vector)) for vector in vectors]
        except (ValueError, RecursionError) as error:
            raise BrokeOff("the provider was asked for embeddings and answered with something else") from error
        usage = reply.meta.usage if reply.meta is not None else None
        self.told_usage = usage
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        said: dict[str, Any] = {"object": "list", "data": data, "model": self._model}
        if usage is not None:
            said["usage"] = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        return _encode(said)


def _texts(request: ChatRequest, *, is_needed: bool) -> list[str] | None:
    given = request.take("input", Any)
    if given is None and not is_needed:
        return None
    match given:
        case None:
            raise BadRequest('the field "input" is missing', param="input")
        case str():
            return [given]
        case list() if all(isinstance(text, str) for text in given):
            return given
    raise BadRequest("this model takes a text, or a list of texts, and no tokens", param="input")


def _input_type(request: ChatRequest) -> str:
    """Texts to be found are embedded in another way than questions that find them: who asks knows which they are."""
    given = request.take("input_type", str)
    if given not in INPUT_TYPES:
        raise BadRequest(f"this model needs an input_type: one of {', '.join(INPUT_TYPES)}", param="input_type")
    return given


def _kind(request: ChatRequest) -> str:
    given = request.take("encoding_format", str) or "float"
    if given not in KINDS:
        raise BadRequest(f"encoding_format must be one of {', '.join(KINDS)}", param="encoding_format")
    return "float" if given == "base64" else given


def _vectors(embeddings: Mapping[str, list[msgspec.Raw] | None] | list[msgspec.Raw]) -> list[msgspec.Raw]:
    """Of the one kind that was asked for. Raises ValueError: there are none."""
    if isinstance(embeddings, list):
        return embeddings
    found = next((vectors for vectors in embeddings.values() if vectors is not None), None)
    if found is None:
        raise ValueError("no embeddings")
    return found


def _base64(vector: list[float]) -> str:
    floats = array("f", vector)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
