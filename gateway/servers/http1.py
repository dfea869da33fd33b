"""Hypercorn's HTTP/1.1, without its way into HTTP/2, and with stricter reading.

h11 takes bare line feeds and folded headers, refuses empty lines before a request, and spends 40 us on each chunk of a
body, be it of one byte. Its `_receive_buffer` and `_reader` are replaced for that. Both are private, so setup.cfg pins
its minor version.
"""

import re
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, cast

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import ASGISendEvent

from gateway.servers import MAX_EARLY_BYTES, MAX_TRAILER_BYTES
from gateway.servers.target import BadTarget, is_handshake, is_served, read_target, with_host

MAX_CHUNK_LINE_BYTES = 4096
FRAMING = frozenset((b"connection", b"content-length", b"transfer-encoding"))
"""The headers that h11 has to know, as they say where an answer ends and what comes after it."""
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_FIRST_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?\r\n")
_NEXT_CHUNK = re.compile(rb"\r\n" + _FIRST_CHUNK.pattern)


class Head(RawData):
    """The head of an answer, or an interim one, which may wait for what follows it; the next one takes its place."""


class Http1(H11Protocol):
    """One connection.

    Of the head of an answer h11 only sees what it has to know. With the two regular expressions that it takes to each
    header, heads would be a sixth of what a short answer costs in all.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = cast("h11.Connection", self.connection)
        self.parser._receive_buffer = self.buffer = Buffer()
        self.has_left = False

    async def handle(self, event: Event) -> None:
        if isinstance(event, RawData):
            self.connection.receive_data(event.data)
            if self.connection is self.parser:
                await self.read_on()
            else:
                await self._handle_events()
        elif isinstance(event, Closed):
            self.has_left = True
            await self._close_stream()

    async def read_on(self) -> None:
        """Hands on what has come, to the end of one request. What is behind it waits until that has been answered.

        Hypercorn's own would wait here, and with it whoever reads: nobody would see the client leave.
        """
        if self.stream is None:
            self.buffer.skip_empty_lines()
        try:
            event = await self._hand_on()
        except h11.RemoteProtocolError as error:
            if self.parser.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self._send_error_response(error.error_status_hint)
            await self.send(Closed())
        else:
            if event is h11.PAUSED and len(self.buffer) > MAX_EARLY_BYTES:
                await self.send(Closed())
        if self.has_left:
            await self._close_stream()

    async def _hand_on(self) -> object:
        """Returns what h11 has to say when it needs more, or needs us to answer first."""
        while True:
            event = self.parser.next_event()
            if isinstance(event, h11.Request):
                await self.send(Updated(idle=False))
                await self._create_stream(event)
                if self.parser.they_are_waiting_for_100_continue:
                    await self.send(Head(self.parser.send(h11.InformationalResponse(status_code=100, headers=[]))))
            elif self.stream is None:
                return event
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
            else:
                return event

    async def _create_stream(self, request: h11.Request) -> None:
        headers, version = list(request.headers), request.http_version.decode()
        if not is_served(version, headers):
            status = 400 if version == "1.0" else 505
            raise h11.RemoteProtocolError("another HTTP", error_status_hint=status)
        try:
            target, host = read_target(request.method, request.target)
        except BadTarget as error:
            raise h11.RemoteProtocolError(str(error)) from error
        if host is not None:
            headers = with_host(headers, host, version)
        if isinstance(self.parser._reader, ChunkedReader):
            self.parser._reader = Chunks()
        about = (self.ssl, self.client, self.server, self.stream_send, STREAM_ID)
        if is_handshake(request.method, version, headers):
            self.connection = H11WSConnection(self.parser)
            self.stream = WebSocketStream(self.app, self.config, self.context, self.task_group, *about)
        else:
            self.stream = Http1Stream(self.app, self.config, self.context, self.task_group, *about)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=version,
                method=request.method.decode("ascii"),
                raw_path=target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def stream_send(self, event: StreamEvent) -> None:
        if not isinstance(event, Response):
            await super().stream_send(event)
            return
        framing = []
        lines = [b"date: " + _date(int(time()))]
        for header in event.headers:
            if header[0].lower() in FRAMING:
                framing.append(header)
            else:
                lines.append(b"%s: %s" % header)
        is_accepted = event.status_code == 101
        is_last = self.keep_alive_requests >= self.config.keep_alive_max_requests or self.connection is not self.parser
        if is_last and not is_accepted:
            framing.append((b"connection", b"close"))
        text = b"\r\n".join(lines)
        if not text.count(b"\r") == text.count(b"\n") == len(lines) - 1:
            raise h11.LocalProtocolError("a header of the answer has a line break in it")
        try:
            kind = h11.InformationalResponse if is_accepted else h11.Response
            head = self.parser.send(kind(headers=framing, status_code=event.status_code))
        except h11.LocalProtocolError:
            if self.parser.their_state is not h11.ERROR:
                raise
        else:
            await self.send(Head(head[:-2] + text + b"\r\n\r\n"))

    def is_in_head(self) -> bool:
        """True when a request has begun and its headers have not been read to their end."""
        if self.parser.their_state is not h11.IDLE:
            return False
        self.buffer.skip_empty_lines()
        return bool(self.buffer)

    def is_in_request(self) -> bool:
        """True when the client may still be sending: a request that was answered already, or to a WebSocket."""
        return self.parser.their_state in (h11.SEND_BODY, h11.ERROR, h11.SWITCHED_PROTOCOL)


class Http1Stream(HTTPStream):
    """One request. Hypercorn's own would look at each header of the answer, too."""

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is None or message["type"] != "http.response.start" or self.state is not ASGIHTTPState.REQUEST:
            await super().app_send(message)
            return
        self.response = message
        headers = list(message.get("headers", ()))
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=message["status"]))
        self.state = ASGIHTTPState.RESPONSE


