"""HTTP/1.1 on llhttp, for the servers that run in Python.

llhttp is strict about lines, names, values and lengths. What it lets through is refused here: other versions, codings
of a body besides `chunked`, targets that are none of ours, and what goes on without an end. Two things are not seen: it
takes `RTSP/1.1` for `HTTP/1.1`, and two spaces in the first line for one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast
from urllib.parse import unquote

import httptools
import structlog

from gateway.proxy.asgi import Scope
from gateway.proxy.deadlines import Deadlines
from gateway.servers.service import Handshake, Service
from gateway.servers.target import BadTarget, is_handshake, is_served, read_target, with_host
from gateway.servers.turn import Turn, Wire, refusal

HIGH_WATER = 64 * 1024
"""More than this of a body that the app has not asked for stops the client."""
MAX_EARLY_BYTES = 64 * 1024
"""More than this behind a request that is not answered yet closes its connection. To stop reading would be kinder, but
then nobody sees the client leave."""
MAX_EARLY_REQUESTS = 100
"""So many of 27 bytes each come in one packet, and all that one packet brings are taken at once."""
MAX_BARE_BYTES = 16 * 1024
"""What may come in a row behind a head without any of a body: extensions of chunks, and a trailer, which nobody reads
and llhttp tells of when it is whole, and until then adds piece to piece."""
LENGTHS = frozenset((b"content-length", b"transfer-encoding"))
"""The headers that say where a body ends."""

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The client gets this status, and none of its other requests is read."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Http1(Wire):
    """One connection. Whatever comes is read at once, or nobody would see the client leave; requests behind the one
    that is being answered wait for their turn.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(service.loop)
        self.service = service
        self._turn: Turn | None = None  # is being answered
        self._reading: Turn | None = None  # has a body that has not come to its end
        self._early: list[tuple[Turn, Scope]] = []
        self._handshake: Handshake | None = None
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._requests = 0
        self._bare_bytes = 0
        self._early_bytes = 0
        self._is_in_head = False
        self._is_asked_for = False
        self._is_upgrade = False
        self._is_broken = False  # what comes next makes no sense
        self._is_ending = False  # the server does
        self._is_over = False  # what still comes is not looked at
        self._has_left = False
        self._deadlines: Deadlines[Http1] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def retire(self) -> None:
        """Closes now, or once a request is answered: the one that is being answered or is coming in or, on a new
        connection, the first, which is on its way and would else meet with a reset."""
        self._is_ending = True
        if self._requests and not self._is_in_head:
            self.shutdown()

    def shutdown(self) -> None:
        """Closes now, or once the request is answered that is being answered."""
        self._is_ending = True
        if self._turn is None and not self._is_over:
            self.close()

    def close(self) -> None:
        self._is_over = True
        self._wait_in(None)
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._call_later(self.service.limits.flush_s, self.transport.abort)

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._client = _address(transport, "peername")
        self._server = _address(transport, "sockname")
        self.service.connections.add(self)
        self._wait_in(self.service.idle)
        if len(self.service.connections) > self.service.limits.max_connections:
            self.close()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._turn is None or self._turn is self._reading:
            self._early_bytes = 0
        else:
            self._early_bytes += len(data)
            if self._early_bytes > MAX_EARLY_BYTES:
                self.transport.abort()  # to close it would wait for who does not read
                return
            if self._is_broken:
                return
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._on_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, Refused) else 400)
        else:
            self._weigh()

    def _weigh(self) -> None:
        """Looks at how much has come, and at what is still to come."""
        turn, reading = self._turn, self._reading
        if reading is not None:
            if self._bare_bytes > MAX_BARE_BYTES:
                self._refuse(400)
            elif reading is turn and reading.unread_bytes > HIGH_WATER:
                self.pause_reading()
        elif turn is None:
            if self._bare_bytes > self.service.limits.max_head_bytes:
                self._refuse(431)
            else:
                self._wait_in(self.service.in_head)

    def _on_upgrade(self, rest: bytes) -> None:
        """llhttp reads no further, not even the body of a request that asks for nothing we know."""
        handshake, reading = self._handshake, self._reading
        if handshake is not None and rest:
            self._refuse(400)  # the client has to wait for the answer. Source: RFC 6455, section 4.1
        elif handshake is not None:
            self._wait_in(None)
            self._let_go()
            self.service.open_websocket(self.transport, handshake)
        elif reading is not None:
            lines = [b"POST / HTTP/1.1"]
            lines += [b"%b: %b" % header for header in self._headers if header[0] in LENGTHS]
            if not reading.keeps_alive:
                lines.append(b"connection: close")
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(b"\r\n".join((*lines, b"\r\n")))
            if rest:
                self.data_received(rest)

    def eof_received(self) -> bool:
        """Returns whether the connection stays open, for what is still to be answered."""
        self._has_left = True
        if self._turn is None:
            self.close()
            return False
        self._drop_unfinished()
        self._turn.leave()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._wait_in(None)
        self.resume_writing()
        if self._turn is not None:
            self._turn.cut()
        self._let_go()

    def _let_go(self) -> None:
        """The parser holds us, as do requests: such a ring would keep their bodies."""
        if self._timer is not None:
            self._timer.cancel()
        self.service.leave(self)
        self._turn = self._reading = None
        self._early.clear()
        del self._parser

    # What the parser says.

    def on_message_begin(self) -> None:
        self._target = b""
        self._is_asked_for = False
        if self._reading is None:
            self._headers = []
            self._is_in_head = True

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:
            return  # a trailer, or one that was read before
        name = name.lower()
        value = value.rstrip(b" \t")
        if name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise Refused(501)
        elif name == b"expect":
            self._is_asked_for = value.lower() == b"100-continue"
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._reading is not None:
            return  # as we wrote it
        parser = self._parser
        method, version = parser.get_method(), parser.get_http_version()
        is_1_1 = version == "1.1"
        if not is_1_1 and not is_served(version, self._headers):
            raise Refused(400 if version == "1.0" else 505)
        target = self._read_target(method, version)
        self._requests += 1
        self._bare_bytes = 0
        self._is_in_head = False
        self._is_upgrade = parser.should_upgrade()
        if self._is_upgrade and self._turn is None and is_handshake(method, version, self._headers):
            self._handshake = Handshake(target, self._headers)
            return
        is_last = not (is_1_1 and parser.should_keep_alive())
        self._reading = turn = Turn(
            wire=self,
            method=method,
            can_chunk=is_1_1,
            keeps_alive=not is_last
            and method != b"CONNECT"
            and self._requests < self.service.limits.keep_alive_requests,
            is_last=is_last,
            is_asked_for=is_1_1 and self._is_asked_for,
        )
        scope = self._scope(method, version, target)
        if self._turn is None:
            self._wait_in(None)
            self._begin(turn, scope)
        elif len(self._early) < MAX_EARLY_REQUESTS:
            self._early.append((turn, scope))
        else:
            self._reading = None
            raise Refused(400)

    def on_body(self, piece: bytes) -> None:
        self._bare_bytes = 0
        if self._reading is not None:
            self._reading.add(piece)

    def on_message_complete(self) -> None:
        if self._reading is not None and not self._is_upgrade:
            self._reading.end()
            self._reading = None
        self._is_upgrade = False

    def _read_target(self, method: bytes, version: str) -> bytes:
        target = self._target
        if target.startswith(b"/") and b"#" not in target and method != b"CONNECT":
            return target
        try:
            target, host = read_target(method, target)
        except BadTarget as error:
            raise Refused(400) from error
        if host is not None:
            self._headers = with_host(self._headers, host, version)
        return target

    def _scope(self, method: bytes, version: str, target: bytes) -> Scope:
        path, _, query = target.partition(b"?")
        text = path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("ascii"),
            "scheme": "http",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
            "state": self.service.state.copy(),
        }

    # One request after the other.

    def _begin(self, turn: Turn, scope: Scope) -> None:
        self._turn = turn
        if self._has_left:
            turn.leave()
        service = self.service
        task = service.loop.create_task(service.app(scope, turn.receive, turn.send))
        service.tasks.add(task)
        task.add_done_callback(partial(self._on_done, turn))

    def _on_done(self, turn: Turn, task: asyncio.Task[None]) -> None:
        self.service.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the app failed", exc_info=error)
        if not turn.is_over:
            turn.fail()

    def on_answered(self, turn: Turn) -> None:
        self._turn = None
        if self._is_ending or not turn.keeps_alive:
            self._part(is_last=turn.is_last or self._is_ending)
        elif self._early:
            self._begin(*self._early.pop(0))
        elif self._is_broken or self._has_left:
            self._part(is_last=True)
        else:
            self.resume_reading()
            self._wait_in(self.service.in_head if self._is_in_head else self.service.idle)

    def _refuse(self, status: int) -> None:
        """What comes is no HTTP. In the middle of an answer this would be a part of it, so its end has to do."""
        self._is_broken = True
        turn, reading = self._turn, self._reading
        if turn is not None and (turn.has_begun or turn is not reading):
            self._drop_unfinished()
            (self._early[-1][0] if self._early else turn).keeps_alive = False
            return
        if turn is not None:
            turn.cut()
            self._turn = None
        self.transport.write(refusal(status))
        self._part(is_last=False)

    def _drop_unfinished(self) -> None:
        """What has not come of a request never will."""
        if self._reading is self._turn and self._turn is not None:
            self._turn.leave()
        elif self._reading is not None:
            self._early.pop()
        self._reading = None

    def _part(self, *, is_last: bool) -> None:
        """Closes so that the answer arrives: who is closed upon while sending gets a reset in its place."""
        is_silent = is_last and not (self._reading or self._early or self._is_in_head or self._is_broken)
        self._is_over = True
        self._early.clear()
        if is_silent or self._has_left or self.transport.is_closing():
            self.close()
            return
        self._wait_in(None)
        self.resume_reading()
        self.transport.write_eof()
        self._call_later(self.service.limits.linger_s, self.close)

    def _wait_in(self, deadlines: "Deadlines[Http1] | None") -> None:
        if deadlines is self._deadlines:
            return
        if self._deadlines is not None:
            self._deadlines.discard(self)
        if deadlines is not None:
            deadlines.add(self, self.service.loop)
        self._deadlines = deadlines

    def _call_later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.service.loop.call_later(seconds, act)


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return (address[0], address[1]) if address else None
