"""Secrets that have to be kept: encrypted where they lie, and shown as a mask."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "sealed:v1:"
MASK = "***"
_NONCE_BYTES = 12


class Seal:
    """AES-256-GCM under a key made from the pepper (NIST SP 800-38D); a new random nonce for each value."""

    def __init__(self, pepper: bytes) -> None:
        self._key = blake2b(pepper, person=b"gateway-seal", digest_size=32).digest()
        self._mask_key = blake2b(pepper, person=b"gateway-mask", digest_size=32).digest()

    def close(self, text: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        return PREFIX + urlsafe_b64encode(nonce + self._cipher().encrypt(nonce, text.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """Raises ValueError: it was sealed under another pepper, or is damaged."""
        from cryptography.exceptions import InvalidTag

        try:
            data = urlsafe_b64decode(sealed.removeprefix(PREFIX))
            return self._cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError):
            raise ValueError("a stored secret cannot be opened: GATEWAY_PEPPER has changed, or it is damaged") from None

    def mask(self, text: str, about: str = "") -> str:
        """`***` and eight digits that change when the secret does, and tell nothing else to whom lacks the pepper.

        Args:
            about: where it stands; elsewhere it has another mask.
        """
        return MASK + blake2b(f"{about}\0{text}".encode(), key=self._mask_key, digest_size=4).hexdigest()

    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 40 ms, which few need

        return AESGCM(self._key)
