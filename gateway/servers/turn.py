"""One request and its answer, between an app and a connection that speaks HTTP/1.1."""

import asyncio
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time

import msgspec

from gateway.proxy.asgi import Headers, Message

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
BODILESS = frozenset((204, 304))
FRAMING = frozenset((b"connection", b"content-length", b"transfer-encoding"))
"""The headers that say where an answer ends, and what comes after it."""


class Wire(asyncio.Protocol):
    """A connection, as far as a request has to do with it."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop  # to ask for the running one is a system call in Python 3.11
        self.full: asyncio.Event | None = None  # while the client does not read; set when it reads on
        self._is_paused = False

    def on_answered(self, turn: "Turn") -> None:
        """Called once, when nothing more will be sent."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.full = asyncio.Event()

    def resume_writing(self) -> None:
        if self.full is not None:
            self.full.set()
            self.full = None


class Turn(msgspec.Struct, eq=False):
    """What the app receives of a request, and what it sends in answer."""

    wire: Wire
    method: bytes
    can_chunk: bool
    """False before HTTP/1.1, where an answer of unknown length ends with its connection."""
    keeps_alive: bool
    """Whether another request may follow; False once the answer has said otherwise."""
    is_last: bool
    """The client has said that no other request follows. Where only the answer says so, one may be on its way."""
    is_asked_for: bool
    """The client waits for a word before it sends the body. Source: RFC 9110, section 10.1.1."""
    is_whole: bool = False
    has_left: bool = False
    has_begun: bool = False
    """The answer has."""
    is_over: bool = False
    unread_bytes: int = 0
    _pieces: list[bytes] = []
    _is_read: bool = False
    _news: asyncio.Event | None = None
    _head: bytes = b""
    """Goes out with what follows it at once: one system call less for each answer."""
    _has_body: bool = True
    _is_chunked: bool = False
    _left: int | None = None
    """What is missing of the declared length of the answer."""

    # What the connection says.

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.unread_bytes += len(piece)
        self._tell()

    def end(self) -> None:
        """The request has come to its end."""
        self.is_whole = True
        self._tell()

    def leave(self) -> None:
        """Nothing more comes from the client. What came is still handed on, if it is all of the request."""
        self.has_left = True
        self._tell()

    def cut(self) -> None:
        """Nobody hears any more of the answer."""
        self.is_over = True
        self._head = b""
        self._pieces.clear()
        self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

    # What the app asks.

    async def receive(self) -> Message:
        if self.is_asked_for and not self.has_begun and not self._pieces and not self.is_whole:
            self.wire.transport.write(CONTINUE)
        self.is_asked_for = False
        while not self.is_over:
            if self.is_whole and not self._is_read:
                return self._next()
            if self.has_left:
                break
            if self._pieces:
                return self._next()
            self.wire.resume_reading()
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _next(self) -> Message:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread_bytes = 0
        self._is_read = self.is_whole
        self.wire.resume_reading()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    async def send(self, message: Message) -> None:
        """What is sent to a client that has gone goes nowhere; `receive` tells of it.

        Raises:
            RuntimeError: this does not belong here, or not into an answer.
        """
        if self.wire.full is not None and not self.is_over:
            await self.wire.full.wait()
        if self.is_over:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.has_begun:
            self._send_body(message.get("body", b""), is_last=not message.get("more_body", False))
        elif kind == "http.response.start" and not self.has_begun:
            self._send_head(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{kind} is not what comes next in an answer")

    def fail(self) -> None:
        """The app has ended without the end of its answer."""
        self.keeps_alive = False
        if not self.has_begun and not self.has_left:
            self.wire.transport.write(refusal(500))
        self._finish()

    def _send_head(self, status: int, headers: Headers) -> None:
        if status < 200:
            raise RuntimeError(f"status {status} is not that of an answer")
        lines = []
        length: int | None = None
        for header in headers:
            name = header[0].lower()
            if name not in FRAMING:
                lines.append(b": ".join(header))
            elif name == b"content-length":
                length = int(header[1])
            elif b"close" in header[1].lower():
                self.keeps_alive = False
        self._has_body = self.method != b"HEAD" and status not in BODILESS
        if length is not None and status != 204:
            lines.append(b"content-length: %d" % length)
            self._left = length
        elif self._has_body and self.can_chunk:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        elif self._has_body:
            self.keeps_alive = False
        # Who is answered while it sends would have to send all the rest before anything else.
        if not self.keeps_alive or not self.is_whole:
            self.keeps_alive = False
            lines.append(b"connection: close")
        self._head = head_of(status, lines)
        self.has_begun = True
        self.wire.loop.call_soon(self._send_held)

    def _send_held(self) -> None:
        if self._head:
            self.wire.transport.write(self._head)
            self._head = b""

    def _send_body(self, body: bytes, *, is_last: bool) -> None:
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                data += LAST_CHUNK
        elif self._has_body:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (is_last and self._left):
                    raise RuntimeError("the body of the answer is not as long as its Content-Length")
            data = body
        else:
            data = b""
        if self._head:
            data = self._head + data
            self._head = b""
        if data:
            self.wire.transport.write(data)
        if is_last:
            self._finish()

    def _finish(self) -> None:
        self.cut()
        self.wire.on_answered(self)


def head_of(status: int, lines: Sequence[bytes]) -> bytes:
    """The head of an answer.

    Args:
        lines: its headers, but for the date.

    Raises:
        RuntimeError: it would be another head than it should, or none.
    """
    if not 100 <= status <= 999:
        raise RuntimeError(f"HTTP has no status {status}")
    head = b"\r\n".join((_opening(status, int(time())), *lines, b"\r\n"))
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 3:
        raise RuntimeError("a header of the answer has a line break in it")
    return head


def refusal(status: int) -> bytes:
    """An answer that says no more than its status, and is the last one."""
    return head_of(status, (b"content-length: 0", b"connection: close"))


@lru_cache(maxsize=16)
def _opening(status: int, second: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\ndate: {formatdate(second, usegmt=True)}".encode()
