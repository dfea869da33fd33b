"""The ways out of the gateway: whether there is one to an address, and whether it goes through a proxy."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import msgspec
from aiohttp import AddrInfoType, ClientConnectorError, ClientSession, ClientTimeout, TCPConnector
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from gateway.contract.egress import Egress
from gateway.errors import UpstreamError
from gateway.secrecy.secret import Secret
from gateway.upstream.connection import Connection
from gateway.upstream.proxies import Proxies
from gateway.wire.address import Address, address_of

Refusal: TypeAlias = Callable[[str], str | None]
"""Why an IP address may not be connected to, if so."""


class NoWay(OSError):
    """There is no connection, for a reason that is told in words and without an address."""


class Ways(msgspec.Struct, frozen=True):
    """What the operator says of all connections that the gateway makes on behalf of manifests.

    A proxy is the operator's own, so its address is not looked at. Of what it is asked for, addresses are, and names
    are not: it looks them up itself.
    """

    egress: Egress = Egress()
    proxies: Proxies = Proxies()

    def refusal(self, *, is_trusted: bool) -> Refusal:
        """For each address that is about to be connected to, after its name was looked up."""
        return partial(self.egress.refusal, is_trusted=is_trusted)

    def proxy_for(self, address: Address, *, is_trusted: bool) -> Secret | None:
        """None: it is called directly. Raises NoWay: the proxy may not be asked for it."""
        proxy = self.proxies.proxy_for(address)
        if proxy is not None and (problem := self.egress.refusal_of_host(address.host, is_trusted=is_trusted)):
            raise NoWay(problem)
        return proxy

    def session(
        self, url: str, *, is_trusted: bool, timeout_s: float, tls: ssl.SSLContext | None = None, **options: Any
    ) -> ClientSession:
        """For requests to one address. Raises NoWay, or ValueError: it is none."""
        proxy = self.proxy_for(address_of(url), is_trusted=is_trusted)
        guard = partial(guarded_socket, refusal=self.refusal(is_trusted=is_trusted)) if proxy is None else None
        return ClientSession(
            connector=TCPConnector(ssl=tls or True, socket_factory=guard),
            timeout=ClientTimeout(total=timeout_s),
            proxy=proxy.reveal() if proxy is not None else None,
            **options,
        )


def guarded_socket(address: AddrInfoType, *, refusal: Refusal) -> socket.socket:
    """For aiohttp, which asks for a socket for each address it tries. Raises NoWay."""
    if problem := refusal(address[4][0]):
        raise NoWay(problem)
    return socket.socket(*address[:3])


def connected(host: str, port: int, timeout_s: float, *, refusal: Refusal) -> socket.socket:
    """As `socket.create_connection`, to addresses that are not refused. Raises OSError."""
    last: OSError = OSError("no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if problem := refusal(str(address[0])):
            last = NoWay(problem)
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout_s)
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    raise last


class TunnelConnector(TCPConnector):
    """A pool of connections through one proxy. It speaks CONNECT by a `Connection`, as aiohttp's own would not do.

    Source: RFC 9110, section 9.3.6.
    """

    def __init__(self, proxy: Secret, **options: Any) -> None:
        super().__init__(**options)
        url = URL(proxy.reveal())
        self.proxy = url.with_user(None)
        self.authorization = _authorization(url)

    def _update_proxy_auth_header_and_build_proxy_req(self, req: ClientRequest) -> ClientRequest:
        return req  # nothing is sent from it

    async def _create_proxy_connection(self, req: ClientRequest, traces: Any, timeout: ClientTimeout) -> Any:  # noqa: ASYNC109
        to_proxy = ClientRequest("GET", self.proxy, loop=self._loop, ssl=True)
        try:
            transport, protocol = await self._create_direct_connection(to_proxy, [], timeout)
        except ClientConnectorError as error:
            raise NoWay("the proxy cannot be reached") from error
        if not req.is_ssl():
            return transport, protocol
        connection = cast("Connection", protocol)
        authority = f"{req.url.host_subcomponent}:{req.port}".encode()
        try:
            head = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (authority, authority, self.authorization)
            connection.send(head, b"")
            await connection.head()
            if connection.status != 200:
                raise NoWay(f"the proxy answered with status {connection.status}")
        except UpstreamError as error:
            connection.close()
            raise NoWay("the proxy closed the connection") from error
        except BaseException:
            connection.close()
            raise
        return await self._start_tls_connection(transport, req=req, timeout=timeout)


def _authorization(proxy: URL) -> bytes:
    """The header line, if there are credentials."""
    if proxy.raw_user is None and proxy.raw_password is None:
        return b""
    pair = f"{unquote(proxy.raw_user or '')}:{unquote(proxy.raw_password or '')}"
    return b"proxy-authorization: Basic %b\r\n" % b64encode(pair.encode())
