"""A provider that costs next to nothing, so that what stands in front of it can be measured.

It answers every POST like OpenAI's chat completions. The model name says how a streamed answer comes:

- `paced-100x10`: one event, a pause in which other streams can be opened, and 100 events per second for 10 seconds,
  one event per write;
- `burst-2000`: 2000 events as fast as the socket takes them, many per write;
- `hold`: one event, then silence until the connection is closed.

Without `"stream": true` the answer is one JSON document: of `tokens-4000` a long one, of all others a small one.
Paced events carry the moment they were written, in ns of the monotonic clock, which all processes of a machine share.
"""

import argparse
import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from time import monotonic_ns
from typing import NamedTuple, cast

import uvloop

STAMP_DIGITS = 19
EVENTS_PER_BLOCK = 50
END_BYTES = 500
PAUSE_S = 1.5


def _event(delta: bytes, finish_reason: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1760000000,'
        b'"model":"mock","choices":[{"index":0,"delta":{%s},"finish_reason":%s}]}\n\n' % (delta, finish_reason)
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@lru_cache
def plain_reply(text: bytes, tokens: int) -> bytes:
    answer = (
        b'{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1760000000,"model":"mock",'
        b'"choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":19,"completion_tokens":%d,"total_tokens":%d}}' % (text, tokens, 19 + tokens)
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(answer) + answer


GREETING = b"Hello! How can I help you today?"
SENTENCE = b'Where a term is \\"defined\\" in this part, it has that meaning in all of it.\\n'
SENTENCE_TOKENS = 20
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

_NO_STAMP = b"0" * STAMP_DIGITS
EVENT = _chunk(_event(b'"content":" %s"' % _NO_STAMP))
STAMPED_EVENT = EVENT.replace(_NO_STAMP, b"%%0%dd" % STAMP_DIGITS)
BLOCK = EVENT * EVENTS_PER_BLOCK

FINISH = _chunk(_event(b"", b'"stop"'))
USAGE = _chunk(
    b'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"mock","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}\n\n'
)
END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Ask(NamedTuple):
    """What one request wants. `events` is -1 if the stream never ends; `per_s` is 0 if it is not paced.

    `reply`: all of it, if it is not streamed.
    """

    events: int = 0
    per_s: int = 0
    tail: bytes = b""
    reply: bytes = b""


def read_ask(body: bytes) -> Ask:
    """The wish in a request body. What is asked for stands before or behind the messages, and so within its ends."""
    return _read_ends(body if len(body) <= 2 * END_BYTES else body[:END_BYTES] + body[-END_BYTES:])


@lru_cache
def _read_ends(body: bytes) -> Ask:
    """Load clients repeat themselves, so that reading it costs a dictionary lookup."""
    if not re.search(rb'"stream"\s*:\s*true', body):
        tokens = re.search(rb'"model"\s*:\s*"tokens-(\d+)"', body)
        if tokens is None:
            return Ask(reply=plain_reply(GREETING, 10))
        return Ask(reply=plain_reply(SENTENCE * (int(tokens[1]) // SENTENCE_TOKENS), int(tokens[1])))
    model = re.search(rb'"model"\s*:\s*"(hold|burst|paced)(?:-(\d+)(?:x(\d+))?)?"', body)
    if model is None:
        raise ValueError(f"no such model: {body[:200]!r}")
    with_usage = re.search(rb'"include_usage"\s*:\s*true', body)
    tail = FINISH + (USAGE if with_usage else b"") + END
    kind, first, second = model.groups()
    match kind:
        case b"hold":
            return Ask(events=-1)
        case b"burst":
            return Ask(events=int(first), tail=tail)
        case _:
            return Ask(events=int(first) * int(second), per_s=int(first), tail=tail)


class Ticker:
    """Lets each of its streams write `per_s` times a second.

    The streams are spread over several moments of a period, as those of real users are. One timer serves them all.
    """

    def __init__(self, per_s: int) -> None:
        # A timer of uvloop is exact to 1 ms.
        phases = max(1, min(10, 1000 // per_s))
        self.phases: list[set[Provider]] = [set() for _ in range(phases)]
        self.step_s = 1 / (per_s * phases)
        self.streams = 0
        self._running = False
        self._joined = 0
        self._ticks = 0
        self._due_s = 0.0

    def add(self, stream: "Provider") -> None:
        self.phases[self._joined % len(self.phases)].add(stream)
        self._joined += 1
        self.streams += 1
        if not self._running:
            self._running = True
            self._due_s = asyncio.get_running_loop().time()
            self._tick()

    def discard(self, stream: "Provider") -> None:
        for phase in self.phases:
            if stream in phase:
                phase.remove(stream)
                self.streams -= 1

    def _tick(self) -> None:
        if not self.streams:
            self._running = False
            return
        for stream in tuple(self.phases[self._ticks % len(self.phases)]):
            stream.write_paced()
        self._ticks += 1
        self._due_s += self.step_s
        asyncio.get_running_loop().call_at(self._due_s, self._tick)


class Provider(asyncio.Protocol):
    """One keep-alive connection. Requests have a content-length and wait for the answer before the next."""

    def __init__(self, ticker_for: Callable[[int], Ticker]) -> None:
        self.ticker_for = ticker_for
        self.transport = cast("asyncio.Transport", None)
        self.ask = Ask()
        self.events_left = 0
        self._received = b""
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.events_left = 0
        if self.ask.per_s:
            self.ticker_for(self.ask.per_s).discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is None:  # a gateway that asks which models there are
            self._received = b""
            self.transport.write(NOT_FOUND)
            return
        if len(body) >= int(length[1]):
            self._received = b""
            self._answer(read_ask(body))

    def _answer(self, ask: Ask) -> None:
        if ask.reply:
            self.transport.write(ask.reply)
            return
        self.ask = ask
        self.events_left = ask.events
        if ask.per_s:
            self.transport.write(STREAM_HEAD + EVENT)
            asyncio.get_running_loop().call_later(PAUSE_S, self._start_pace)
        elif ask.events < 0:
            self.transport.write(STREAM_HEAD + EVENT)
        else:
            self.transport.write(STREAM_HEAD)
            self._write_burst()

    def _start_pace(self) -> None:
        if not self.transport.is_closing():
            self.ticker_for(self.ask.per_s).add(self)

    def write_paced(self) -> None:
        """Writes the next event of a paced stream, and the end after the last."""
        self.transport.write(STAMPED_EVENT % monotonic_ns())
        self.events_left -= 1
        if not self.events_left:
            self.transport.write(self.ask.tail)
            self.ticker_for(self.ask.per_s).discard(self)

    def _write_burst(self) -> None:
        while self.events_left and not self._paused:
            count = min(self.events_left, EVENTS_PER_BLOCK)
            self.events_left -= count
            block = BLOCK if count == EVENTS_PER_BLOCK else EVENT * count
            self.transport.write(block if self.events_left else block + self.ask.tail)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self.ask.per_s and self.events_left > 0:
            self._write_burst()


async def serve(port: int) -> None:
    ticker_for = lru_cache(Ticker)
    server = await asyncio.get_running_loop().create_server(
        lambda: Provider(ticker_for), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9100)
    uvloop.run(serve(parser.parse_args().port))
