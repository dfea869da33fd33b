"""The client's end of an answer that is passed on as it is: with the provider's status and headers."""

from gateway.proxy.asgi import Headers
from gateway.proxy.writer import ResponseWriter
from gateway.wire.forwarding import for_callers
from gateway.wire.headers import HEADER
from gateway.wire.hiding import HidingReading

PROXY = "proxy-api"
"""The dialect whose answers are passed on so."""

WITHOUT_BODY = frozenset({204, 205, 304})
"""Source: RFC 9110, section 6.4.1."""


class PassingWriter(ResponseWriter):
    async def start(self, status: int, headers: Headers) -> None:
        await super().start(status, [*headers, *self._passed()])

    async def whole(self, status: int, content_type: str, body: bytes) -> None:
        named = [(b"content-type", content_type.encode(*HEADER))] if body else []
        sized = [] if status in WITHOUT_BODY else [(b"content-length", b"%d" % len(body))]
        await self.start(status, [*named, *sized])
        await self.finish(body)

    def _passed(self) -> Headers:
        attempt = self._exchange.attempt
        if attempt is None:
            return []
        reading = attempt.reading
        shown = reading.hidden if isinstance(reading, HidingReading) else bytes
        found = for_callers(attempt.headers)
        return [(name.encode(*HEADER), shown(value.encode(*HEADER))) for name, value in found.items()]


class PassedWriter(PassingWriter):
    """Of an account of a vendor's: most headers tell its owner something, and not those who use it."""

    def _passed(self) -> Headers:
        attempt = self._exchange.attempt
        found = super()._passed() if attempt is not None else []
        return [(name, attempt.hidden(value)) for name, value in found if attempt is not None and name in _SHOWN]


_SHOWN = frozenset({b"cache-control", b"content-disposition", b"content-range", b"etag", b"last-modified"})
