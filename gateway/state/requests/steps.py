"""The steps in which a page is looked for: which records each looks through, along an index."""

from typing import Any

from sqlalchemy import Select, Subquery, select, true, union_all

from gateway.state.requests.asked import Query
from gateway.state.requests.filters import Driver
from gateway.state.requests.tables import REQUESTS, TEAMS, prefix_of


def id_of(driver: Driver) -> Any:
    return TEAMS.c.request_id if driver.column == "team" else REQUESTS.c.request_id


def records_along(driver: Driver, step: tuple[str, str]) -> Select[Any]:
    """The records of a step."""
    query = select(REQUESTS.c.record, REQUESTS.c.request_id).where(*between(*step))
    if driver.column != "team":
        return query
    joined = TEAMS.join(REQUESTS, TEAMS.c.request_id == REQUESTS.c.request_id)
    return query.select_from(joined).where(TEAMS.c.team == driver.values[0], *between(*step, TEAMS.c.request_id))


def fenced(driver: Driver, step: tuple[str, str], query: Query) -> Subquery:
    """The same for PostgreSQL, which guesses how many records will fit and, where it guesses wrong, looks at those that
    are not along the driver, too. What has an offset it takes as it is."""
    if driver.column == "team":
        ids = select(TEAMS.c.request_id).where(TEAMS.c.team == driver.values[0], *between(*step, TEAMS.c.request_id))
        few = ids.order_by(order(TEAMS.c.request_id, query)).offset(0).subquery("few")
        one = (
            select(REQUESTS).where(REQUESTS.c.request_id == few.c.request_id, *between(*step)).offset(0).lateral("one")
        )
        columns = [few.c.request_id, *(column for column in one.c if column.name != "request_id")]
        return select(*columns).select_from(few.join(one, true())).subquery("step")
    column = REQUESTS.c[str(driver.column)]
    in_order = select(REQUESTS).where(*between(*step)).order_by(order(REQUESTS.c.request_id, query)).offset(0)
    rows = [in_order.where(column == value) for value in driver.values]
    return union_all(*rows).subquery("step") if len(rows) > 1 else rows[0].subquery("step")


def bounds(query: Query) -> tuple[str, str]:
    """The ids between which the page lies: from, and before; empty: open."""
    low = prefix_of(query.since) if query.since is not None else ""
    high = prefix_of(query.until) if query.until is not None else ""
    if query.before is not None and query.oldest_first:
        low = max(low, after(query.before))
    elif query.before is not None:
        high = min(high or query.before, query.before)
    return low, high


def after(id_: str) -> str:
    """Comes after the id, and before all others that do."""
    return f"{id_} "


def between(low: str, high: str, column: Any = REQUESTS.c.request_id) -> list[Any]:
    return [*([column >= low] if low else []), *([column < high] if high else [])]


def order(column: Any, query: Query) -> Any:
    return column if query.oldest_first else column.desc()
