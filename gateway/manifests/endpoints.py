"""Accounts of any HTTP API, which is passed on as it is.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.3 of the project's compatibility notes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import AccountName, Concurrency, Model, ModelType, ProviderAccount, TlsSettings, Url
from gateway.manifests.marks import Mark
from gateway.manifests.routing import Percent, Status
from gateway.secrecy.secret import Secret

CUSTOM_ENDPOINTS = "provider-account/custom-endpoint"

SecretHeaders = Annotated[dict[str, Secret], Mark.HEADERS]


class HeaderAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="header"):
    headers: SecretHeaders


class EndpointBalancing(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint is chosen among those of its account. The lowest priority is asked first."""

    weight: Percent = 0
    priority: int = 0
    fallback_status_codes: tuple[Status, ...] | None = None
    fallback_candidate: bool = True
    metadata_match: dict[str, str] | None = None


class CustomEndpoint(Model, frozen=True, kw_only=True):
    """One address. `auth_data` comes before that of the account, `headers` are sent besides."""

    type: Annotated[str, Meta(pattern="^integration/model/", description="integration/model/...")] = (
        "integration/model/custom-endpoint"
    )
    name: AccountName
    base_url: Url
    model_types: tuple[ModelType, ...] = ()
    auth_data: HeaderAuth | None = None
    headers: SecretHeaders | None = None
    tls_settings: TlsSettings | None = None
    loadbalancing_config: EndpointBalancing | None = None


class CustomEndpointAccount(ProviderAccount, frozen=True, kw_only=True):
    """Endpoints are called at `/proxy-api/<account>/<endpoint>/...`; with a `routing_type`, one of them is chosen for
    `/proxy-api/<account>/<slug>/...`."""

    integrations: Annotated[tuple[CustomEndpoint, ...], Meta(min_length=1)]
    endpoint_type: Literal["azure-speech-service", "other"] | None = None
    routing_type: Literal["weight", "priority"] | None = None
    slug: AccountName | None = None
    auth_data: HeaderAuth | None = None
    concurrency: Concurrency | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.slug is None) is not (self.routing_type is None):
            raise ValueError("slug and routing_type belong together: the one is where the other is asked for")
        if self.slug is not None and any(endpoint.name == self.slug for endpoint in self.integrations):
            raise ValueError(f"slug: {self.slug} is an endpoint already; take another name")
