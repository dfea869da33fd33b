"""The control API as ASGI apps, one for each route."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.contract import Caller
from gateway.control.control import Ask, Control
from gateway.control.routes import BASE, ROUTES, Needs, Permission, Route
from gateway.control.streaming import Streamed
from gateway.endpoints.router import UrlPath
from gateway.errors import BadRequest, NotFound
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send, send_body, too_large
from gateway.proxy.bodies import Bodies
from gateway.proxy.exchange import Exchange
from gateway.wire.allowed import why_not

MAX_BODY_BYTES = 4 * 1024 * 1024
NOBODY = Caller("")
"""Asks where no token is needed."""


class ControlEndpoint:
    """Checks what a route needs, hands the request to its handler, and writes the answer.

    Args:
        control: None: the gateway has no database.
    """

    def __init__(self, route: Route, control: Control | None, *, bodies: Bodies) -> None:
        self.route = route
        self.control = control
        self.bodies = bodies
        self._body = msgspec.json.Decoder(route.body) if route.body is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        caller = exchange.caller or NOBODY
        assert caller is not NOBODY or self.route.needs is Needs.NOTHING, "AuthMiddleware has to come before this"
        if self.control is None:
            raise NotFound("the control API keeps what it does in a database; name one in GATEWAY_DATABASE_URL")
        path = scope.get("path_params", {})
        if isinstance(self.route.needs, Permission):
            permission = self.route.needs
            self.control.access.require(caller, permission.permission, permission.on(path))
        else:
            assert isinstance(self.route.needs, Needs)
        body = b""
        if caller is not NOBODY:  # of whom no byte is kept
            if int(exchange.headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)  # while it is still to be read, so that it is known to be
            body = b"".join(await self.bodies.read(exchange, receive, max_bytes=MAX_BODY_BYTES))
        pairs = tuple(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        ask = Ask(caller, path, dict(pairs), self._decode(body), pairs)
        answer = await self.route.handler(self.control, ask)
        if isinstance(answer, Streamed):
            await answer.send(receive, send)
            return
        await send_body(send, 200, msgspec.json.encode(answer))

    def _decode(self, body: bytes) -> Any:
        if self._body is None:
            return None
        try:
            return self._body.decode(body or b"{}")
        except RecursionError as error:
            raise BadRequest("the request body is nested too deeply") from error
        except msgspec.DecodeError as error:
            raise BadRequest(f"the request body cannot be used: {why_not(error, self.route.body)}") from error
        except UnicodeDecodeError as error:
            raise BadRequest("the request body is not UTF-8") from error


def paths(control: Control | None, *, bodies: Bodies, wrap: Any) -> Iterable[UrlPath]:
    """Each route behind `wrap`, which finds out who is calling."""
    for route in ROUTES:
        endpoint = ControlEndpoint(route, control, bodies=bodies)
        app: ASGIApp = endpoint if route.needs is Needs.NOTHING else wrap(endpoint)
        yield UrlPath([route.method], BASE + route.path, app)
