"""Two translators as one."""

from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody, Reading, Translator
from gateway.contract.call import TellsFailure
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.errors import GatewayError, UpstreamError


class Joined:
    """From the dialect of the first to the format of the second; what the first translates into, the second takes."""

    def __init__(self, first: Translator, second: Translator) -> None:
        self.dialect = first.dialect
        self.format = second.format
        self._first = first
        self._second = second

    def request(self, call: Call, model: str) -> Body:
        between = self._between(call, model)
        body = self._second.request(between, model)
        dropped = between.request.body.dropped_params if isinstance(between.request.body, JsonBody) else ()
        if not dropped or not isinstance(body, JsonBody):
            return body
        return msgspec.structs.replace(body, dropped_params=(*dropped, *body.dropped_params))

    def reading(self, call: Call, head: Head) -> Reading:
        inner = self._second.reading(call, head)
        kind = inner.content_type or head.headers.get("content-type", "")
        return JoinedReading(
            inner, self._first.reading(call, Head(head.status, {"content-type": kind}, inner.is_stream))
        )

    def _between(self, call: Call, model: str) -> Call:
        body = self._first.request(call, model)
        return msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, body=body))


class JoinedReading:
    """What the inner one makes of the provider's bytes, the outer one reads."""

    def __init__(self, inner: Reading, outer: Reading) -> None:
        self._inner = inner
        self._outer = outer
        self.content_type = outer.content_type
        self.is_stream = outer.is_stream

    @property
    def events(self) -> int:
        return self._inner.events

    @property
    def has_begun(self) -> bool:
        return self._outer.has_begun

    @property
    def is_over(self) -> bool:
        return self._inner.is_over or self._outer.is_over

    def feed(self, data: bytes) -> bytes:
        out = self._inner.feed(data)
        return self._outer.feed(out) if out else out

    def end(self) -> bytes:
        rest = self._inner.end()
        return (self._outer.feed(rest) if rest else b"") + self._outer.end()

    def is_complete(self) -> bool:
        return self._inner.is_complete() and self._outer.is_complete()

    def told_error(self) -> UpstreamError | None:
        return self._outer.told_error()

    def usage(self) -> Usage | None:
        return self._inner.usage() or self._outer.usage()

    def service_tier(self) -> str | None:
        return self._inner.service_tier()

    @property
    def response(self) -> dict[str, Any] | None:
        """What the outer one makes of it, if that is something to be kept."""
        return getattr(self._outer, "response", None)

    def failure(self, error: GatewayError) -> bytes:
        """As the outer one tells it."""
        return self._outer.failure(error) if isinstance(self._outer, TellsFailure) else b""
