"""How the gateway's own tokens look, and what is kept of them.

`gwp_` (of a user) or `gwv_` (of a virtual account), 32 random characters, and 6 that are their checksum: scanners for
leaked secrets find `gw[apv]_[0-9A-Za-z]{38}` and can tell a token from a word without asking anybody.
"""

import re
import secrets
from hashlib import blake2b
from string import ascii_letters, digits
from typing import Any, NamedTuple
from zlib import crc32

PERSONAL = "gwp_"
VIRTUAL_ACCOUNT = "gwv_"
ADMIN = "gwa_"
RANDOM_CHARS = 32
CHECKSUM_CHARS = 6
HINT_CHARS = 4
NEVER_S = 253402300799
"""The end of the year 9999, in seconds since 1970."""

_ALPHABET = digits + ascii_letters
_FORM = re.compile(r"gw[apv]_[0-9A-Za-z]{38}")


class Pepper:
    """The key under which tokens are hashed. Who has the database alone can neither use nor guess a token.

    The hash is BLAKE2b with the pepper as its key (RFC 7693, section 2.9): as good a MAC as HMAC-SHA-256 for this, and
    a sixth of its time, because OpenSSL looks the algorithm up anew for each HMAC.
    """

    def __init__(self, pepper: bytes) -> None:
        self._key = blake2b(pepper).digest()  # a key has at most 64 bytes
        self._keyed = blake2b(key=self._key, digest_size=32)
        self._signing_key = blake2b(pepper, person=b"gateway-jwt", digest_size=32).digest()

    def digest(self, token: bytes) -> bytes:
        keyed = self._keyed.copy()  # the key is read once
        keyed.update(token)
        return keyed.digest()

    def check(self) -> str:
        """Tells whether a database was made with this pepper, and nothing about it."""
        return blake2b(b"check", key=self._key, digest_size=16).hexdigest()

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT of ours. Nobody has to verify it: like every token, it is known by its hash."""
        import jwt  # 50 ms, and few need it

        return jwt.encode(claims, self._signing_key, algorithm="HS256")


class Minted(NamedTuple):
    """A new token. `text` is shown once and not kept; `hint` lets its owner tell it from others."""

    id: str
    text: str
    hint: str

    def __repr__(self) -> str:
        return f"Minted({self.id})"


def mint(prefix: str) -> Minted:
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARS))
    return _minted(body + _checksum(body), prefix)


def mint_jwt(pepper: Pepper, subject: str, *, tenant: str, issued_at: int, expires_at: int | None) -> Minted:
    """The claims are for clients, such as TrueFoundry's CLI, which takes no token without `exp` and `tenantName`."""
    id_ = _new_id()
    kind, _, name = subject.partition(":")
    claims = {
        "iss": "gateway",
        "sub": subject,
        "jti": id_,
        "iat": issued_at,
        "exp": expires_at if expires_at is not None else NEVER_S,
        "tenantName": tenant,
        "subjectType": "user" if kind == "user" else "serviceaccount",
        "username": name,
    }
    text = pepper.sign(claims)
    return Minted(id_, text, text[-HINT_CHARS:])


def is_well_formed(token: str) -> bool:
    """Whether its checksum is right, as that of every opaque token of ours."""
    body, checksum = token[:-CHECKSUM_CHARS], token[-CHECKSUM_CHARS:]
    return _FORM.fullmatch(token) is not None and _checksum(body) == checksum


def _minted(text: str, prefix: str) -> Minted:
    return Minted(_new_id(), text, f"{prefix}...{text[-HINT_CHARS:]}")


def _new_id() -> str:
    return f"tok_{secrets.token_hex(8)}"


def _checksum(text: str) -> str:
    """CRC-32 in base 62, six digits."""
    number, found = crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        found = _ALPHABET[digit] + found
    return found
