"""Accounts at Anthropic.

Source: platform.claude.com/docs/en/api/overview, /versioning, /beta-headers and /errors; read 2026-11.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, Reading, Target, Translator, UpstreamRequest
from gateway.contract.request import JsonBody
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor, any_model_of, with_callers_key
from gateway.translators import find, installed
from gateway.wire.address import below
from gateway.wire.anthropic import BETA, VERSION, error_of, headers_for
from gateway.wire.lenient import lenient_json
from gateway.wire.native import ANTHROPIC, native_path
from gateway_anthropic import native
from gateway_anthropic.accounts import AnthropicAccount
from gateway_anthropic.flavour import Flavour
from gateway_anthropic.translator import ToMessages, Verbatim, VerbatimCount

OLD_VERSION = "2023-06-01"

MODELS = "/models?limit=1000"
"""As many as there may be on a page."""

_VENDOR = Vendor(asks_for_usage=False)
_MESSAGES, _COUNT = "messages", "count_tokens"
_FORMAT = "anthropic"
_encode = msgspec.json.encode


class AnthropicSettings(Settings, frozen=True, kw_only=True):
    """
    Args:
        translators: as in `find`; the one out of the hub is for the account's version of the API.
        betas, refused_betas, refused_fields: `anthropic_beta` of the account and its neighbours.
    """

    translators: Mapping[tuple[str, str], Translator]
    betas: tuple[str, ...] = ()
    refused_betas: tuple[str, ...] = ()
    refused_fields: tuple[str, ...] = ()


class Anthropic(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/anthropic": AnthropicAccount}

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        if "ANTHROPIC_API_KEY" in variables:
            yield any_model_of("provider-account/anthropic", {"api_key": "${ANTHROPIC_API_KEY}"}, ("chat",))

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, AnthropicAccount)
        headers = {"content-type": "application/json", VERSION: account.anthropic_version}
        if account.anthropic_beta:
            headers[BETA] = ",".join(account.anthropic_beta)
        if account.auth_data is not None:
            headers["x-api-key"] = account.auth_data.api_key.reveal()
        own = (ToMessages(Flavour(samples=account.anthropic_version == OLD_VERSION)), Verbatim(), VerbatimCount())
        settings = AnthropicSettings(
            {
                _MESSAGES: Endpoint(below(account.base_url, "/messages"), headers),
                _COUNT: Endpoint(below(account.base_url, "/messages/count_tokens"), headers),
                ANTHROPIC: Endpoint(below(account.base_url, "/messages"), headers),
            },
            _VENDOR,
            passes_key_on=account.auth_data is None,
            asks_for_usage=False,
            models=Endpoint(below(account.base_url, MODELS), headers, method="GET") if account.auth_data else None,
            translators={**installed(), **{(each.dialect, each.format): each for each in own}},
            betas=account.anthropic_beta,
            refused_betas=account.refused_betas,
            refused_fields=account.refused_fields,
        )
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                settings=settings,
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: AnthropicSettings = target.settings
        endpoint = settings.endpoints[_COUNT if call.dialect.name == _COUNT else _MESSAGES]
        if settings.passes_key_on:
            endpoint = with_callers_key(endpoint, call, target)
        if call.dialect.name == ANTHROPIC:
            return native.request(call, target, endpoint)
        body = _translator(call, target).request(call, target.model)
        assert isinstance(body, JsonBody)
        fields, dropped = dict(body.fields), body.dropped_params
        for name in settings.refused_fields:
            if fields.pop(name, None) is not None:
                dropped = (*dropped, name)
        if asked := call.request.headers:
            endpoint = _with_headers(endpoint, headers_for(asked, betas=settings.betas, refused=settings.refused_betas))
        return UpstreamRequest(endpoint, _encode(fields), dropped)

    def reading(self, call: Call, target: Target, head: Head) -> Reading:
        if call.dialect.name == ANTHROPIC:
            return native.NativeReading(head, is_free=native_path(call).is_free)
        return _translator(call, target).reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        refused = super().refusal(call, target, head, body)
        if refused.status == head.status and refused.code == Refused.code:
            with suppress(ValueError):
                refused.code = error_of(lenient_json(body)).code
        return refused


def _with_headers(endpoint: Endpoint, headers: Mapping[str, str]) -> Endpoint:
    """Raises BadRequest."""
    try:
        return endpoint.with_headers(headers)
    except ValueError as error:
        raise BadRequest(f"{VERSION} or {BETA} holds characters that are not allowed") from error


def _translator(call: Call, target: Target) -> Translator:
    settings: AnthropicSettings = target.settings
    dialect = call.dialect.name
    found = find(settings.translators, dialect, _FORMAT)
    if found is None:
        raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
    return found
