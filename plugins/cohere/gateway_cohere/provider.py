"""Accounts at Cohere.

Source: docs.cohere.com/reference/about, /reference/rerank and /reference/errors; read 2026-11.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, Reading, Target, Translator, UpstreamRequest
from gateway.contract.request import JsonBody
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor, any_model_of
from gateway.translators import find, installed
from gateway.wire.address import below
from gateway_cohere.accounts import CohereAccount
from gateway_cohere.embeddings import ToEmbed
from gateway_cohere.translator import FORMAT, ToChat

PATHS: Mapping[str, str] = {"chat": "/v2/chat", "embeddings": "/v2/embed", "rerank": "/v2/rerank"}
SPOKEN_AS_IT_IS = frozenset({"rerank"})
"""Dialects that are Cohere's own."""

_VENDOR = Vendor(asks_for_usage=False)
_NULL = b"null"
_encode = msgspec.json.encode


class CohereSettings(Settings, frozen=True, kw_only=True):
    """`translators`: as in `find`; `input_type`: as in `CohereModel`, in JSON."""

    translators: Mapping[tuple[str, str], Translator]
    input_type: msgspec.Raw | None


class Cohere(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/cohere": CohereAccount}

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        if "CO_API_KEY" in variables:
            yield any_model_of("provider-account/cohere", {"api_key": "${CO_API_KEY}"}, ("chat", "embedding", "rerank"))

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, CohereAccount)
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {account.auth_data.api_key.reveal()}",
        }
        endpoints = {dialect: Endpoint(below(account.base_url, path), headers) for dialect, path in PATHS.items()}
        own: tuple[Translator, ...] = (ToChat(), ToEmbed())
        translators = {**installed(), **{(each.dialect, each.format): each for each in own}}
        for model in account.integrations:
            input_type = msgspec.Raw(_encode(model.input_type)) if model.input_type is not None else None
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                settings=CohereSettings(
                    endpoints, _VENDOR, asks_for_usage=False, translators=translators, input_type=input_type
                ),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: CohereSettings = target.settings
        dialect = call.dialect.name
        if dialect in SPOKEN_AS_IT_IS:
            return super().request(call, target)
        if dialect == ToEmbed.dialect:
            call = _with_input_type(call, settings.input_type)
        body = _translator(call, target).request(call, target.model)
        assert isinstance(body, JsonBody)
        endpoint = settings.endpoints[dialect if dialect == ToEmbed.dialect else ToChat.dialect]
        return UpstreamRequest(endpoint, _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        if call.dialect.name in SPOKEN_AS_IT_IS:
            return None
        return _translator(call, target).reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        refused = super().refusal(call, target, head, body)
        refused.body = None  # it is not in the caller's words
        return refused


def _with_input_type(call: Call, usual: msgspec.Raw | None) -> Call:
    """`usual`: where the caller says nothing of it."""
    if usual is None or bytes(call.fields.get("input_type", _NULL)) != _NULL:
        return call
    return call.with_fields({**call.fields, "input_type": usual})


def _translator(call: Call, target: Target) -> Translator:
    settings: CohereSettings = target.settings
    dialect = call.dialect.name
    found = find(settings.translators, dialect, FORMAT)
    if found is None:
        raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
    return found
