"""What stands in the manifest.

Source: types of truefoundry-sdk 0.6.0; the last four fields are this plugin's own.
"""

from typing import Literal

from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount, Text, Url

BASE_URL = "https://api.anthropic.com/v1"


class AnthropicAccount(ProviderAccount, frozen=True, kw_only=True):
    """
    Args:
        auth_data: None: each caller brings a key of their own.
        base_url: with the version in its path.
        anthropic_version: the newer one refuses temperature, top_p and top_k, of all models.
        anthropic_beta: names of features, sent with every request.
        refused_betas: names of features that callers may ask for, and that are not passed on: for providers that would
            refuse the request. With `*` at the end, all that begin so.
        refused_fields: the same, of fields of the request.
    """

    integrations: tuple[Integration, ...] = ()
    auth_data: ApiKeyAuth | None = None
    base_url: Url = BASE_URL
    anthropic_version: Literal["2023-06-01", "2026-10-21"] = "2023-06-01"
    anthropic_beta: tuple[Text, ...] = ()
    refused_betas: tuple[Text, ...] = ()
    refused_fields: tuple[Text, ...] = ()
