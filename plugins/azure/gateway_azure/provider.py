"""The provider for Azure: OpenAI's API at Azure's addresses, with Azure's credentials."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, JsonBody, Reading, Signer, Target, Translator, UpstreamRequest
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.translators import translator
from gateway.wire.responses import RESPONSE, RESPONSES
from gateway_azure.accounts import (
    Auth,
    AzureFoundryAccount,
    AzureFoundryModel,
    AzureOpenAIAccount,
    AzureOpenAIModel,
    MicrosoftFoundryAccount,
    MicrosoftFoundryModel,
)
from gateway_azure.addresses import Address, azure_foundry, azure_openai, claude, is_claude, microsoft_foundry
from gateway_azure.entra import tokens_for
from gateway_azure.reading import AzureReading

ANTHROPIC_VERSION = "2023-06-01"
FILTERED = "content_filter"

_CURRENT = Vendor()
_WITHOUT_STREAM_OPTIONS = Vendor(rejects=frozenset({"stream_options"}), asks_for_usage=False)
_encode = msgspec.json.encode


class _Error(msgspec.Struct):
    code: object = None


class _Body(msgspec.Struct):
    error: _Error


class AzureSettings(Settings, frozen=True):
    """`format`: what is spoken there, if it is not OpenAI's API."""

    format: str | None = None


class Azure(OpenAICompatible):
    """
    Args:
        translators: (dialect, format) -> the one between them, for models that are no OpenAI models. Claude's is that
            into `anthropic-foundry`: Anthropic's API without what there is not at Microsoft.
    """

    accounts: Mapping[str, Any] = {
        "provider-account/azure-openai": AzureOpenAIAccount,
        "provider-account/azure-foundry": AzureFoundryAccount,
        "provider-account/microsoft-foundry": MicrosoftFoundryAccount,
    }

    def __init__(
        self,
        *,
        environ: Mapping[str, str] = os.environ,
        translators: Callable[[str, str], Translator | None] = translator,
    ) -> None:
        self._environ = environ
        self._translators = translators

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        signers: dict[tuple[object, str], Signer] = {}  # most models of an account share one
        for model in account.integrations:
            assert isinstance(model, Integration)
            address, auth = _place_of(account, model)
            if "responses" in model.model_types or isinstance(model, AzureOpenAIModel):
                address = address.with_responses
            signer = None
            if not isinstance(auth, ApiKeyAuth):
                key = (auth, address.base_url.split("/")[2])
                signer = signers.get(key) or tokens_for(address.base_url, auth, environ=self._environ)
                signers[key] = signer
            headers = _headers_for(address, auth)
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                signer=signer,
                settings=AzureSettings(
                    {dialect: Endpoint(url, headers) for dialect, url in address.urls.items()},
                    _CURRENT if address.knows_stream_options else _WITHOUT_STREAM_OPTIONS,
                    asks_for_usage=account.asks_for_usage,
                    format=address.format if address.format != "openai" else None,
                ),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        through = self._translator(call, target)
        if through is None:
            return super().request(call, target)
        body = through.request(call, target.model)
        assert isinstance(body, JsonBody)
        endpoint = target.settings.endpoints[target.settings.format]
        return UpstreamRequest(endpoint, _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        through = self._translator(call, target)
        if through is not None:
            return through.reading(call, head)
        spoken = target.settings.endpoints.keys() - {RESPONSES, RESPONSE}
        if not head.is_stream or call.dialect.name not in spoken:
            return super().reading(call, target, head)
        return AzureReading(cuts_usage=self._asks_for_usage(call, target), is_chat=call.dialect.name == "chat")

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        refused = super().refusal(call, target, head, body)
        if _is_foreign(call, target):
            refused.body = None  # in another API's words
        elif head.status == 400 and _code_of(body) == FILTERED:
            refused.code = FILTERED
        return refused

    def _translator(self, call: Call, target: Target) -> Translator | None:
        """None: the caller's own API is spoken there.

        Raises:
            BadRequest: there is no way from one to the other.
        """
        if not _is_foreign(call, target):
            return None
        spoken = target.settings.format
        found = self._translators(call.dialect.name, f"{spoken}-foundry")
        if found is None:
            message = f"{target.name} speaks the API of {spoken}, and no plugin that is installed translates into it"
            raise BadRequest(f"{message} from that for {call.dialect.name}", param="model")
        return found


def _is_foreign(call: Call, target: Target) -> bool:
    settings: AzureSettings = target.settings
    return settings.format is not None and settings.format != call.dialect.name


def _place_of(account: ProviderAccount, model: Integration) -> tuple[Address, Auth]:
    """Where a model is called, and as whom. Raises ValueError: the account does not say enough."""
    match account, model:
        case AzureOpenAIAccount(), AzureOpenAIModel(api_version=version):
            return azure_openai(account.azure_endpoint, model.model_id, version), account.auth_data
        case MicrosoftFoundryAccount(openai_endpoint=openai, project_endpoint=project), MicrosoftFoundryModel():
            if model.publisher == "Other" and is_claude(model.listed_as):
                return claude(project or openai or ""), account.auth_data
            return microsoft_foundry(openai, project, model.model_id, model.api_version), account.auth_data
        case AzureFoundryAccount(), AzureFoundryModel(azure_endpoint=endpoint, api_version=version):
            return azure_foundry(endpoint, model.model_id, version), model.auth_data
    raise TypeError(f"{account.type} is no account of Azure")


def _headers_for(address: Address, auth: Auth) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if address.format == "anthropic":
        headers["anthropic-version"] = ANTHROPIC_VERSION
    if address.is_inference:
        headers["extra-parameters"] = "pass-through"  # else fields that are not in its own specification are a 400
    if isinstance(auth, ApiKeyAuth):
        key = auth.api_key.reveal()
        headers["x-api-key" if address.format == "anthropic" else "api-key"] = key
        if address.is_inference:
            headers["authorization"] = f"Bearer {key}"
    return headers


def _code_of(body: bytes) -> object:
    try:
        return msgspec.json.decode(body, type=_Body).error.code
    except (msgspec.DecodeError, RecursionError):
        return None
