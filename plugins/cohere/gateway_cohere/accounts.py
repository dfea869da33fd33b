"""What stands in the manifest.

Source: types of truefoundry-sdk 0.6.0; `base_url` and `input_type` are this plugin's own.
"""

from typing import Literal

from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount, Url

BASE_URL = "https://api.cohere.com"


class CohereModel(Integration, frozen=True, kw_only=True):
    """`input_type`: what texts are embedded for, where the caller does not say."""

    input_type: Literal["search_document", "search_query", "classification", "clustering"] | None = None


class CohereAccount(ProviderAccount, frozen=True, kw_only=True):
    """`base_url`: without the version; another one for deployments of one's own."""

    integrations: tuple[CohereModel, ...] = ()
    auth_data: ApiKeyAuth
    base_url: Url = BASE_URL
