"""What is asked of records: values alone, for those who must not wait until a database's library is loaded."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from gateway.contract import Record
from gateway.contract.usage import Usage
from gateway.state.requests.histogram import Scale

METADATA = "metadata."
FEEDBACK_OF = "feedback."


class Filter(msgspec.Struct, frozen=True):
    """What a field has to be: one of the values; `is_not`: none of them.

    Args:
        field: of `FIELDS`, `metadata.<key>`, or `feedback.<name>`.
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
    a bound. Whether there is such a field, the store says."""
    found: dict[tuple[str, bool], list[str]] = {}
    for name, value in pairs:
        field, is_not = name.removeprefix("not."), name.startswith("not.")
        found.setdefault((field, is_not), []).append(value)
    return tuple(Filter(field, tuple(values), is_not) for (field, is_not), values in found.items())


class Page(msgspec.Struct, frozen=True):
    """`next`: where the next one begins; None: there is no more. There may be a next one though this has few records,
    or none: then it was looked for long enough."""

    records: tuple[Record, ...]
    next: str | None = None


class Tail(msgspec.Struct, frozen=True):
    """`seq`: of the last that was looked at."""

    records: tuple[Record, ...]
    seq: int


class Only(msgspec.Struct, frozen=True):
    """Sums of those alone whose dimension has one of the values; `is_not`: none of them. A `*` at its end stands for
    any text."""

    dimension: str
    values: tuple[str, ...]
    is_not: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        since, until: from, and before.
        by: dimensions to group by. Of `subject` and `token`, `team` and `metadata.<key>`, only one: sums of teams are
            not kept for each of their people.
        step_s: one group for each such span of time, at least a minute; None: all of it together.
        subjects: whose requests; None: everybody's.
        scales: whose percentiles are asked for.
        counts: the columns that are wanted; what is left out is 0. Empty: all of them, which takes longer.
        most: so many groups, those that cost most; None: all. With a step, it is None.
    """

    since: datetime
    until: datetime
    by: tuple[str, ...] = ()
    only: tuple[Only, ...] = ()
    step_s: int | None = None
    subjects: frozenset[str] | None = None
    scales: tuple[Scale, ...] = ()
    counts: tuple[str, ...] = ()
    most: int | None = None


class Sum(msgspec.Struct, frozen=True):
    """What a group came to. `bins`: the counts of each scale asked for. `at`: begin of the step, in seconds.

    `cost`, in nano-dollars, is without the `unpriced` ones. Times are in microseconds, all together.
    """

    group: tuple[str, ...]
    at: int | None
    requests: int
    failures: int
    unpriced: int
    cost: int
    usage: Usage
    latency_us: int
    first_token_us: int
    per_token_us: int
    bins: dict[str, tuple[int, ...]] = {}

    def count_of(self, scale: Scale) -> int:
        """How many were measured, by a scale that was asked for."""
        return sum(self.bins.get(scale.name, ()))
