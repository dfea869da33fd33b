"""Access tokens of Microsoft Entra ID: who the gateway is, proved by a secret, a certificate, or what its pod is given.

The requests are those of azure-identity, but go out by the gateway's own network, where the rules for addresses hold.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and .../certificate-credentials;
azure/identity/_internal/aad_client_base.py of azure-identity 1.27.0; read 2026-11.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.contract import Endpoint, Upstream, UpstreamRequest
from gateway.errors import Refused
from gateway.providers.client_credentials import FORM, fetch_token
from gateway.providers.credentials import BearerTokens, Lent
from gateway.secrecy.secret import Secret
from gateway_azure.accounts import (
    CertificateAuth,
    ClientSecretAuth,
    Identity,
    ManagedIdentityAuth,
    WorkloadIdentityAuth,
)
from gateway_azure.addresses import OWN_HOSTS, RESOURCE_HOSTS
from gateway_azure.assertion import Proof, assertion_of
from gateway_azure.managed import managed_identity

TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"
"""Set in pods by the webhook of Azure Workload Identity."""

_AZURES_OWN = (*OWN_HOSTS, *RESOURCE_HOSTS)


class Cloud(msgspec.Struct, frozen=True):
    """One of Azure's, which know nothing of each other."""

    login: str
    domain: str


PUBLIC = Cloud("https://login.microsoftonline.com", "azure.com")
CLOUDS = (
    PUBLIC,
    Cloud("https://login.microsoftonline.us", "azure.us"),
    Cloud("https://login.chinacloudapi.cn", "azure.cn"),
)


def tokens_for(
    url: str, identity: Identity, *, environ: Mapping[str, str], clock: Callable[[], float] = perf_counter
) -> BearerTokens:
    """Tokens for models at a URL.

    Raises:
        ValueError: the identity cannot be used, or not there; worded for the operator.
    """
    host = (urlsplit(url).hostname or "").lower()
    cloud = next((each for each in CLOUDS if host.endswith(f".{each.domain}")), PUBLIC)
    scope = scope_for(host, cloud)
    if isinstance(identity, WorkloadIdentityAuth | ManagedIdentityAuth):
        public_host = host.removesuffix(cloud.domain) + PUBLIC.domain
        if not public_host.endswith(_AZURES_OWN):
            raise ValueError(
                "the gateway's own identity goes to Azure's own addresses only, such as https://RESOURCE.openai."
                "azure.com: whoever writes an account could have it sent elsewhere. Use client-secret or certificate"
            )
    match identity:
        case ManagedIdentityAuth(client_id=client_id):
            return BearerTokens(managed_identity(client_id, scope), clock=clock)
        case ClientSecretAuth(client_secret=secret):
            proof, shown = _secret(secret), "client id and secret"
        case CertificateAuth():
            # What it needs to sign takes 8 MiB, and few use it.
            from gateway_azure.certificate import signed_by

            proof, shown = signed_by(identity, token_url(cloud, identity.tenant_id)), "client id and certificate"
        case WorkloadIdentityAuth():
            proof, shown = _federated(environ.get(TOKEN_FILE, "")), "client id and workload identity"
    asks = EntraTokens(token_url(cloud, identity.tenant_id), identity.client_id, scope, proof, shown)
    return BearerTokens(asks, clock=clock)


def token_url(cloud: Cloud, tenant_id: str) -> str:
    return f"{cloud.login}/{tenant_id}/oauth2/v2.0/token"


def scope_for(host: str, cloud: Cloud) -> str:
    """The audience of the tokens. Source: credential_scopes in azure-ai-inference 1.0.0b9, and the page above."""
    return f"https://{'ml' if host.endswith(OWN_HOSTS) else 'cognitiveservices'}.{cloud.domain}/.default"


class EntraTokens:
    """A `Fetch`. `shown`: by what the account is to be known, for the operator."""

    def __init__(self, url: str, client_id: str, scope: str, proof: Proof, shown: str) -> None:
        self._endpoint = Endpoint(url, FORM)
        self._form = {"client_id": client_id, "grant_type": "client_credentials", "scope": scope}
        self._proof = proof
        self._shown = shown

    async def __call__(self, network: Upstream) -> Lent[Secret]:
        form = urlencode({**self._form, **await self._proof()})
        return await fetch_token(UpstreamRequest(self._endpoint, form.encode()), network, shown=self._shown)


def _secret(secret: Secret) -> Proof:
    async def proof() -> Mapping[str, str]:
        return {"client_secret": secret.reveal()}

    return proof


def _federated(path: str) -> Proof:
    """Kubernetes writes a new token into the file when the old one nears its end. Raises ValueError: there is none."""
    if not path:
        raise ValueError(f"workload-identity needs {TOKEN_FILE}, which Azure Workload Identity sets in its pods")

    async def proof() -> Mapping[str, str]:
        try:
            token = await asyncio.to_thread(Path(path).read_text)
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(
                "the gateway's workload identity cannot be read; tell whoever runs the gateway",
                status=401,
                code="upstream_authentication_error",
            ) from error
        return assertion_of(token.strip())

    return proof
