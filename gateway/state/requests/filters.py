"""Which records are asked for: filters as people write them, and as SQL of either database."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, DecimalException, InvalidOperation
from typing import Any, NamedTuple

from sqlalchemy import JSON, ColumnElement, and_, cast, exists, func, not_, or_

from gateway.errors import BadRequest
from gateway.state.requests.asked import FEEDBACK_OF, METADATA, Filter, Rule
from gateway.state.requests.feedback_rows import feedback_condition, is_about
from gateway.state.requests.tables import REQUESTS, TEAMS

MAX_VALUES = 100
MAX_FILTERS = 30

Condition = ColumnElement[bool]
Make = Callable[[str, Sequence[str], bool], Condition]
"""From the field, its values, and whether the index of its column may be used."""

_COMPARED = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)
_CLASS = re.compile(r"([1-5])xx")
_BIGGEST = 2**53
_BIGGEST_STATUS = 2**31 - 1
"""PostgreSQL has it in a small column, and is asked with numbers of that size."""


def condition_of(
    rule: Rule, *, along: str | None = None, step: tuple[str, str] = ("", ""), is_sqlite: bool
) -> Condition:
    """
    Args:
        step: the ids that are looked at: from, and before; empty: open.
        along: the only field whose index may be used, because the list is read along it. How long all others would
            take depends on what there is, and a database may guess wrong.

    Raises:
        BadRequest: a filter cannot be understood.
    """
    if len(rule) > MAX_FILTERS:
        raise BadRequest(f"a list has at most {MAX_FILTERS} filters")
    return and_(True, *(_condition(each, along, step, is_sqlite) for each in rule))


def seen_condition(
    seen: Sequence[Rule], *, along: str | None = None, step: tuple[str, str] = ("", ""), is_sqlite: bool
) -> Condition:
    return or_(False, *(condition_of(rule, along=along, step=step, is_sqlite=is_sqlite) for rule in seen))


def _condition(filter_: Filter, along: str | None, step: tuple[str, str], is_sqlite: bool) -> Condition:
    if len(filter_.values) > MAX_VALUES and filter_.field not in ("subject", "id"):
        raise BadRequest(f"{filter_.field} has more than {MAX_VALUES} values", param=filter_.field)
    if filter_.field.startswith(METADATA):
        condition = _metadata(filter_.field.removeprefix(METADATA), filter_.values, is_sqlite)
    elif filter_.field == "team":
        condition = _team(filter_.values, *step)
    elif is_about(filter_.field):
        for text in (filter_.field, *filter_.values):
            _plain(filter_.field, text)
        condition = feedback_condition(filter_)
    elif filter_.field in FIELDS:
        condition = FIELDS[filter_.field](filter_.field, filter_.values, along == filter_.field)
    else:
        known = ", ".join((*FIELDS, "team", f"{METADATA}<key>", f"{FEEDBACK_OF}<name>"))
        raise BadRequest(f"there is no filter {filter_.field[:100]!r}; known are: {known}", param=filter_.field[:100])
    return func.coalesce(not_(condition), True) if filter_.is_not else condition


def _text(column: str) -> Make:
    def condition(field: str, values: Sequence[str], is_along: bool) -> Condition:
        texts = [_plain(field, value) for value in values]
        plain: ColumnElement[str] = REQUESTS.c[column]
        where = plain if is_along or column == "request_id" else func.coalesce(plain, "")
        return where == texts[0] if len(texts) == 1 else where.in_(texts)

    return condition


def _number(column: str, scale: int = 1, biggest: int = _BIGGEST) -> Make:
    def condition(field: str, values: Sequence[str], is_along: bool) -> Condition:
        plain: ColumnElement[Any] = REQUESTS.c[column]
        where = plain if is_along else plain + 0
        equal: list[Any] = []
        bounds: list[Condition] = []
        for value in values:
            compare, amount = _compared(field, value, scale, biggest)
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
        if len(equal) == 1:
            bounds.append(where == equal[0])
        elif equal:
            bounds.append(where.in_(equal))
        return and_(*bounds)

    return condition


def _compared(field: str, value: str, scale: int, biggest: int) -> tuple[str, int | float]:
    match = _COMPARED.fullmatch(value)
    compare, text = (match[1], match[2]) if match else ("=", value)
    try:
        number = Decimal(text.strip()) * scale
        if not abs(number) <= biggest:
            raise InvalidOperation
    except (DecimalException, ValueError):
        example = f"{field}=>500" if scale == 1 else f"{field}=>0.01"
        raise BadRequest(f"{field} is compared with a number, as in {example}", param=field) from None
    return compare, int(number) if number == number.to_integral_value() else float(number)


def _status(field: str, values: Sequence[str], is_along: bool) -> Condition:
    classes = [int(match[1]) * 100 for value in values if (match := _CLASS.fullmatch(value))]
    others = [value for value in values if not _CLASS.fullmatch(value)]
    status = REQUESTS.c.status if is_along else REQUESTS.c.status + 0
    ranges = [and_(status >= first, status < first + 100) for first in classes]
    if not others:
        return or_(*ranges)
    return or_(*ranges, _number("status", biggest=_BIGGEST_STATUS)(field, others, is_along))


def _flag(field: str, values: Sequence[str], _: bool) -> Condition:
    if any(value not in ("true", "false") for value in values):
        raise BadRequest(f"{field} is true or false", param=field)
    is_stream: ColumnElement[bool] = REQUESTS.c.is_stream
    return is_stream.in_([value == "true" for value in values])


def _account(field: str, values: Sequence[str], _: bool) -> Condition:
    # Not LIKE, for which SQLite takes large and small letters for the same.
    begins = [f"{_plain(field, value)}/" for value in values]
    return or_(*(func.substr(REQUESTS.c.resolved_model, 1, len(text)) == text for text in begins))


def _subject_type(field: str, values: Sequence[str], _: bool) -> Condition:
    begins = [f"{_plain(field, value)}:" for value in values]
    return or_(*(func.substr(REQUESTS.c.subject, 1, len(text)) == text for text in begins))


def _team(values: Sequence[str], low: str, high: str) -> Condition:
    teams = [_plain("team", value).removeprefix("team:") for value in values]
    theirs = TEAMS.alias("theirs")  # since the list may be read along the table itself
    found = exists().where(theirs.c.team.in_(teams), theirs.c.request_id == REQUESTS.c.request_id)
    # Or else PostgreSQL may look into the partitions of all days.
    found = found.where(theirs.c.request_id >= low) if low else found
    return found.where(theirs.c.request_id < high) if high else found


def _metadata(key: str, values: Sequence[str], is_sqlite: bool) -> Condition:
    texts = [_plain(f"{METADATA}{key}", value) for value in values]
    _plain("metadata", key)
    if is_sqlite:
        # Not a path with the key in it: SQLite's know no quotes.
        pair = func.json_each(REQUESTS.c.record, "$.metadata").table_valued("key", "value")
        return exists().select_from(pair).where(pair.c.key == key, pair.c.value.in_(texts))
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


FIELDS: Mapping[str, Make] = {
    "id": _text("request_id"),
    "subject": _text("subject"),
    "subject_type": _subject_type,
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


_INDEXED = ("subject", "status", "team", "resolved_model", "model")
MOST_RANGES = 20


def driver_of(rule: Rule, seen: Sequence[Rule] | None) -> Driver:
    """The filter that leaves the fewest, as far as one can tell without counting."""
    every = rule if seen is None else (*rule, *(seen[0] if len(seen) == 1 else ()))
    is_plain = seen is None or len(seen) == 1
    if any(each.field == "id" and not each.is_not for each in rule):
        return Driver(None, (), is_exact=True)  # no more than are asked for by name
    for field in _INDEXED:
        for each in every:
            values = _driving(each) if each.field == field else None
            if values is not None and len(values) <= (1 if field == "team" else MOST_RANGES):
                return Driver(field, values, is_plain and len(every) == 1 and len(values) == 1)
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
