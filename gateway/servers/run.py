"""Serves the app until it is told to stop, and lets nobody down on the way out.

SIGTERM, SIGINT   take no more, wait for those being served, tell the rest, exit 0; a second one exits at once
SIGHUP            nothing, because manifests are watched
"""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from gateway import servers
from gateway.errors import GatewayError
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.proxy.drain import Drain
from gateway.servers.lifespan import LifespanFailed, lifespan

MAX_OPEN_FILES = 1_048_576
SPARE_FILES = 256
FEW_FILES = 1024
"""Fewer are no choice of anybody's, but a limit that was not thought of."""
FEWEST_CONNECTIONS = 16
CUT_S = 5.0
"""How long a stream may take to send its last event when the drain has run out."""
LIFESPAN_END_S = 15.0
GC_THRESHOLDS = (10_000, 2, 1_000)
"""New objects between two runs of the collector, and how many runs of one kind there are for each of the next. The
default, 700, is what a handful of requests under way have. As the event loop stands still meanwhile, the middle kind
comes before there is much to look at, even while manifests are compiled."""

SWITCH_S = 0.001
"""How long the event loop waits, each time it has to, for a thread that compiles manifests; the default is 5 ms."""


class CannotListen(Exception):
    """The port is taken, or not ours to take."""


def run(
    app: ASGIApp,
    *,
    drain: Drain,
    host: str,
    port: int,
    server: str = "hypercorn",
    linger_s: float = 0.0,
    drain_s: float = 300.0,
    on_started: Callable[[], None] | None = None,
) -> int:
    """Serves until a signal comes.

    Args:
        drain: knows whom the app is serving.
        server: one of `servers.NAMES`.
        linger_s: how long requests are still taken after the signal, each answer closing its connection.
        drain_s: how long those under way may go on after that.
        on_started: called once the app has started and the socket listens.

    Returns:
        The exit code: 0 after a signal, 1 if it could not start or end, 2 if the server is not installed. A second
        signal `n` does not return but exits with 128 + n.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_S)
    try:
        serving = servers.find(server)
        files = raise_open_files()
        limits = servers.Limits(max_connections=connections_for(files))
        if files < FEW_FILES:
            _say(
                f"only {files} files may be open, room for {limits.max_connections} connections; raise the limit "
                "(ulimit -n, LimitNOFILE in systemd, nofile of a container)"
            )
        with _listen(host, port, limits.backlog) as sock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            end = partial(_end, drain, linger_s, drain_s)
            runner.run(_serve(app, drain, sock, serving, limits, end, on_started))
    except servers.MissingPackage as error:
        _say(str(error))
        return 2
    except (CannotListen, LifespanFailed) as error:
        _say(str(error))
        return 1
    return 0


def freeze() -> None:
    """What is alive now stays: the collector need not look at it again. And it runs less often from now on."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _serve(
    app: ASGIApp,
    drain: Drain,
    sock: socket.socket,
    serving: servers.Serving,
    limits: servers.Limits,
    end: Callable[[Callable[[], None]], Awaitable[None]],
    on_started: Callable[[], None] | None,
) -> None:
    starting = asyncio.current_task()
    stopping = asyncio.Event()

    def stop(number: int) -> None:
        if stopping.is_set():
            _say("stopped at once")
            os._exit(128 + number)
        stopping.set()
        if starting:
            starting.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        async with (
            lifespan(app, end_s=LIFESPAN_END_S) as state,
            serving(_parting(app, drain), sock, state, limits) as retire,
        ):
            starting = None
            freeze()
            if on_started:
                on_started()
            await stopping.wait()
            await end(retire)
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


async def _end(drain: Drain, linger_s: float, drain_s: float, retire: Callable[[], None]) -> None:
    drain.announce()
    if linger_s:
        # A client that keeps its connection learns by an answer that it has to open another, and not by a refusal.
        _say(f"stopping: requests are taken for {linger_s:g} s more; a second signal ends all now")
        await asyncio.sleep(linger_s)
    drain.begin()
    retire()
    if drain:
        _say(f"stopping: {len(drain)} requests under way may take {drain_s:g} s more; a second signal ends them now")
    if not await _is_idle(drain, drain_s):
        _say(f"ending {len(drain)} requests")
        drain.cut()
        await _is_idle(drain, CUT_S)


async def _is_idle(drain: Drain, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await drain.idle()
    except TimeoutError:
        return False
    return True


def _parting(app: ASGIApp, drain: Drain) -> ASGIApp:
    """Once stopping, each answer closes its connection, so that the client's next one finds a gateway that stays."""

    async def parting(scope: Scope, receive: Receive, send: Send) -> None:
        def send_and_part(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                others = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
                message = {**message, "headers": [*others, (b"connection", b"close")]}
            return send(message)

        try:
            await app(scope, receive, send_and_part if drain.is_stopping else send)
        except GatewayError as error:
            # It was logged already. An answer without its end makes the server cut the connection, as an error would.
            error.__traceback__ = None  # its frames hold the exchange, which holds it

    return parting


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=host == "::")
        # Connections inherit it. granian leaves it to the socket, and then an answer in two parts takes 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens there; stop it, or choose another port with --port"
        raise CannotListen(f"cannot listen on {host}:{port}: {reason}") from error


def connections_for(files: int) -> int:
    """How many there may be at once with so many open files: each may be a client's and a provider's."""
    return max(FEWEST_CONNECTIONS, (files - SPARE_FILES) // 2)


def raise_open_files() -> int:
    """Raises the limit on open files as far as it goes, because each connection is one; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def _say(text: str) -> None:
    sys.stderr.write(f"gateway: {text}\n")
    sys.stderr.flush()
