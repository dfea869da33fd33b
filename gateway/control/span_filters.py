"""Which spans are asked for: filters on what a span is, on its attributes, and on the metadata of its request.

Each span is looked at by itself, and has to fit all of them. What only whole requests can fit is looked for in the
database; the rest is looked at afterwards, in what that finds.

Source: section 5.3 of the project's compatibility notes. What is about a name that a span does not have is our own: it
fits `NOT_EQUAL` and its like, and `IS_NULL`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Record
from gateway.errors import BadRequest
from gateway.state.requests.asked import METADATA, Filter

Shown = Mapping[str, Any]
"""A span, as it is answered."""
ValueOf = Callable[[Shown, Record], Any]
"""Of a span, and of the request that it belongs to."""
Fits = Callable[[Any], bool]

MOST_FILTERS = 30
MOST_VALUES = 500
_EXACT = 2**53
"""Below it, no two whole numbers are the same as floats."""

OF_REQUESTS: Mapping[str, str] = {
    "tfy.request.model_name": "model",
    "tfy.request.created_by_subject": "subject",
    "tfy.model.request_type": "type",
    "tfy.model.streaming": "stream",
    "tfy.model.metric.time_to_first_token_in_ms": "ttft_ms",
    "tfy.model.metric.input_tokens": "input_tokens",
    "tfy.model.metric.output_tokens": "output_tokens",
    "tfy.model.metric.cost_in_usd": "cost",
}
"""Attributes that only the span of the whole request has -> the filter of records that says the same."""
FIELDS: Mapping[str, ValueOf] = {
    "spanName": lambda span, _: span["spanName"],
    "spanId": lambda span, _: span["spanId"],
    "traceId": lambda span, _: span["traceId"],
    "parentSpanId": lambda span, _: span["parentSpanId"] or None,
    "applicationName": lambda span, _: span["serviceName"],
    "createdBySubjectSlug": lambda span, _: span["createdBySubject"]["subjectSlug"],
    "createdBySubjectType": lambda span, _: span["createdBySubject"]["subjectType"],
    "durationInNs": lambda span, _: span["durationNs"],
    "durationInMs": lambda span, _: span["durationNs"] / 1e6,
    "spanStatusCode": lambda span, _: span["statusCode"],
    "tag": lambda *_: None,
    "scopeName": lambda span, _: span["scopeName"],
    "environment": lambda *_: None,
    "feedbacks": lambda span, _: [said[1] for said in span["feedbacks"]] or None,
}
"""`tag` and `environment` are of applications that send spans of their own; here, no span has one. `feedbacks` are the
names of what was said of the request."""
OPERATORS = (
    *("EQUAL", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_EQUAL", "LESS_THAN", "LESS_THAN_EQUAL", "BETWEEN", "IN"),
    *("NOT_IN", "STRING_CONTAINS", "STRING_NOT_CONTAINS", "STRING_STARTS_WITH", "STRING_ENDS_WITH"),
    *("ARRAY_HAS_ANY", "ARRAY_HAS_NONE", "PRESENT", "IS_NULL"),
)
COMPARED = {"GREATER_THAN": ">", "GREATER_THAN_EQUAL": ">=", "LESS_THAN": "<", "LESS_THAN_EQUAL": "<="}


class SpanFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the three names says what it is about."""

    operator: str
    value: Any = None
    span_field_name: str | None = None
    span_attribute_key: str | None = None
    gateway_request_metadata_key: str | None = None


class SpanFilters(msgspec.Struct, frozen=True):
    """All of them, understood.

    Args:
        of_requests: what the database is asked for.
        of_spans: of what value, and whether it fits.
    """

    of_requests: tuple[Filter, ...]
    of_spans: tuple[tuple[ValueOf, Fits], ...]

    def fits(self, span: Shown, record: Record) -> bool:
        return all(fits(value_of(span, record)) for value_of, fits in self.of_spans)


def understood(asked: Sequence[SpanFilter]) -> SpanFilters:
    """Raises BadRequest: one of them cannot be."""
    if len(asked) > MOST_FILTERS:
        raise BadRequest(f"there are at most {MOST_FILTERS} filters", param="filters")
    return SpanFilters(
        tuple(narrowed for each in asked for narrowed in _narrowed(each)),
        tuple((_value_of(each), _fits(each)) for each in asked),
    )


# --- in the database ---------------------------------------------------------


def _narrowed(asked: SpanFilter) -> Iterator[Filter]:
    """What no request can lack of which a span fits."""
    field = _record_field(asked)
    if field is None:
        return
    values = [*map(_text, _values(asked.value))]
    match asked.operator:
        case "EQUAL" | "IN" if values:
            yield Filter(field, tuple(values))
        case "BETWEEN" if len(values) == 2:
            yield Filter(field, (f">={values[0]}", f"<={values[1]}"))
        case operator if operator in COMPARED and len(values) == 1:
            yield Filter(field, (f"{COMPARED[operator]}{values[0]}",))


