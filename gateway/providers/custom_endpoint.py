"""The provider of `provider-account/custom-endpoint`: the caller's request goes on with the account's credentials."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, RawBody, Reading, StreamBody, Target, Tls, UpstreamRequest
from gateway.dialects.proxy import CUSTOM_ENDPOINT
from gateway.errors import BadRequest, Refused
from gateway.manifests.endpoints import CUSTOM_ENDPOINTS, CustomEndpoint, CustomEndpointAccount, HeaderAuth
from gateway.wire.address import address_of
from gateway.wire.forwarding import for_callers, plainly, target_below
from gateway.wire.hiding import HidingReading

PREFIX = "/proxy-api/"
FALLEN_BACK = frozenset({408, 429, 500, 502, 503, 504})
"""After these another endpoint is asked, unless its account says otherwise. What is wrong with a request would be so
everywhere."""


class Settings(msgspec.Struct, frozen=True):
    """
    Args:
        endpoint: None: it stands for all of an account, and one of these is asked.
        path: of the base URL, with its query.
        own: names of headers that are the account's own, as `plainly` has them.
        secrets: what stands in those and in the query, and callers are not shown.
        fallback_statuses: where another endpoint may answer instead.
    """

    endpoint: Endpoint | None = None
    path: str = ""
    own: frozenset[str] = frozenset()
    secrets: tuple[bytes, ...] = ()
    fallback_statuses: frozenset[int] = frozenset()


class CustomEndpoints:
    accounts: Mapping[str, Any] = {CUSTOM_ENDPOINTS: CustomEndpointAccount}

    def targets(self, account: CustomEndpointAccount) -> Iterable[Target]:
        for each in account.integrations:
            yield self._target(account, each.name, _settings(account, each))
        if account.slug is not None:
            yield self._target(account, account.slug, Settings())

    def _target(self, account: CustomEndpointAccount, name: str, settings: Settings) -> Target:
        types = frozenset({CUSTOM_ENDPOINT})
        return Target(name=f"{account.name}/{name}", model=name, model_types=types, provider=self, settings=settings)

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: Settings = target.settings
        endpoint, sent = settings.endpoint, call.request.body
        if endpoint is None:
            raise BadRequest(f"{target.name} stands for several endpoints, of which none can be asked", param="model")
        headers = {name: value for name, value in call.request.headers.items() if plainly(name) not in settings.own}
        if call.provider_key is not None and "authorization" not in settings.own:
            headers["authorization"] = call.provider_key.reveal()
        try:
            place = target_below(settings.path, _rest(call), call.request)
            endpoint = endpoint.at(place, method=call.request.method).with_headers(headers)
        except ValueError as error:
            raise BadRequest(f"this cannot be passed on: {error}") from error
        if isinstance(sent, StreamBody):
            return UpstreamRequest(endpoint, sent.pieces, length=sent.length)
        data = sent.data if isinstance(sent, RawBody) else b""
        return UpstreamRequest(endpoint, data, length=None if isinstance(data, bytes) else len(data))

    def relays(self, call: Call, target: Target, status: int) -> bool:
        """Unless another endpoint may give a better answer."""
        settings: Settings = target.settings
        return call.ask.model == target.name or status not in settings.fallback_statuses

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        settings: Settings = target.settings
        return HidingReading(settings.secrets)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        message = f"{target.name} answered with status {head.status}"
        return Refused(message, status=head.status, headers=for_callers(head.headers))


def _settings(account: CustomEndpointAccount, each: CustomEndpoint) -> Settings:
    """Raises ValueError: it cannot be called."""
    auth: HeaderAuth | None = each.auth_data or account.auth_data
    named = {**(each.headers or {}), **(auth.headers if auth is not None else {})}
    headers = {name.lower(): value.reveal() for name, value in named.items()}
    tls = each.tls_settings
    balancing = each.loadbalancing_config
    codes = balancing.fallback_status_codes if balancing is not None else None
    endpoint = Endpoint(
        each.base_url, headers, tls=Tls(tls.reject_unauthorized, tls.ca_cert) if tls is not None else None
    )
    return Settings(
        endpoint,
        address_of(each.base_url).target,
        frozenset(map(plainly, headers)),
        tuple(dict.fromkeys(endpoint.secrets())),
        FALLEN_BACK if codes is None else frozenset(map(int, codes)),
    )


def _rest(call: Call) -> str:
    """What stands behind account and endpoint, with its slash; as it came, percent-encoded."""
    _, _, behind = call.request.path.partition(PREFIX)
    rest = behind.split("/", 2)[2:]
    return f"/{rest[0]}" if rest else ""
