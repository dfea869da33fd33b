"""Real servers in processes of their own: how they start, and how they come to an end."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway import servers
from gateway.servers.run import connections_for

IN_TIME_S = 30
STREAMS = 50
HEAD = b" HTTP/1.1\r\nHost: gateway\r\n\r\n"

APP = '''
"""Stands in for the gateway: /some ends when it is released, /endless only when it is cut."""

import asyncio
import sys

from gateway.errors import GatewayError
from gateway.proxy.drain import Drain
from gateway.proxy.exchange import Exchange
from gateway.servers import run as serve

server, port, linger_s, drain_s, fault = sys.argv[1:]
drain = Drain()
release = asyncio.Event()


async def answer(send, status, text):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


async def stream(scope, send):
    exchange = Exchange.of(scope)
    drain.enter(exchange)
    try:
        with exchange.interruptible():
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first,", "more_body": True})
            await (release.wait() if scope["path"] == "/some" else asyncio.Event().wait())
            await send({"type": "http.response.body", "body": b"last."})
    except GatewayError:
        await send({"type": "http.response.body", "body": b"stopped."})
    finally:
        drain.leave(exchange)


async def lifespan(receive, send):
    await receive()
    print("starting", flush=True)
    if fault == "refuses":
        await send({"type": "lifespan.startup.failed", "message": "Traceback: ...\\nRuntimeError: no disk\\n"})
        return
    if fault == "hangs":
        await asyncio.Event().wait()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("ended", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["path"] == "/release":
        release.set()
        await answer(send, 200, b"released")
    elif drain.is_refusing:
        await answer(send, 503, b"stopping")
    elif scope["path"] == "/ping":
        await answer(send, 200, b"pong")
    else:
        await stream(scope, send)


if fault == "is missing":
    sys.modules[server] = None
sys.exit(
    serve.run(
        app,
        drain=drain,
        host="127.0.0.1",
        port=int(port),
        server=server,
        linger_s=float(linger_s),
        drain_s=float(drain_s),
        on_started=lambda: print("started", flush=True),
    )
)
'''


class Served:
    """A process that serves APP."""

    def __init__(self, folder, stack, server, linger_s, drain_s, fault, port, limits):
        self.port = port
        self._writers = []
        self._folder = folder
        (folder / "app.py").write_text(APP)
        out, err = (stack.enter_context((folder / name).open("wb")) for name in ("out", "err"))
        command = [sys.executable, folder / "app.py", server, str(port), str(linger_s), str(drain_s), fault]
        command = ["sh", "-c", f'{limits} exec "$@"', "sh", *command]
        self.process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder)
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)
        stack.callback(self._leave)

    @property
    def out(self):
        return (self._folder / "out").read_text().split()

    @property
    def err(self):
        return (self._folder / "err").read_text().splitlines()

    def send(self, number):
        self.process.send_signal(number)

    async def exit_code(self):
        return await asyncio.to_thread(self.process.wait, IN_TIME_S)

    async def connect(self):
        deadline = time.monotonic() + IN_TIME_S
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            else:
                self._writers.append(writer)
                return reader, writer

    def _leave(self):
        for writer in self._writers:
            writer.transport.abort()

    async def get(self, path):
        """Status, and whether the connection is closed after it."""
        reader, writer = await self.connect()
        writer.write(b"GET " + path + HEAD)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        return int(head.split()[1]), b"connection: close" in head.lower()

    async def is_stopping(self):
        while await self.get(b"/ping") != (503, True):
            pass

    async def open(self, path):
        reader, writer = await self.connect()
        writer.write(b"GET " + path + HEAD)
        await reader.readuntil(b"first,")
        return reader, writer


async def rest(connection):
    """The last chunk of a stream that comes to its proper end."""
    reader, _ = connection
    data = await reader.readuntil(b"0\r\n\r\n")
    return data.split(b"\r\n")[-4]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
async def start(tmp_path, free_port):
    with ExitStack() as stack:

        def start(server="hypercorn", *, linger_s=0, drain_s=IN_TIME_S, fault="", port=free_port, limits=""):
            return Served(tmp_path, stack, server, linger_s, drain_s, fault, port, limits)

        yield start
    await asyncio.sleep(0)  # connections end a turn of the loop after they were closed


@pytest.fixture(params=servers.NAMES)
def server(request):
    return request.param


@pytest.fixture(autouse=True)
async def in_time():
    async with asyncio.timeout(2 * IN_TIME_S):
        yield


async def test_streams_that_end_in_time_are_left_alone(start, server):
    """Meanwhile the door is open, so that others hear why they are sent away."""
    served = start(server)
    streams = await asyncio.gather(*(served.open(b"/some") for _ in range(STREAMS)))

    served.send(signal.SIGTERM)
    await served.is_stopping()
    await served.get(b"/release")

    assert await asyncio.gather(*map(rest, streams)) == [b"last."] * STREAMS
    assert await served.exit_code() == 0
    assert served.out == ["starting", "started", "ended"]
    assert len(served.err) == 1
    assert f"{STREAMS} requests" in served.err[0]


async def test_streams_that_do_not_are_told(start, server):
    """None is cut off in the middle of an event."""
    served = start(server, drain_s=0)
    streams = await asyncio.gather(*(served.open(b"/endless") for _ in range(STREAMS)))

    served.send(signal.SIGINT)

    assert await asyncio.gather(*map(rest, streams)) == [b"stopped."] * STREAMS
    assert await served.exit_code() == 0
    assert served.out == ["starting", "started", "ended"]
    assert len(served.err) == 2


async def ping(connection):
    """What is answered to one more request on it, without the headers that a server adds."""
    reader, writer = connection
    writer.write(b"GET /ping" + HEAD)
    data = await reader.readuntil(b"pong")
    return data[: len(b"HTTP/1.1 200")], b"connection: close" in data.lower()


async def test_who_keeps_a_connection_is_told_by_an_answer_to_open_another(start, server, until):
    """Of 97 clients that kept theirs through an upgrade, each had one request refused."""
    served = start(server, linger_s=IN_TIME_S)
    connection = await served.connect()
    before = await ping(connection)

    served.send(signal.SIGTERM)
    await until(lambda: served.err, within_s=IN_TIME_S)
    after = await ping(connection)
    closed = await connection[0].read()
    served.send(signal.SIGTERM)

    assert (before, after) == ((b"HTTP/1.1 200", False), (b"HTTP/1.1 200", True))
    assert closed == b""
    assert await served.exit_code() == 128 + signal.SIGTERM


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
async def test_connections_close_once_nothing_is_under_way_on_them(start, server):
    """Rather than have their next request refused, as long as the last stream takes."""
    served = start(server)
    stream, idle = await served.open(b"/some"), await served.connect()
    await ping(idle)

    served.send(signal.SIGTERM)
    rest_of_idle = await idle[0].read()
    await served.get(b"/release")

    assert rest_of_idle == b""
    assert await rest(stream) == b"last."
    assert await stream[0].read() == b""


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
async def test_a_connection_that_is_new_is_left_for_its_first_request(start, server):
    """It was closed with that on its way, and the client had a reset instead of a refusal."""
    served = start(server)
    stream, new = await served.open(b"/some"), await served.connect()

    served.send(signal.SIGTERM)
    await served.is_stopping()
    new[1].write(b"GET /ping" + HEAD)
    refused = await new[0].read()
    await served.get(b"/release")

    assert refused.startswith(b"HTTP/1.1 503")
    assert await rest(stream) == b"last."


async def test_a_second_signal_ends_at_once(start, server):
    served = start(server)
    await served.open(b"/endless")

    served.send(signal.SIGTERM)
    await served.is_stopping()
    served.send(signal.SIGTERM)

    assert await served.exit_code() == 128 + signal.SIGTERM
    assert served.out == ["starting", "started"]


async def test_idle_connections_do_not_hold_the_end(start, server):
    """From Python 3.12 on, waiting for a server to close waits for every connection."""
    served = start(server)
    await served.connect()
    reader, writer = await served.connect()
    writer.write(b"GET /ping" + HEAD)
    await reader.readuntil(b"pong")

    served.send(signal.SIGTERM)

    assert await served.exit_code() == 0
    assert served.err == []


@pytest.mark.parametrize(("files", "connections"), [(1_048_576, 524_160), (1024, 384), (256, 16), (64, 16)])
def test_few_open_files_are_room_for_few_connections(files, connections):
    """With 256 of them and less, every connection was closed without a word."""
    assert connections_for(files) == connections


async def test_it_is_told_that_few_files_may_be_open(start):
    served = start(limits="ulimit -n 200;")

    assert (await served.get(b"/ping"))[0] == 200
    assert "only 200 files may be open, room for 16 connections" in served.err[0]


async def test_sighup_changes_nothing(start, server):
    """A terminal that closes sends it; and manifests are watched, so nobody has to."""
    served = start(server)
    await served.get(b"/ping")

    served.send(signal.SIGHUP)

    assert await served.get(b"/ping") == (200, False)


async def test_a_signal_while_starting_ends_cleanly(start, server):
    served = start(server, fault="hangs")
    while served.out != ["starting"]:
        await asyncio.sleep(0.01)

    served.send(signal.SIGTERM)

    assert await served.exit_code() == 0
    assert served.err == []


async def test_an_app_that_cannot_start(start, server):
    """Starlette's message is a traceback; what happened is its last line."""
    served = start(server, fault="refuses")

    assert await served.exit_code() == 1
    assert served.err == ["gateway: startup failed: RuntimeError: no disk"]


async def test_a_port_that_is_taken(start, server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = start(server, port=port)

        assert await served.exit_code() == 1

    problem = "another program listens there; stop it, or choose another port with --port"
    assert served.err == [f"gateway: cannot listen on 127.0.0.1:{port}: {problem}"]


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
async def test_a_server_that_is_not_installed(start, server):
    served = start(server, fault="is missing")

    assert await served.exit_code() == 2
    problem = f"the server '{server}' needs a package that is not installed"
    assert served.err == [f"gateway: {problem}: pip install {server}"]


async def test_takes_as_many_open_files_as_it_may(start):
    """Each connection is one, and the usual soft limit is 1,024."""
    served = start()
    await served.get(b"/ping")

    limits = Path(f"/proc/{served.process.pid}/limits").read_text()

    soft, hard = next(line for line in limits.splitlines() if "open files" in line).split()[3:5]
    assert soft == hard or int(soft) == 1_048_576
