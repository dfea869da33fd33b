"""The Gemini API as Google's own SDK speaks it: passed on to the byte, with the account's credentials.

On Vertex AI too, where project and region are those of the account. Source: as in `addresses`.
"""

import re
from collections.abc import Collection
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest
from gateway.providers.openai_compatible import Settings
from gateway.wire.address import path_of
from gateway.wire.google import TokenUsage
from gateway.wire.native import body_of, native_path, with_query
from gateway.wire.passing import PassingReading
from gateway.wire.pictures import pictured

VERSIONS = frozenset({"v1", "v1alpha", "v1beta"})
"""Of the Gemini API, of which callers choose one. On Vertex AI it is the account's."""

_OUTSIDE = frozenset({"storageUri", "storage_uri"})
"""Where pictures go that are not in the answer."""
_VERSION = re.compile(r"/v1(?:alpha|beta)?(?=/(?:models|tunedModels)/)")


def request(call: Call, target: Target) -> UpstreamRequest:
    settings: Settings = target.settings
    endpoint: Endpoint | None = settings.endpoints.get("generate")
    if endpoint is None or not endpoint.url.endswith(":generateContent"):
        raise BadRequest(f"{target.name} does not speak the Gemini API", param="model")
    asked = native_path(call)
    if not _OUTSIDE.isdisjoint(_names_in(call.fields.get("parameters"))):
        raise BadRequest(
            "parameters.storageUri is not passed on: it would be written there with the gateway's own rights",
            param="parameters",
        )
    path = path_of(endpoint.url).removesuffix(":generateContent") + asked.after
    version = asked.before.split("/")[1]
    if version in VERSIONS:
        path = _VERSION.sub(f"/{version}", path, count=1)
    try:
        endpoint = endpoint.at(with_query(path, call.request)).with_headers(call.request.headers)
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, body_of(call))


def _names_in(parameters: msgspec.Raw | None) -> Collection[str]:
    """Decoded: a name may be written with escapes."""
    try:
        return msgspec.json.decode(parameters, type=dict[str, msgspec.Raw]) if parameters is not None else ()
    except (msgspec.DecodeError, RecursionError):
        return ()  # it is for the vendor to refuse


class Statistics(msgspec.Struct):
    token_count: float = 0


class Embedding(msgspec.Struct):
    statistics: Statistics | None = None


class Prediction(msgspec.Struct):
    embeddings: Embedding | None = None
    bytes_base64_encoded: msgspec.Raw = msgspec.field(name="bytesBase64Encoded", default=msgspec.Raw())


class Document(msgspec.Struct, rename="camel"):
    """`predictions`: of `predict`; where they are embeddings, each tells what it has read. Pictures are counted."""

    usage_metadata: Any = None
    predictions: list[Prediction] | None = None

    @property
    def usage(self) -> Usage | None:
        if (counts := TokenUsage.of(self.usage_metadata)) is not None:
            return counts.usage()
        read = [each.embeddings.statistics for each in self.predictions or () if each.embeddings is not None]
        tokens = int(sum(each.token_count for each in read if each is not None))
        images = sum(len(memoryview(each.bytes_base64_encoded)) > EMPTY for each in self.predictions or ())
        if images:
            return pictured(None, images)
        return Usage(input=tokens) if tokens > 0 else None


EMPTY = len('""')
_TELLING = (b'"usageMetadata"', b'"token_count"', b'"bytesBase64Encoded"')
_document = msgspec.json.Decoder(Document | list[Document])


class NativeReading(PassingReading):
    """Each event tells the counts up to there. Without `alt=sse` a stream is one list of them."""

    def look(self, data: bytes) -> None:
        if not any(name in data for name in _TELLING):
            return
        said = _document.decode(data)
        for each in said if isinstance(said, list) else [said]:
            self.told_usage = each.usage or self.told_usage
