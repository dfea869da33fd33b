"""URLs as manifests write them: what can be called, and how. Nothing here shows a URL, since it may hold a secret."""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

MAX_HOST_CHARS = 253
NO_HOST = "must name a host: a name or an IP address"

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class Address(NamedTuple):
    """`host` in lower case, without brackets, and as DNS has it; `authority` as the Host header; `target` is path and
    query, as they are sent."""

    is_tls: bool
    host: str
    port: int
    authority: str
    target: str


@lru_cache(maxsize=128)  # most accounts of a vendor are called at the same URLs
def address_of(url: str) -> Address:
    """Raises ValueError, which says what is wrong in the way of "must ..."."""
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must be a URL, without spaces, backslashes and control characters")
    if "#" in url:
        raise ValueError("must not have a #fragment: it is never sent")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be a URL, and the host in it a name or an IP address") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be an http or https URL")
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials: they belong in auth_data")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    is_tls = parts.scheme == "https"
    usual = 443 if is_tls else 80
    host = host_of(f"[{parts.hostname}]" if "[" in parts.netloc else parts.hostname or "")
    shown = f"[{host}]" if ":" in host else host
    return Address(
        is_tls=is_tls,
        host=host,
        port=port or usual,
        authority=shown if port in (None, usual) else f"{shown}:{port}",
        target=quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_PRINTABLE),
    )


def below(base: str, path: str) -> str:
    """A path behind that of a base URL, and before its query: `https://h/v1?a=1`, `/x` -> `https://h/v1/x?a=1`."""
    url, mark, query = base.partition("?")
    return url.rstrip("/") + path + mark + query


def path_of(url: str) -> str:
    """Empty for what is no URL, and is refused as such elsewhere."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def host_of(text: str) -> str:
    """A host as DNS has it, in lower case; of an IPv6 address without its brackets. Raises ValueError, as above."""
    try:
        if text.startswith("[") or ":" in text:
            # Without a zone: what an interface is called here says nothing about the other end.
            return str(IPv6Address("" if "%" in text else text.removeprefix("[").removesuffix("]")))
        if not text.isascii():
            import idna  # few need it

            text = idna.encode(text, uts46=True).decode()
    except ValueError:
        raise ValueError(NO_HOST) from None
    host = text.lower()
    if len(host) > MAX_HOST_CHARS or not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
        raise ValueError(NO_HOST)
    return host
