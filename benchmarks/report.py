"""Medians and ratios of what was measured, as Markdown."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

Visit = Mapping[str, float]

SATURATED = 0.85
DISTURBED = 0.05
PARTS = ("ask", "one", "crowd", "few", "burst", "silent_few", "silent_burst")
PACKAGES = ("aiohttp", "uvloop", "hypercorn", "h11", "uvicorn", "httptools", "granian", "msgspec")


class Row(NamedTuple):
    key: str
    label: str
    digits: int = 0
    scale: float = 1.0


ROWS = (
    Row("ask.per_s", "plain, 32 connections: requests/s"),
    Row("ask.cpu_us", "plain, 32 connections: CPU per request, µs"),
    Row("one.cpu_us", "plain, 1 connection: CPU per request, µs"),
    Row("one.p50_us", "plain, 1 connection: p50, µs"),
    Row("one.p99_us", "plain, 1 connection: p99, µs"),
    Row("one.added_us", "plain, 1 connection: p50 added to the direct way, µs"),
    Row("crowd.per_s", "300 streams × 100/s: events/s"),
    Row("crowd.cpu_us", "300 streams × 100/s: CPU per event, µs", 1),
    Row("crowd.subject_busy", "300 streams × 100/s: core busy, %", scale=100),
    Row("crowd.gap_p50_ms", "300 streams × 100/s: gap p50, ms", 1),
    Row("crowd.gap_p99_ms", "300 streams × 100/s: gap p99, ms", 1),
    Row("crowd.gap_max_ms", "300 streams × 100/s: longest gap, ms", 1),
    Row("crowd.delay_p99_ms", "300 streams × 100/s: delay p99, ms", 1),
    Row("few.cpu_us", "100 streams × 50/s: CPU per event, µs", 1),
    Row("few.subject_busy", "100 streams × 50/s: core busy, %", scale=100),
    Row("few.gap_p99_ms", "100 streams × 50/s: gap p99, ms", 1),
    Row("few.gap_max_ms", "100 streams × 50/s: longest gap, ms", 1),
    Row("few.delay_p50_ms", "100 streams × 50/s: delay p50, ms", 2),
    Row("few.delay_p99_ms", "100 streams × 50/s: delay p99, ms", 2),
    Row("burst.per_s", "bursts, 8 streams: events/s"),
    Row("burst.cpu_us", "bursts, 8 streams: CPU per event, µs", 2),
    Row("silent_few.cpu_us", "100 streams × 50/s, usage not asked for: CPU per event, µs", 1),
    Row("silent_burst.per_s", "bursts, 8 streams, usage not asked for: events/s"),
    Row("silent_burst.cpu_us", "bursts, 8 streams, usage not asked for: CPU per event, µs", 2),
    Row("idle_mib", "memory when idle (RSS), MiB", 1),
    Row("stream_kib", "memory per open stream, KiB", 1),
    Row("start_s", "from start to first answer, s", 2),
)


def table(server: str, visits: Mapping[str, Sequence[Visit]]) -> str:
    """The medians of one server's subjects, with the ratios to the first of them."""
    base, *others = visits
    head = [server, *visits, *(f"{other} / {base}{by}" for other in others for by in ("", ", by round"))]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in ROWS:
        medians = {name: median(_values(row, rounds)) for name, rounds in visits.items()}
        cells = [f"{value * row.scale:,.{row.digits}f}" for value in medians.values()]
        for other in others:
            by_round = zip(_values(row, visits[other]), _values(row, visits[base]), strict=True)
            cells += [_ratio([(medians[other], medians[base])]), _ratio(by_round)]
        lines.append(_line([row.label, *cells]))
    return "\n".join(lines)


def remarks(visits: Mapping[str, Sequence[Visit]]) -> list[str]:
    """What to know before the figures of one server are believed."""
    found = []
    for name, rounds in visits.items():
        for part, label in (("crowd", "300 streams × 100/s"), ("few", "100 streams × 50/s")):
            if _median(rounds, f"{part}.subject_busy") >= SATURATED:
                found.append(
                    f"{name}, {label}: its core was saturated. Events that have to wait are passed on together, so "
                    "that the CPU per event is lower than it would be for each alone."
                )
        found += [
            f"{name}, {part}: the core of the client was saturated, so that it is the client that was measured."
            for part in PARTS
            if _median(rounds, f"{part}.client_busy") >= SATURATED
        ]
        taken = median(visit[f"{part}.others_busy"] for visit in rounds for part in PARTS)
        if taken >= DISTURBED:
            found.append(
                f"{name}: other processes took {taken:.0%} of its core. Requests per second, latencies and gaps are "
                "worse for that, and so is, less, the CPU per request and per event."
            )
    return found


def direct(ceiling: Visit) -> str:
    """What the mock provider gives when nothing stands before it."""
    return (
        f"Without anything between: {ceiling['ask.per_s']:,.0f} requests/s, p50 {ceiling['one.p50_us']:.0f} µs at one "
        f"connection, {ceiling['burst.per_s']:,.0f} events/s in bursts; at 300 streams × 100/s a gap p99 of "
        f"{ceiling['crowd.gap_p99_ms']:.1f} ms and a delay p99 of {ceiling['crowd.delay_p99_ms']:.1f} ms, at "
        f"100 streams × 50/s {ceiling['few.gap_p99_ms']:.1f} and {ceiling['few.delay_p99_ms']:.1f} ms"
    )


def conditions(rounds: int, seconds: float) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    shared = ": everything shares it, so only CPU per request and per event mean something" if cores == 1 else ""
    kernel = ".".join(platform.release().split(".")[:2])
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, rounds: {rounds}, {seconds:g} s for each measurement",
        f"{platform.python_implementation()} {platform.python_version()}, Linux {kernel}",
        f"{_cpu_model()}, cores: {cores}{shared}; load of the last minute before the start: {os.getloadavg()[0]:.2f}",
        ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    ]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _values(row: Row, rounds: Sequence[Visit]) -> list[float]:
    return [visit[row.key] for visit in rounds]


def _median(rounds: Sequence[Visit], key: str) -> float:
    return median(visit[key] for visit in rounds)


def _ratio(pairs: Iterable[tuple[float, float]]) -> str:
    ratios = [value / base for value, base in pairs if base > 0]
    return f"{median(ratios):.2f}" if ratios else "-"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
