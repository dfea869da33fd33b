"""The only module that opens connections to providers.

aiohttp's connector has the pool, DNS, TLS and happy eyeballs; the connections in it are our own
(`gateway.upstream.connection`). `ClientSession` would spend 60 us a call on redirects, cookies, tracing and objects
nobody here looks at, more than all else the gateway does. The connector is told of them by `_factory`, which is not
documented, so setup.cfg pins aiohttp's minor version.
"""

import asyncio
import math
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, cast

from aiohttp import AddrInfoType, ClientError, ClientTimeout, ConnectionTimeoutError, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection as Lease
from yarl import URL

from gateway.contract import Endpoint, Reply, Tls, UpstreamRequest
from gateway.contract.part import Part, ending_with
from gateway.errors import BrokeOff, TimedOut, Unreachable
from gateway.secrecy.secret import Secret
from gateway.upstream.connection import Connection
from gateway.upstream.outgoing import NoWay, Refusal, TunnelConnector, Ways, guarded_socket
from gateway.upstream.sockets import Sockets
from gateway.wire.address import address_of
from gateway.wire.framing import framed, framing
from gateway.wire.unpacking import Unpacker, packing_of

REPEAT_WITHIN_S = 0.1
"""A kept connection that breaks this soon after a request was written was closed before the request arrived. Later, the
provider may have worked on it, and would be paid twice. Source: RFC 9110, section 9.2.2.
"""

NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
"""Flags of an address that is to be used as it is."""


