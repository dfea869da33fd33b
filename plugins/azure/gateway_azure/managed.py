"""Access tokens for the identity of the machine.

Azure gives them at link-local and loopback addresses, in another way for virtual machines, App Service, Arc and the
rest. The gateway's own network never goes to such addresses, so azure-identity does, which knows all of them; where
it goes is its own, and nothing that an account says.

Source: azure/identity/_credentials/managed_identity.py of azure-identity 1.27.0, read 2026-11.
"""

import asyncio
import time

from gateway.contract import Upstream
from gateway.errors import Refused
from gateway.providers.credentials import Fetch, Lent
from gateway.secrecy.secret import Secret


def managed_identity(client_id: str | None, scope: str) -> Fetch[Secret]:
    """Raises ValueError: azure-identity is not installed."""
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import ManagedIdentityCredential
    except ImportError:
        raise ValueError(
            "managed-identity needs azure-identity: install llm-asgi-gateway-azure[managed-identity]"
        ) from None
    credential = ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()

    async def fetch(network: Upstream) -> Lent[Secret]:
        try:
            token = await asyncio.to_thread(credential.get_token, scope)
        except AzureError as error:
            raise Refused(
                "the gateway has no managed identity that gives an access token; tell whoever runs the gateway",
                status=401,
                code="upstream_authentication_error",
            ) from error
        return Lent(Secret(token.token), token.expires_on - time.time())

    return fetch
