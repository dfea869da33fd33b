"""Which spans of time have their sums in fewer rows, and which are to get them.

A request is written into the sums of its minute alone. When ten minutes are over, they are added up, and so are the
hours and the days: what is written for a request is as little as can be, and a question about a day reads a day's rows.

A question about a month would still have to read those of each day: a thousand people who use twenty models leave more
of them than can be read while somebody waits. So days are folded into 2, 4, 8 and 16 days, and days and hours once more
without the models; and since a month that ends now begins and ends within a day, hours into a quarter of a day.
Whatever the month, a few spans cover it. What is written for a request knows nothing of it; a record that comes late
makes the spans around it count no more, until they are folded anew. Meanwhile, and until a span is folded for the first
time, what it is made of is read.

Minutes are kept for two days. A record that is older goes into the sums of its hour at once.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Table

from gateway.state.requests.tables import DAYS, FOLDS, HOURS

MINUTE, TEN_MINUTES, HOUR, SIX_HOURS, DAY = 60, 600, 3600, 6 * 3600, 86400

GRACE_S = 300
"""A span is folded so long after its end: by then, records of it are late by everybody's clock."""
SHORT_KEPT_S, LONG_KEPT_S = 100 * DAY, 400 * DAY
LONGEST_S = 16 * DAY

BASE = "base"
FLOOR = "minutes"
"""The name of the row that says, in place of a span, from when on there are minutes: what is before is in hours."""


class Fold(NamedTuple):
    """Sums of `length_s`; of the name `who`, without models.

    `source`: what they are made of; None: the minutes.
    """

    name: str
    length_s: int
    source: "Fold | None" = None
    table: Table = FOLDS

    @property
    def kept_s(self) -> int:
        """The longest are kept as long as the days they are made of."""
        return LONG_KEPT_S if self.name == BASE or self.length_s == LONGEST_S else SHORT_KEPT_S

    @property
    def part_s(self) -> int:
        return self.source.length_s if self.source is not None else MINUTE

    def parts(self, at: int) -> "list[Key]":
        """The spans that the one at that moment is made of; none: it is the minutes."""
        if self.source is None:
            return []
        return [(self.source.name, self.part_s, each) for each in range(at, at + self.length_s, self.part_s)]


def _doubled(fold: Fold, name: str) -> Iterator[Fold]:
    while fold.length_s < LONGEST_S:
        fold = Fold(name, fold.length_s * 2, fold)
        yield fold


TENS = Fold(BASE, TEN_MINUTES)
HOURLY = Fold(BASE, HOUR, TENS, HOURS)
DAILY = Fold(BASE, DAY, HOURLY, DAYS)
_WHO_HOURLY, _WHO_DAILY = Fold("who", HOUR, HOURLY), Fold("who", DAY, DAILY)
FOLDS_OF: dict[str, tuple[Fold, ...]] = {
    "full": (*reversed([*_doubled(DAILY, "full")]), DAILY, Fold("full", SIX_HOURS, HOURLY), HOURLY, TENS),
    "who": (
        *reversed([*_doubled(_WHO_DAILY, "who")]),
        _WHO_DAILY,
        Fold("who", SIX_HOURS, _WHO_HOURLY),
        _WHO_HOURLY,
        DAILY,
        HOURLY,
        TENS,
    ),
}
"""What answers questions of either kind: the longest, and of the same length the one with the fewest rows, first."""
IN_ORDER = (
    TENS,
    HOURLY,
    DAILY,
    *(fold for folds in FOLDS_OF.values() for fold in reversed(folds) if fold.name != BASE),
)
"""Each after what it is made of."""

Gap = tuple[int, int]
"""From, and before: a time, in seconds since 1970."""

Key = tuple[str, int, int]
"""Of a span: name of the fold, length, begin."""


class Spans:
    """Those that are complete.

    Args:
        rows: keys, and one named `FLOOR`.
    """

    def __init__(self, rows: Iterable[Key] = ()) -> None:
        self.keys = {*rows}
        self.minutes_from_s = next((at for name, _, at in self.keys if name == FLOOR), 0)

    def __contains__(self, key: Key) -> bool:
        return key in self.keys or (key[:2] == (BASE, HOUR) and key[2] < self.minutes_from_s)

    def add(self, keys: Iterable[Key]) -> None:
        self.keys.update(keys)

    def runs(self, fold: Fold, begin: int, end: int) -> Iterator[Gap]:
        """Within that time, those that follow each other as one."""
        begin, end = up(begin, fold.length_s), down(end, fold.length_s)
        if fold is HOURLY and begin < (until := min(end, self.minutes_from_s)):
            yield begin, until
            begin = until
        of_fold = (at for name, length_s, at in self.keys if (name, length_s) == fold[:2] and begin <= at < end)
        yield from _joined(sorted(of_fold), fold.length_s)


