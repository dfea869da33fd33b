"""Tokens seen before, by the hash of the whole token.

A part of it would not do: all tokens of a provider begin with the same bytes. Another gateway went by the first 20
characters, and took one user for another (CVE-2026-35030).
"""

from collections import OrderedDict
from hashlib import sha256

from gateway.identity.jwt.claims import Identity


def digest_of(token: bytes) -> bytes:
    """SHA-256: processors have instructions for it, which makes it the fastest of those that are safe here."""
    return sha256(token).digest()


class Known:
    """Whom tokens stand for. When it is full, the one that was not used for longest makes room."""

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self._entries: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def find(self, digest: bytes, now_s: float) -> Identity | None:
        entry = self._entries.get(digest)
        if entry is None:
            return None
        identity, until_s = entry
        if now_s >= until_s:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return identity

    def add(self, digest: bytes, identity: Identity, until_s: float) -> None:
        self._entries[digest] = identity, until_s
        self._entries.move_to_end(digest)
        if len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


class Refused:
    """Tokens that were found to be bad, for `ttl_s`. When it is full, the oldest makes room."""

    def __init__(self, max_entries: int, ttl_s: float) -> None:
        self.max_entries = max_entries
        self.ttl_s = ttl_s
        self._until_s: OrderedDict[bytes, float] = OrderedDict()

    def holds(self, digest: bytes, now_s: float) -> bool:
        return now_s < self._until_s.get(digest, now_s)

    def add(self, digest: bytes, now_s: float) -> None:
        self._until_s[digest] = now_s + self.ttl_s
        self._until_s.move_to_end(digest)
        if len(self._until_s) > self.max_entries:
            self._until_s.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until_s)
