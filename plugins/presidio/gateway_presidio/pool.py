"""Processes that look at texts, and that may hang or die without doing the gateway any harm."""

import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import structlog

from gateway.errors import UpstreamError
from gateway_presidio.config import PresidioConfig
from gateway_presidio.frames import Answer, Ready, receive, send

COMMAND = (sys.executable, "-P", "-m", "gateway_presidio.worker")
MAX_WAITING = 100
"""Requests that wait for a worker."""
REST_S = 10.0
"""Who cannot be started is left alone for so long: each try takes seconds of a core."""
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "TMPDIR")
"""Of the environment, which has keys in it."""

log = structlog.get_logger(__name__)

T = TypeVar("T")
Job = tuple[Future[Answer], Sequence[str]]


class Pool:
    """Starts a process for each worker when it is first needed, and another one for each that has hung or died.

    A request that is given up is finished by its worker all the same, as long as its time is not over: to start
    another one takes longer, and whoever hangs up must not be able to make it happen.

    Args:
        command: what a worker is; see `gateway_presidio.worker.main`.
    """

    def __init__(
        self,
        config: PresidioConfig,
        *,
        command: Sequence[str] = COMMAND,
        max_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._room = threading.BoundedSemaphore(max_waiting)
        self._seats = [_Seat(config, command, clock) for _ in range(config.workers)]
        self._is_started = False
        weakref.finalize(self, _stop, self._jobs, len(self._seats))

    async def check(self, texts: Sequence[str]) -> Answer:
        """Raises UpstreamError: they could not be looked at."""
        if not self._room.acquire(blocking=False):
            raise UpstreamError("presidio has too much to do: raise `workers`, or look at fewer requests")
        future: Future[Answer] = Future()
        if not self._is_started:
            self._is_started = True
            for seat in self._seats:
                threading.Thread(target=seat.serve, args=(self._jobs, self._room), daemon=True, name="presidio").start()
        self._jobs.put((future, texts))
        return await asyncio.wrap_future(future)


def _stop(jobs: "queue.SimpleQueue[Job | None]", seats: int) -> None:
    for _ in range(seats):
        jobs.put(None)


class _Seat:
    """Where one process works after the other. A thread of its own waits for them."""

    def __init__(self, config: PresidioConfig, command: Sequence[str], clock: Callable[[], float]) -> None:
        self._config = config
        self._command = command
        self._clock = clock
        self._process: _Process | None = None
        self._problem: str | None = None
        self._retry_at_s = 0.0

    def serve(self, jobs: "queue.SimpleQueue[Job | None]", room: threading.BoundedSemaphore) -> None:
        while (job := jobs.get()) is not None:
            # Only now: what was given up takes up room as long as it is in the queue.
            room.release()
            self._do(*job)
            del job
        self._end()

    def _do(self, future: Future[Answer], texts: Sequence[str]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            answer = self._ask(texts)
        except BaseException as error:  # it is told to whoever waits
            future.set_exception(error)
        else:
            future.set_result(answer)

    def _ask(self, texts: Sequence[str]) -> Answer:
        """Raises UpstreamError."""
        if self._process is not None and self._process.has_ended:
            self._end()
        process = self._process or self._started()
        try:
            answer = process.ask(texts, Answer, self._config.timeout_ms / 1000)
        except TimeoutError:
            self._end()
            raise UpstreamError(f"presidio took longer than {self._config.timeout_ms} ms") from None
        except (EOFError, OSError, ValueError) as error:
            self._end()
            raise UpstreamError(f"a worker of presidio died: {type(error).__name__}") from None
        if answer.problem is not None:
            raise UpstreamError(f"presidio failed with {answer.problem}")
        if len(answer.texts) != len(texts):
            raise UpstreamError("presidio did not answer with one text for each")
        return answer

    def _started(self) -> "_Process":
        """Raises UpstreamError: it cannot be, or could not a moment ago."""
        if self._problem is not None and self._clock() < self._retry_at_s:
            raise UpstreamError(self._problem)
        try:
            self._process = _Process(self._command)
            ready = self._process.ask(self._config, Ready, self._config.start_timeout_ms / 1000)
            problem = ready.problem
        except TimeoutError:
            problem = f"not ready within {self._config.start_timeout_ms} ms"
        except (EOFError, OSError, ValueError) as error:
            problem = f"{type(error).__name__} while it started"
        if problem is None and self._process is not None:
            self._problem = None
            return self._process
        self._end()
        self._problem = f"presidio cannot be started: {problem}"
        self._retry_at_s = self._clock() + REST_S
        log.error("guardrail worker cannot be started", why=problem, retry_s=REST_S)
        raise UpstreamError(self._problem)

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


class _Process:
    """Raises OSError: it cannot be started."""

    def __init__(self, command: Sequence[str]) -> None:
        self._sock, theirs = socket.socketpair()
        environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # so that ^C in a terminal is the gateway's alone
            )
        except BaseException:
            self._sock.close()
            raise
        finally:
            theirs.close()

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(self, value: object, kind: type[T], timeout_s: float) -> T:
        """What it answers. Raises EOFError, OSError, TimeoutError, ValueError."""
        until = time.monotonic() + timeout_s

        def limit() -> None:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._sock.settimeout(left_s)

        limit()
        send(self._sock, value)
        return receive(self._sock, kind, before=limit)

    def end(self) -> None:
        self._sock.close()
        self._popen.kill()
        self._popen.wait()
