"""Medians of what was measured, and of the ratios of each round, as Markdown."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from lanes import LANES, WITHOUT_LOAD, Figure

Visit = Mapping[str, float]

EVENTFUL = ("stream", "burst")
SATURATED = 0.85
DISTURBED = 0.05
PACKAGES = ("aiohttp", "uvloop", "hypercorn", "h11", "uvicorn", "httptools", "granian", "msgspec", "redis")


ROWS = [
    (f"{name}.{figure.key}", f"{title}: {figure.label}", figure)
    for name, title, figures in (
        *((name, lane.title, lane.figures) for name, lane in LANES.items()),
        *((name, title, figures) for name, (title, figures) in WITHOUT_LOAD.items()),
    )
    for figure in figures
]


def table(server: str, visits: Mapping[str, Sequence[Visit]]) -> str:
    """One server's subjects. Behind each median, the median of the ratios to the first subject, round by round."""
    base = next(iter(visits))
    lines = [_line([server, *visits]), _line(["---", *["---:"] * len(visits)])]
    for key, label, figure in ROWS:
        cells = [_cell(key, figure, rounds, visits[base]) for rounds in visits.values()]
        if any(cells):
            lines.append(_line([label, cells[0].partition(" ")[0], *cells[1:]]))
    return "\n".join(lines)


def _cell(key: str, figure: Figure, rounds: Sequence[Visit], base: Sequence[Visit]) -> str:
    """Empty if it was not measured."""
    values = [visit[key] for visit in rounds if key in visit]
    if not values:
        return ""
    pairs = [
        (visit[key], other[key]) for visit, other in zip(rounds, base, strict=True) if key in visit and key in other
    ]
    ratios = [value / other for value, other in pairs if other > 0]
    ratio = f" ({median(ratios):.2f})" if ratios else ""
    return f"{median(values) * figure.scale:,.{figure.digits}f}{ratio}"


def remarks(visits: Mapping[str, Sequence[Visit]]) -> list[str]:
    """What to know before the figures of one server are believed."""
    streams = [name for name, lane in LANES.items() if lane.kind == "stream"]
    own = _where(visits, "core_busy", streams, SATURATED)
    others = _where(visits, "client_busy", LANES, SATURATED)
    taken = {name: _median(rounds, *(f"{lane}.others_busy" for lane in LANES)) for name, rounds in visits.items()}
    disturbed = ", ".join(f"{name} ({share:.0%})" for name, share in taken.items() if share >= DISTURBED)
    told = {
        "Its core was full, so that events had to wait and were passed on together, which costs less CPU for each": own,
        "The other cores were full, so that requests and events per second, and times, are those of the client": others,
        "Other processes took a part of its core, which is worse for times, and less so for CPU": disturbed,
    }
    return [f"{remark}: {where}." for remark, where in told.items() if where]


def _where(visits: Mapping[str, Sequence[Visit]], key: str, lanes: Iterable[str], least: float) -> str:
    """The subjects, and the lanes of each, in which a figure is at least so large."""
    lanes = tuple(lanes)
    found = {
        name: [lane for lane in lanes if _median(rounds, f"{lane}.{key}") >= least] for name, rounds in visits.items()
    }
    return ", ".join(f"{name} ({', '.join(names)})" for name, names in found.items() if names)


def alone(figures: Visit) -> str:
    """What the mock provider gives when nothing stands before it."""
    found = [
        f"{lane.title}: {figures[f'{name}.per_s']:,.0f} {'events' if lane.kind in EVENTFUL else 'requests'}/s"
        for name, lane in LANES.items()
        if f"{name}.per_s" in figures
    ]
    if "one.p50_us" in figures:
        found.append(f"p50 {figures['one.p50_us']:.0f} µs, p99 {figures['one.p99_us']:.0f} µs at 1 connection")
    return "; ".join(found)


def conditions(rounds: int, seconds: float, others: Iterable[str] = ()) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    shared = ": everything shares it, so only CPU per request and per event mean something" if cores == 1 else ""
    kernel = ".".join(platform.release().split(".")[:2])
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, rounds: {rounds}, {seconds:g} s for each measurement",
        f"{platform.python_implementation()} {platform.python_version()}, Linux {kernel}",
        f"{_cpu_model()}, cores: {cores}{shared}; load of the last minute before the start: {os.getloadavg()[0]:.2f}",
        ", ".join([*(f"{name} {_version(name)}" for name in PACKAGES), *others]),
    ]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _median(rounds: Sequence[Visit], *keys: str) -> float:
    """Of all that there are; 0 if there is none."""
    values = [visit[key] for visit in rounds for key in keys if key in visit]
    return median(values) if values else 0.0


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
