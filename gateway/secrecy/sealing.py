"""Secrets that have to be kept: encrypted where they lie, and shown as a mask."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "sealed:v1:"
MASK = "***"
_VERSION = "@v"
_NONCE_BYTES = 12


class Seal:
    """AES-256-GCM under a key made from the pepper (NIST SP 800-38D); a new random nonce for each value."""

    def __init__(self, pepper: bytes) -> None:
        self._key = blake2b(pepper, person=b"gateway-seal", digest_size=32).digest()

    def close(self, text: str, version: int | None = None) -> str:
        """`version`: that of the manifest in which the secret is written; its mask shows it."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = PREFIX + urlsafe_b64encode(nonce + self._cipher().encrypt(nonce, text.encode(), None)).decode()
        return sealed if version is None else f"{sealed}{_VERSION}{version}"

    def open(self, sealed: str) -> str:
        """Raises ValueError: it was sealed under another pepper, or is damaged."""
        from cryptography.exceptions import InvalidTag

        try:
            data = urlsafe_b64decode(sealed.removeprefix(PREFIX).partition(_VERSION)[0])
            return self._cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError):
            raise ValueError("a stored secret cannot be opened: GATEWAY_PEPPER has changed, or it is damaged") from None

    def close_data(self, data: bytes) -> bytes:
        """The same of what is no text, and much."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, data, None)

    def open_data(self, sealed: bytes) -> bytes:
        """Raises ValueError, as `open` does."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            raise ValueError("what was kept cannot be opened: GATEWAY_PEPPER has changed, or it is damaged") from None

    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 40 ms, which few need

        return AESGCM(self._key)


def mask(text: str) -> str:
    """What is shown of a secret: `***@v3` if it was sealed in version 3 of its manifest, else `***`. It depends on
    nothing else: what changes with the secret tells whether a guess was right."""
    _, _, version = text.partition(_VERSION) if text.startswith(PREFIX) else ("", "", "")
    return f"{MASK}{_VERSION}{version}" if version else MASK
