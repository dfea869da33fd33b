"""Turns what was raised inside into an answer in the caller's dialect."""

import asyncio
import math
from collections.abc import Awaitable
from contextlib import suppress

import structlog
from starlette.exceptions import HTTPException

from gateway.contract import Dialect
from gateway.errors import (
    ClientLeft,
    GatewayError,
    MethodNotAllowed,
    Refused,
    Unauthorized,
    Unexpected,
    UpgradeRequired,
)
from gateway.logs import traceback_text
from gateway.proxy.asgi import ASGIApp, Headers, Message, Receive, Scope, Send
from gateway.proxy.exchange import ACCEPTED, Exchange
from gateway.wire.headers import HEADER

RETRIED_BY_SDKS = frozenset({408, 409, 429}) | frozenset(range(500, 600))
UNREAD_BODY_S = 2.0
UNREAD_BODY_BYTES = 64 * 1024 * 1024
UPGRADE = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))
"""Source: RFC 9110, section 15.5.22; RFC 6455, section 4.4."""
DENIAL = "websocket.http.response"
"""The extension of ASGI with which a server lets a handshake be answered as a request is."""
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
"""Why a WebSocket is closed: the client's fault, and ours. Source: RFC 6455, section 7.4.1."""
MAX_REASON_BYTES = 123
"""Source: RFC 6455, section 5.5: 125 of a control frame, two of which are the code."""

log = structlog.get_logger(__name__)


class ErrorsMiddleware:
    """Answers for those who raised. `dialect` words the errors of paths that belong to none.

    A WebSocket that was not accepted yet is answered as a request is. If the server cannot do that, and once it was
    accepted, it is closed, with the message as the reason.
    """

    def __init__(self, app: ASGIApp, *, dialect: Dialect) -> None:
        self.app = app
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange.of(scope)
        send = exchange.noting(send)
        try:
            try:
                await self.app(scope, receive, send)
            except asyncio.CancelledError:
                exchange.raise_interrupt()
                raise
        except GatewayError as raised:
            error = raised
        except HTTPException as raised:  # from a middleware that was written for Starlette
            error = GatewayError(raised.detail)
            error.status = raised.status_code
        except Exception:
            log.error("request failed", request_id=exchange.id, path=scope["path"], traceback=traceback_text())
            error = Unexpected(f"the gateway failed; its log has the reason under request id {exchange.id}")
        else:
            return
        exchange.error = error
        error.request_id = exchange.id or None
        # Its frames hold the exchange, which holds the error. Such a ring keeps `receive` alive until the collector
        # comes, and with it the client's body, and in granian the connection.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        if isinstance(error, ClientLeft):
            return
        if exchange.status not in (0, ACCEPTED):
            raise error  # the server cuts the connection, so that nobody takes the answer for whole
        if scope["type"] == "http":
            await self._answer(exchange, error, receive, send)
        elif exchange.status == 0 and DENIAL in (scope.get("extensions") or ()):
            await self._answer(exchange, error, receive, _denying(send))
        else:
            await _close(send, error)

    async def _answer(self, exchange: Exchange, error: GatewayError, receive: Receive, send: Send) -> None:
        dialect = exchange.dialect or self.dialect
        body = error.body if isinstance(error, Refused) and error.body is not None else dialect.error(error)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers_of(error)]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        # With Expect, the client waits to be asked for its body.
        if exchange.has_unread_body and b"expect" not in exchange.headers:
            # A server that closes on unread bytes resets the connection, and the client may never see the answer.
            # The last byte has to wait as well: with the declared length sent, granian takes the request for ended.
            await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
            body = body[-1:]
            await _discard_body(receive)
        await send({"type": "http.response.body", "body": body, "more_body": False})


def headers_of(error: GatewayError) -> Headers:
    headers = []
    if isinstance(error, Refused):
        headers += [(name.lower().encode(*HEADER), value.encode(*HEADER)) for name, value in error.headers.items()]
    elif error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after_s)))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, UpgradeRequired):
        headers += UPGRADE
    if error.status in RETRIED_BY_SDKS and not error.should_retry:
        headers.append((b"x-should-retry", b"false"))
    return headers


def _denying(send: Send) -> Send:
    def send_denial(message: Message) -> Awaitable[None]:
        return send({**message, "type": f"websocket.{message['type']}"})

    return send_denial


async def _close(send: Send, error: GatewayError) -> None:
    code = error.close_code or (INTERNAL_ERROR if error.status >= 500 else POLICY_VIOLATION)
    reason = error.message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    with suppress(OSError):  # some servers raise when the client has gone
        await send({"type": "websocket.close", "code": code, "reason": reason})


async def _discard_body(receive: Receive) -> None:
    size = 0
    try:
        async with asyncio.timeout(UNREAD_BODY_S):
            while size <= UNREAD_BODY_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