class Run(NamedTuple):
    """Spans of a fold that follow each other: the hours of a day, else one."""

    fold: Fold
    since_s: int
    until_s: int

    @property
    def spans(self) -> range:
        return range(self.since_s, self.until_s, self.fold.length_s)

    @property
    def keys(self) -> list[Key]:
        return [(self.fold.name, self.fold.length_s, at) for at in self.spans]

    @property
    def moments(self) -> range:
        """When the rows begin that they are made of."""
        return range(self.since_s, self.until_s, self.fold.part_s)

    @property
    def parts(self) -> list[Key]:
        return [part for at in self.spans for part in self.fold.parts(at)]


def due(first_s: int, now_s: int, folded: Spans) -> Iterator[Run]:
    """What can be folded now, in an order in which each finds what it is made of.

    Args:
        first_s: when the first of all records came in.
        folded: those that are; the caller adds to it as it goes on.
    """
    for fold in IN_ORDER:
        # From where the longest begins, so that none of it is missing.
        first = down(first_s, LONGEST_S if fold.length_s >= DAY else DAY)
        begin = max(first, down(now_s - fold.kept_s, fold.length_s) + fold.length_s)
        begin = folded.minutes_from_s if fold in (TENS, HOURLY) else begin
        for since_s, until_s in _days(begin, down(now_s - GRACE_S, fold.length_s), fold.length_s):
            spans = range(since_s, until_s, fold.length_s)
            missing = [at for at in spans if (fold.name, fold.length_s, at) not in folded]
            ready = [at for at in missing if all(part in folded for part in fold.parts(at))]
            for at, until in _joined(ready, fold.length_s):
                yield Run(fold, at, until)


def _days(since_s: int, until_s: int, length_s: int) -> Iterator[Gap]:
    """Each with what is shorter than a day together."""
    while since_s < until_s:
        end = min(until_s, since_s + length_s if length_s >= DAY else down(since_s, DAY) + DAY)
        yield since_s, end
        since_s = end


def _joined(begins: Iterable[int], length_s: int) -> Iterator[Gap]:
    """Spans that follow each other, as one."""
    for _, run in groupby(enumerate(begins), lambda each: each[1] - each[0] * length_s):
        moments = [at for _, at in run]
        yield moments[0], moments[-1] + length_s


class Piece(NamedTuple):
    """A part of the time asked about, in seconds since 1970, and the table that has its sums, in rows of `length_s`;
    `fold`: the name of theirs in `FOLDS`."""

    table: Table
    length_s: int
    since_s: int
    until_s: int
    fold: str | None = None


def cover(gap: Gap, folds: Iterable[Fold], bases: Iterable[tuple[Table, int]], folded: Spans) -> list[Piece]:
    """Each moment in one piece, of rows as long as there are; what is shorter than the shortest base is in none.

    Args:
        folds: as `FOLDS_OF` has them.
        bases: tables that have all that was written, and how many seconds a row of each is about.
    """
    pieces: list[Piece] = []
    gaps = [gap]
    levels: list[tuple[Fold | None, Table, int]] = [(fold, fold.table, fold.length_s) for fold in folds]
    for fold, table, length_s in [*levels, *((None, *base) for base in bases)]:
        left: list[Gap] = []
        for begin, end in gaps:
            whole = (up(begin, length_s), down(end, length_s))
            for since, until in folded.runs(fold, begin, end) if fold is not None else [whole]:
                if since < until:
                    left.append((begin, since))
                    begin = until
                    name = fold.name if fold is not None and table is FOLDS else None
                    pieces.append(Piece(table, length_s, since, until, name))
            left.append((begin, end))
        gaps = [(begin, end) for begin, end in left if begin < end]
    return pieces


def down(at_s: int, length_s: int) -> int:
    return at_s - at_s % length_s


def up(at_s: int, length_s: int) -> int:
    return at_s + -at_s % length_s
