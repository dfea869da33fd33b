"""What people say of requests, as rows of a table of its own, and how requests are found by it."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    RowMapping,
    Table,
    Text,
    and_,
    exists,
    not_,
    or_,
    true,
)

from gateway.contract import Record
from gateway.errors import BadRequest
from gateway.state.requests.asked import FEEDBACK_OF, Filter
from gateway.state.requests.tables import ID, REQUESTS, TABLES

Kind = Literal["thumbs", "number", "category", "comment"]
FEEDBACK = Table(
    "request_feedback",
    TABLES,
    Column("request_id", ID, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("value", Text),
    Column("score", Double),
    Column("comment", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("is_checked", Boolean, nullable=False),
    Index(None, "name", "request_id"),
    sqlite_with_rowid=False,
)
Index(
    "ix_request_feedback_pending",
    FEEDBACK.c.subject,
    FEEDBACK.c.request_id,
    sqlite_where=not_(FEEDBACK.c.is_checked),
    info={"postgresql_where": not_(FEEDBACK.c.is_checked)},
)
"""One row for each request, giver and name. `value` as text; `score` of numbers, and 1 or 0 of thumbs. Moments in
milliseconds since 1970. `is_checked`: the giver was seen to be allowed to look at the request."""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        subject: who gave it.
        name: what it is about, as in `helpful`.
        value: `up` or `down`, a number as text, or a category; None: there is a comment alone.
    """

    request_id: str
    subject: str
    name: str
    kind: Kind
    value: str | None = None
    score: float | None = None
    comment: str | None = None
    metadata: Mapping[str, str] = {}
    created_at: datetime
    updated_at: datetime
    is_checked: bool = True

    @property
    def id(self) -> str:
        """Begins with that of the request, and says no more of the giver than that it is the same."""
        of = f"{self.subject}\0{self.name}".encode()
        return f"{self.request_id}-{hashlib.sha256(of).hexdigest()[:16]}"

    def counts_for(self, record: Record) -> bool:
        return self.is_checked or self.subject == record.subject


KEY = ("request_id", "subject", "name")


def row_of(given: Feedback) -> dict[str, Any]:
    row = msgspec.structs.asdict(given)
    for name in ("created_at", "updated_at"):
        row[name] = int(row[name].timestamp() * 1000)
    return row | {"metadata": msgspec.json.encode(given.metadata).decode()}


def shown(row: RowMapping) -> Feedback:
    told: dict[str, Any] = {**row}
    for name in ("created_at", "updated_at"):
        told[name] = datetime.fromtimestamp(told[name] / 1000, UTC)
    return Feedback(**told | {"metadata": msgspec.json.decode(row["metadata"], type=dict[str, str])})


def is_about(field: str) -> bool:
    return field == "feedback" or field.startswith(FEEDBACK_OF)


def feedback_condition(asked: Filter) -> Any:
    """There is feedback for a request that the filter fits. Raises BadRequest: the filter cannot be understood."""
    given = FEEDBACK.alias("given")
    counts = or_(given.c.is_checked, given.c.subject == REQUESTS.c.subject)
    return exists().where(given.c.request_id == REQUESTS.c.request_id, counts, fits(given, asked))


def fits(table: Any, asked: Filter) -> Any:
    if asked.field == "feedback":
        # Of any name: which there is, `*` says.
        return table.c.name.in_(asked.values) if "*" not in asked.values else true()
    equal: list[Any] = []
    bounds: list[Any] = []
    for value in asked.values:
        compare, number = _compared(asked.field, value)
        match compare:
            case ">":
                bounds.append(table.c.score > number)
            case ">=":
                bounds.append(table.c.score >= number)
            case "<":
                bounds.append(table.c.score < number)
            case "<=":
                bounds.append(table.c.score <= number)
            case "*":
                bounds.append(true())
            case _:
                equal.append(table.c.value == value)
                if number is not None:
                    equal.append(and_(table.c.kind == "number", table.c.score == number))
    conditions = [*bounds, *([or_(*equal)] if equal else [])]
    return and_(table.c.name == asked.field.removeprefix(FEEDBACK_OF), *conditions)


def _compared(field: str, value: str) -> tuple[str, float | None]:
    """How, and with which number. Raises BadRequest: it is a bound that is no number."""
    if value == "*":
        return "*", None
    compare = next((sign for sign in (">=", "<=", ">", "<") if value.startswith(sign)), "")
    number = number_in(value.removeprefix(compare))
    if compare and number is None:
        raise BadRequest(f"{field[:100]} is compared with a number, as in {field[:100]}=>0.5", param=field[:100])
    return compare, number


def number_in(text: str) -> float | None:
    """None: it is none, or none that can be counted with."""
    try:
        number = float(text) if len(text) <= 40 else None
    except ValueError:
        return None
    return number if number is not None and abs(number) <= 1e15 else None  # nor is NaN
