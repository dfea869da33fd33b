"""Makes the claims of a token into the identity it stands for."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.manifests.identity import Email, IdentityProvider

END_OF_TIME = 253_402_300_800  # the year 10000; more than any token means, and less than a float can hold


class Identity(msgspec.Struct, frozen=True):
    """Whom a JWT stands for.

    `value` is a user's email address in lower case, or what `virtual_account_claim` holds. `groups` are the provider's.
    """

    provider: str
    kind: Literal["user", "virtual-account"]
    value: str
    groups: frozenset[str]
    expires_at: float
    """Seconds since 1970."""


def identity_of(claims: Mapping[str, Any], provider: IdentityProvider, *, now_s: float, leeway_s: float) -> Identity:
    """Reads the claims of a token whose `iss` and `aud` are those of `provider`.

    Args:
        leeway_s: how far the provider's clock may be ahead of ours. A token has no such grace at its end.

    Raises:
        ValueError: it has expired or is not valid yet, or does not say who it is for.

    Source: RFC 7519, section 4.1.
    """
    expires_at = _moment(claims.get("exp"))
    if expires_at <= now_s:
        raise ValueError("expired")
    if any(_moment(claims[name]) > now_s + leeway_s for name in ("nbf", "iat") if name in claims):
        raise ValueError("not valid yet")
    if "cnf" in claims:
        # Only with proof that the caller has the key named there, which we cannot check. Source: RFC 9449, section 7.2.
        raise ValueError("bound to a key")
    value = _email(claims, provider.user_claim) if provider.resolve_to == "user" else _account(claims, provider)
    groups = texts(claims.get(provider.groups_claim))
    return Identity(provider.name, provider.resolve_to, value, groups, expires_at)


def texts(claim: object) -> frozenset[str]:
    """A claim that is text or a list of texts, like `aud`; anything else is none."""
    values: list[Any] = claim if isinstance(claim, list) else [claim]
    return frozenset(values) if all(isinstance(value, str) for value in values) else frozenset()


def _moment(claim: object) -> float:
    # A bool is an int to Python, and `true` would be a second in 1970.
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not 0 <= claim < END_OF_TIME:
        raise ValueError("not a moment in time")
    return float(claim)


def _email(claims: Mapping[str, Any], name: str) -> str:
    email = msgspec.convert(claims.get(name), Email)
    lower = email.encode().lower().decode()
    if lower != email.lower():
        # There are letters outside ASCII whose lower case is in it: U+212A would make somebody else a `k`.
        raise ValueError("a capital letter that is not ASCII")
    if name == "email" and claims.get("email_verified", True) is not True:
        raise ValueError("anybody could have written this address")
    return lower


def _account(claims: Mapping[str, Any], provider: IdentityProvider) -> str:
    value = claims.get(provider.virtual_account_claim)
    if not isinstance(value, str) or not value:
        raise ValueError("no virtual account")
    return value
