"""Where a gateway is."""

from typing import NamedTuple
from urllib.parse import quote, urlsplit


class Address(NamedTuple):
    """`path` comes before that of the control API."""

    url: str
    is_https: bool
    host: str
    port: int | None
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where `gateway serve` keeps the admin's token."""
        return self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"


def address_of(url: str) -> Address:
    """Raises ValueError: no gateway can be there."""
    at = urlsplit(url)
    has_rest = at.query or at.fragment or at.username is not None
    if at.scheme not in ("http", "https") or not at.hostname or has_rest or " " in url or not url.isprintable():
        raise ValueError("it has to look like http://host:port")
    path = quote(at.path.rstrip("/"), safe="/%")
    return Address(url.rstrip("/"), at.scheme == "https", at.hostname, at.port, path)