class HttpUpstream(Part):
    """Calls providers over HTTP/1.1, with one pool of connections. Opens on first use, in the running event loop.

    The pool has no limit of its own, so nobody waits in it: how many calls there may be is decided before they get
    here. How long a provider may think is not decided here either: whoever waits cancels.

    Args:
        connect_timeout_s: for the name, the connection and TLS together.
        dead_after_s: an open connection whose other end acknowledges nothing for so long is given up.
        names_ttl_s: whole seconds for which the addresses of a name are used again.
        resolver: finds those addresses; the system does unless given.
        clock: monotonic seconds.
        ways: where it may connect to, and through which proxy.
        is_trusted: for providers whose addresses were written by the operator or an admin. Connections of others are
            not in the same pool.
    """

    name = "upstream"

    def __init__(
        self,
        *,
        connect_timeout_s: float = 10.0,
        dead_after_s: float = 30.0,
        names_ttl_s: int = 30,
        resolver: AbstractResolver | None = None,
        clock: Callable[[], float] = perf_counter,
        ways: Ways | None = None,
        is_trusted: bool = True,
    ) -> None:
        self._timeout = ClientTimeout(total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s)
        self._dead_after_s = dead_after_s
        self._names_ttl_s = names_ttl_s
        self._resolver = resolver or SystemNames()
        self._clock = clock
        self._ways = ways or Ways()
        self._is_trusted = is_trusted
        self._sockets = Sockets(direct=self._guarded_connector, proxied=self._plain_connector, timeout=self._timeout)
        self._connectors: dict[Secret | None, TCPConnector] = {}
        self._origins: dict[tuple[object, ...], Origin] = {}

    async def call(self, request: UpstreamRequest) -> Reply:
        endpoint = request.endpoint
        if request.opens_socket:
            return await self._open(request)
        origin = self._origins.get(endpoint.origin) or self._origin(endpoint)
        head = endpoint.head if origin.seen_by_proxy is None else origin.seen_by_proxy(endpoint.head)
        body = request.body
        is_second = False
        while True:
            lease = await self._connect(origin, endpoint)
            connection = cast("Connection", lease.protocol)
            was_used = connection.was_used
            if was_used and is_second:
                lease.close()  # the second try goes out on a fresh connection
                continue
            try:
                if isinstance(body, bytes):
                    connection.send(b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body)
                    await connection.head()
                else:
                    await connection.upload(head + framing(request.length), framed(body, request.length))
                return HttpReply(lease, connection)
            except BrokeOff:
                lease.close()
                if not was_used or connection.has_received or connection.written_for_s > REPEAT_WITHIN_S:
                    raise
                if not isinstance(body, bytes):
                    raise  # its pieces are gone
                # The provider closed it while it lay in the pool, and nothing was answered: it is safe to send the
                # request once more, and only once, for it may be the request that ends connections.
                is_second = True
            except BaseException:
                lease.close()
                raise

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self.close)

    async def close(self) -> None:
        connectors = [*self._connectors.values()]
        self._connectors.clear()
        self._origins.clear()
        await self._sockets.close()
        for connector in connectors:
            await connector.close()

    async def _open(self, request: UpstreamRequest) -> Reply:
        endpoint = request.endpoint
        tls, proxy = self._way(endpoint)
        try:
            return await self._sockets.open(request, tls, proxy)
        except (TimeoutError, ConnectionTimeoutError) as error:
            raise TimedOut(f"{endpoint.host} took too long to open a WebSocket") from error
        except (ClientError, OSError, UnicodeError) as error:
            raise Unreachable(f"no connection to {endpoint.host}:{endpoint.port}: {_reason(error)}") from error

    def _connector(self, proxy: Secret | None) -> TCPConnector:
        """One for each proxy, and one for what is called directly."""
        if proxy in self._connectors:
            return self._connectors[proxy]
        if proxy is None:
            connector = self._guarded_connector()
        else:
            unguarded = partial(_socket, dead_after_s=self._dead_after_s)
            connector = TunnelConnector(proxy, socket_factory=unguarded, **self._pool)
        connector._factory = cast("Any", partial(Connection, asyncio.get_running_loop(), self._clock))
        self._connectors[proxy] = connector
        return connector

    def _guarded_connector(self) -> TCPConnector:
        """Looks at each address before it connects."""
        refusal = self._ways.refusal(is_trusted=self._is_trusted)
        guard = partial(_socket, dead_after_s=self._dead_after_s, refusal=refusal)
        return TCPConnector(socket_factory=guard, **self._pool)

    def _plain_connector(self) -> TCPConnector:
        """For what goes through a proxy, whose address is the operator's own."""
        return TCPConnector(socket_factory=partial(_socket, dead_after_s=self._dead_after_s), **self._pool)

    @property
    def _pool(self) -> dict[str, Any]:
        return {
            "limit": 0,
            "keepalive_timeout": 30,
            "ttl_dns_cache": self._names_ttl_s,
            "resolver": self._resolver,
        }

    def _way(self, endpoint: Endpoint) -> tuple[ssl.SSLContext | bool, Secret | None]:
        """How its TLS is checked, and the proxy that it goes through. Raises Unreachable: there is no way."""
        try:
            tls = _ssl(endpoint.tls)
            return tls, self._ways.proxy_for(address_of(endpoint.url), is_trusted=self._is_trusted)
        except ssl.SSLError as error:
            raise Unreachable(f"no connection to {endpoint.host}: ca_cert is not a certificate in PEM") from error
        except NoWay as error:
            raise Unreachable(f"no connection to {endpoint.host}: {error}") from error

    def _origin(self, endpoint: Endpoint) -> "Origin":
        """What aiohttp's pool wants to see. It takes only the connection's key from it: one for each origin will do."""
        address = address_of(endpoint.url)
        scheme = "https" if endpoint.is_tls else "http"
        url = URL.build(scheme=scheme, host=endpoint.host, port=endpoint.port)
        context, proxy = self._way(endpoint)
        connector = self._connector(proxy)
        through = seen_by_proxy = None
        if isinstance(connector, TunnelConnector):
            through = connector.proxy
            if not endpoint.is_tls:
                seen_by_proxy = partial(absolute, f"http://{address.authority}".encode(), connector.authorization)
        shape = ClientRequest("POST", url, loop=asyncio.get_running_loop(), ssl=context, proxy=through)
        origin = Origin(connector, shape, seen_by_proxy)
        self._origins[endpoint.origin] = origin
        return origin

    async def _connect(self, origin: "Origin", endpoint: Endpoint) -> Lease:
        try:
            return await origin.connector.connect(origin.shape, [], self._timeout)
        except (TimeoutError, ConnectionTimeoutError) as error:
            raise TimedOut(f"{endpoint.host} took too long to accept a connection") from error
        except (ClientError, OSError, UnicodeError) as error:
            raise Unreachable(f"no connection to {endpoint.host}:{endpoint.port}: {_reason(error)}") from error


