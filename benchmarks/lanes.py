"""The lanes: what is asked of a subject, and which figures that gives."""

from typing import NamedTuple

OPENING_S = 2
"""What a paced stream lasts longer than it is measured, so that all can be opened first."""
ARRIVING_S = 2.0
"""At most so long after that new streams come while the paced ones run."""


class Figure(NamedTuple):
    key: str
    label: str
    digits: int = 0
    scale: float = 1.0


class Lane(NamedTuple):
    """Traffic of one kind.

    Args:
        kind: a function of the load client.
        model: of the mock; `{}` stands for the seconds that a paced stream lasts.
        prompt_bytes: of the user's message, at least; 0: one word.
        asks_usage: of streams.
        max_s: it is measured no longer than that.
    """

    title: str
    kind: str
    model: str
    connections: int
    figures: tuple[Figure, ...]
    prompt_bytes: int = 0
    asks_usage: bool = False
    max_s: float = 30.0


PER_S = Figure("per_s", "requests/s")
PER_REQUEST = Figure("cpu_us", "CPU per request, µs")
EVENTS_PER_S = Figure("per_s", "events/s")
PER_EVENT = Figure("cpu_us", "CPU per event, µs", 1)
BURST = (EVENTS_PER_S, Figure("cpu_us", "CPU per event, µs", 2))
GAPS = (Figure("gap_p99_ms", "gap p99, ms", 1), Figure("gap_max_ms", "longest gap, ms", 1))
ADDED = (Figure("added_p50_us", "added to p50, µs"), Figure("added_p99_us", "added to p99, µs"))

LANES = {
    # Hypercorn closes a connection after 10,000 requests: one connection asks no longer than 2 s.
    "one": Lane("1 connection", "ask", "instant", 1, (*ADDED, PER_REQUEST), max_s=2.0),
    "ask": Lane("32 connections", "ask", "instant", 32, (PER_S, PER_REQUEST)),
    "first": Lane(
        "160 short streams a second",
        "arrive",
        "burst-1",
        32,
        (
            Figure("ttft_p50_ms", "TTFT p50, ms", 2),
            Figure("ttft_p99_ms", "TTFT p99, ms", 2),
            Figure("ttft_max_ms", "longest TTFT, ms", 1),
            PER_REQUEST,
        ),
    ),
    "crowd": Lane(
        "300 streams × 100/s",
        "stream",
        "paced-100x{}",
        300,
        (
            PER_EVENT,
            EVENTS_PER_S,
            Figure("subject_busy", "core busy, %", scale=100),
            *GAPS,
            Figure("ttft_p99_ms", "TTFT p99, ms", 1),
        ),
    ),
    "few": Lane(
        "100 streams × 50/s",
        "stream",
        "paced-50x{}",
        100,
        (
            PER_EVENT,
            Figure("subject_busy", "core busy, %", scale=100),
            Figure("delay_p50_ms", "delay p50, ms", 2),
            Figure("delay_p99_ms", "delay p99, ms", 2),
            Figure("ttft_p99_ms", "TTFT p99, ms", 1),
        ),
    ),
    "burst": Lane("bursts, 8 streams", "burst", "burst-2000", 8, BURST),
    "prompt_10k": Lane("prompts of 10 kB", "ask", "instant", 32, (PER_REQUEST,), prompt_bytes=10_000),
    "prompt_100k": Lane("prompts of 100 kB", "ask", "instant", 32, (PER_REQUEST,), prompt_bytes=100_000),
    "long": Lane("answers of 4,000 tokens, not streamed", "ask", "tokens-4000", 32, (PER_REQUEST,)),
    "asking_few": Lane(
        "100 streams × 50/s, usage asked for", "stream", "paced-50x{}", 100, (PER_EVENT,), asks_usage=True
    ),
    "asking_burst": Lane("bursts, 8 streams, usage asked for", "burst", "burst-2000", 8, BURST, asks_usage=True),
}
"""Clients do not ask for usage, as most do not, but in the lanes called `asking_`."""

WITHOUT_LOAD = {
    "memory": ("memory", (Figure("stream_kib", "of an idle stream, KiB", 1), Figure("idle_mib", "at rest, MiB", 1))),
    "start": ("start", (Figure("s", "to the first answer, s", 2),)),
}
"""What is measured without the load client: titles and figures."""

NAMES = (*LANES, *WITHOUT_LOAD)
DEFAULT = tuple(name for name in NAMES if not name.startswith("asking_"))
REQUESTS = ("one", "ask", "first")
"""What is asked of subjects that differ in the way of a request alone."""
