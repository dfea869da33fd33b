"""Where a deployment is called: four APIs, under the addresses that people copy from the portal.

Source: learn.microsoft.com/azure/foundry/openai/api-version-lifecycle (the v1 API), .../openai/reference (deployments),
.../openai/how-to/batch and .../how-to/fine-tuning (files, batches, jobs; of uploads it is a guess that they are there),
.../foundry-models/concepts/endpoints (/models), azure/ai/inference/_patch.py of azure-ai-inference 1.0.0b9 (models
with an endpoint of their own), .../foundry/openai/how-to/realtime-audio-websockets (sessions),
platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry; read 2026-11.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from gateway.wire.account_apis import ROOTS
from gateway.wire.responses import COMPACTION, RESPONSE, RESPONSES, TOKENS

Format = Literal["openai", "anthropic"]

V1_VERSIONS = frozenset({"v1", "latest", "preview"})
"""What stands for the v1 API where others have a date."""
MODELS_VERSION = "2024-05-01-preview"
"""Of the model inference API, unless the account says another."""
USAGE_SINCE = "2024-09-01"
"""The first of the dated versions to know `stream_options`. Source: azure-rest-api-specs, issue 30810."""

OWN_HOSTS = (".models.ai.azure.com", ".inference.ml.azure.com")
"""Models with an endpoint of their own, which want tokens of another audience."""
RESOURCE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")

_PATHS: Mapping[str, str] = MappingProxyType(
    {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
)
_V1_PATHS: Mapping[str, str] = MappingProxyType({**_PATHS, "realtime": "/realtime"})
_DEPLOYMENTS = "/openai/deployments/"
_OF_RESOURCES = ("files", "uploads", "batches", "fine_tuning")
_RESPONSES: Mapping[str, str] = MappingProxyType(
    {
        RESPONSES: "/responses",
        TOKENS: "/responses/input_tokens",
        COMPACTION: "/responses/compact",
        RESPONSE: "/responses",
    }
)
"""Of the v1 API, for OpenAI's models. Source: learn.microsoft.com/azure/foundry/openai/how-to/responses, read 2026-11;
that it counts tokens is a guess."""
_CLAUDE_PATHS: Mapping[str, str] = MappingProxyType({"anthropic": "/v1/messages"})


class Address(msgspec.Struct, frozen=True):
    """
    Args:
        base_url: without a query.
        version: goes behind it as `api-version`.
        is_inference: it is the model inference API, or may be; a key is sent as a bearer token as well.
    """

    base_url: str
    version: str | None = None
    paths: Mapping[str, str] = _PATHS
    format: Format = "openai"
    is_inference: bool = False

    @property
    def with_responses(self) -> "Address":
        """The same for a model that is asked in the Responses API, too; other APIs than v1 have none."""
        if not self.base_url.endswith("/openai/v1") or self.format != "openai":
            return self
        return msgspec.structs.replace(self, paths={**self.paths, **_RESPONSES})

    @property
    def urls(self) -> dict[str, str]:
        """API -> URL. Files and what is made of them are the resource's, whatever the deployment."""
        query = f"?api-version={self.version}" if self.version is not None else ""
        urls = {name: f"{self.base_url}{path}{query}" for name, path in self.paths.items()}
        resource, is_dated, deployment = self.base_url.partition(_DEPLOYMENTS)
        if is_dated and query:  # sessions name the deployment in the query
            urls["realtime"] = f"{resource}/openai/realtime{query}&deployment={deployment}"
        if is_dated or self.base_url.endswith("/openai/v1"):
            base = f"{resource}/openai" if is_dated else self.base_url
            urls |= {name: f"{base}{ROOTS[name]}{query}" for name in _OF_RESOURCES}
        return urls

    @property
    def knows_stream_options(self) -> bool:
        """Later versions and those without a date do."""
        version = self.version or ""
        is_dated = version[:4].isdecimal() and _DEPLOYMENTS in self.base_url
        return not is_dated or version >= USAGE_SINCE


def azure_openai(endpoint: str, deployment: str, version: str) -> Address:
    """Of `https://RESOURCE.openai.azure.com`, with or without what often stands behind it."""
    resource = _without(endpoint, "/openai/v1", "/openai")
    if version in V1_VERSIONS:
        return _v1(resource, version)
    return Address(f"{resource}{_DEPLOYMENTS}{quote(deployment, safe='')}", version)


def microsoft_foundry(
    openai_endpoint: str | None, project_endpoint: str | None, deployment: str, version: str | None
) -> Address:
    """Of a resource, whose own endpoint is to be had from that of a project."""
    resource = (
        _without(openai_endpoint, "/openai/v1", "/openai") if openai_endpoint else _origin(project_endpoint or "")
    )
    return azure_openai(resource, deployment, version or "v1")


def azure_foundry(endpoint: str, deployment: str, version: str | None) -> Address:
    """Of whatever the portal shows: an endpoint or a target URI, with the version in it or not."""
    parts = urlsplit(endpoint)
    version = version or next(iter(parse_qs(parts.query).get("api-version", [])), None)
    base = _without(endpoint, *_PATHS.values())
    path, host = urlsplit(base).path, (parts.hostname or "").lower()
    if "/anthropic" in path or (not path and host.endswith(RESOURCE_HOSTS) and is_claude(deployment)):
        return claude(_origin(endpoint))
    if path.endswith("/openai/v1") or path.startswith("/api/projects/"):
        return _v1(_origin(endpoint), version or "v1")
    if _DEPLOYMENTS in path:
        if version is None:
            raise ValueError("azure_endpoint names a deployment, and so there has to be an api_version")
        return Address(base, version)
    if path.endswith("/models"):
        return _inference(base, version)
    if not path and host.endswith(RESOURCE_HOSTS):
        if host.endswith(".services.ai.azure.com") and version is not None and version not in V1_VERSIONS:
            return _inference(f"{base}/models", version)
        return azure_openai(base, deployment, version or "v1")
    if host.endswith(OWN_HOSTS):
        return _inference(base, version)
    return Address(base, version, is_inference=True)


def claude(endpoint: str) -> Address:
    """Anthropic's own API, at the same resource."""
    resource = _origin(endpoint).replace(".openai.azure.com", ".services.ai.azure.com")
    return Address(f"{resource}/anthropic", paths=_CLAUDE_PATHS, format="anthropic")


def is_claude(model: str) -> bool:
    return model.lower().startswith("claude")


def _v1(resource: str, version: str) -> Address:
    return Address(f"{resource}/openai/v1", "preview" if version == "preview" else None, _V1_PATHS)


def _inference(base: str, version: str | None) -> Address:
    paths = {name: _PATHS[name] for name in ("chat", "embeddings")}
    return Address(base, version or MODELS_VERSION, paths, is_inference=True)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _without(url: str, *tails: str) -> str:
    """Without its query, and without one of these at its end."""
    url = url.partition("?")[0].rstrip("/")
    tail = next((tail for tail in tails if url.endswith(tail)), "")
    return url.removesuffix(tail).rstrip("/")