class Origin(NamedTuple):
    """How a scheme, host and port are reached. `seen_by_proxy`: what a proxy that reads requests is to get for a head;
    None: nobody reads it but the provider."""

    connector: TCPConnector
    shape: ClientRequest
    seen_by_proxy: Callable[[bytes], bytes] | None


def absolute(origin: bytes, more: bytes, head: bytes) -> bytes:
    """A head as proxies want it: with all of the URL in its first line, and with `more` lines.

    Source: RFC 9112, section 3.2.2.
    """
    method, space, rest = head.partition(b" ")
    return method + space + origin + rest + more


class SystemNames(AbstractResolver):
    """Has the system look names up, each in a thread of its own.

    The event loop's threads are few, uvloop's two, and a name server that is silent holds one for 10 s: two names that
    it does not answer would keep all other providers from being found. The connector never asks for one name twice at
    a time, so there are no more threads than providers.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        thread = ThreadPoolExecutor(1, thread_name_prefix="name")
        try:
            found = await asyncio.get_running_loop().run_in_executor(thread, look_up)
        finally:
            thread.shutdown(wait=False)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=NUMERIC)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        pass


class HttpReply:
    """A `Reply` read from a pooled connection."""

    __slots__ = ("_connection", "_is_closed", "_lease", "_packing", "_unpacker", "headers", "status")

    def __init__(self, lease: Lease, connection: Connection) -> None:
        self._lease = lease
        self._connection = connection
        self._is_closed = False
        self.status = connection.status
        self.headers = connection.headers
        self._packing = packing_of(encoding) if (encoding := self.headers.get("content-encoding")) else ""
        self._unpacker: Unpacker | None = None

    def read(self) -> Awaitable[bytes]:
        return self._unpacked() if self._packing else self._connection.read()

    async def _unpacked(self) -> bytes:
        # Made here: an answer that cannot be unpacked still has a status and headers.
        unpacker = self._unpacker = self._unpacker or Unpacker(self._packing)
        while True:
            if not unpacker.is_hungry:
                await asyncio.sleep(0)  # a little may unpack to much, in pieces that each take the loop for a while
            elif data := await self._connection.read():
                unpacker.feed(data)
            else:
                unpacker.end()
                return b""
            if piece := unpacker.step():
                return piece

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._connection.let_go(self._lease.release)  # closes the connection unless the reply came to its end


def _socket(address: AddrInfoType, *, dead_after_s: float, refusal: Refusal | None = None) -> socket.socket:
    """One that notices when the way to the other end is cut. Without this, the kernel tries for a quarter of an hour to
    send what is not acknowledged, and never looks while it waits for an answer.
    """
    sock = socket.socket(*address[:3]) if refusal is None else guarded_socket(address, refusal=refusal)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":  # elsewhere the system's own times count
        probe_s = math.ceil(dead_after_s / 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, probe_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_after_s * 1000))
    return sock


def _ssl(tls: Tls) -> ssl.SSLContext | bool:
    if tls == Tls():
        return True
    context = ssl.create_default_context()
    if tls.ca_cert is not None:
        context.load_verify_locations(cadata=tls.ca_cert)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    """In a word or two, and without the addresses that a resolved name stands for."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(cause, NoWay):
        return str(cause)
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "its name cannot be resolved"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return f"it does not speak TLS as it should ({cause.reason})"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno).lower()  # its own text may hold the address
    if isinstance(cause, ConnectionError):  # without an errno it comes from TLS
        return "it closed the connection instead of agreeing on TLS"
    return type(cause).__name__
