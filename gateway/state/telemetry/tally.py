"""Records -> the metrics of TrueFoundry's gateway, and what its dashboards do not know.

Source: the names `ai_gateway_...` are restated in section 5.4 of the project's compatibility notes; which buckets they
have is not documented.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from gateway.contract import Outcome, Record, Span
from gateway.contract.part import Distribution, Figure, Part, Spread, counter
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, ClientLeft, Overloaded, RateLimited, TimedOut, Unreachable
from gateway.state.telemetry.series import Bounded, Count, Values

MOST = 1000
"""Of the series of each kind. So many take the event loop 35 ms to gather, and a thread 1.5 s to write out."""
LATENCY_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000, 600_000)
TOKEN_MS = (0.5, 1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, 5000)
OVERHEAD_S = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05)
NANO = 1e9

INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
TOKENS = (*INPUT, "output", "reasoning", "audio_output", "image_output", "citation")
"""The classes of `Usage` that are counted in tokens."""
_tokens: Callable[[Usage], tuple[int, ...]] = attrgetter(*TOKENS)
_in_common = attrgetter("request_type", "resolved_model", "model", "status")
ENDS = {
    Outcome.COMPLETE: "complete",
    Outcome.CLIENT_LEFT: "client_gone",
    Outcome.UPSTREAM_BROKE: "upstream_error",
    Outcome.STOPPED: "shutdown",
    Outcome.BLOCKED: "blocked",
    Outcome.REFUSED: "refused",
}
ERRORS = {
    error.code: error.__name__ for error in (Unreachable, TimedOut, BrokeOff, Overloaded, RateLimited, ClientLeft)
}
REFUSED = "Refused"
"""Whatever else went wrong: by a word of the provider's own."""
VERDICTS = {None: "pass", "flagged": "flag", "mutated": "mutate", "guardrail_checks_failed": "block"}
FAILED = "error"

Described = Callable[[str], tuple[str, str]]
"""A name of a model, as callers write it -> its configured name, and of which type its account is; both empty: there is
none. What it gives is a label, so there are only as many as are configured."""


class Requests:
    """Of one model."""

    __slots__ = ("codes", "cost", "first_token", "input", "inter_token", "output", "overhead", "processing", "tokens")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.input = self.output = self.cost = 0
        self.tokens: dict[str, int] = {}
        self.processing = Values(LATENCY_MS)
        self.first_token = Values(LATENCY_MS)
        self.inter_token = Values(TOKEN_MS)
        self.overhead = Values(OVERHEAD_S)


