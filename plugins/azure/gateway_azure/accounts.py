"""Accounts of Azure, and who the gateway is there.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.1.1 of the project's compatibility notes. A managed
identity is beyond them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount, Text, Url
from gateway.secrecy.secret import SecretText

Tenant = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9.-]+\Z", description="the id or a domain of a Microsoft Entra tenant")
]
ApiVersion = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9.-]+\Z", description="a version of the API, such as 2024-10-21 or v1")
]
DeploymentType = Literal["standard", "datazone_us", "datazone_eu", "global"]


class CertificateAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="certificate"):
    """`certificate` is PEM text with the private key; its thumbprint is SHA-1 in base64url, as in `x5t`."""

    tenant_id: Tenant
    client_id: Text
    certificate: SecretText
    certificate_thumbprint: Text


class ClientSecretAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="client-secret"):
    tenant_id: Tenant
    client_id: Text
    client_secret: SecretText


class WorkloadIdentityAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="workload-identity"):
    """A credential that is federated with the service account of the gateway's pod."""

    tenant_id: Tenant
    client_id: Text


class ManagedIdentityAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="managed-identity"):
    """The identity of the machine. `client_id`: which of those that were assigned to it; None: its own."""

    client_id: Text | None = None


Identity = CertificateAuth | ClientSecretAuth | WorkloadIdentityAuth | ManagedIdentityAuth
Auth = ApiKeyAuth | Identity


def own_identity(*auths: Auth) -> frozenset[str]:
    """As of an account that uses these."""
    return frozenset(str(auth) for auth in auths if isinstance(auth, WorkloadIdentityAuth | ManagedIdentityAuth))


class Deployment(Integration, frozen=True, kw_only=True):
    """`model_id` is the name of the deployment; `foundation_model` the model behind it, which has a price."""

    foundation_model: Text | None = None
    deployment_type: DeploymentType | None = None

    @property
    def listed_as(self) -> str:
        return self.foundation_model or self.model_id


class AzureOpenAIModel(Deployment, frozen=True, kw_only=True):
    api_version: ApiVersion


class AzureOpenAIAccount(ProviderAccount, frozen=True, kw_only=True):
    integrations: tuple[AzureOpenAIModel, ...]
    azure_endpoint: Url
    auth_data: Auth

    @property
    def own_identity(self) -> frozenset[str]:
        return own_identity(self.auth_data)


class AzureFoundryModel(Integration, frozen=True, kw_only=True):
    """`azure_endpoint`: the endpoint of the resource or of the model, or the target URI that the portal shows."""

    azure_endpoint: Url
    auth_data: Auth
    api_version: ApiVersion | None = None


class AzureFoundryAccount(ProviderAccount, frozen=True, kw_only=True):
    integrations: tuple[AzureFoundryModel, ...]

    @property
    def own_identity(self) -> frozenset[str]:
        return own_identity(*(model.auth_data for model in self.integrations))


class MicrosoftFoundryModel(Deployment, frozen=True, kw_only=True):
    """`api_version`: of the older API, where each deployment has an address of its own; None: /openai/v1."""

    publisher: Literal["OpenAI", "Other"]
    api_version: ApiVersion | None = None


class MicrosoftFoundryAccount(ProviderAccount, frozen=True, kw_only=True):
    integrations: tuple[MicrosoftFoundryModel, ...]
    auth_data: Auth
    openai_endpoint: Url | None = None
    project_endpoint: Url | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.openai_endpoint is None and self.project_endpoint is None:
            raise ValueError("give openai_endpoint or project_endpoint, or both")

    @property
    def own_identity(self) -> frozenset[str]:
        return own_identity(self.auth_data)
