"""For tests of the gateway and its plugins: a provider that says what it is told to, and a client without a network."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import thread_time
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.contract import Record, UpstreamRequest
from gateway.proxy.asgi import ASGIApp, Message, Scope

Chunk = bytes | Exception | asyncio.Event
"""What `FakeReply.read` does next: gives bytes, raises, or waits until the event is set."""


def growth(work: Callable[[int], Callable[[], object]], *, small: int = 500, times: int = 8, runs: int = 3) -> float:
    """How many times the CPU time of something small the same takes in large: about `times` if the time grows in
    proportion, and `times * times` if something looks at everything for each of its parts.

    Args:
        work: makes what is done once for a size, ready to be done.
        runs: of which the best counts.
    """

    def least_s(size: int) -> float:
        taken = []
        for _ in range(runs):
            run = work(size)
            begun = thread_time()
            run()
            taken.append(thread_time() - begun)
        return min(taken)

    return least_s(small * times) / least_s(small)


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


class ResponseGrammar:
    """Holds a stream of the Responses API to its order: `events = ResponseGrammar.of(stream).events`.

    The response is created, then in progress; items are added one after the other, and each is done before the next; so
    are the parts in it; what is told at an end is all that came in pieces; numbers rise by one; and there is one last
    event, which has all items. After a failure items may be left open.

    Source: platform.openai.com/docs/api-reference/responses-streaming, read 2026-11.

    Raises:
        AssertionError: that, and at which event it is so no more.
    """

    LAST = ("response.completed", "response.incomplete", "response.failed", "error")
    BEGIN = ("response.created", "response.queued", "response.in_progress")
    PARTS: Mapping[str, tuple[str, str]] = {
        "response.content_part": ("content", "content_index"),
        "response.reasoning_summary_part": ("summary", "summary_index"),
    }
    TEXTS: Mapping[str, str] = {
        "response.output_text": "text",
        "response.refusal": "refusal",
        "response.reasoning_summary_text": "text",
        "response.function_call_arguments": "arguments",
        "response.custom_tool_call_input": "input",
    }

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._item: dict[str, Any] | None = None
        self._done: list[dict[str, Any]] = []
        self._parts: list[dict[str, Any]] = []
        self._part_is_open = False
        self._text = ""
        self._text_is_done = False

    @classmethod
    def of(cls, stream: bytes) -> "ResponseGrammar":
        """Of a whole stream."""
        grammar = cls()
        assert stream.endswith(b"\n\n"), f"ends in the middle of an event: {stream[-80:]!r}"
        for block in stream.removesuffix(b"\n\n").split(b"\n\n"):
            if not block.startswith(b":"):
                grammar.take(block)
        grammar.end()
        return grammar

    @property
    def response(self) -> dict[str, Any]:
        """As it was told last."""
        response: dict[str, Any] = [event["response"] for event in self.events if "response" in event][-1]
        return response

    def take(self, block: bytes) -> None:
        name, _, data = block.partition(b"\n")
        assert data.startswith(b"data: "), f"no event with a name and data: {block[:200]!r}"
        event = msgspec.json.decode(data.removeprefix(b"data: "), type=dict[str, Any])
        try:
            self._check(name.removeprefix(b"event: ").decode(), event)
        except AssertionError as error:
            raise AssertionError(f"event {len(self.events)}, {event.get('type')}: {error}\n{event}") from error
        self.events.append(event)

    def end(self) -> None:
        assert self.events, "no event at all"
        assert self.events[-1]["type"] in self.LAST, f"ends with {self.events[-1]['type']}"

    def _check(self, name: str, event: dict[str, Any]) -> None:
        kind, number = event["type"], len(self.events)
        assert kind == name, f"its name is {name}"
        assert event["sequence_number"] == number, f"its number is {event['sequence_number']}"
        assert not self.events or self.events[-1]["type"] not in self.LAST, "comes behind the last event"
        if kind in self.BEGIN:
            assert (kind == self.BEGIN[0]) == (number == 0), "the response is created first, and once"
            assert number <= 2, "comes too late"
            assert kind not in [earlier["type"] for earlier in self.events], "comes twice"
            return
        assert number >= (0 if kind == "error" else 2), "comes before the response has begun"
        if kind in self.LAST:
            self._check_last(kind, event)
        elif kind == "response.output_item.added":
            self._added(event)
        else:
            self._inside(kind, event)

    def _check_last(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "error":
            return
        response = event["response"]
        assert response["id"] == self.events[0]["response"]["id"], "another response"
        assert response["status"] == kind.removeprefix("response."), f"its status is {response['status']}"
        if kind == "response.failed":
            assert response["error"]["message"], "does not say why"
            return
        assert self._item is None, "an item is not done"
        assert response["output"] == self._done, "its output is not what was done"
        assert response["usage"]["total_tokens"] >= 0, "has no usage"
        assert (response["incomplete_details"] is None) == (kind == "response.completed"), "why it is incomplete"

    def _added(self, event: dict[str, Any]) -> None:
        assert self._item is None, "the item before is not done"
        assert event["output_index"] == len(self._done), f"its index is {event['output_index']}"
        assert event["item"]["status"] == "in_progress", "is not in progress"
        assert event["item"]["id"] not in [item["id"] for item in self._done], "an id twice"
        self._item, self._parts, self._part_is_open = event["item"], [], False
        self._text, self._text_is_done = "", False

    def _inside(self, kind: str, event: dict[str, Any]) -> None:
        item = self._item
        assert item is not None, "no item is open"
        assert event["output_index"] == len(self._done), f"its index is {event['output_index']}"
        if kind == "response.output_item.done":
            self._item_done(item, event["item"])
            return
        assert event["item_id"] == item["id"], f"about another item than {item['id']}"
        stem, _, what = kind.rpartition(".")
        if stem in self.PARTS:
            self._part(what, event, *self.PARTS[stem])
        elif stem in self.TEXTS:
            self._piece(what, event, self.TEXTS[stem])
        else:
            assert kind == "response.output_text.annotation.added", "nobody knows it"

    def _part(self, what: str, event: dict[str, Any], field: str, index: str) -> None:
        if what == "added":
            assert not self._part_is_open, "the part before is not done"
            assert event[index] == len(self._parts), f"its index is {event[index]}"
            self._part_is_open, self._text, self._text_is_done = True, "", False
            return
        assert self._part_is_open, "no part is open"
        assert self._text_is_done, "its text is not done"
        assert event[index] == len(self._parts), f"its index is {event[index]}"
        part = event["part"]
        assert part["refusal" if part["type"] == "refusal" else "text"] == self._text, "is not what came in pieces"
        self._parts.append(part)
        self._part_is_open = False

    def _piece(self, what: str, event: dict[str, Any], field: str) -> None:
        assert not self._text_is_done, "its text was done before"
        index = event.get("content_index", event.get("summary_index"))
        assert index is None or (self._part_is_open and index == len(self._parts)), "no part of it is open"
        if what == "delta":
            self._text += event["delta"]
            return
        assert event[field] == self._text, "is not what came in pieces"
        self._text_is_done = True

    def _item_done(self, item: dict[str, Any], done: dict[str, Any]) -> None:
        assert done["id"] == item["id"], f"another item than {item['id']}"
        assert done["type"] == item["type"], f"was {item['type']}"
        assert not self._part_is_open, "a part is not done"
        assert done["status"] in ("completed", "incomplete"), f"its status is {done['status']}"
        match done["type"]:
            case "message":
                assert done["content"] == self._parts, "its content is not what was done"
            case "reasoning":
                assert done["summary"] == self._parts, "its summary is not what was done"
            case "function_call":
                assert self._text_is_done, "its arguments are not done"
                assert done["arguments"] == self._text, "its arguments are not what came in pieces"
            case "custom_tool_call":
                assert self._text_is_done, "its input is not done"
                assert done["input"] == self._text, "its input is not what came in pieces"
        self._done.append(done)
        self._item = None


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
