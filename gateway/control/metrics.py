"""What requests came to, for charts: `POST /llm-gateway/metrics/query`.

The names of what is asked for are those of TrueFoundry's documentation, as restated in section 5.3 of the project's
compatibility notes. How it answers is not documented there: the form of the answer, `filters`, `intervalInSeconds` and
`compare` are our own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from gateway.contract.usage import AMOUNTS
from gateway.control.control import Ask, Control, store_of
from gateway.control.requests import money
from gateway.control.schema import Metrics, MetricsRow
from gateway.control.sight import sight_of
from gateway.errors import BadRequest
from gateway.state.requests.asked import METADATA, Only, Question, Sum
from gateway.state.requests.histogram import FIRST_TOKEN, LATENCY, PER_TOKEN, Scale

MOST_GROUPS = 1000
MOST_DAYS = 400
DAY_S = 86400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS = 10**11
"""Numbers above that are milliseconds since 1970, others seconds."""

DIMENSIONS: Mapping[str, str] = {
    "modelName": "resolved_model",
    "requestedModelName": "model",
    "virtualModel": "model",
    "providerAccountName": "account",
    "userEmail": "subject",
    "virtualaccount": "subject",
    "subject": "subject",
    "team": "team",
    "tokenId": "token",
    "errorCode": "status",
    "httpStatusCode": "status",
    "requestType": "type",
}
"""As it is asked for -> what sums are kept by. `metadata.<key>` besides."""
KINDS = {"userEmail": "user:", "virtualaccount": "virtualaccount:"}
SCALES: Mapping[str, Scale] = {
    "latencyMs": LATENCY,
    "timeToFirstTokenMs": FIRST_TOKEN,
    "interTokenLatencyMs": PER_TOKEN,
    "timePerOutputTokenLatencyMs": PER_TOKEN,
}
COLUMNS: Mapping[str, Sequence[str]] = {
    "costInUSD": ("cost", "unpriced"),
    "inputTokens": ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input"),
    "outputTokens": ("output", "reasoning", "audio_output", "image_output", "citation"),
    "latencyMs": ("latency_us",),
    "timeToFirstTokenMs": ("first_token_us",),
    "interTokenLatencyMs": ("per_token_us",),
    "timePerOutputTokenLatencyMs": ("per_token_us",),
}
"""What a column is made of, if it is not kept under its own name."""
PERCENTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}

Kind = Literal["count", "sum", "avg", "p50", "p75", "p90", "p95", "p99"]


class Aggregation(msgspec.Struct, frozen=True):
    type: Kind
    column: str | None = None

    @property
    def name(self) -> str:
        return self.type if self.column is None else f"{self.type}({self.column})"


class MetricsFilter(msgspec.Struct, frozen=True):
    field: str
    operator: Literal["IN", "NOT_IN", "EQUAL", "NOT_EQUAL"]
    value: str | tuple[str, ...]


class MetricsBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Times as in `2026-01-31T12:00:00Z`, or in seconds or milliseconds since 1970."""

    start_ts: str | int | float
    end_ts: str | int | float | None = None
    datasource: Literal["modelMetrics", "mcpMetrics", "guardrailMetrics"] = "modelMetrics"
    type: Literal["distribution", "timeseries"] = "distribution"
    aggregations: tuple[Aggregation, ...] = (Aggregation("count"),)
    group_by: tuple[str, ...] = ()
    filters: tuple[MetricsFilter, ...] = ()
    interval_in_seconds: int | None = None
    compare: Literal["previous"] | None = None


async def query(control: Control, ask: Ask) -> Metrics:
    """Of requests."""
    body: MetricsBody = ask.body
    records, now = store_of(control), control.now()
    since, until = span_of(body, now)
    sight = sight_of(control.config.snapshot, ask.caller, "metrics")
    question = records.settled(
        Question(
            since=since,
            until=until,
            by=tuple(map(_dimension, body.group_by)),
            only=(*map(_only, body.filters), *kinds_of(body.group_by)),
            step_s=step_of(body, until - since),
            subjects=sight.subjects,
            scales=_scales(body.aggregations),
            counts=_counts(body.aggregations),
            most=MOST_GROUPS if body.type == "distribution" else None,
        ),
        now,
    )
    previous = None
    if body.compare is not None:
        before = msgspec.structs.replace(question, since=since - (until - since), until=since)
        previous = _rows(body, await records.sums(before, now=now))
    return Metrics(
        data=_rows(body, await records.sums(question, now=now)),
        previous=previous,
        start=since,
        end=until,
        interval_in_seconds=question.step_s,
    )


def _rows(body: MetricsBody, sums: Sequence[Sum]) -> tuple[MetricsRow, ...]:
    return tuple(
        MetricsRow(
            group_by={name: shown(name, value) for name, value in zip(body.group_by, each.group, strict=True)},
            values={aggregation.name: _value(aggregation, each) for aggregation in body.aggregations},
            timestamp=datetime.fromtimestamp(each.at, UTC) if each.at is not None else None,
        )
        for each in sums
    )


