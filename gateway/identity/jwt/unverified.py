"""Takes a JWT apart, without believing a word of it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

MAX_TOKEN_BYTES = 8 * 1024
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Of `typ`. A provider signs other things with the same key, issuer and audience, such as logout tokens.

Source: RFC 8725, section 3.11.
"""

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Unverified(msgspec.Struct, frozen=True):
    """What a token says of itself. `signed`: the bytes that `signature` is for."""

    algorithm: str
    kid: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def looks_like_jwt(token: bytes) -> bool:
    """`eyJ` is `{"` in base64; our own tokens do not begin with it."""
    return (
        token.startswith(b"eyJ") and len(token) <= MAX_TOKEN_BYTES and token.translate(None, delete=_BASE64URL) == b".."
    )


def read(token: bytes) -> Unverified:
    """Of the header, only `alg`, `kid` and `typ` are used: keys or addresses of keys in it are nobody's business.

    Raises:
        ValueError: it is not a JWT, or has no `kid`, or is meant for something else, or has to be understood in a way
            that we do not know (`crit`).

    Source: RFC 7515, section 5.2; RFC 7519, section 7.2.
    """
    if not looks_like_jwt(token):
        raise ValueError("not a JWT")
    signed, _, signature = token.rpartition(b".")
    head, _, payload = signed.partition(b".")
    header = read_object(_decoded(head))
    algorithm, kid, type_ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not (isinstance(algorithm, str) and isinstance(kid, str) and isinstance(type_, str)):
        raise ValueError("alg, kid and typ have to be text")
    if "crit" in header or type_.lower() not in TYPES:
        raise ValueError("not a token for us")
    return Unverified(algorithm, kid, read_object(_decoded(payload)), signed, _decoded(signature))


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object, with none of what parsers disagree on: names given twice, NaN, infinity, halves of surrogates.

    Raises:
        ValueError: it is none, or is nested too deep.
    """
    try:
        text = data.decode()
        found = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # raises UnicodeEncodeError for half a surrogate
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _decoded(part: bytes) -> bytes:
    """Takes one spelling only: else each signature had up to 15 more, and each token as many places in the cache."""
    data = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if urlsafe_b64encode(data).rstrip(b"=") != part:
        raise ValueError("not the one way to write this in base64url")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is out of range")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_refuse)
