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
    """How an endpoint is chosen among those of its account.

    Args:
        weight: its share of the requests, by `routing_type: weight`.
        priority: the lowest is asked first, by `routing_type: priority`.
        fallback_status_codes: of its answers, after which another one is asked; 408, 429, 500, 502, 503 and 504 unless
            given.
        fallback_candidate: whether it is asked in the place of another.
        metadata_match: only for requests whose metadata has all of these.
    """

    weight: Percent = 0
    priority: int = 0
    fallback_status_codes: tuple[Status, ...] | None = None
    fallback_candidate: bool = True
    metadata_match: dict[str, str] | None = None


class CustomEndpoint(Model, frozen=True, kw_only=True):
    """One address.

    Args:
        base_url: what stands behind the endpoint's name in the path goes behind it.
        auth_data: in the place of that of the account.
        headers: sent besides; those of a caller with the same names are not.
        model_types: without effect.
    """

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
    """Any HTTP API, passed on as it is at `/proxy-api/<account>/<endpoint>/...`.

    Args:
        integrations: its endpoints.
        endpoint_type: kept, and without effect.
        routing_type: how one of the endpoints is chosen for `/proxy-api/<account>/<slug>/...`.
        slug: belongs to `routing_type`.
        auth_data: headers with credentials, for endpoints without their own.
    """

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
