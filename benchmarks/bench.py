"""Starts the subjects, and lets the load client measure them."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lanes import ARRIVING_S, LANES, OPENING_S
from proc import memory_kib
from running import Failed, free_port, redis_running, running, tail, wait_for_answer
from subject import Place, Subject
from subjects import HERE

SERVERS = ("hypercorn", "uvicorn", "granian")
HELD = (100, 1100)
"""The memory per stream is what the streams after the first cost; those also pay for what is made once."""
SETTLE_S = 0.5


class Target(NamedTuple):
    """A process that the load client can ask. `freeze`: another, to be stopped meanwhile; 0: none."""

    port: int
    pid: int
    log: Path
    prefix: str = ""
    token: str = ""
    tells_usage: bool = False
    freeze: int = 0


@contextmanager
def mock_running(directory: Path, cores: set[int]) -> Iterator[Target]:
    port, log = free_port(), directory / "mock.log"
    with running([sys.executable, str(HERE / "mock_upstream.py"), f"--port={port}"], cores=cores, log=log) as process:
        wait_for_answer(process, port, log, b"{}", "")
        yield Target(port, process.pid, log)


@contextmanager
def forgiven(subject: Subject, lane: str) -> Iterator[None]:
    """What another gateway cannot do is told, and leaves no figures."""
    try:
        yield
    except Failed as error:
        if not subject.is_foreign:
            raise
        print(f"{subject.name}, {lane}: not measured: {error}", file=sys.stderr)


class Bench:
    """Starts and measures one subject at a time.

    Args:
        cores: the subject's.
        other_cores: of all else.
    """

    def __init__(self, mock: Target, seconds: float, *, cores: set[int], other_cores: set[int]) -> None:
        self.mock = mock
        self.seconds = seconds
        self.cores = cores
        self.other_cores = other_cores
        self.lasting_s = math.ceil(seconds) + math.ceil(min(seconds, ARRIVING_S)) + OPENING_S
        models = (lane.model.format(self.lasting_s) for lane in LANES.values())
        self.models = tuple(dict.fromkeys((*models, "hold")))

    @contextmanager
    def subject_running(self, subject: Subject, server: str) -> Iterator[tuple[Target, float]]:
        """Gives the target, and the seconds from its start to its first answer."""
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory()))
            place = Place(server, free_port(), f"http://127.0.0.1:{self.mock.port}", directory / "work")
            place.directory.mkdir()
            freeze = 0
            if subject.redis:
                url, redis = stack.enter_context(redis_running(directory, self.other_cores))
                place = place._replace(redis_url=url)
                freeze = redis if subject.redis == "frozen" else 0
            command, environment = subject.command(place), subject.environment(place)
            body = json.dumps({"model": f"{subject.prefix}instant", "messages": [{"role": "user", "content": "Hi"}]})
            log = place.directory / "output.log"
            begin_s = time.monotonic()
            process = stack.enter_context(running(command, cores=self.cores, log=log, environment=environment))
            wait_for_answer(process, place.port, log, body.encode(), subject.token)
            start_s = time.monotonic() - begin_s
            told = subject.tells_usage
            yield Target(place.port, process.pid, log, subject.prefix, subject.token, told, freeze), start_s
            subject.check(place)

    def visit(self, subject: Subject, server: str, lanes: Sequence[str]) -> dict[str, float]:
        """What these lanes give. Memory gets a process of its own that has not worked yet."""
        figures: dict[str, float] = {}
        if "memory" in lanes:
            with self.subject_running(subject, server) as (target, _), forgiven(subject, "memory"):
                figures |= self.measure_memory(target)
        asked = [name for name in lanes if name in LANES]
        if asked or "start" in lanes:
            with self.subject_running(subject, server) as (target, start_s):
                if "start" in lanes:
                    figures["start.s"] = start_s
                for name in asked:
                    with forgiven(subject, name):
                        figures |= self.lane(name, target)
        return figures

    def lane(self, name: str, target: Target) -> dict[str, float]:
        """Lets the load client measure; the figures get the lane's name."""
        lane = LANES[name]
        seconds = min(self.seconds, lane.max_s)
        options = [
            *(f"--seconds={seconds}", f"--prompt-bytes={lane.prompt_bytes}", f"--freeze={target.freeze}"),
            *(("--usage",) if lane.asks_usage else ()),
        ]
        model = lane.model.format(self.lasting_s)
        with self.client(target, lane.kind, model, lane.connections, options) as client:
            output, errors = client.communicate()
        if client.returncode:
            raise Failed(f"{name}: {errors.decode()}\n{tail(target.log)}")
        return {f"{name}.{key}": value for key, value in json.loads(output).items()}

    def measure_memory(self, target: Target) -> dict[str, float]:
        time.sleep(SETTLE_S)
        idle_rss, idle_pss = memory_kib(target.pid)
        few, many = HELD
        with self.holding(target, few):
            before, _ = memory_kib(target.pid)
            with self.holding(target, many - few):
                after, _ = memory_kib(target.pid)
        return {
            "memory.idle_mib": idle_rss / 1024,
            "memory.idle_pss_mib": idle_pss / 1024,
            "memory.stream_kib": (after - before) / (many - few),
        }

    @contextmanager
    def holding(self, target: Target, streams: int) -> Iterator[None]:
        """Inside, so many silent streams are open."""
        with self.client(target, "hold", "hold", streams, []) as client:
            assert client.stdout is not None
            if not client.stdout.readline():
                raise Failed(f"hold: {client.communicate()[1].decode()}\n{tail(target.log)}")
            time.sleep(SETTLE_S)
            yield

    @contextmanager
    def client(
        self, target: Target, kind: str, model: str, connections: int, options: Sequence[str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        command = [
            *(sys.executable, str(HERE / "load.py"), kind, f"--port={target.port}", f"--pid={target.pid}"),
            *(f"--mock-pid={self.mock.pid}", f"--prefix={target.prefix}", f"--token={target.token}"),
            *(f"--model={model}", f"--connections={connections}", *options),
            *(("--tells-usage",) if target.tells_usage else ()),
        ]
        pipe = subprocess.PIPE
        client = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            yield client
        finally:
            client.kill()
            client.communicate()
