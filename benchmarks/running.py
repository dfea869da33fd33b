"""Processes that are started, waited for, and ended whatever happens."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL

START_S = 30
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


def wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path, body: bytes, token: str) -> None:
    """Asks until the answer is a 200."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    deadline = time.monotonic() + START_S
    seen = "nothing listens"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"{process.args!r} ended with {process.returncode}\n{tail(log)}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
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


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
