"""The provider for Amazon SageMaker: endpoints whose containers speak OpenAI's API, or for SageMaker's own SDK any.

Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html and API_runtime_
InvokeEndpointWithResponseStream.html; docs.djl.ai, "LMI Chat Completions API Schema"; read 2026-11.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Call, Endpoint, Head, Reading, Target, UpstreamRequest
from gateway.errors import Refused
from gateway.manifests.accounts import ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.wire.native import SAGEMAKER
from gateway_aws import native
from gateway_aws.accounts import SageMakerAccount, domain_of
from gateway_aws.failures import refused
from gateway_aws.framed import FramedReading
from gateway_aws.frames import CONTENT_TYPE
from gateway_aws.signers import Signers

DIALECTS = ("chat", "completions", "embeddings")

_VENDOR = Vendor()
_HEADERS = {"content-type": "application/json"}


class SageMakerSettings(Settings, frozen=True, kw_only=True):
    """`stream`: where one model is called for an answer in pieces."""

    stream: Endpoint


class ModelError(msgspec.Struct, rename="pascal"):
    """What the container has answered, if it was that who refused."""

    original_status_code: int | None = None
    original_message: str | None = None


class SageMaker(OpenAICompatible):
    """`signers`: who signs requests; None: made when they are first needed."""

    accounts: Mapping[str, Any] = {"provider-account/aws-sagemaker": SageMakerAccount}

    def __init__(self, *, signers: Signers | None = None) -> None:
        self._signers = signers or Signers()

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, SageMakerAccount)
        signer = self._signers.of_account(account.auth_data, "sagemaker")
        for model in account.integrations:
            region = model.region or account.region
            base = f"https://runtime.sagemaker.{region}.{domain_of(region)}/endpoints/{quote(model.model_id, safe='')}"
            whole = Endpoint(f"{base}/invocations", _HEADERS)
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                signer=signer(region),
                settings=SageMakerSettings(
                    dict.fromkeys(DIALECTS, whole),
                    _VENDOR,
                    asks_for_usage=account.asks_for_usage,
                    stream=Endpoint(f"{base}/invocations-response-stream", _HEADERS),
                ),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        if call.dialect.name == SAGEMAKER:
            return native.request(call, target, target.settings.endpoints["chat"])
        request = super().request(call, target)
        if not call.ask.stream:
            return request
        return msgspec.structs.replace(request, endpoint=target.settings.stream)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        if call.dialect.name == SAGEMAKER:
            return native.ContainerReading(head)
        if not head.headers.get("content-type", "").startswith(CONTENT_TYPE):
            return super().reading(call, target, head)
        inside = Head(head.status, {"content-type": "text/event-stream"}, is_stream=True)
        return FramedReading(super().reading(call, target, inside) or call.dialect.reading(call, inside))

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        if call.dialect.name == SAGEMAKER:
            return refused(super().refusal(call, target, head, body), target, head, body)
        try:
            error = msgspec.json.decode(body, type=ModelError)
        except (msgspec.DecodeError, RecursionError):
            error = ModelError()
        status = error.original_status_code
        if status is not None and 400 <= status < 600 and status not in (401, 403):  # these would be of AWS
            head, body = Head(status, head.headers), (error.original_message or "").encode()
            return super().refusal(call, target, head, body)
        return refused(super().refusal(call, target, head, body), target, head, body)
