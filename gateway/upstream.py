"""The only module that opens connections to providers.

It uses aiohttp's connection pool and response parser directly: `ClientSession` spends about 60 us a call on redirects,
cookies, tracing and objects nobody here looks at, more than everything else the gateway does. Of the parts used here
only `TCPConnector.connect` and `Connection.release` are documented, so setup.cfg pins aiohttp's minor version and
tests/test_upstream.py holds the rest to its behaviour.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import partial

from aiohttp import ClientConnectionError, ClientError, ClientTimeout, ConnectionTimeoutError, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from yarl import URL

from gateway.contract import Endpoint, Tls, UpstreamRequest
from gateway.errors import BrokeOff, TimedOut, Unreachable

READ_BUFFER = 64 * 1024
LARGE_BODY = 64 * 1024
BROKE_OFF = "the provider broke off in the middle of its answer"
NO_ANSWER = "the provider closed the connection without an answer"
_NO_TIMER = TimerNoop()


class HttpUpstream:
    """Calls providers over HTTP/1.1, with one pool of connections. Opens on first use, in the running event loop.

    How long a provider may think is not decided here: whoever waits cancels.
    """

    def __init__(self, *, connect_timeout_s: float = 10.0) -> None:
        self._timeout = ClientTimeout(total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s)
        self._connector: TCPConnector | None = None
        self._shapes: dict[tuple[object, ...], ClientRequest] = {}

    async def call(self, request: UpstreamRequest) -> "HttpReply":
        endpoint = request.endpoint
        connector = self._connector or self._open()
        shape = self._shapes.get(endpoint.origin) or self._shape(endpoint)
        is_second = False
        while True:
            connection = await self._connect(connector, shape, endpoint)
            protocol = connection.protocol
            assert isinstance(protocol, Protocol)
            # A parser is left over from an earlier reply: this connection was idle in the pool.
            was_idle = protocol._parser is not None
            if was_idle and (is_second or protocol.should_close):
                # Bytes that came while it was idle would be taken for the answer.
                connection.close()
                continue
            try:
                return await _exchange(connection, protocol, request)
            except (ClientConnectionError, ConnectionError) as error:
                connection.close()
                if not was_idle:
                    raise BrokeOff(NO_ANSWER) from error
                # The provider closed it just now, and nothing was answered: it is safe to send the request once more,
                # and only once, for it may be the request that ends connections.
                is_second = True
            except HttpProcessingError as error:
                connection.close()
                raise BrokeOff("the provider's answer is not HTTP") from error
            except BaseException:
                connection.close()
                raise

    async def close(self) -> None:
        if self._connector is not None:
            connector, self._connector = self._connector, None
            self._shapes.clear()
            await connector.close()

    def _open(self) -> TCPConnector:
        self._connector = TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=30)
        self._connector._factory = partial(Protocol, asyncio.get_running_loop())  # type: ignore[assignment]
        return self._connector

    def _shape(self, endpoint: Endpoint) -> ClientRequest:
        """What aiohttp's pool wants to see. It takes only the connection's key from it: one for each origin will do."""
        scheme = "https" if endpoint.is_tls else "http"
        url = URL.build(scheme=scheme, host=endpoint.host, port=endpoint.port)
        try:
            context = _ssl(endpoint.tls)
        except ssl.SSLError as error:
            raise Unreachable(f"no connection to {endpoint.host}: ca_cert is not a certificate in PEM") from error
        shape = ClientRequest("POST", url, loop=asyncio.get_running_loop(), ssl=context)
        self._shapes[endpoint.origin] = shape
        return shape

    async def _connect(self, connector: TCPConnector, shape: ClientRequest, endpoint: Endpoint) -> Connection:
        try:
            return await connector.connect(shape, [], self._timeout)
        except (TimeoutError, ConnectionTimeoutError) as error:
            raise TimedOut(f"{endpoint.host} took too long to accept a connection") from error
        except (ClientError, OSError, UnicodeError) as error:
            raise Unreachable(f"no connection to {endpoint.host}: {_reason(error)}") from error


class Protocol(ResponseHandler):
    """Knows whether anything has arrived; and tells the reader of a body when what arrives is no longer HTTP.

    aiohttp leaves that reader waiting.
    """

    has_received = False

    def data_received(self, data: bytes) -> None:
        self.has_received = True
        ResponseHandler.data_received(self, data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc, *cause)


class HttpReply:
    """A `Reply` read from a pooled connection."""

    __slots__ = ("_connection", "_payload", "_protocol", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        protocol: ResponseHandler,
        payload: StreamReader,
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._payload = payload
        self.status = status
        self.headers = headers

    async def read(self) -> bytes:
        # What `StreamReader.readany` does, without parsing nothing and resuming a transport that is not paused each
        # time: that is a third of what a streamed event costs.
        payload = self._payload
        buffer = payload._buffer
        while not buffer:
            if payload._eof:
                return b""
            if payload._exception is not None:
                raise BrokeOff(BROKE_OFF) from payload._exception
            waiter = payload._waiter = payload._loop.create_future()
            try:
                await waiter
            except (ClientError, ConnectionError, HttpProcessingError) as error:
                raise BrokeOff(BROKE_OFF) from error
            finally:
                payload._waiter = None
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        payload._size = 0
        if payload._http_chunk_splits:
            payload._http_chunk_splits.clear()
        if self._protocol._reading_paused:
            self._protocol.resume_reading()
        return data

    def close(self) -> None:
        self._connection.release()  # closes the connection unless the reply was read to its end


async def _exchange(connection: Connection, protocol: Protocol, request: UpstreamRequest) -> HttpReply:
    protocol.set_response_params(timer=_NO_TIMER, read_until_eof=True, read_bufsize=READ_BUFFER)
    protocol.has_received = False
    transport = protocol.transport
    if transport is None:
        raise ClientConnectionError("closed while it was idle")
    body = request.body
    head = b"%bcontent-length: %d\r\n\r\n" % (request.endpoint.head, len(body))
    if len(body) < LARGE_BODY:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)
    try:
        while True:
            message, payload = await protocol.read()
            if message.code >= 200:  # 1xx come before the answer
                break
    except (ClientConnectionError, ConnectionError) as error:
        if protocol.has_received:
            raise BrokeOff(BROKE_OFF) from error
        raise
    if payload is EMPTY_PAYLOAD:
        payload = StreamReader(protocol, READ_BUFFER, loop=asyncio.get_running_loop())
        payload.feed_eof()
    return HttpReply(connection, protocol, payload, message.code, message.headers)


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
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "its name cannot be resolved"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return f"it does not speak TLS as it should ({cause.reason})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.split("[")[0].strip().lower() or type(cause).__name__
    return type(cause).__name__
