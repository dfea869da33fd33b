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
from gateway.wire.failure import lenient_json
from gateway.wire.native import ANTHROPIC, native_path
from gateway_anthropic import native
from gateway_anthropic.accounts import AnthropicAccount
from gateway_anthropic.flavour import Flavour
from gateway_anthropic.reply import error_of
from gateway_anthropic.translator import ToMessages

OLD_VERSION = "2023-06-01"

MODELS = "/models?limit=1000"
"""As many as there may be on a page."""

_VENDOR = Vendor(asks_for_usage=False)
_MESSAGES = "messages"
_FORMAT = "anthropic"
_encode = msgspec.json.encode


class AnthropicSettings(Settings, frozen=True, kw_only=True):
    """`translators`: as in `find`; the one out of the hub is for the account's version of the API."""

    translators: Mapping[tuple[str, str], Translator]


class Anthropic(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/anthropic": AnthropicAccount}

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        if "ANTHROPIC_API_KEY" in variables:
            yield any_model_of("provider-account/anthropic", {"api_key": "${ANTHROPIC_API_KEY}"}, ("chat",))

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, AnthropicAccount)
        headers = {"content-type": "application/json", "anthropic-version": account.anthropic_version}
        if account.anthropic_beta:
            headers["anthropic-beta"] = ",".join(account.anthropic_beta)
        if account.auth_data is not None:
            headers["x-api-key"] = account.auth_data.api_key.reveal()
        chat = ToMessages(Flavour(samples=account.anthropic_version == OLD_VERSION))
        settings = AnthropicSettings(
            {_MESSAGES: Endpoint(below(account.base_url, "/messages"), headers)},
            _VENDOR,
            passes_key_on=account.auth_data is None,
            asks_for_usage=False,
            models=Endpoint(below(account.base_url, MODELS), headers, method="GET") if account.auth_data else None,
            translators={**installed(), (chat.dialect, chat.format): chat},
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
        endpoint = settings.endpoints[_MESSAGES]
        if settings.passes_key_on:
            endpoint = with_callers_key(endpoint, call, target)
        if call.dialect.name == ANTHROPIC:
            return native.request(call, target, endpoint)
        body = _translator(call, target).request(call, target.model)
        assert isinstance(body, JsonBody)
        return UpstreamRequest(endpoint, _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading:
        if call.dialect.name == ANTHROPIC:
            return native.NativeReading(head, is_free=native_path(call).is_free)
        return _translator(call, target).reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        refused = super().refusal(call, target, head, body)
        if call.dialect.name != ANTHROPIC:
            refused.body = None  # it is not in the caller's words
        if refused.status == head.status and refused.code == Refused.code:
            with suppress(ValueError):
                refused.code = error_of(lenient_json(body)).code
        return refused


def _translator(call: Call, target: Target) -> Translator:
    settings: AnthropicSettings = target.settings
    dialect = call.dialect.name
    found = find(settings.translators, dialect, _FORMAT)
    if found is None:
        raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
    return found
