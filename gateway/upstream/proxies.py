"""Which proxy a request goes through, as the environment says: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

Names in lower case come before those in capitals, as in curl. NO_PROXY has names (with all below them), IP addresses,
networks, each with a port if it is about one only, and `*`. This machine itself is never asked for by a proxy.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import msgspec

from gateway.contract.egress import literal
from gateway.errors import ConfigError, Fault
from gateway.secrecy.secret import Secret
from gateway.wire.address import Address

SWITCH = "GATEWAY_TRUST_ENV_PROXY"


class Proxies(msgspec.Struct, frozen=True):
    """`http` and `https`: the URL of the proxy for each, with its credentials; None: there is none."""

    http: Secret | None = None
    https: Secret | None = None
    exempt: tuple[str, ...] = ()

    def proxy_for(self, address: Address) -> Secret | None:
        """None: it is called directly."""
        proxy = self.https if address.is_tls else self.http
        return None if proxy is None or self._is_exempt(address.host.removesuffix("."), address.port) else proxy

    def _is_exempt(self, host: str, port: int) -> bool:
        at = literal(host)
        if at is not None and ip_address(at).is_loopback:
            return True
        return any(_fits(entry, host, at, port) for entry in self.exempt)


def proxies_from(environ: Mapping[str, str]) -> Proxies:
    """Raises ConfigError: proxies that would be used cannot be."""
    switch = environ.get(SWITCH, "on").strip().lower() or "on"
    if switch not in ("on", "off"):
        raise ConfigError([Fault("the environment", 0, SWITCH, f"must be on or off, and is {switch[:20]!r}")])
    if switch == "off":
        return Proxies()
    faults: list[Fault] = []
    proxies = Proxies(
        http=_proxy(environ, "HTTP_PROXY", faults),
        https=_proxy(environ, "HTTPS_PROXY", faults),
        exempt=tuple(entry.lower() for entry in _value(environ, "NO_PROXY").replace(",", " ").split()),
    )
    if faults:
        raise ConfigError([*dict.fromkeys(faults)])  # ALL_PROXY may stand for both
    return proxies


def _proxy(environ: Mapping[str, str], name: str, faults: list[Fault]) -> Secret | None:
    used = name if _is_set(environ, name) else "ALL_PROXY"
    text = _value(environ, used)
    if not text:
        return None
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable() or " " in url:
        problem = f"is no http or https proxy, as in http://proxy.example:3128; {SWITCH}=off ignores the variables"
        faults.append(Fault("the environment", 0, used, problem))
    return Secret(url)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return name in environ or name.lower() in environ


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.lower(), environ.get(name, "")).strip()


def _fits(entry: str, host: str, at: str | None, port: int) -> bool:
    """Whether an entry of NO_PROXY is about a host; `at` is its address, if it is one."""
    if entry == "*":
        return True
    try:
        network = ip_network(entry.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        name, colon, number = entry.rpartition(":")
        if colon and number.isdecimal():
            return int(number) == port and _fits(name, host, at, port)
        name = entry.removeprefix("*").removeprefix(".")
        return host == name or host.endswith(f".{name}")
    return at is not None and ip_address(at) in network
