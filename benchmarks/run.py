"""Measures the gateway beside a bare relay, on the same servers, and prints a table.

python benchmarks/run.py --quick
python benchmarks/run.py --servers hypercorn,uvicorn --rounds 7 --seconds 5 --json results.json
"""

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import report
from proc import memory_kib, split_cores
from running import Failed, free_port, running, tail, wait_for_answer
from subjects import HERE, Place, Subject, subjects

SERVERS = ("hypercorn", "uvicorn", "granian")
SUBJECTS = ("bare", "gateway", "control", "hosted")
LANES = ("ask", "crowd", "few", "burst", "silent_few", "silent_burst")
"""`silent_`: by a client that does not ask for usage."""
BURST_MODEL = "burst-2000"
OPENING_S = 2
"""What a paced stream lasts longer than it is measured, so that all can be opened first."""
LATENCY_S = 2.0
"""At most; Hypercorn closes a connection after 10,000 requests."""
HELD = (100, 500)
"""The memory per stream is what the streams after the first cost; those also pay for what is made once."""
SETTLE_S = 0.5
OPEN_FILES = 4096


class Target(NamedTuple):
    """A process that the load client can ask."""

    port: int
    pid: int
    log: Path
    prefix: str = ""
    token: str = ""


@contextmanager
def mock_running(directory: Path, cores: set[int]) -> Iterator[Target]:
    port, log = free_port(), directory / "mock.log"
    with running([sys.executable, str(HERE / "mock_upstream.py"), f"--port={port}"], cores=cores, log=log) as process:
        wait_for_answer(process, port, log, b"{}", "")
        yield Target(port, process.pid, log)


