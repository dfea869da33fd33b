"""A line of a batch as a request like any other: with limits and budgets, a record and a bill of its own."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.batches.lines import Line
from gateway.batches.work import Answer, Begin
from gateway.contract import Caller, Dialect, JsonBody
from gateway.contract.batches import Batch
from gateway.proxy.asgi import ASGIApp, Message
from gateway.proxy.exchange import KEY, Exchange
from gateway.proxy.receiving import receiving

ROUTES = ("/chat/completions", "/completions", "/embeddings", "/moderations", "/responses")
"""That a batch may be for. Source: platform.openai.com/docs/api-reference/batch/create, read 2026-11."""
MAX_ANSWER_BYTES = 20 * 1024 * 1024
AGAIN_S = 5.0
"""After what a provider refuses for now, without saying for how long."""
LEAST_AGAIN_S = 0.1
MOST_AGAIN_S = 3600.0
"""Who is told to come back later than this is told so at once."""

_model = msgspec.json.Decoder(str)


class Pipeline:
    """
    Args:
        app: gives what takes requests whose caller is known.
        name_of: account, the provider's name for a model or the gateway's -> the gateway's.
    """

    def __init__(
        self, app: Callable[[], ASGIApp], dialects: Iterable[Dialect], *, name_of: Callable[[str, str], str]
    ) -> None:
        self.app = app
        self.endpoints: Mapping[str, tuple[Dialect, str]] = {
            f"/v1{route}": (dialect, route)
            for dialect in dialects
            for method, route in dialect.routes
            if method == "POST" and route in ROUTES and dialect.accepts is JsonBody
        }
        self._name_of = name_of

    async def ask(self, line: Line, batch: Batch, account: str, caller: Caller, begin: Begin) -> Answer:
        dialect, route = self.endpoints[batch.endpoint]
        body = msgspec.json.encode(self._named(line.body, account))
        headers = {
            b"content-type": b"application/json",
            b"content-length": b"%d" % len(body),
            b"user-agent": b"gateway-batch",
            b"x-tfy-metadata": msgspec.json.encode({"batch_id": batch.id}),
        }
        exchange = Exchange(headers=headers, task=asyncio.current_task(), caller=caller, dialect=dialect, route=route)
        exchange.before_sending = begin
        scope = {
            "type": "http",
            "method": "POST",
            "path": batch.endpoint,
            "raw_path": batch.endpoint.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [*headers.items()],
            "state": {KEY: exchange},
        }
        answered = Answered()
        receive = receiving({"type": "http.request", "body": body, "more_body": False})
        await self.app()(scope, receive, answered.take)
        return Answer(answered.status, exchange.id, answered.body, answered.again_s(exchange))

    def _named(self, body: Mapping[str, msgspec.Raw], account: str) -> dict[str, Any]:
        try:
            name = self._name_of(account, _model.decode(body["model"]))
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
            return {**body}  # it is told what is wrong with that
        return {**body, "model": name}


class Answered:
    """What an app sends."""

    def __init__(self) -> None:
        self.status = 499
        self.headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
            return
        data = message.get("body", b"")
        self._size += len(data)
        if self._size <= MAX_ANSWER_BYTES:
            self._parts.append(data)

    @property
    def body(self) -> bytes:
        if self._size > MAX_ANSWER_BYTES:
            return b'{"error":{"message":"the answer is too large for the output of a batch"}}'
        return b"".join(self._parts)

    def again_s(self, exchange: Exchange) -> float | None:
        """Of what was refused by a limit, or before it was sent to anybody. A limit of our own that does not say when
        it may fit says that it never will."""
        was_sent = any(attempt.sent_at is not None for attempt in exchange.attempts)
        if not (self.status == 429 or (self.status == 503 and not was_sent)):
            return None
        try:
            after_s = float(self.headers.get(b"retry-after", b""))
        except ValueError:
            if not was_sent:
                return None
            after_s = AGAIN_S
        return max(after_s, LEAST_AGAIN_S) if after_s <= MOST_AGAIN_S else None
