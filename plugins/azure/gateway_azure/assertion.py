"""How a form shows who asks for a token, by a word that somebody has signed."""

from collections.abc import Awaitable, Callable, Mapping

Proof = Callable[[], Awaitable[Mapping[str, str]]]
"""The fields of a form that show who asks, made anew for each token."""

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def assertion_of(token: str) -> Mapping[str, str]:
    """The fields for a signed JWT. Source: RFC 7523, section 2.2."""
    return {"client_assertion_type": _TYPE, "client_assertion": token}
