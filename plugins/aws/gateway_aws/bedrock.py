"""The provider for Amazon Bedrock: Converse for chat, InvokeModel for embeddings.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, API_runtime_ConverseStream.html and
API_runtime_InvokeModel.html, .../userguide/api-keys-use.html; read 2026-11.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Call, Endpoint, Head, JsonBody, Reading, Target, Translator, UpstreamRequest
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ApiKeyAuth, ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.translators import translator
from gateway.wire.address import below
from gateway.wire.native import BEDROCK, native_path
from gateway_aws import native
from gateway_aws.accounts import BedrockAccount, domain_of
from gateway_aws.converse import ToConverse
from gateway_aws.embeddings import ToEmbeddings
from gateway_aws.failures import refused
from gateway_aws.signers import Signers

_VENDOR = Vendor(asks_for_usage=False)
_encode = msgspec.json.encode


class BedrockSettings(Settings, frozen=True, kw_only=True):
    """Where one model is called."""

    converse: Endpoint
    stream: Endpoint
    invoke: Endpoint


class Bedrock(OpenAICompatible):
    """`signers`: who signs requests; None: made when they are first needed."""

    accounts: Mapping[str, Any] = {"provider-account/aws-bedrock": BedrockAccount}

    def __init__(self, *, signers: Signers | None = None) -> None:
        self._signers = signers or Signers()
        self._translators: Mapping[str, Translator] = {each.dialect: each for each in (ToConverse(), ToEmbeddings())}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, BedrockAccount)
        headers = {"content-type": "application/json"}
        auth = account.auth_data
        if isinstance(auth, ApiKeyAuth):
            headers["authorization"] = f"Bearer {auth.api_key.reveal()}"
        signer = self._signers.of_account(auth, "bedrock") if not isinstance(auth, ApiKeyAuth) else None
        for model in account.integrations:
            region = model.region or account.region
            base_url = account.base_url or f"https://bedrock-runtime.{region}.{domain_of(region)}"
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                signer=signer(region) if signer is not None else None,
                settings=_settings(base_url, model.model_id, headers),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        if call.dialect.name == BEDROCK:
            return native.request(call, target, target.settings.invoke)
        through = self._translator(call, target)
        body = through.request(call, target.model)
        assert isinstance(body, JsonBody)
        settings: BedrockSettings = target.settings
        endpoint = settings.stream if call.ask.stream else settings.converse
        if call.dialect.name == ToEmbeddings.dialect:
            endpoint = settings.invoke
        return UpstreamRequest(endpoint, _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading:
        if call.dialect.name == BEDROCK:
            return native.NativeReading(head, is_free=native_path(call).is_free)
        return self._translator(call, target).reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        return refused(super().refusal(call, target, head, body), target, head, body)

    def _translator(self, call: Call, target: Target) -> Translator:
        dialect = call.dialect.name
        found = self._translators.get(dialect) or translator(dialect, ToConverse.format)
        if found is None:
            raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
        return found


def _settings(base_url: str, model: str, headers: Mapping[str, str]) -> BedrockSettings:
    """An ARN has colons and slashes, which would be other parts of the path."""
    path = f"/model/{quote(model, safe='')}"
    converse, stream, invoke = (
        Endpoint(below(base_url, f"{path}/{operation}"), headers)
        for operation in ("converse", "converse-stream", "invoke")
    )
    return BedrockSettings({}, _VENDOR, asks_for_usage=False, converse=converse, stream=stream, invoke=invoke)