def _record_field(asked: SpanFilter) -> str | None:
    """None: a span may have another than its request."""
    if asked.gateway_request_metadata_key is not None:
        return f"{METADATA}{asked.gateway_request_metadata_key}" if asked.operator in ("EQUAL", "IN") else None
    if asked.span_field_name == "traceId" and asked.operator in ("EQUAL", "IN"):
        return "id"
    field = OF_REQUESTS.get(asked.span_attribute_key or "")
    is_number = field is not None and field.endswith(("_ms", "_tokens", "cost"))
    return field if is_number or asked.operator in ("EQUAL", "IN") else None


# --- of a span ---------------------------------------------------------------


def _value_of(asked: SpanFilter) -> ValueOf:
    """Raises BadRequest: it says nothing of what it is about, or too much."""
    named = (asked.span_field_name, asked.span_attribute_key, asked.gateway_request_metadata_key)
    if sum(name is not None for name in named) != 1:
        names = "spanFieldName, spanAttributeKey or gatewayRequestMetadataKey"
        raise BadRequest(f"a filter has one of {names}", param="filters")
    if (key := asked.gateway_request_metadata_key) is not None:
        return lambda _, record: record.metadata.get(key)
    if (attribute := asked.span_attribute_key) is not None:
        return lambda span, _: span["spanAttributes"].get(attribute)
    name = asked.span_field_name or ""
    if name not in FIELDS:
        raise BadRequest(f"there is no spanFieldName {name[:100]!r}; known are: {', '.join(FIELDS)}", param="filters")
    return FIELDS[name]


def _fits(asked: SpanFilter) -> Fits:
    """Raises BadRequest: there is no such operator, or it takes another value."""
    operator, value = asked.operator, asked.value
    if operator not in OPERATORS:
        raise BadRequest(f"there is no operator {operator[:100]!r}; known are: {', '.join(OPERATORS)}", param="filters")
    match operator:
        case "PRESENT":
            return lambda found: found is not None
        case "IS_NULL":
            return lambda found: found is None
        case "EQUAL" | "IN" | "ARRAY_HAS_ANY":
            wanted = _comparable(_values(value))
            return lambda found: not wanted.isdisjoint(_comparable(_each(found)))
        case "NOT_EQUAL" | "NOT_IN" | "ARRAY_HAS_NONE":
            unwanted = _comparable(_values(value))
            return lambda found: unwanted.isdisjoint(_comparable(_each(found)))
        case "BETWEEN":
            return _between(*_numbers(operator, value, 2))
        case _ if operator in COMPARED:
            return _compared(operator, *_numbers(operator, value, 1))
    return _in_text(operator, value)


def _compared(operator: str, bound: float) -> Fits:
    compare: Mapping[str, Callable[[float], bool]] = {
        "GREATER_THAN": lambda number: number > bound,
        "GREATER_THAN_EQUAL": lambda number: number >= bound,
        "LESS_THAN": lambda number: number < bound,
        "LESS_THAN_EQUAL": lambda number: number <= bound,
    }
    return lambda found: (number := _number(found)) is not None and compare[operator](number)


def _between(low: float, high: float) -> Fits:
    return lambda found: (number := _number(found)) is not None and low <= number <= high


def _in_text(operator: str, value: Any) -> Fits:
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{operator} takes a text that is not empty", param="filters")
    match operator:
        case "STRING_STARTS_WITH":
            return lambda found: any(text.startswith(value) for text in map(_text, _each(found)))
        case "STRING_ENDS_WITH":
            return lambda found: any(text.endswith(value) for text in map(_text, _each(found)))
        case "STRING_NOT_CONTAINS":
            return lambda found: all(value not in text for text in map(_text, _each(found)))
    return lambda found: any(value in text for text in map(_text, _each(found)))


# --- values ------------------------------------------------------------------


def _values(value: Any) -> list[Any]:
    """Raises BadRequest: it is neither a plain value nor a list of such."""
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MOST_VALUES or not all(isinstance(each, str | int | float) for each in values):
        what = f"text, a number, true or false, or a list of at most {MOST_VALUES} of them"
        raise BadRequest(f"the value of a filter is {what}", param="filters")
    return values


def _numbers(operator: str, value: Any, count: int) -> list[float]:
    numbers = [number for each in _values(value) if (number := _number(each)) is not None]
    if len(numbers) != count or len(_values(value)) != count:
        raise BadRequest(f"{operator} takes {'two numbers' if count == 2 else 'a number'}", param="filters")
    return numbers


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _each(found: Any) -> list[Any]:
    if found is None:
        return []
    return [*found] if isinstance(found, list | tuple) else [found]


def _comparable(values: Iterable[Any]) -> frozenset[Any]:
    """As texts, and numbers as numbers: `200`, `200.0` and `"200"` are the same. What is too large to be exact, as ids
    may be, is a text; so are `nan` and `inf`."""
    found: set[Any] = set()
    for value in values:
        number = _number(value)
        is_exact = number is not None and abs(number) < _EXACT
        found.add(number if is_exact else _text(value))
    return frozenset(found)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
