"""What was asked and answered, kept for whoever looks at the request later; only where the configuration says so."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.contract import Caller, Choice, JsonBody, Outcome, RawBody
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange

MAX_BYTES = 64 * 1024
"""Of either; what is beyond is left out."""


class Hides(Protocol):
    @property
    def patterns(self) -> Sequence[tuple[re.Pattern[str], str]]:
        """What must not be read, and what is to stand in its place."""


class BodyRules(Protocol):
    """Whose bodies are kept. `bodies`: `never` is the answer to all further questions."""

    @property
    def bodies(self) -> str: ...

    def keeps_bodies(
        self, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str], wished: bool | None
    ) -> bool: ...

    def redaction(self, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str]) -> Hides | None: ...


class Kept(msgspec.Struct, frozen=True):
    """Of one request, as it came and went. `hides`: to be asked before anybody sees it."""

    request_id: str
    input: bytes
    output: bytes
    is_cut: bool
    hides: Hides | None = None


class Beginning:
    """An observer that keeps the first of what passes by."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_cut = False

    def chunk(self, data: bytes) -> None:
        room = MAX_BYTES - len(self.data)
        if len(data) > room:
            self.is_cut = True
            data = data[:room]
        self.data += data

    def end(self, outcome: Outcome) -> None:
        """It stays as it is."""


class ContentMiddleware:
    """Hands what was asked and answered to `keep`, which must not wait. Uploads and binary answers are not kept.

    Args:
        rules: gives those in force.
    """

    def __init__(self, app: ASGIApp, *, rules: Callable[[], BodyRules], keep: Callable[[Kept], None]) -> None:
        self.app = app
        self.rules = rules
        self.keep = keep

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        rules = self.rules()
        if rules.bodies == "never":
            return self.app(scope, receive, send)
        exchange = Exchange.of(scope)
        about = exchange.choice, exchange.caller, exchange.metadata
        if not rules.keeps_bodies(*about, exchange.options.logs_bodies):
            return self.app(scope, receive, send)
        return self._keeping(rules.redaction(*about), exchange, scope, receive, send)

    async def _keeping(
        self, hides: Hides | None, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer = Beginning()
        exchange.observers = [*exchange.observers, answer]
        try:
            await self.app(scope, receive, send)
        finally:
            asked = _asked(exchange)
            is_cut = len(asked) > MAX_BYTES or answer.is_cut
            self.keep(Kept(exchange.id, asked[:MAX_BYTES], bytes(answer.data), is_cut, hides))


def _asked(exchange: Exchange) -> bytes:
    body = exchange.call.request.body if exchange.call is not None else None
    data = body.data if isinstance(body, JsonBody | RawBody) else b""
    return data if isinstance(data, bytes) else b""  # what is stored in a file is an upload
