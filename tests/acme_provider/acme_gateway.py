"""A vendor of its own shape: it speaks OpenAI's chat, but elsewhere, and wants its key in another header."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.contract import Endpoint, Target
from gateway.manifests.accounts import KeyAccount, Text
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor

ACME = Vendor(rejects=frozenset({"seed"}))


class AcmeAccount(KeyAccount, frozen=True, kw_only=True):
    """`region` is part of the address."""

    region: Text = "eu"


class Acme(OpenAICompatible):
    accounts: Mapping[str, Any] = {"provider-account/acme": AcmeAccount}

    def targets(self, account: AcmeAccount) -> Iterable[Target]:
        headers = {"content-type": "application/json", "x-acme-key": account.auth_data.api_key.reveal()}
        url = f"https://{account.region}.acme.example/converse/v2"
        settings = Settings({"chat": Endpoint(url, headers)}, ACME)
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.model_id,
                model_types=frozenset(model.model_types),
                provider=self,
                settings=settings,
            )