def _value(asked: Aggregation, each: Sum) -> Any:
    """None: nothing was measured. Raises BadRequest: that is not kept."""
    column = asked.column
    if asked.type == "count":
        return each.requests
    if asked.type in PERCENTILES:
        scale = SCALES.get(column or "")
        if scale is None:
            raise BadRequest(f"{asked.type} is there of: {', '.join(SCALES)}", param="aggregations")
        percentile = scale.percentile_ms(each.bins[scale.name], PERCENTILES[asked.type])
        return round(percentile, 3) if percentile is not None else None
    total, count = _total(asked, each)
    if asked.type == "avg":
        if not count:
            return None
        total = round(total / count, 0 if column == "costInUSD" else 3)
    return money(int(total)) if column == "costInUSD" else total


def _total(asked: Aggregation, each: Sum) -> tuple[int | float, int]:
    """What a column comes to, and of how many requests. Costs are in nano-dollars."""
    match asked.column:
        case "costInUSD":
            return each.cost, each.requests - each.unpriced
        case "inputTokens":
            return each.usage.input_tokens, each.requests
        case "outputTokens":
            return each.usage.output_tokens, each.requests
        case "requests" | "failures" | "unpriced" as name:
            return getattr(each, name), each.requests
        case "latencyMs":
            return each.latency_us / 1000, each.requests
        case "timeToFirstTokenMs":
            return each.first_token_us / 1000, each.count_of(FIRST_TOKEN)
        case "interTokenLatencyMs" | "timePerOutputTokenLatencyMs":
            return each.per_token_us / 1000, each.count_of(PER_TOKEN)
        case str(name) if name in AMOUNTS:
            return getattr(each.usage, name), each.requests
    known = ", ".join(("costInUSD", "inputTokens", "outputTokens", *SCALES, "requests", "failures", "unpriced"))
    raise BadRequest(f"{asked.type} is there of: {known}, and of each class of tokens", param="aggregations")


def _scales(asked: Iterable[Aggregation]) -> tuple[Scale, ...]:
    """Averages need the counts, too."""
    columns = [each.column or "" for each in asked if each.type not in ("count", "sum")]
    return tuple(dict.fromkeys(SCALES[column] for column in columns if column in SCALES))


def _counts(asked: Iterable[Aggregation]) -> tuple[str, ...]:
    """Those that `_total` looks at."""
    columns = {each.column or "requests" for each in asked} | {"requests"}
    found = [name for column in columns for name in COLUMNS.get(column, (column,))]
    return tuple(dict.fromkeys(found))


def _dimension(name: str) -> str:
    """Raises BadRequest: there is no such thing."""
    if name.startswith(METADATA):
        return name
    if name not in DIMENSIONS:
        known = ", ".join((*DIMENSIONS, f"{METADATA}<key>"))
        raise BadRequest(f"groupBy and filters know {known}; not {name[:100]!r}", param="groupBy")
    return DIMENSIONS[name]


def _only(asked: MetricsFilter) -> Only:
    values = (asked.value,) if isinstance(asked.value, str) else asked.value
    if asked.field in KINDS:
        values = tuple(f"{KINDS[asked.field]}{value}" for value in values)
    return Only(_dimension(asked.field), values, asked.operator.startswith("NOT"))


def kinds_of(names: Iterable[str]) -> list[Only]:
    """Who groups by users wants no virtual accounts, and the other way round."""
    return [Only("subject", (f"{KINDS[name]}*",)) for name in names if name in KINDS]


def shown(name: str, value: str) -> str:
    return value.removeprefix(KINDS[name]) if name in KINDS else value


def step_of(body: MetricsBody, span: timedelta) -> int | None:
    """About a hundred points, of whole days where the time is long, unless it is said."""
    if body.type == "distribution":
        return None
    if body.interval_in_seconds is not None and body.interval_in_seconds <= 0:
        raise BadRequest("intervalInSeconds is above 0", param="intervalInSeconds")
    step_s = body.interval_in_seconds or max(60, int(span.total_seconds() / 100))
    return DAY_S if body.interval_in_seconds is None and DAY_S / 4 < step_s < DAY_S else step_s


def span_of(body: MetricsBody, now: datetime) -> tuple[datetime, datetime]:
    """Raises BadRequest: there is none, or more than is kept."""
    until = _moment("endTs", body.end_ts) if body.end_ts is not None else now
    since = _moment("startTs", body.start_ts)
    if not timedelta() < until - since <= timedelta(days=MOST_DAYS):
        raise BadRequest(f"endTs comes after startTs, by at most {MOST_DAYS} days", param="endTs")
    return since, until


def _moment(name: str, said: str | int | float) -> datetime:
    """Raises BadRequest: it is none."""
    try:
        if isinstance(said, str):
            moment = msgspec.convert(said, datetime)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        else:
            moment = datetime.fromtimestamp(said / 1000 if said > FIRST_MS else said, UTC)
        if moment < EPOCH:
            raise ValueError  # the span before it may begin where there are no dates
        return moment
    except (msgspec.ValidationError, ValueError, OverflowError, OSError):
        raise BadRequest(f"{name} is a moment as in 2026-01-31T12:00:00Z, or seconds since 1970", param=name) from None
