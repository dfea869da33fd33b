"""The Gemini API as Google's own SDK speaks it: passed on to the byte, with the account's credentials.

On Vertex AI too, where project and region are those of the account. Source: as in `addresses`.
"""

import re

import msgspec

from gateway.contract import Call, Endpoint, Target, UpstreamRequest
from gateway.errors import BadRequest
from gateway.providers.openai_compatible import Settings
from gateway.wire.address import path_of
from gateway.wire.google import TokenUsage
from gateway.wire.native import body_of, native_path, with_query
from gateway.wire.passing import PassingReading

VERSIONS = frozenset({"v1", "v1alpha", "v1beta"})
"""Of the Gemini API, of which callers choose one. On Vertex AI it is the account's."""

_VERSION = re.compile(r"/v1(?:alpha|beta)?(?=/(?:models|tunedModels)/)")


def request(call: Call, target: Target) -> UpstreamRequest:
    settings: Settings = target.settings
    endpoint: Endpoint | None = settings.endpoints.get("generate")
    if endpoint is None or not endpoint.url.endswith(":generateContent"):
        raise BadRequest(f"{target.name} does not speak the Gemini API", param="model")
    asked = native_path(call)
    path = path_of(endpoint.url).removesuffix(":generateContent") + asked.after
    version = asked.before.split("/")[1]
    if version in VERSIONS:
        path = _VERSION.sub(f"/{version}", path, count=1)
    try:
        endpoint = endpoint.at(with_query(path, call.request)).with_headers(call.request.headers)
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, body_of(call))


class Document(msgspec.Struct, rename="camel"):
    usage_metadata: TokenUsage | None = None


_document = msgspec.json.Decoder(Document | list[Document])


class NativeReading(PassingReading):
    """Each event tells the counts up to there. Without `alt=sse` a stream is one list of them."""

    def look(self, data: bytes) -> None:
        if b'"usageMetadata"' not in data:
            return
        said = _document.decode(data)
        for each in said if isinstance(said, list) else [said]:
            if each.usage_metadata is not None:
                self.told_usage = each.usage_metadata.usage()
