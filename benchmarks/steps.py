"""What one thing more costs: gateways with and without it run side by side, and are asked in turn.

    python benchmarks/steps.py --server uvicorn --subjects gateway,again,by_weight,redis
    BENCHMARK_BEFORE=../before/.venv/bin/python python benchmarks/steps.py --subjects before,gateway --lane burst

All figures are CPU time for each request or event, in microseconds; ratios are to the first subject, round by round.
"""

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import SERVERS, Bench, Target, mock_running
from lanes import LANES
from proc import split_cores
from run import SUBJECTS, choose, names_of, prepare
from running import Failed
from subjects import subjects


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Subject -> microseconds, one for each round."""
    subject_cores, other_cores = split_cores()
    os.sched_setaffinity(0, other_cores)
    found: dict[str, list[float]] = {name: [] for name in options.subjects}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        mock = stack.enter_context(mock_running(directory, other_cores))
        bench = Bench(mock, options.seconds, cores=subject_cores, other_cores=other_cores)
        known = subjects(bench.models)
        targets: dict[str, Target] = {}
        for name in options.subjects:
            targets[name], _ = stack.enter_context(bench.subject_running(known[name], options.server))
        for number in range(options.rounds + 1):
            for name, target in targets.items():
                figures = bench.lane(options.lane, target)
                if number:  # the first round warms them up
                    found[name].append(figures[f"{options.lane}.cpu_us"])
            print(f"round {number} of {options.rounds}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("--subjects", type=names_of(SUBJECTS), default=["gateway", "again", "off"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--lane", choices=LANES, default="ask", help="what is asked; default: ask")
    options = parser.parse_args()
    prepare()
    try:
        choose(options.subjects, subjects(()))
        found = measure(options)
    except Failed as error:
        sys.exit(str(error))
    first = found[options.subjects[0]]
    for name, figures in found.items():
        ratio = median(figure / base for figure, base in zip(figures, first, strict=True))
        print(f"{name:12} median {median(figures):7.1f}  least {min(figures):7.1f}  ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
