"""To which addresses the gateway may be sent, and by whom. Pure decisions: whoever connects asks with the very address.

    a public address                 by any manifest
    one of GATEWAY_EGRESS_ALLOW      by any manifest
    loopback, private, reserved      by manifests in files, and those whose addresses an admin applied
    link-local and metadata          by none

Source: IANA's registries of special-purpose addresses for IPv4 and IPv6, read 2026-11; for metadata services the
documentation of AWS, Azure, Google, Oracle and Alibaba.
"""

import socket
from collections.abc import Iterator, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

import msgspec

ALLOW = "GATEWAY_EGRESS_ALLOW"

IP: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Reach(IntEnum):
    """Where an address is; the higher, the fewer may go there."""

    PUBLIC = 0
    PRIVATE = 1
    NEVER = 2


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


_NEVER = _networks(
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure
    "192.0.0.192/32",  # Oracle
    "fd00:ec2::/32",  # AWS: metadata is ::254, and others beside it are no less its own
    "fd20:ce::254/128",  # Google
    "fd00:c1::a9fe:a9fe/128",  # Oracle
)
_PRIVATE_V4 = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PUBLIC_V6 = ip_network("2000::/3")
_PRIVATE_IN_PUBLIC_V6 = _networks("2001::/23", "2001:db8::/32", "3fff::/20")
_TRANSLATED = _networks("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "2002::/16")
"""IPv6 addresses that are nothing but an IPv4 one in other clothes."""

_REFUSALS = {
    Reach.PRIVATE: (
        "it is on this machine or in a private network, where only manifests in files and those that an admin applied "
        f"may lead; {ALLOW} can list networks for all"
    ),
    Reach.NEVER: "it is a link-local address or that of a metadata service, which the gateway never calls",
}


class Egress(msgspec.Struct, frozen=True):
    """`allowed`: networks that every manifest may lead to."""

    allowed: tuple[Network, ...] = ()

    def refusal(self, address: str, *, is_trusted: bool) -> str | None:
        """Why the gateway may not connect there, without the address; None: it may.

        Args:
            address: an IP address, as it is about to be connected to.
            is_trusted: whoever wrote where to go is the operator or an admin.
        """
        ip = ip_address(address)
        reach = reach_of(ip)
        if reach is Reach.PUBLIC or (reach is Reach.PRIVATE and (is_trusted or self._allows(ip))):
            return None
        return _REFUSALS[reach]

    def refusal_of_host(self, host: str, *, is_trusted: bool) -> str | None:
        """The same for a host of which that can be told without looking its name up; None: it will be seen then."""
        address = literal(host)
        return self.refusal(address, is_trusted=is_trusted) if address is not None else None

    def _allows(self, ip: IP) -> bool:
        return any(each in network for each in (ip, *_inside(ip)) for network in self.allowed)


def reach_of(ip: IP) -> Reach:
    inner = [reach_of(each) for each in _inside(ip)]
    if any(ip in network for network in _NEVER):
        return Reach.NEVER
    if isinstance(ip, IPv4Address):
        return Reach.PRIVATE if any(ip in network for network in _PRIVATE_V4) else Reach.PUBLIC
    if any(ip in network for network in _TRANSLATED):
        return max(inner)
    is_public = ip in _PUBLIC_V6 and not any(ip in network for network in _PRIVATE_IN_PUBLIC_V6)
    return max(Reach.PUBLIC if is_public else Reach.PRIVATE, *inner, Reach.PUBLIC)


def literal(host: str) -> str | None:
    """The IP address that a host is by itself, in whatever way it is written (`2130706433`, `0x7f.1`, `localhost`);
    None: a name, which can be any address."""
    host = host.removesuffix(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if " " not in host else None
    except (OSError, UnicodeError):
        return None


def network(text: str) -> Network:
    """Raises ValueError: it is none."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network, as in 10.20.0.0/16,fd12:3456::/48 ({error})") from None


def _inside(ip: IP) -> Sequence[IPv4Address]:
    """IPv4 addresses that an IPv6 one may come out at."""
    return [] if isinstance(ip, IPv4Address) else [*_embedded(ip)]


def _embedded(ip: IPv6Address) -> Iterator[IPv4Address]:
    packed = ip.packed
    if packed[:12] == bytes(12) and int(ip) > 1:
        yield IPv4Address(packed[12:])  # IPv4-compatible
    if ip in _TRANSLATED[0] or ip in _TRANSLATED[1] or ip in _TRANSLATED[2] or packed[:6] == b"\0\x64\xff\x9b\0\x01":
        yield IPv4Address(packed[12:])  # mapped, translated, NAT64 with the well-known prefix and with local ones
    if packed[:2] == b"\x20\x02":
        yield IPv4Address(packed[2:6])  # 6to4
    if packed[:4] == b"\x20\x01\0\0":  # Teredo: server and client
        yield IPv4Address(packed[4:8])
        yield IPv4Address(bytes(byte ^ 0xFF for byte in packed[12:]))
    if packed[8:12] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe"):
        yield IPv4Address(packed[12:])  # ISATAP
