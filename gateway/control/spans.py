"""Records as spans: `POST /spans/query`, as TrueFoundry's SDK asks for them.

A request is one trace, whose id is that of the request; its first span is the request itself, and below it is one for
each model and guardrail that it waited for. Pages are of requests, so one may have more spans than were asked for.

Source: types of truefoundry-sdk 0.6.0; section 5 of the project's compatibility notes.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from gateway._version import __version__
from gateway.contract import Record, Span
from gateway.control.answers import subject
from gateway.control.control import Ask, Control, store_of
from gateway.control.requests import cursor_in, steps_of
from gateway.control.sight import sight_of
from gateway.errors import BadRequest
from gateway.state.requests.asked import METADATA, Filter, Query

MOST_SPANS = 1000
DESTINATION = "default"
SERVICE = "tfy-llm-gateway"
SPAN_TYPES = {"chat": "ChatCompletion", "completions": "Completion", "embeddings": "Embedding", "rerank": "Rerank"}

ATTRIBUTES: Mapping[str, str] = {
    "tfy.request.model_name": "model",
    "tfy.request.created_by_subject": "subject",
    "tfy.request.created_by_subject_teams": "team",
    "tfy.model.name": "resolved_model",
    "tfy.model.fqn": "resolved_model",
    "tfy.model.request_type": "type",
    "tfy.model.streaming": "stream",
    "http.response.status_code": "status",
    "tfy.model.metric.latency_in_ms": "duration_ms",
    "tfy.model.metric.time_to_first_token_in_ms": "ttft_ms",
    "tfy.model.metric.input_tokens": "input_tokens",
    "tfy.model.metric.output_tokens": "output_tokens",
    "tfy.model.metric.cost_in_usd": "cost",
}
"""Attribute -> the filter of records. They are those of the whole request."""
FIELDS: Mapping[str, str] = {
    "traceId": "id",
    "createdBySubjectSlug": "subject",
    "durationInMs": "duration_ms",
    "spanStatusCode": "status",
}
COMPARED = {"GREATER_THAN": ">", "GREATER_THAN_EQUAL": ">=", "LESS_THAN": "<", "LESS_THAN_EQUAL": "<="}


class SpanFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the three names says what it is about."""

    operator: str
    value: Any = None
    span_field_name: str | None = None
    span_attribute_key: str | None = None
    gateway_request_metadata_key: str | None = None


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
    """Those of whole requests."""
    body: SpansBody = ask.body
    records = store_of(control)
    if not 1 <= body.limit <= MOST_SPANS:
        raise BadRequest(f"limit lies between 1 and {MOST_SPANS}", param="limit")
    if body.data_routing_destination not in (None, DESTINATION):
        raise BadRequest("the only dataRoutingDestination is default", param="dataRoutingDestination")
    empty = {"data": [], "pagination": {"limit": body.limit}}
    if body.application_names and SERVICE not in body.application_names:
        return empty
    page = await records.page(
        Query(
            filters=(*_own_filters(body), *map(_filter, body.filters)),
            seen=sight_of(control.config.snapshot, ask.caller, "traces").rules,
            since=_aware(body.start_time),
            until=_aware(body.end_time) if body.end_time is not None else control.now(),
            before=cursor_in(body.page_token),
            limit=body.limit,
            oldest_first=body.sort_direction == "asc",
        )
    )
    spans = [span for record in page.records for span in spans_of(record) if _fits(span, body)]
    pagination = {"limit": body.limit} | ({"nextPageToken": page.next} if page.next is not None else {})
    return {"data": spans, "pagination": pagination}


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
    attributes = {
        "tfy.span_type": "Guardrail" if step.kind == "guardrail" else "Model",
        f"{prefix}.name": step.name,
        f"{prefix}.metric.latency_in_ms": step.duration_ms,
        "http.response.status_code": step.status,
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


def _filter(asked: SpanFilter) -> Filter:
    """Raises BadRequest: records cannot be looked for by that."""
    field = _field_of(asked)
    values = asked.value if isinstance(asked.value, list) else [asked.value]
    texts = tuple(_text(field, value) for value in values)
    if field == "subject":
        texts = tuple(_subjects(texts, None)) if not any(":" in text for text in texts) else texts
    match asked.operator:
        case "EQUAL" | "IN" | "ARRAY_HAS_ANY":
            return Filter(field, texts)
        case "NOT_EQUAL" | "NOT_IN" | "ARRAY_HAS_NONE":
            return Filter(field, texts, is_not=True)
        case "BETWEEN" if len(texts) == 2:
            return Filter(field, (f">={texts[0]}", f"<={texts[1]}"))
        case operator if operator in COMPARED and len(texts) == 1:
            return Filter(field, (f"{COMPARED[operator]}{texts[0]}",))
    known = f"EQUAL, NOT_EQUAL, IN, NOT_IN, ARRAY_HAS_ANY, ARRAY_HAS_NONE, BETWEEN, {', '.join(COMPARED)}"
    raise BadRequest(f"{asked.operator} with such a value is not known here; it can be {known}", param="filters")


def _field_of(asked: SpanFilter) -> str:
    if asked.gateway_request_metadata_key is not None:
        return f"{METADATA}{asked.gateway_request_metadata_key}"
    if (key := asked.span_attribute_key) is not None and key in ATTRIBUTES:
        return ATTRIBUTES[key]
    if (name := asked.span_field_name) is not None and name in FIELDS:
        return FIELDS[name]
    known = f"spanFieldName {', '.join(FIELDS)}; spanAttributeKey {', '.join(ATTRIBUTES)}; gatewayRequestMetadataKey"
    raise BadRequest(f"spans can be looked for by {known}", param="filters")


def _text(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise BadRequest("the value of a filter is text, a number, true or false, or a list of them", param="filters")
    if field == "status" and value in ("OK", "ERROR"):
        return "<400" if value == "OK" else ">=400"
    return str(value)


def _fits(span: Mapping[str, Any], body: SpansBody) -> bool:
    return (not body.span_ids or span["spanId"] in body.span_ids) and (
        not body.parent_span_ids or span["parentSpanId"] in body.parent_span_ids
    )


def _is_hex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
