"""Which session a request belongs to."""

from collections.abc import Mapping
from hashlib import blake2b
from math import floor

from gateway.contract.route import Sticky


def session_of(
    sticky: Sticky | None, headers: Mapping[str, str], metadata: Mapping[str, str], wall_s: float
) -> str | None:
    """What sessions are told apart by, hashed; None when the request has no identifier.

    It changes when the session's epoch ends. Epochs are counted from 1970 plus a shift of the session's own, so that
    not all sessions of a route move at one moment, and replicas need nothing but a clock to agree.

    Args:
        headers: names in lower case, or case-insensitive.
        wall_s: seconds since 1970. A monotonic clock would differ between replicas.
    """
    if sticky is None:
        return None
    found = []
    for source, key in sticky.identifiers:
        value = headers.get(key.lower()) if source == "headers" else metadata.get(key)
        if value:
            found.append((source, key, value))
    if not found:
        return None
    digest = blake2b(ascii(found).encode(), digest_size=16).digest()
    shift = int.from_bytes(digest[:8], "big") / 2**64
    return f"{digest.hex()}.{floor(wall_s / sticky.ttl_s + shift)}"
