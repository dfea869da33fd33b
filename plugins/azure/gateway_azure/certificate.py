"""A certificate as proof of who the gateway is. In a module of its own, as few use it and what it imports takes 8 MiB.

Source: learn.microsoft.com/entra/identity-platform/certificate-credentials; read 2026-11.
"""

import time
import uuid
from collections.abc import Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway_azure.accounts import CertificateAuth
from gateway_azure.assertion import Proof, assertion_of

ASSERTION_LIFE_S = 600


def signed_by(identity: CertificateAuth, audience: str) -> Proof:
    """Raises ValueError: there is no key in it that can sign."""
    try:
        key = load_pem_private_key(identity.certificate.reveal().encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("certificate must be PEM text with an RSA private key in it, and without a passphrase")

    async def proof() -> Mapping[str, str]:
        now_s = int(time.time())
        claims = {
            "aud": audience,
            "iss": identity.client_id,
            "sub": identity.client_id,
            "jti": str(uuid.uuid4()),
            "nbf": now_s,
            "exp": now_s + ASSERTION_LIFE_S,
        }
        assertion = jwt.encode(claims, key, algorithm="RS256", headers={"x5t": identity.certificate_thumbprint})
        return assertion_of(assertion)

    return proof
