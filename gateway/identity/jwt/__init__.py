"""JWTs of identity providers (Okta, Entra, Auth0, anything that speaks OpenID Connect), taken as credentials.

    unverified  a token taken apart
    claims      what it says, made into an `Identity`
    keys        the public keys in a JWKS document
    keyring     the keys of one provider, fetched when needed
    jwks        fetches them
    cache       tokens seen before

A JWT says who may read it, until when, and with which key it was signed; none of that is believed before the signature
was checked with a key of the provider, and the provider is in the configuration, not in the token.
"""

from gateway.identity.jwt.claims import Identity
from gateway.identity.jwt.identities import Identities
from gateway.identity.jwt.unverified import looks_like_jwt

__all__ = ["Identities", "Identity", "looks_like_jwt"]
