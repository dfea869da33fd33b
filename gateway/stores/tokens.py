"""Tokens given in the environment. Only their hashes are kept."""

import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from gateway.contract import Caller
from gateway.errors import ConfigError, Fault

ADMIN = Caller(subject="user:admin", is_admin=True)
MIN_TOKEN_CHARS = 16


class HashedTokens:
    """Token -> keyed hash -> caller. An unknown token costs the same as a known one.

    The hash is BLAKE2b with the pepper as its key (RFC 7693, section 2.9): as good a MAC as HMAC-SHA-256 for this, and
    a sixth of its time, because OpenSSL looks the algorithm up anew for each HMAC.

    Args:
        pepper: None makes one that lives as long as the process.
    """

    def __init__(self, tokens: Iterable[tuple[str, Caller]], *, pepper: bytes | None = None) -> None:
        self._pepper = blake2b(pepper or os.urandom(32)).digest()  # a key has at most 64 bytes
        self._callers = {self._digest(token.encode()): caller for token, caller in tokens}

    def find(self, token: bytes) -> Caller | None:
        return self._callers.get(self._digest(token))

    def _digest(self, token: bytes) -> bytes:
        return blake2b(token, key=self._pepper, digest_size=32).digest()


def tokens_from(environ: Mapping[str, str]) -> HashedTokens:
    """`GATEWAY_ADMIN_TOKEN` is the admin's; `GATEWAY_TOKENS` holds others as `subject=token`, separated by commas.

    Raises:
        ConfigError: an entry is not of that form, or a token is too short to be one.
    """
    found: list[tuple[str, Caller]] = []
    faults: list[Fault] = []
    if admin := environ.get("GATEWAY_ADMIN_TOKEN"):
        found.append((admin, ADMIN))
    for number, entry in enumerate(filter(None, environ.get("GATEWAY_TOKENS", "").split(",")), 1):
        subject, _, token = entry.strip().partition("=")
        if ":" not in subject or not token:
            problem = f"entry {number} is not of the form user:name@example.com=token"
            faults.append(Fault("the environment", 0, "GATEWAY_TOKENS", problem))
            continue
        found.append((token, Caller(subject=subject)))
    faults += [
        Fault("the environment", 0, "", f"the token of {caller.subject} has fewer than {MIN_TOKEN_CHARS} characters")
        for token, caller in found
        if len(token) < MIN_TOKEN_CHARS
    ]
    if faults:
        raise ConfigError(faults)
    pepper = environ.get("GATEWAY_PEPPER")
    return HashedTokens(found, pepper=pepper.encode() if pepper else None)