class Bench:
    """Starts and measures one subject at a time."""

    def __init__(self, mock: Target, seconds: float, *, cores: set[int]) -> None:
        self.mock = mock
        self.seconds = seconds
        self.cores = cores
        lasting_s = math.ceil(seconds) + OPENING_S
        self.crowd_model, self.few_model = f"paced-100x{lasting_s}", f"paced-50x{lasting_s}"
        self.models = ("instant", self.crowd_model, self.few_model, BURST_MODEL, "hold")

    @contextmanager
    def subject_running(self, subject: Subject, server: str) -> Iterator[tuple[Target, float]]:
        """Gives the target, and the seconds from its start to its first answer."""
        with TemporaryDirectory() as directory:
            place = Place(server, free_port(), f"http://127.0.0.1:{self.mock.port}", Path(directory))
            command, environment = subject.command(place), subject.environment()
            body = json.dumps({"model": f"{subject.prefix}instant", "messages": [{"role": "user", "content": "Hi"}]})
            log = place.directory / "output.log"
            begin_s = time.monotonic()
            with running(command, cores=self.cores, log=log, environment=environment) as process:
                wait_for_answer(process, place.port, log, body.encode(), subject.token)
                start_s = time.monotonic() - begin_s
                yield Target(place.port, process.pid, log, subject.prefix, subject.token), start_s

    def visit(self, subject: Subject, server: str) -> dict[str, float]:
        """All measurements of one subject. Memory gets a process of its own that has not worked yet."""
        with self.subject_running(subject, server) as (target, _):
            figures = self.measure_memory(target)
        with self.subject_running(subject, server) as (target, start_s):
            return {**figures, "start_s": start_s, **self.measure_load(target)}

    def measure_load(self, target: Target) -> dict[str, float]:
        figures = self.lane("ask", target) | self.measure_latency(target)
        for name in LANES[1:]:
            figures |= self.lane(name, target)
        return figures

    def lane(self, name: str, target: Target) -> dict[str, float]:
        """One kind of traffic, by its name in `LANES`."""
        match name.removeprefix("silent_"):
            case "ask":
                asked = ("ask", "instant", 32)
            case "crowd":
                asked = ("stream", self.crowd_model, 300)
            case "few":
                asked = ("stream", self.few_model, 100)
            case _:
                asked = ("burst", BURST_MODEL, 8)
        return self.load(name, target, *asked, usage=not name.startswith("silent_"))

    def measure_latency(self, target: Target) -> dict[str, float]:
        return self.load("one", target, "ask", "instant", 1, max_s=LATENCY_S)

    def measure_memory(self, target: Target) -> dict[str, float]:
        time.sleep(SETTLE_S)
        idle_rss, idle_pss = memory_kib(target.pid)
        few, many = HELD
        with self.holding(target, few):
            before, _ = memory_kib(target.pid)
            with self.holding(target, many - few):
                after, _ = memory_kib(target.pid)
        return {
            "idle_mib": idle_rss / 1024,
            "idle_pss_mib": idle_pss / 1024,
            "stream_kib": (after - before) / (many - few),
        }

    def load(
        self,
        part: str,
        target: Target,
        kind: str,
        model: str,
        connections: int,
        *,
        max_s: float = math.inf,
        usage: bool = True,
    ) -> dict[str, float]:
        """Lets the load client measure; its figures get the name of the part."""
        with self.client(target, kind, model, connections, min(self.seconds, max_s), usage=usage) as client:
            output, errors = client.communicate()
        if client.returncode:
            raise Failed(f"{part}: {errors.decode()}\n{tail(target.log)}")
        return {f"{part}.{name}": value for name, value in json.loads(output).items()}

    @contextmanager
    def holding(self, target: Target, streams: int) -> Iterator[None]:
        """Inside, so many silent streams are open."""
        with self.client(target, "hold", "hold", streams) as client:
            assert client.stdout is not None
            if not client.stdout.readline():
                raise Failed(f"hold: {client.communicate()[1].decode()}\n{tail(target.log)}")
            time.sleep(SETTLE_S)
            yield

    @contextmanager
    def client(
        self, target: Target, kind: str, model: str, connections: int, seconds: float = 0.0, *, usage: bool = True
    ) -> Iterator[subprocess.Popen[bytes]]:
        command = [
            *(sys.executable, str(HERE / "load.py"), kind, f"--port={target.port}", f"--pid={target.pid}"),
            *(f"--mock-pid={self.mock.pid}", f"--prefix={target.prefix}", f"--token={target.token}"),
            *(f"--model={model}", f"--connections={connections}", f"--seconds={seconds}"),
            *(() if usage else ("--no-usage",)),
        ]
        pipe = subprocess.PIPE
        client = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            yield client
        finally:
            client.kill()
            client.communicate()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything: the conditions, the mock alone, and by server and subject the figures of each round."""
    conditions = report.conditions(options.rounds, options.seconds)
    subject_cores, other_cores = split_cores()
    # The load client inherits them.
    os.sched_setaffinity(0, other_cores)
    servers: dict[str, dict[str, list[dict[str, float]]]] = {}
    with TemporaryDirectory() as directory, mock_running(Path(directory), other_cores) as mock:
        bench = Bench(mock, options.seconds, cores=subject_cores)
        known = subjects(bench.models)
        chosen = [known[name] for name in options.subjects]
        direct = bench.measure_load(mock)
        for server in options.servers:
            servers[server] = {subject.name: [] for subject in chosen}
            for number in range(options.rounds):
                direct_us = bench.measure_latency(mock)["one.p50_us"]
                for subject in chosen:
                    print(f"{server}, round {number + 1} of {options.rounds}: {subject.name}", file=sys.stderr)
                    figures = bench.visit(subject, server)
                    figures["one.added_us"] = figures["one.p50_us"] - direct_us
                    servers[server][subject.name].append(figures)
    return {"conditions": conditions, "direct": direct, "servers": servers}


def print_report(results: dict[str, Any]) -> None:
    for condition in results["conditions"]:
        print(f"- {condition}")
    print(f"- {report.direct(results['direct'])}")
    for server, visits in results["servers"].items():
        print(f"\n{report.table(server, visits)}")
        for remark in report.remarks(visits):
            print(f"\n{remark}")


def names_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return chosen

    return names


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=names_of(SERVERS), default=SERVERS, help="default: " + ",".join(SERVERS))
    parser.add_argument(
        "--subjects",
        type=names_of(SUBJECTS),
        default=("bare", "gateway"),
        help="default: bare,gateway; the ratios are to the first. control: the bare relay again; "
        "hosted: the bare relay on the gateway's server classes",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement, at most 30")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: shows that it works, not what it costs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures of each round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    if not (0.5 <= options.seconds <= 30 and options.rounds >= 1):
        parser.error("--seconds must be between 0.5 and 30, --rounds at least 1")
    return options


def main() -> int:
    options = read_options()
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
    try:
        results = run(options)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    print_report(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
