"""The provider for Cloudera AI Inference, which speaks OpenAI's API.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.1.1 of the project's compatibility notes;
docs.cloudera.com/machine-learning/cloud/ai-inference, "Making an inference call to a Model Endpoint"; read 2026-11.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Endpoint, Target
from gateway.manifests.accounts import Integration, ProviderAccount, Text, Url
from gateway.providers.credentials import BearerTokens
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor
from gateway.secrecy.secret import Secret, SecretText
from gateway.wire.address import below

PATHS: Mapping[str, str] = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}


class WorkloadAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="workload-auth-token"):
    """`private_key`: as CDP hands it out, in one line, or as PEM."""

    cdp_base_url: Url
    access_key_id: Secret
    private_key: SecretText
    workload_name: Text


class TokenAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="token"):
    api_token: Secret


class ClouderaModel(Integration, frozen=True, kw_only=True):
    """`base_url` ends with the version of the API, as in `.../v1`."""

    base_url: Url


class ClouderaAccount(ProviderAccount, frozen=True, kw_only=True):
    integrations: tuple[ClouderaModel, ...]
    auth_data: WorkloadAuth | TokenAuth


class Cloudera(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/cloudera": ClouderaAccount}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        assert isinstance(account, ClouderaAccount)
        headers = {"content-type": "application/json"}
        signer = None
        match account.auth_data:
            case TokenAuth(api_token=token):
                headers["authorization"] = f"Bearer {token.reveal()}"
            case WorkloadAuth() as auth:
                # What it needs to sign takes 8 MiB, and few use it.
                from gateway_cloudera.workload import WorkloadTokens

                tokens = WorkloadTokens(auth.cdp_base_url, auth.access_key_id, auth.private_key, auth.workload_name)
                signer = BearerTokens(tokens)
        for model in account.integrations:
            endpoints = {dialect: Endpoint(below(model.base_url, path), headers) for dialect, path in PATHS.items()}
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                signer=signer,
                settings=Settings(endpoints, Vendor(), asks_for_usage=account.asks_for_usage),
            )
