"""Reads the body, once, and finds out what is asked."""

import asyncio

import msgspec

from gateway.asgi import ASGIApp, Receive, Scope, Send, read_body
from gateway.contract import Call
from gateway.errors import BadRequest, BodyTooSlow
from gateway.exchange import Exchange
from gateway.overdue import Overdue
from gateway.wishes import metadata_of

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ParseMiddleware:
    """Fills `Exchange.call` of requests that have a dialect; others keep their body."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, body_timeout_s: float = 30.0) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.slow = Overdue(body_timeout_s, self._give_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        if exchange.dialect is not None:
            fields = parse_fields(await self._body(exchange, receive))
            ask = exchange.dialect.parse(fields)
            if b"x-tfy-metadata" in exchange.headers:
                exchange.metadata = metadata_of(exchange.headers)
            exchange.call = Call(dialect=exchange.dialect, ask=ask, fields=fields, provider_key=exchange.provider_key)
        await self.app(scope, receive, send)

    async def _body(self, exchange: Exchange, receive: Receive) -> bytes:
        self.slow.add(exchange, exchange.loop)
        try:
            body = await read_body(receive, max_bytes=self.max_body_bytes)
        except asyncio.CancelledError:
            reason = exchange.resume()
            if reason is None:
                raise
            raise reason from None
        finally:
            self.slow.discard(exchange)
        exchange.body_is_read = True
        return body

    def _give_up(self, exchange: Exchange) -> None:
        exchange.interrupt(BodyTooSlow(f"the request body did not arrive within {self.slow.after_s:g} s"))


def parse_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields of a JSON object, each as the bytes that stand there.

    Raises:
        BadRequest: it is not a JSON object in UTF-8. The text never repeats any of it.
    """
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look inside the strings it skips
        return _fields.decode(body)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the request body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise BadRequest("the request body has to be a JSON object") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"the request body is not JSON: {error}") from error
