"""Nomic's embeddings for OpenAI's clients.

Source: nomic/embed.py of nomic-ai/nomic of 2025-11 (POST /v1/embedding/text), read 2026-11.
"""

from array import array
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, Reading, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff, Refused
from gateway.manifests.accounts import KeyAccount, ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.translators.reading import DocumentReading

URL = "https://api-atlas.nomic.ai/v1/embedding/text"
OWN_FIELDS = frozenset({"task_type", "long_text_mode", "dimensionality"})
"""Of its API, which callers may send as well."""
READ_HERE = frozenset({"model", "input", "dimensions", "encoding_format"})

_texts = msgspec.json.Decoder(str | list[str])
_encode = msgspec.json.encode


class Answer(msgspec.Struct):
    embeddings: list[list[float]]
    model: str = ""
    usage: Any = None


class Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int
    object: str = "embedding"


class Nomic(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/nomic": KeyAccount}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, KeyAccount)
        key = account.auth_data.api_key.reveal()
        endpoint = Endpoint(URL, {"content-type": "application/json", "authorization": f"Bearer {key}"})
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                settings=Settings({"embeddings": endpoint}, Vendor()),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        endpoint = target.settings.endpoints.get(call.dialect.name)
        if endpoint is None:
            raise BadRequest(f"the provider of {target.name} has no API for {call.dialect.name}", param="model")
        fields = call.fields
        body: dict[str, Any] = {"model": target.model, "texts": _texts_of(fields)}
        body |= {name: fields[name] for name in OWN_FIELDS if name in fields}
        if not _is_null(fields.get("dimensions")):
            body["dimensionality"] = fields["dimensions"]
        dropped = tuple(name for name in fields if name not in OWN_FIELDS | READ_HERE)
        return UpstreamRequest(endpoint, _encode(body), dropped)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        return NomicReading(as_base64=bytes(call.fields.get("encoding_format", b"")) == b'"base64"')

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        refused = super().refusal(call, target, head, body)
        refused.body = None  # of a shape that no client of OpenAI knows
        return refused


class NomicReading(DocumentReading):
    """`as_base64`: of floats of four bytes, the lowest first, as OpenAI writes them and its clients ask for."""

    def __init__(self, *, as_base64: bool) -> None:
        super().__init__()
        self._as_base64 = as_base64

    def document(self, body: bytes) -> bytes:
        try:
            answer = msgspec.json.decode(body, type=Answer)
        except (msgspec.DecodeError, RecursionError):
            raise BrokeOff("the provider was asked for embeddings and answered with something else") from None
        self.told_usage = Usage.from_openai(answer.usage)
        vectors = [_base64(vector) if self._as_base64 else vector for vector in answer.embeddings]
        data = [Embedding(vector, index) for index, vector in enumerate(vectors)]
        return _encode({"object": "list", "data": data, "model": answer.model, "usage": answer.usage})


def _texts_of(fields: Mapping[str, msgspec.Raw]) -> list[str]:
    if "input" not in fields:
        raise BadRequest('the field "input" is missing', param="input")
    try:
        texts = _texts.decode(fields["input"])
    except msgspec.DecodeError:
        raise BadRequest("this model takes a text, or a list of texts, and no tokens", param="input") from None
    return [texts] if isinstance(texts, str) else texts


def _base64(vector: list[float]) -> str:
    floats = array("f", vector)
    if array("H", [1]).tobytes() != b"\1\0":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()


def _is_null(value: msgspec.Raw | None) -> bool:
    return value is None or bytes(value) == b"null"
