"""Records as spans: `POST /spans/query`, as TrueFoundry's SDK asks for them.

A request is one trace, whose id is that of the request; its first span is the request itself, and below it is one for
each model and guardrail that it waited for. Pages hold whole requests, so one may have some spans more than were asked
for. Who said what of a request is a list of lists: id, name, value and comment.

Source: types of truefoundry-sdk 0.6.0; section 5 of the project's compatibility notes.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Literal

import msgspec

from gateway._version import __version__
from gateway.contract import Record, Span
from gateway.control.answers import subject
from gateway.control.control import Ask, Control
from gateway.control.feedback import page_of, rows_for
from gateway.control.requests import cursor_in, steps_of
from gateway.control.sight import sight_of
from gateway.control.span_filters import SpanFilter, understood
from gateway.errors import BadRequest
from gateway.rules.logging import DEFAULT_DESTINATION
from gateway.state.requests.asked import Filter, Query
from gateway.state.telemetry.tally import FAILED, VERDICTS

MOST_SPANS = 1000
AT_ONCE = 200
"""Requests of one look."""
BUDGET_S = 0.25
SERVICE = "tfy-llm-gateway"
SPAN_TYPES = {"chat": "ChatCompletion", "completions": "Completion", "embeddings": "Embedding", "rerank": "Rerank"}


class SpansBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    start_time: datetime
    end_time: datetime | None = None
    trace_ids: tuple[str, ...] | None = None
    span_ids: tuple[str, ...] | None = None
    parent_span_ids: tuple[str, ...] | None = None
    created_by_subject_types: tuple[str, ...] | None = None
    created_by_subject_slugs: tuple[str, ...] | None = None
    application_names: tuple[str, ...] | None = None
    limit: int = 200
    sort_direction: Literal["asc", "desc"] = "desc"
    page_token: str | None = None
    tracing_project_fqn: str | None = None
    data_routing_destination: str | None = None
    filters: tuple[SpanFilter, ...] = ()
    include_feedbacks: bool = False


async def query(control: Control, ask: Ask) -> dict[str, Any]:
    """Those that fit, looked for no longer than `BUDGET_S`: a page may have few of them, and still not be the last."""
    body: SpansBody = ask.body
    if not 1 <= body.limit <= MOST_SPANS:
        raise BadRequest(f"limit lies between 1 and {MOST_SPANS}", param="limit")
    destination = _destination(control, body)
    filters = understood(body.filters)
    asked = Query(
        filters=(*_own_filters(body), *filters.of_requests),
        seen=sight_of(control.config.snapshot, ask.caller, "traces").rules,
        since=_aware(body.start_time),
        until=_aware(body.end_time) if body.end_time is not None else control.now(),
        before=cursor_in(body.page_token, name="pageToken", given="nextPageToken"),
        limit=AT_ONCE,
        oldest_first=body.sort_direction == "asc",
    )
    wants_feedback = body.include_feedbacks or any(each.span_field_name == "feedbacks" for each in body.filters)
    found: list[dict[str, Any]] = []
    next_token = None
    async for record, said, rest in _records(control, asked, wants_feedback):
        if record is not None and destination in (None, record.destination or DEFAULT_DESTINATION):
            spans = (span | {"feedbacks": said} for span in spans_of(record))
            found += [span for span in spans if _fits(span, body) and filters.fits(span, record)]
        next_token = rest
        if len(found) >= body.limit:
            break
    if not body.include_feedbacks:
        found = [span | {"feedbacks": []} for span in found]
    pagination = {"limit": body.limit} | ({"nextPageToken": next_token} if next_token is not None else {})
    return {"data": found, "pagination": pagination}


async def _records(
    control: Control, query: Query, wants_feedback: bool
) -> AsyncIterator[tuple[Record | None, list[list[Any]], str | None]]:
    """Each with what was said of it, and where it goes on behind it; None: nothing more was found in time."""
    until_s = perf_counter() + BUDGET_S
    while True:
        page = await page_of(control, query)
        feedback = await rows_for(control, page.records) if wants_feedback else {}
        last = page.records[-1].request_id if page.records else None
        for record in page.records:
            said = [[each.id, each.name, each.value, each.comment] for each in feedback.get(record.request_id, ())]
            is_last = page.next is None and record.request_id == last
            yield record, said, None if is_last else record.request_id
        yield None, [], page.next
        if page.next is None or perf_counter() >= until_s:
            return
        query = msgspec.structs.replace(query, before=page.next)


def _destination(control: Control, body: SpansBody) -> str | None:
    """None: whichever. Raises BadRequest: there is none of that name."""
    asked = body.data_routing_destination
    destinations = control.config.snapshot.logging.destinations
    if asked is None or (destinations is None and asked == DEFAULT_DESTINATION):
        return None
    known = (DEFAULT_DESTINATION, *(each.name for each in destinations or ()))
    if asked not in known:
        raise BadRequest(f"dataRoutingDestination is one of {', '.join(known)}", param="dataRoutingDestination")
    return asked


def spans_of(record: Record) -> Iterator[dict[str, Any]]:
    yield _root(record)
    for number, step in enumerate(steps_of(record)):
        yield _child(record, number, step)


def root_id(record: Record) -> str:
    return record.request_id[-16:]


def _root(record: Record) -> dict[str, Any]:
    usage = record.usage
    attributes = {
        "tfy.span_type": SPAN_TYPES.get(record.request_type or "", "Model"),
        "tfy.request.model_name": record.model,
        "tfy.request.created_by_subject": record.subject,
        "tfy.request.created_by_subject_teams": record.teams or None,
        "tfy.request.metadata": record.metadata or None,
        "http.response.status_code": record.status,
        "tfy.error_message": record.error_message,
        "tfy.model.name": record.resolved_model,
        "tfy.model.fqn": record.resolved_model,
        "tfy.model.streaming": record.stream,
        "tfy.model.request_type": record.request_type,
        "tfy.model.metric.latency_in_ms": record.duration_ms,
        "tfy.model.metric.time_to_first_token_in_ms": record.time_to_first_token_ms,
        "tfy.model.metric.inter_token_latency_in_ms": record.time_per_output_token_ms,
        "tfy.model.metric.input_tokens": usage.input_tokens if usage is not None else None,
        "tfy.model.metric.output_tokens": usage.output_tokens if usage is not None else None,
        "tfy.model.metric.cache_read_input_tokens": usage.cache_read if usage is not None else None,
        "tfy.model.metric.cost_in_usd": record.cost_nanousd / 1e9 if record.cost_nanousd is not None else None,
        "applied_loadbalance_rule_ids": _routing_rules(record),
        "applied_budget_rule_ids": record.budget_rules or None,
        "applied_ratelimit_rule_ids": record.limit_rules or None,
    }
    name = f"{record.request_type or record.method} {record.model or ''}".strip()
    return _span(record, root_id(record), "", name, "SERVER", record.timestamp, record.duration_ms, attributes) | {
        "statusCode": "ERROR" if record.status >= 400 else "OK",
        "statusMessage": record.error_message or "",
    }


def _child(record: Record, number: int, step: Span) -> dict[str, Any]:
    prefix = "tfy.guardrail" if step.kind == "guardrail" else "tfy.model"
    is_guardrail = step.kind == "guardrail"
    attributes = {
        "tfy.span_type": "Guardrail" if is_guardrail else "Model",
        f"{prefix}.name": step.name,
        f"{prefix}.fqn": step.name,
        f"{prefix}.metric.latency_in_ms": step.duration_ms,
        "http.response.status_code": step.status,
        "tfy.guardrail.result": VERDICTS.get(step.reason, FAILED) if is_guardrail else None,
        "tfy.guardrail.applied_on_entity.scope": step.hook,
        "gateway.guardrail.rule": step.rule,
    }
    begins = record.timestamp + timedelta(milliseconds=step.started_ms)
    id_ = f"{(int(root_id(record), 16) + number + 1) % (1 << 64):016x}" if _is_hex(root_id(record)) else str(number)
    return _span(record, id_, root_id(record), step.name, "CLIENT", begins, step.duration_ms, attributes) | {
        "statusCode": "ERROR" if step.status >= 400 else "OK",
        "statusMessage": step.reason or "",
    }


def _span(
    record: Record,
    id_: str,
    parent: str,
    name: str,
    kind: str,
    begins: datetime,
    duration_ms: float,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "spanId": id_,
        "traceId": record.request_id,
        "parentSpanId": parent,
        "serviceName": SERVICE,
        "spanName": name,
        "spanKind": kind,
        "scopeName": "llm-asgi-gateway",
        "scopeVersion": __version__,
        "timestamp": begins.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "durationNs": int(duration_ms * 1e6),
        "spanAttributes": {name: value for name, value in attributes.items() if value is not None},
        "events": [],
        "createdBySubject": subject(record.subject),
        "feedbacks": [],
    }


def _routing_rules(record: Record) -> list[str] | None:
    rule = (record.applied or {}).get("rule")
    return [rule] if isinstance(rule, str) else None


def _own_filters(body: SpansBody) -> Iterator[Filter]:
    if body.trace_ids:
        yield Filter("id", body.trace_ids)
    if body.created_by_subject_slugs:
        yield Filter("subject", tuple(_subjects(body.created_by_subject_slugs, body.created_by_subject_types)))
    elif body.created_by_subject_types:
        yield Filter("subject_type", tuple(map(_kind, body.created_by_subject_types)))


def _subjects(slugs: Iterable[str], types: Iterable[str] | None) -> Iterator[str]:
    kinds = [*map(_kind, types)] if types else ["user", "virtualaccount"]
    for slug in slugs:
        yield from (f"{kind}:{slug}" for kind in kinds)


def _kind(type_: str) -> str:
    return "virtualaccount" if type_ in ("virtualaccount", "virtual-account", "serviceaccount") else type_


def _fits(span: Mapping[str, Any], body: SpansBody) -> bool:
    return (
        (not body.span_ids or span["spanId"] in body.span_ids)
        and (not body.parent_span_ids or span["parentSpanId"] in body.parent_span_ids)
        and (not body.application_names or SERVICE in body.application_names)
    )


def _is_hex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
