"""The provider for Amazon Bedrock: Converse for chat; InvokeModel for embeddings, pictures and reranking, and for
Claude where callers speak Anthropic's own API.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, API_runtime_ConverseStream.html and
API_runtime_InvokeModel.html, .../userguide/api-keys-use.html; read 2026-11.
"""

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Call, Endpoint, Head, JsonBody, Reading, Target, Translator, UpstreamRequest
from gateway.errors import BadRequest, Refused, TooLarge
from gateway.manifests.accounts import ApiKeyAuth, ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.translators import translator
from gateway.translators.images import DIALECTS as IMAGES
from gateway.wire.address import below
from gateway.wire.anthropic import with_betas
from gateway.wire.inlined import inlined
from gateway.wire.native import BEDROCK, native_path
from gateway_aws import claude, native
from gateway_aws.accounts import BedrockAccount, domain_of
from gateway_aws.converse import ToConverse
from gateway_aws.embeddings import ToEmbeddings
from gateway_aws.failures import refused
from gateway_aws.pictures import ToPictures
from gateway_aws.reranking import ToRerank
from gateway_aws.signers import Signers

MAX_BODY_BYTES = 25_000_000
"""Of InvokeModel."""

_VENDOR = Vendor(asks_for_usage=False)
_encode = msgspec.json.encode


class BedrockSettings(Settings, frozen=True, kw_only=True):
    """Where one model is called. `betas`: `anthropic_betas` of its account."""

    converse: Endpoint
    stream: Endpoint
    invoke: Endpoint
    invoke_stream: Endpoint
    betas: tuple[str, ...]


class Bedrock(OpenAICompatible):
    """
    Args:
        signers: who signs requests; None: made when they are first needed.
        translators: (dialect, format) -> the one between them.
    """

    accounts: Mapping[str, Any] = {"provider-account/aws-bedrock": BedrockAccount}

    def __init__(
        self,
        *,
        signers: Signers | None = None,
        translators: Callable[[str, str], Translator | None] = translator,
    ) -> None:
        self._signers = signers or Signers()
        self._translators = translators
        self._chat = ToConverse()
        self._invoked: Mapping[str, Translator] = {each.dialect: each for each in (ToEmbeddings(), ToRerank())}
        self._pictures = ToPictures()

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
                settings=_settings(base_url, model.model_id, headers, account.anthropic_betas),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        if call.dialect.name == BEDROCK:
            return native.request(call, target, target.settings.invoke)
        settings: BedrockSettings = target.settings
        if call.dialect.name in IMAGES:
            return self._of_pictures(call, target)
        verbatim = claude.verbatim_for(call, target.model, self._translators)
        if verbatim is not None:
            call = with_betas(call, settings.betas)
        body = (verbatim or self._translator(call, target)).request(call, target.model)
        assert isinstance(body, JsonBody)
        if verbatim is not None or call.dialect.name in self._invoked:
            endpoint = settings.invoke_stream if call.ask.stream else settings.invoke
        else:
            endpoint = settings.stream if call.ask.stream else settings.converse
        return UpstreamRequest(endpoint, _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        if call.dialect.name == BEDROCK:
            return native.NativeReading(head, is_free=native_path(call).is_free)
        if call.dialect.name in IMAGES:
            return self._pictures.reading()
        if claude.verbatim_for(call, target.model, self._translators) is not None:
            return claude.reading_of(call, head)
        return self._translator(call, target).reading(call, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        return refused(super().refusal(call, target, head, body), target, head, body)

    def _of_pictures(self, call: Call, target: Target) -> UpstreamRequest:
        settings: BedrockSettings = target.settings
        fields, dropped = self._pictures.request(call, target.model)
        length, body = inlined(fields, token_hex(16))
        if length > MAX_BODY_BYTES:
            raise TooLarge(f"the pictures are too large for Bedrock, which takes {MAX_BODY_BYTES:,} bytes of base64")
        return UpstreamRequest(settings.invoke, body, dropped, length)

    def _translator(self, call: Call, target: Target) -> Translator:
        dialect = call.dialect.name
        found = self._chat if dialect == ToConverse.dialect else self._invoked.get(dialect)
        found = found or self._translators(dialect, ToConverse.format)
        if found is None:
            raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
        return found


def _settings(base_url: str, model: str, headers: Mapping[str, str], betas: tuple[str, ...]) -> BedrockSettings:
    """An ARN has colons and slashes, which would be other parts of the path."""
    path = f"/model/{quote(model, safe='')}"
    converse, stream, invoke, invoke_stream = (
        Endpoint(below(base_url, f"{path}/{operation}"), headers)
        for operation in ("converse", "converse-stream", "invoke", "invoke-with-response-stream")
    )
    return BedrockSettings(
        {},
        _VENDOR,
        asks_for_usage=False,
        converse=converse,
        stream=stream,
        invoke=invoke,
        invoke_stream=invoke_stream,
        betas=betas,
    )
