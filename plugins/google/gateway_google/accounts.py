"""Accounts at Google, and who the gateway is there.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.1.1 of the project's compatibility notes. `base_url` of
the Gemini API is this plugin's own.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Integration, ProviderAccount, Url
from gateway.secrecy.secret import Secret, SecretJson

GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta"

Place = Annotated[str, Meta(pattern=r"^[a-z0-9-]+\Z", description="a region, such as europe-west4, or global, eu, us")]
Project = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9.:_-]+\Z", description="the id or the number of a project")]


class GeminiKey(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="api-key"):
    api_key: Secret = msgspec.field(name="apiKey")


class GeminiAccount(ProviderAccount, frozen=True, kw_only=True):
    """`base_url`: with the version in its path."""

    integrations: tuple[Integration, ...]
    auth_data: GeminiKey
    base_url: Url = GEMINI_URL


class KeyFileAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="key-file"):
    key_file_content: SecretJson


class FederationAuth(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="workload-identity-federation-file"
):
    key_file_content: SecretJson


class VertexModel(Integration, frozen=True, kw_only=True):
    """`model_id`: `gemini-2.5-pro`, or with its publisher, as in `anthropic/claude-sonnet-4-5@20250929`."""

    region: Place | None = None

    @property
    def listed_as(self) -> str:
        """Without the publisher, of whom lists of prices know nothing."""
        return self.model_id.rpartition("/")[2]


class VertexAccount(ProviderAccount, frozen=True, kw_only=True):
    """
    Args:
        auth_data: None: the gateway's own identity.
        base_url: of a private endpoint, without a path.
        anthropic_betas: features of Anthropic's API that Vertex AI has come to know: `name`, or `name-*` for all that
            begin so.
    """

    integrations: tuple[VertexModel, ...]
    project_id: Project
    region: Place
    auth_data: KeyFileAuth | FederationAuth | None = None
    base_url: Url | None = None
    anthropic_betas: tuple[str, ...] = ()

    @property
    def own_identity(self) -> frozenset[str]:
        """A file for federation says which token of the machine is used."""
        match self.auth_data:
            case None:
                return frozenset({"google"})
            case FederationAuth(key_file_content=content):
                return frozenset({content.reveal()})
        return frozenset()
