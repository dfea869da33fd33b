"""What guardrails said, for charts: `guardrailMetrics` of `POST /llm-gateway/metrics/query`.

Each time that one was asked is one check; a request may have several. The names are those of the columns in section 5.2
of the project's compatibility notes, as far as there are any.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.control import metrics
from gateway.control.control import Ask, Control, store_of
from gateway.control.metrics import (
    KINDS,
    MOST_GROUPS,
    PERCENTILES,
    Aggregation,
    MetricsBody,
    MetricsFilter,
    kinds_of,
    shown,
    span_of,
    step_of,
)
from gateway.control.schema import Metrics, MetricsRow
from gateway.control.sight import sight_of
from gateway.errors import BadRequest
from gateway.state.requests.asked import Only, Question
from gateway.state.requests.histogram import LATENCY

DIMENSIONS: Mapping[str, str] = {
    "guardrailName": "guardrail",
    "guardrailFqn": "guardrail",
    "guardrailResult": "result",
    "hook": "hook",
    "ruleId": "rule",
    "modelName": "model",
    "userEmail": "subject",
    "virtualaccount": "subject",
    "subject": "subject",
    "team": "team",
}
"""As it is asked for -> what sums are kept by."""
COLUMN = "latencyMs"
NOT_YET = {"mcpMetrics": "the gateway has no MCP proxy yet, so there are no mcpMetrics"}


async def query(control: Control, ask: Ask) -> Metrics:
    """Whichever of them are asked for."""
    body: MetricsBody = ask.body
    if body.datasource == "modelMetrics":
        return await metrics.query(control, ask)
    if body.datasource != "guardrailMetrics":
        known = "modelMetrics or guardrailMetrics"
        raise BadRequest(f"{NOT_YET[body.datasource]}; ask for {known}", param="datasource")
    return await guardrails(control, ask)


async def guardrails(control: Control, ask: Ask) -> Metrics:
    from gateway.state.requests.guard_metrics import guard_sums  # with SQLAlchemy, which takes 0.3 s

    body: MetricsBody = ask.body
    records, now = store_of(control), control.now()
    since, until = span_of(body, now)
    for each in body.aggregations:
        _check(each)
    question = records.settled(
        Question(
            since=since,
            until=until,
            by=tuple(map(_dimension, body.group_by)),
            only=(*map(_only, body.filters), *kinds_of(body.group_by)),
            step_s=step_of(body, until - since),
            subjects=sight_of(control.config.snapshot, ask.caller, "metrics").subjects,
            scales=(LATENCY,) if any(each.type in PERCENTILES for each in body.aggregations) else (),
        ),
        now,
    )
    previous = None
    if body.compare is not None:
        before = msgspec.structs.replace(question, since=since - (until - since), until=since)
        previous = _rows(body, await guard_sums(records, before, now))
    return Metrics(
        data=_rows(body, await guard_sums(records, question, now)),
        previous=previous,
        start=since,
        end=until,
        interval_in_seconds=question.step_s,
    )


def _rows(body: MetricsBody, sums: Sequence[Any]) -> tuple[MetricsRow, ...]:
    if body.type == "distribution":
        sums = sums[:MOST_GROUPS]  # of which there were most
    return tuple(
        MetricsRow(
            group_by={name: shown(name, value) for name, value in zip(body.group_by, each.group, strict=True)},
            values={asked.name: _value(asked, each) for asked in body.aggregations},
            timestamp=datetime.fromtimestamp(each.at, UTC) if each.at is not None else None,
        )
        for each in sums
    )


def _value(asked: Aggregation, each: Any) -> Any:
    """None: nothing was measured."""
    if asked.type == "count":
        return each.checks
    if asked.type == "sum":
        return each.latency_us / 1000
    if not each.checks:
        return None
    if asked.type == "avg":
        return round(each.latency_us / 1000 / each.checks, 3)
    percentile = LATENCY.percentile_ms(each.bins, PERCENTILES[asked.type])
    return round(percentile, 3) if percentile is not None else None


def _check(asked: Aggregation) -> None:
    """Raises BadRequest: that is not kept."""
    if asked.type != "count" and asked.column != COLUMN:
        raise BadRequest(f"of guardrails, {asked.type} is there of {COLUMN} alone", param="aggregations")


def _dimension(name: str) -> str:
    """Raises BadRequest: there is no such thing."""
    if name not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        raise BadRequest(f"of guardrailMetrics, groupBy and filters know {known}; not {name[:100]!r}", param="groupBy")
    return DIMENSIONS[name]


def _only(asked: MetricsFilter) -> Only:
    values = (asked.value,) if isinstance(asked.value, str) else asked.value
    if asked.field in KINDS:
        values = tuple(f"{KINDS[asked.field]}{value}" for value in values)
    elif asked.field == "team":
        values = tuple(value.removeprefix("team:") for value in values)
    return Only(_dimension(asked.field), values, asked.operator.startswith("NOT"))