class Tally(Part):
    """Counts records. What it costs is paid after the answers, in batches.

    Args:
        described: of a model.
        metadata_keys: each is a label, `llm_gateway_metadata_<key>`.
        by_user: `username` is a label.
        most: series of each kind; what is beyond is counted together.
    """

    name = "requests"

    def __init__(
        self, described: Described, *, metadata_keys: Sequence[str] = (), by_user: bool = False, most: int = MOST
    ) -> None:
        self.described = described
        self.metadata_keys = tuple(metadata_keys)
        self.by_user = by_user
        self.has_own_labels = by_user or bool(metadata_keys)
        self.labels = (
            *("model_name", "provider", "request_type"),
            *(("username",) if by_user else ()),
            *(f"llm_gateway_metadata_{key}" for key in metadata_keys),
        )
        self.requests = Bounded(Requests, labels=len(self.labels), most=most)
        counts = partial(Bounded, Count, most=most)
        self.others = counts(labels=1)
        self.streams = counts(labels=2)
        self.attempts = counts(labels=3)
        self.failures = counts(labels=3)
        self.routed = counts(labels=1)
        self.verdicts = counts(labels=2)
        self.guarding = Bounded(lambda: Values(LATENCY_MS), labels=1, most=most)

    def count(self, records: Iterable[Record]) -> None:
        """Those that have all labels in common are counted together."""
        alike: dict[Any, list[Record]] = {}
        for record in records:
            key = (_in_common(record), self._own_labels(record))
            if (those := alike.get(key)) is None:
                alike[key] = [record]
            else:
                those.append(record)
        for (_, own_labels), those in alike.items():
            first = those[0]
            if first.request_type is None:
                self.others.at((str(first.status),), len(those)).value += len(those)
            else:
                self._count(those, first.request_type, own_labels)

    def _count(self, alike: Sequence[Record], kind: str, own_labels: tuple[str, ...]) -> None:
        first, many = alike[0], len(alike)
        model, provider = self.described(first.resolved_model or first.model or "")
        requests = self.requests.at((model, provider, kind, *own_labels), many)
        requests.codes[first.status] = requests.codes.get(first.status, 0) + many
        requests.processing.add_all([record.duration_ms for record in alike])
        requests.overhead.add_all([record.overhead_ms / 1000 for record in alike if record.overhead_ms is not None])
        requests.cost += sum([record.cost_nanousd for record in alike if record.cost_nanousd is not None])
        _add_usage(requests, [record.usage for record in alike if record.usage is not None])
        simple = 0
        for record in alike:
            if record.stream and (first_ms := record.time_to_first_token_ms) is not None:
                requests.first_token.add(first_ms)
                self._count_stream(record, requests, model)
            if record.applied is not None and (rule := record.applied.get("rule")) is not None:
                self.routed.at((rule,)).value += 1
            for span in record.spans:
                self._count_span(span)
            simple += not record.spans
        if simple and first.resolved_model is not None:
            self.attempts.at((model, provider, "ok"), simple).value += simple

    def _count_stream(self, record: Record, requests: Requests, model: str) -> None:
        if record.time_per_output_token_ms is not None:
            requests.inter_token.add(record.time_per_output_token_ms)
        timed_out = record.error_code == TimedOut.code
        self.streams.at((model, "timeout" if timed_out else ENDS[record.outcome])).value += 1

    def _own_labels(self, record: Record) -> tuple[str, ...]:
        if not self.has_own_labels:
            return ()
        user = (record.subject or "",) if self.by_user else ()
        return (*user, *(record.metadata.get(key, "") for key in self.metadata_keys))

    def _count_span(self, span: Span) -> None:
        if span.kind == "model":
            model, provider = self.described(span.name)
            what = "ok" if span.reason is None else ERRORS.get(span.reason, REFUSED)
            self.attempts.at((model, provider, what)).value += 1
            if span.reason is not None:
                self.failures.at((model, str(span.status), what)).value += 1
        elif span.kind == "guardrail":
            self.verdicts.at((span.name, VERDICTS.get(span.reason, FAILED))).value += 1
            self.guarding.at((span.name,)).add(span.duration_ms)

    # What Prometheus reads.

    def figures(self) -> Iterable[Figure | Distribution]:
        yield from self._of_requests()
        yield _figure("ai_gateway_request_model_inference_failure", FAILURES, self.failures, _FAILURE)
        yield _figure("ai_gateway_load_balanced_requests", ROUTED, self.routed, ("ruleId",))
        yield _figure("ai_gateway_guardrail_requests", GUARDED, self.verdicts, ("guardrail_fqn", "result"))
        yield Distribution(
            "ai_gateway_guardrail_execution_latency_ms",
            "Milliseconds that a guardrail took.",
            LATENCY_MS,
            {labels: values.spread for labels, values in self.guarding.cells.items()},
            ("guardrail_fqn",),
        )
        yield _figure("gateway_upstream_attempts", ATTEMPTS, self.attempts, ("model_name", "provider", "outcome"))
        yield _figure("gateway_stream_end", STREAMS, self.streams, ("model_name", "reason"))
        yield _figure("gateway_other_requests", "Requests for something else than a model.", self.others, ("code",))
        every = (self.requests, self.others, self.streams, self.attempts, self.failures, self.routed, self.verdicts)
        overflowed = sum(each.overflowed for each in (*every, self.guarding))
        yield counter("gateway_metrics_overflow", "Values counted as `other`, as there were too many.", overflowed)

    def _of_requests(self) -> Iterable[Figure | Distribution]:
        cells, labels = self.requests.cells, self.labels
        by_code = {(*of, str(code)): float(count) for of, cell in cells.items() for code, count in cell.codes.items()}
        yield Figure("ai_gateway_requests", "Requests for a model.", "counter", by_code, (*labels, "code"))
        for name, about, value in _SUMS:
            yield Figure(name, about, "counter", {of: value(cell) for of, cell in cells.items()}, labels)
        by_class = {(*of, class_): float(count) for of, cell in cells.items() for class_, count in cell.tokens.items()}
        yield Figure("gateway_tokens", "Tokens by class, none of them twice.", "counter", by_class, (*labels, "class"))
        for name, about, bounds, spread in _SPREADS:
            yield Distribution(name, about, bounds, {of: spread(cell) for of, cell in cells.items()}, labels)


FAILURES = "Attempts at a model that failed."
ROUTED = "Requests for which a rule for load balancing chose the target."
GUARDED = "What guardrails said of requests."
ATTEMPTS = "Times that a model was asked, by what became of it."
STREAMS = "Streams that had begun, by how they ended."
_FAILURE = ("model_name", "error_code", "exception_class")

_SUMS: tuple[tuple[str, str, Callable[[Requests], float]], ...] = (
    ("ai_gateway_input_tokens", "Tokens that went in, cached ones included.", lambda each: each.input),
    ("ai_gateway_output_tokens", "Tokens that came out, those of reasoning included.", lambda each: each.output),
    ("ai_gateway_request_cost", "What it cost, in US dollars, as far as prices are known.", lambda e: e.cost / NANO),
)
_SPREADS: tuple[tuple[str, str, tuple[float, ...], Callable[[Requests], Spread]], ...] = (
    (
        "ai_gateway_request_processing_ms",
        "Milliseconds from a request's first byte to its answer's last.",
        LATENCY_MS,
        lambda each: each.processing.spread,
    ),
    (
        "ai_gateway_first_token_latency_ms",
        "Milliseconds until a stream began.",
        LATENCY_MS,
        lambda each: each.first_token.spread,
    ),
    (
        "ai_gateway_inter_token_latency_ms",
        "Milliseconds from token to token of a stream, on average.",
        TOKEN_MS,
        lambda each: each.inter_token.spread,
    ),
    (
        "gateway_overhead_seconds",
        "What the gateway itself took of a request's time.",
        OVERHEAD_S,
        lambda each: each.overhead.spread,
    ),
)


def _add_usage(requests: Requests, usages: Sequence[Usage]) -> None:
    for name, counts in zip(TOKENS, zip(*map(_tokens, usages), strict=True), strict=False):  # of no usages, none
        if count := sum(counts):
            requests.tokens[name] = requests.tokens.get(name, 0) + count
            if name in INPUT:
                requests.input += count
            else:
                requests.output += count


def _figure(name: str, about: str, counts: Bounded[Count], labels: tuple[str, ...]) -> Figure:
    return Figure(name, about, "counter", {of: count.value for of, count in counts.cells.items()}, labels)
