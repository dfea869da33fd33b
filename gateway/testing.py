"""For tests of the gateway and its plugins: a provider that says what it is told to, and a client without a network."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.contract import Record, UpstreamRequest
from gateway.proxy.asgi import ASGIApp, Message, Scope

Chunk = bytes | Exception | asyncio.Event
"""What `FakeReply.read` does next: gives bytes, raises, or waits until the event is set."""


class FakeReply:
    """A `Reply` made of prepared chunks. `is_closed` tells whether the caller gave it back."""

    def __init__(self, status: int, chunks: Sequence[Chunk], headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.is_closed = False
        self._chunks = iter(chunks)

    async def read(self) -> bytes:
        for chunk in self._chunks:
            if isinstance(chunk, bytes):
                return chunk
            if isinstance(chunk, Exception):
                raise chunk
            await chunk.wait()
        return b""

    def close(self) -> None:
        self.is_closed = True


Said = str | bytes | Exception | asyncio.Event
"""What a `FakeSocket` does next, as `Chunk` above."""


class FakeSocket:
    """A `Socket` whose provider says what it is told to, and then closes, if it is told with which code.

    `heard` has what it was sent, `ended` the code with which the gateway has closed it; `is_cut`: without any.
    """

    status = 101
    headers: Mapping[str, str] = {}

    def __init__(self, *said: Said, closes: tuple[int, str] | None = None) -> None:
        self.heard: list[str | bytes] = []
        self.has_heard = asyncio.Event()
        self.ended: int | None = None
        self.is_cut = False
        self.close_code, self.close_reason = closes or (1005, "")
        self._closes = closes is not None
        self._said = iter(said)

    async def receive(self) -> str | bytes | None:
        for said in self._said:
            if isinstance(said, str | bytes):
                return said
            if isinstance(said, Exception):
                raise said
            await said.wait()
        if not self._closes:
            await asyncio.Event().wait()
        return None

    async def send(self, message: str | bytes) -> None:
        self.heard.append(message)
        self.has_heard.set()

    async def end(self, code: int) -> None:
        self.ended = self.ended or code

    async def read(self) -> bytes:
        return b""

    def close(self) -> None:
        self.is_cut = self.ended is None


class FakeUpstream:
    """An `Upstream` that gives its replies in order and keeps what it was asked.

        upstream = FakeUpstream((200, [b"data: ...\\n\\n", BrokeOff("cut")]), (503, [b"busy"], {"retry-after": "1"}))

    Each is (status, chunks) or (status, chunks, headers), an exception that stands for a call that failed, or a
    `FakeSocket`. The last one is given again and again. Without headers, the first chunk decides whether it is an event
    stream or JSON.
    A body in pieces is kept whole.
    """

    def __init__(self, *replies: tuple[Any, ...] | Exception | FakeSocket) -> None:
        self.replies: list[FakeReply] = []
        self.requests: list[UpstreamRequest] = []
        self._script = list(replies)

    async def call(self, request: UpstreamRequest) -> FakeReply | FakeSocket:
        if not isinstance(request.body, bytes):
            body = b"".join([piece async for piece in request.body])
            request = msgspec.structs.replace(request, body=body)
        self.requests.append(request)
        script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(script, Exception):
            raise script
        if isinstance(script, FakeSocket):
            return script
        status, chunks, *rest = script
        reply = FakeReply(status, chunks, {"content-type": _content_type(chunks)} | (rest[0] if rest else {}))
        self.replies.append(reply)
        return reply

    def asked(self, index: int = -1) -> Any:
        """The decoded JSON body of a request."""
        body = self.requests[index].body
        assert isinstance(body, bytes)
        return msgspec.json.decode(body)


class ListSink:
    """A `Sink` that keeps the records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def write(self, records: Sequence[Record]) -> None:
        self.records += records


class Answer:
    """What an app sent: `chunks` as they were sent, the last one included when it is empty."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.is_complete = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.chunks.append(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)


async def post(
    app: ASGIApp,
    path: str,
    body: object = b"",
    *,
    headers: Mapping[str, str] | None = None,
    leaves: asyncio.Event | None = None,
) -> Answer:
    """Sends one request to an app, as a server would.

    Args:
        body: bytes as they are, anything else as JSON.
        leaves: once set, the client is gone.
    """
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return await _request(app, "POST", path, data, headers or {}, leaves)


async def get(app: ASGIApp, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
    return await _request(app, "GET", path, b"", headers or {}, None)


async def request(
    app: ASGIApp, method: str, path: str, body: object = b"", *, headers: Mapping[str, str] | None = None
) -> Answer:
    """Sends a request of any kind. `path` as in a URL: percent-encoded, and with the query if there is one."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    answer, (encoded, _, query) = Answer(), path.partition("?")
    scope = http_scope(method, unquote(encoded), headers or {}, len(data))
    scope.update(raw_path=encoded.encode(), query_string=query.encode())
    await app(scope, _receive(data, asyncio.Event()), answer.take)
    return answer


async def _request(
    app: ASGIApp, method: str, path: str, body: bytes, headers: Mapping[str, str], leaves: asyncio.Event | None
) -> Answer:
    answer = Answer()
    await app(http_scope(method, path, headers, len(body)), _receive(body, leaves or asyncio.Event()), answer.take)
    return answer


def http_scope(method: str, path: str, headers: Mapping[str, str], content_length: int) -> Scope:
    lines = {"host": "gateway.test", "content-length": str(content_length)} | dict(headers)
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in lines.items()],
        "client": ("127.0.0.1", 50000),
    }


def _receive(body: bytes, leaves: asyncio.Event) -> Callable[[], Any]:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    return receive


def _content_type(chunks: Sequence[Chunk]) -> str:
    first = next((chunk for chunk in chunks if isinstance(chunk, bytes)), b"")
    return "text/event-stream" if first.startswith((b"data:", b"event:", b":")) else "application/json"