class WebSocketStream(WSStream):
    """One WebSocket. Hypercorn's own, where it refuses by itself, would leave the connection open."""

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))


class Buffer(ReceiveBuffer):
    """What has come and was not read yet."""

    def skip_empty_lines(self) -> None:
        """Some clients send one behind a body. Source: RFC 9112, section 2.2."""
        if lines := _EMPTY_LINES.match(self._data):
            self.drop(lines.end())

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Up to an empty line.

        Raises:
            h11.LocalProtocolError: a line ends in a mere line feed, or continues the one before it.
        """
        size = len(self)
        if self._data == b"\r":
            return None
        lines = super().maybe_extract_lines()
        if lines is not None:
            if size - len(self) != sum(map(len, lines)) + 2 * len(lines) + 2:
                raise h11.LocalProtocolError("a line without its carriage return")
            if any(line.startswith((b" ", b"\t")) for line in lines):
                raise h11.LocalProtocolError("a folded line")
        return lines

    def is_next_line_obviously_invalid_request_line(self) -> bool:
        return self._data != b"\r" and super().is_next_line_obviously_invalid_request_line()

    def drop(self, size: int) -> None:
        del self._data[:size]
        self._next_line_search = self._multiple_lines_search = 0


class Chunks:
    """Reads a body in chunks: all that have come at once.

    Raises:
        h11.LocalProtocolError: they are not as RFC 9112, section 7.1, has them, or their trailer is too long.
    """

    def __init__(self) -> None:
        self._line = _FIRST_CHUNK
        self._left = 0
        """Bytes of the chunk that are to come."""
        self._is_trailer = False

    def __call__(self, buffer: Buffer) -> h11.Data | h11.EndOfMessage | None:
        if not self._is_trailer and (data := self._read(buffer)):
            return h11.Data(data=data)
        return self._trailer(buffer) if self._is_trailer else None

    def _read(self, buffer: Buffer) -> bytes:
        data = bytes(buffer)
        left = self._left
        parts = [data[:left]]
        at = len(parts[0])
        left -= at
        while not left:
            line = self._line.match(data, at)
            if line is None:
                if data.find(b"\n", at + 2) >= 0 or len(data) - at > MAX_CHUNK_LINE_BYTES:
                    raise h11.LocalProtocolError("a chunk does not begin with its length, or does not end after it")
                break
            self._line = _NEXT_CHUNK
            start = line.end()
            size = int(line[1], 16)
            if not size:
                self._is_trailer = True
                at = start
                break
            parts.append(data[start : start + size])
            at = start + len(parts[-1])
            left = size - len(parts[-1])
        self._left = left
        buffer.drop(at)
        return b"".join(parts)

    def _trailer(self, buffer: Buffer) -> h11.EndOfMessage | None:
        size = len(buffer)
        lines = buffer.maybe_extract_lines()
        if size - (0 if lines is None else len(buffer)) > MAX_TRAILER_BYTES:
            raise h11.LocalProtocolError("the trailer is too long")
        return None if lines is None else h11.EndOfMessage()


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
