"""Measures the gateway beside a bare relay and other gateways, on the same servers, and prints a table for each.

python benchmarks/run.py --quick
python benchmarks/run.py --servers uvicorn --lanes ask,first --subjects bare,control,gateway,redis,frozen --rounds 9
"""

import argparse
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lanes
import report
from bench import SERVERS, Bench, mock_running
from other_gateways import versions
from proc import split_cores
from running import Failed
from subject import Subject
from subjects import subjects

SUBJECTS = tuple(subjects(()))
BESIDES = ("hosted", "unlimited", "unrecorded", "again", "before", "by_latency", "by_priority")
"""What is not measured unless it is named."""
OPEN_FILES = 4096


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything: the conditions, the mock alone, and by server and subject the figures of each round."""
    conditions = report.conditions(options.rounds, options.seconds, versions(options.subjects))
    subject_cores, other_cores = split_cores()
    # The load client inherits them.
    os.sched_setaffinity(0, other_cores)
    servers: dict[str, dict[str, list[dict[str, float]]]] = {}
    with TemporaryDirectory() as directory, mock_running(Path(directory), other_cores) as mock:
        bench = Bench(mock, options.seconds, cores=subject_cores, other_cores=other_cores)
        known = subjects(bench.models)
        chosen = [known[name] for name in options.subjects]
        asked = [name for name in lanes.LANES if name in (options.lanes or lanes.DEFAULT)]
        alone = {key: value for name in asked for key, value in bench.lane(name, mock).items()}
        for server in options.servers:
            servers[server] = {subject.name: [] for subject in chosen}
            for number in range(options.rounds):
                nothing = bench.lane("one", mock) if "one" in asked else {}
                for subject in chosen:
                    print(f"{server}, round {number + 1} of {options.rounds}: {subject.name}", file=sys.stderr)
                    figures = bench.visit(subject, server, options.lanes or subject.lanes)
                    if "one.cpu_us" in figures:
                        for share in ("p50_us", "p99_us"):
                            figures[f"one.added_{share}"] = figures[f"one.{share}"] - nothing[f"one.{share}"]
                    servers[server][subject.name].append(figures)
    return {"conditions": conditions, "alone": alone, "servers": servers}


def print_report(results: dict[str, Any]) -> None:
    for condition in results["conditions"]:
        print(f"- {condition}")
    print(f"- without anything between: {report.alone(results['alone'])}")
    for server, visits in results["servers"].items():
        print(f"\n{report.table(server, visits)}")
        print("".join(f"\n- {remark}" for remark in report.remarks(visits)))


def names_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return chosen

    return names


def choose(names: list[str] | None, known: dict[str, Subject]) -> list[str]:
    """Those that are named, or all that can be measured here.

    Raises:
        Failed: one that is named cannot.
    """
    missing = {name: subject.missing for name, subject in known.items() if subject.missing}
    if names is None:
        names = [name for name in known if name not in BESIDES]
        for name in missing.keys() & set(names):
            print(f"left out: {name}: {missing[name]}", file=sys.stderr)
        return [name for name in names if name not in missing]
    if wanted := [f"{name}: {missing[name]}" for name in names if name in missing]:
        raise Failed("\n".join(wanted))
    return names


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=names_of(SERVERS), default=SERVERS, help="default: " + ",".join(SERVERS))
    parser.add_argument(
        "--subjects",
        type=names_of(SUBJECTS),
        help=f"of {', '.join(SUBJECTS)}; the ratios are to the first. Default: all that can be measured here, but "
        + ", ".join(BESIDES),
    )
    parser.add_argument(
        "--lanes",
        type=names_of(lanes.NAMES),
        help=f"of {', '.join(lanes.NAMES)}. Default: all but those called asking_, and of subjects that differ in the "
        f"way of a request alone: {', '.join(lanes.REQUESTS)}",
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
    try:
        options.subjects = choose(options.subjects, subjects(()))
    except Failed as error:
        parser.error(str(error))
    return options


def prepare() -> None:
    """What is started is ended, also by SIGTERM, and may open as many files as it needs."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


def main() -> int:
    options = read_options()
    prepare()
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
