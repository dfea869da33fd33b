"""WebSockets to providers, by aiohttp's client, under the same rules for addresses and proxies as all other calls.

They have connectors of their own: what aiohttp reads a WebSocket from is its own kind of connection. Redirects are not
followed, and an answer that opens no WebSocket is a reply like any other.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import (
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    TCPConnector,
    WSMsgType,
    WSServerHandshakeError,
)
from yarl import URL

from gateway.contract import Endpoint, Reply, UpstreamRequest
from gateway.errors import BrokeOff
from gateway.secrecy.secret import Secret
from gateway.wire.headers import HEADER

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
HANDSHAKE_S = 30.0
CLOSE_S = 2.0
MAX_REFUSAL_BYTES = 256 * 1024
SWITCHED = 101
NO_CODE = 1005
"""What stands for a close frame without a code. Source: RFC 6455, section 7.1.5."""
LOST = "the provider dropped the connection in the middle of the session"

_OURS = frozenset({"host", "content-type"})
"""What a handshake does without, or aiohttp writes."""

Connect = Callable[[], TCPConnector]
"""A new connector, which the session closes."""


class Sockets:
    """Opens WebSockets. One session of aiohttp's for each proxy, and one for what is called directly.

    Args:
        direct: makes the connector that looks at each address; `proxied`, the one for proxies.
    """

    def __init__(self, *, direct: Connect, proxied: Connect, timeout: ClientTimeout) -> None:
        self._direct = direct
        self._proxied = proxied
        self._timeout = timeout
        self._sessions: dict[bool, ClientSession] = {}

    async def open(self, request: UpstreamRequest, tls: ssl.SSLContext | bool, proxy: Secret | None) -> Reply:
        """A `Socket`, or the answer that refuses to open one.

        Raises:
            BrokeOff: it is no answer to that.
            TimeoutError, ClientError, OSError, UnicodeError: there is none.
        """
        endpoint = request.endpoint
        session = self._session(is_direct=proxy is None)
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                opened = await session.ws_connect(
                    URL(endpoint.url, encoded=True),
                    headers=_headers(endpoint),
                    proxy=proxy.reveal() if proxy is not None else None,
                    ssl=tls,
                    max_msg_size=MAX_MESSAGE_BYTES,
                    autoclose=False,
                    timeout=ClientWSTimeout(ws_close=CLOSE_S),
                )
        except _Answered as answered:
            return answered.reply
        except WSServerHandshakeError as error:
            raise BrokeOff("the provider answered the handshake of a WebSocket in a wrong way") from error
        return HttpSocket(opened)

    async def close(self) -> None:
        sessions = [*self._sessions.values()]
        self._sessions.clear()
        for session in sessions:
            await session.close()

    def _session(self, *, is_direct: bool) -> ClientSession:
        session = self._sessions.get(is_direct)
        if session is None:
            connector = self._direct() if is_direct else self._proxied()
            session = self._sessions[is_direct] = ClientSession(
                connector=connector,
                timeout=self._timeout,
                middlewares=(_only_sockets,),
                skip_auto_headers=("accept", "user-agent"),
            )
        return session


class HttpSocket:
    """A `Socket` of aiohttp's."""

    status = SWITCHED
    headers: Mapping[str, str] = {}

    def __init__(self, opened: ClientWebSocketResponse) -> None:
        self._opened = opened
        self.close_code = NO_CODE
        self.close_reason = ""

    async def receive(self) -> str | bytes | None:
        message = await self._opened.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                data: str | bytes = message.data
                return data
            case WSMsgType.CLOSE:
                self.close_code = message.data or NO_CODE
                self.close_reason = message.extra or ""
                return None
            case WSMsgType.ERROR:
                raise BrokeOff(f"the provider broke the WebSocket's rules: {message.data}")
            case _:
                raise BrokeOff(LOST)

    async def send(self, message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                await self._opened.send_str(message)
            else:
                await self._opened.send_bytes(message)
        except (ClientError, OSError, RuntimeError) as error:
            raise BrokeOff(LOST) from error

    async def read(self) -> bytes:
        return b""

    async def end(self, code: int) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._opened.close(code=code)
        except (TimeoutError, ClientError, OSError, RuntimeError):
            self.close()

    def close(self) -> None:
        """Cuts the connection, unless it has ended. aiohttp itself would wait for the provider."""
        self._opened._response.close()


class WholeReply:
    """A `Reply` that is all there."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """It holds no connection."""


class _Answered(Exception):
    """Instead of opening a WebSocket."""

    def __init__(self, reply: WholeReply) -> None:
        super().__init__()
        self.reply = reply


async def _only_sockets(
    request: ClientRequest, handler: Callable[[ClientRequest], Awaitable[ClientResponse]]
) -> ClientResponse:
    response = await handler(request)
    if response.status == SWITCHED:
        return response
    body = b""
    with suppress(ClientError, OSError):  # the status says enough
        while len(body) < MAX_REFUSAL_BYTES and (data := await response.content.readany()):
            body += data
    response.close()
    raise _Answered(WholeReply(response.status, response.headers, body))


def _headers(endpoint: Endpoint) -> dict[str, str]:
    lines = (line.partition(b": ") for line in endpoint.head.split(b"\r\n")[1:-1])
    named = {name.decode(): value.decode(*HEADER) for name, _, value in lines}
    return {name: value for name, value in named.items() if name not in _OURS}
