"""Which records are asked for: filters as people write them, and as SQL of either database."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import JSON, ColumnElement, and_, cast, exists, func, not_, or_

from gateway.errors import BadRequest
from gateway.state.requests.tables import REQUESTS, TEAMS

MAX_VALUES = 100
MAX_FILTERS = 30
METADATA = "metadata."

Compare = Literal["=", ">", ">=", "<", "<="]

_COMPARED = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)
_CLASS = re.compile(r"([1-5])xx")
_BIGGEST = 2**53


class Filter(msgspec.Struct, frozen=True):
    """What a field has to be: one of the values; `is_not`: none of them.

    Args:
        field: of `FIELDS`, or `metadata.<key>`.
        values: as text, each with `>`, `>=`, `<` or `<=` in front if it is a bound. Bounds have to hold all together.
    """

    field: str
    values: tuple[str, ...]
    is_not: bool = False


Rule = tuple[Filter, ...]
"""All of them have to fit."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which records, from which on.

    Args:
        seen: who asks may see what one of these fits; None: everything.
        since, until: when the request came in; from, and before.
        before: the id after which the page begins, in the order of the list. None: it is the first.
        oldest_first: else the newest.
    """

    filters: Rule = ()
    seen: tuple[Rule, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    limit: int = 50
    oldest_first: bool = False


def filters_of(pairs: Iterable[tuple[str, str]]) -> Rule:
    """From a query string: `model=a&model=b` is one or the other, `not.status=200` none of that, and `duration_ms=>500`
    a bound. Raises BadRequest: nobody can tell what it means."""
    found: dict[tuple[str, bool], list[str]] = {}
    for name, value in pairs:
        field, is_not = name.removeprefix("not."), name.startswith("not.")
        found.setdefault((field, is_not), []).append(value)
    rule = tuple(Filter(field, tuple(values), is_not) for (field, is_not), values in found.items())
    condition_of(rule)
    return rule


def condition_of(rule: Rule, *, is_sqlite: bool = True) -> ColumnElement[bool]:
    """Raises BadRequest: a filter cannot be understood."""
    if len(rule) > MAX_FILTERS:
        raise BadRequest(f"a list has at most {MAX_FILTERS} filters")
    return and_(True, *(_condition(each, is_sqlite) for each in rule))


def seen_condition(seen: Sequence[Rule], *, is_sqlite: bool) -> ColumnElement[bool]:
    return or_(False, *(condition_of(rule, is_sqlite=is_sqlite) for rule in seen))


def _condition(filter_: Filter, is_sqlite: bool) -> ColumnElement[bool]:
    if len(filter_.values) > MAX_VALUES and filter_.field not in ("subject", "id"):
        raise BadRequest(f"{filter_.field} has more than {MAX_VALUES} values", param=filter_.field)
    if filter_.field.startswith(METADATA):
        condition = _metadata(filter_.field.removeprefix(METADATA), filter_.values, is_sqlite)
    elif filter_.field in FIELDS:
        condition = FIELDS[filter_.field](filter_.field, filter_.values)
    else:
        known = ", ".join((*FIELDS, f"{METADATA}<key>"))
        raise BadRequest(f"there is no filter {filter_.field[:100]!r}; known are: {known}", param=filter_.field[:100])
    return func.coalesce(not_(condition), True) if filter_.is_not else condition


def _text(column: str) -> Callable[[str, Sequence[str]], ColumnElement[bool]]:
    def condition(field: str, values: Sequence[str]) -> ColumnElement[bool]:
        texts = [_plain(field, value) for value in values]
        if len(texts) == 1:
            return REQUESTS.c[column] == texts[0]
        return REQUESTS.c[column].in_(texts)

    return condition


def _number(column: str, scale: int = 1) -> Callable[[str, Sequence[str]], ColumnElement[bool]]:
    def condition(field: str, values: Sequence[str]) -> ColumnElement[bool]:
        where = REQUESTS.c[column]
        equal: list[Any] = []
        bounds: list[ColumnElement[bool]] = []
        for value in values:
            compare, amount = _compared(field, value, scale)
            match compare:
                case "=":
                    equal.append(amount)
                case ">":
                    bounds.append(where > amount)
                case ">=":
                    bounds.append(where >= amount)
                case "<":
                    bounds.append(where < amount)
                case "<=":
                    bounds.append(where <= amount)
        return and_(*bounds, *([where.in_(equal)] if equal else []))

    return condition


def _compared(field: str, value: str, scale: int) -> tuple[str, int | float]:
    match = _COMPARED.fullmatch(value)
    compare, text = (match[1], match[2]) if match else ("=", value)
    try:
        number = Decimal(text.strip()) * scale
        if not abs(number) <= _BIGGEST:
            raise InvalidOperation
    except (InvalidOperation, ValueError):
        example = f"{field}=>500" if scale == 1 else f"{field}=>0.01"
        raise BadRequest(f"{field} is compared with a number, as in {example}", param=field) from None
    return compare, int(number) if number == number.to_integral_value() else float(number)


def _status(field: str, values: Sequence[str]) -> ColumnElement[bool]:
    classes = [int(match[1]) * 100 for value in values if (match := _CLASS.fullmatch(value))]
    others = [value for value in values if not _CLASS.fullmatch(value)]
    status = REQUESTS.c.status
    ranges = [and_(status >= first, status < first + 100) for first in classes]
    if not others:
        return or_(*ranges)
    if len(others) == 1 and others[0].isdecimal() and not ranges:
        return status == int(others[0][:9])
    return or_(*ranges, _number("status")(field, others))


def _flag(field: str, values: Sequence[str]) -> ColumnElement[bool]:
    if any(value not in ("true", "false") for value in values):
        raise BadRequest(f"{field} is true or false", param=field)
    return REQUESTS.c.is_stream.in_([value == "true" for value in values])


def _account(field: str, values: Sequence[str]) -> ColumnElement[bool]:
    # Not LIKE, for which SQLite takes large and small letters for the same.
    begins = [f"{_plain(field, value)}/" for value in values]
    return or_(*(func.substr(REQUESTS.c.resolved_model, 1, len(text)) == text for text in begins))


def _team(field: str, values: Sequence[str]) -> ColumnElement[bool]:
    teams = [_plain(field, value).removeprefix("team:") for value in values]
    return exists().where(TEAMS.c.team.in_(teams), TEAMS.c.request_id == REQUESTS.c.request_id)


def _metadata(key: str, values: Sequence[str], is_sqlite: bool) -> ColumnElement[bool]:
    texts = [_plain(f"{METADATA}{key}", value) for value in values]
    _plain("metadata", key)
    if is_sqlite:
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return func.json_extract(REQUESTS.c.record, f'$.metadata."{quoted}"').in_(texts)
    return func.json_extract_path_text(cast(REQUESTS.c.record, JSON), "metadata", key).in_(texts)


def _plain(field: str, text: str) -> str:
    """Raises BadRequest: no database has such a text."""
    if "\0" in text or not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{field[:100]!r} holds half of a surrogate pair", param=field[:100]) from None
        if "\0" in text:
            raise BadRequest(f"{field[:100]!r} holds the character NUL", param=field[:100])
    return text


FIELDS: Mapping[str, Callable[[str, Sequence[str]], ColumnElement[bool]]] = {
    "id": _text("request_id"),
    "subject": _text("subject"),
    "team": _team,
    "token": _text("token_id"),
    "model": _text("model"),
    "resolved_model": _text("resolved_model"),
    "account": _account,
    "type": _text("request_type"),
    "status": _status,
    "outcome": _text("outcome"),
    "error": _text("error_code"),
    "stream": _flag,
    "duration_ms": _number("duration_ms"),
    "ttft_ms": _number("first_token_ms"),
    "input_tokens": _number("input_tokens"),
    "output_tokens": _number("output_tokens"),
    "cost": _number("cost", 10**9),
}
"""Field -> its condition. `status` may be `5xx`; `cost` is in dollars."""


class Driver(NamedTuple):
    """The index along which a list is read. `column`: None: that of all ids."""

    column: str | None
    values: tuple[Any, ...]
    is_exact: bool
    """Nothing else has to be looked at: there is no other filter."""


_INDEXED = {"subject": "subject", "status": "status", "team": "team", "resolved_model": "resolved_model"} | {
    "model": "model"
}
MOST_RANGES = 20


def driver_of(rule: Rule, seen: Sequence[Rule] | None) -> Driver:
    """The filter that leaves the fewest, as far as one can tell without counting."""
    every = rule if seen is None else (*rule, *(seen[0] if len(seen) == 1 else ()))
    is_plain = seen is None or len(seen) == 1
    for field, column in _INDEXED.items():
        for each in every:
            values = _driving(each) if each.field == field else None
            if values is not None and len(values) <= MOST_RANGES:
                return Driver(column, values, is_plain and len(every) == 1 and len(values) == 1)
    return Driver(None, (), is_plain and not every)


def _driving(filter_: Filter) -> tuple[Any, ...] | None:
    """The values to look for; None: it is no list of them, or one of nearly everything."""
    if filter_.is_not:
        return None
    if filter_.field == "team":
        return tuple(value.removeprefix("team:") for value in filter_.values)
    if filter_.field != "status":
        return filter_.values
    if all(value.isdecimal() and len(value) == 3 and value != "200" for value in filter_.values):
        return tuple(map(int, filter_.values))
    return None
