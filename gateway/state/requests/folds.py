"""Which spans of time have their sums in fewer rows, and which are to get them.

A question about a month would have to read each day's rows: a thousand people who use twenty models leave more of them
than can be read while somebody waits. So when a day is over, its sums are folded into those of 2, 4, 8 and 16 days, and
once more without the models. Whatever the month, a few spans cover it. What is written for a request knows nothing of
it; a record that comes late makes the spans around it count no more, until they are folded anew.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Table

from gateway.state.requests.tables import DAYS, FOLDS, HOURS, MINUTES

MINUTE, HOUR, DAY = 60, 3600, 86400
BASES: Sequence[tuple[Table, int]] = ((DAYS, DAY), (HOURS, HOUR), (MINUTES, MINUTE))
"""The tables that are written with each record, and how many seconds a row of each is about."""

GRACE_S = 300
"""A span is folded so long after its end: by then, records of it are late by everybody's clock."""
SHORT_KEPT_S, LONG_KEPT_S = 100 * DAY, 400 * DAY


class Fold(NamedTuple):
    """Sums of `length_s`; of the name `who`, without models.

    `source`: what they are made of; None: those of half the length.
    """

    name: str
    length_s: int
    source: Table | None = None

    @property
    def kept_s(self) -> int:
        """The longest are kept as long as the days they are made of."""
        return LONG_KEPT_S if self.length_s == FOLDS_OF[self.name][0].length_s else SHORT_KEPT_S


FOLDS_OF: dict[str, tuple[Fold, ...]] = {
    "full": (*(Fold("full", days * DAY) for days in (16, 8, 4)), Fold("full", 2 * DAY, DAYS)),
    "who": (*(Fold("who", days * DAY) for days in (16, 8, 4, 2)), Fold("who", DAY, DAYS), Fold("who", HOUR, HOURS)),
}
"""The longest first."""

Gap = tuple[int, int]
"""From, and before: a time, in seconds since 1970."""

Key = tuple[str, int, int]
"""Of a span: name of the fold, length, begin."""
Spans = Collection[Key]
"""Those that are complete."""


class Run(NamedTuple):
    """Spans of a fold that follow each other: the hours of a day, else one."""

    fold: Fold
    since_s: int
    until_s: int

    @property
    def keys(self) -> list[Key]:
        name, length_s, _ = self.fold
        return [(name, length_s, at) for at in range(self.since_s, self.until_s, length_s)]

    @property
    def halves(self) -> list[Key]:
        """Those that they are made of; none: it is a table that is written with each record."""
        return _halves(self.fold, self.since_s)


def due(first_s: int, now_s: int, folded: Spans) -> Iterator[Run]:
    """What can be folded now, in an order in which each finds what it is made of.

    Args:
        first_s: when the first of all records came in.
        folded: those that are; the caller adds to it as it goes on.
    """
    for folds in FOLDS_OF.values():
        for fold in reversed(folds):
            # From where the longest begins, so that none of it is missing.
            first = down(first_s, folds[0].length_s if fold.length_s >= DAY else DAY)
            begin = max(first, down(now_s - fold.kept_s, fold.length_s) + fold.length_s)
            for since_s, until_s in _days(begin, down(now_s - GRACE_S, fold.length_s), fold.length_s):
                missing = [at for at in range(since_s, until_s, fold.length_s) if (*fold[:2], at) not in folded]
                if missing and all(half in folded for half in _halves(fold, since_s)):
                    for at, until in _joined(missing, fold.length_s):
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


def _halves(fold: Fold, at: int) -> list[Key]:
    half_s = fold.length_s // 2
    return [(fold.name, half_s, at), (fold.name, half_s, at + half_s)] if fold.source is None else []


class Piece(NamedTuple):
    """A part of the time asked about, in seconds since 1970, and the table that has its sums, in rows of `length_s`;
    `fold`: the name of theirs in `FOLDS`."""

    table: Table
    length_s: int
    since_s: int
    until_s: int
    fold: str | None = None


def cover(gap: Gap, folds: Iterable[Fold], bases: Iterable[tuple[Table, int]], folded: Spans) -> list[Piece]:
    """Each moment in one piece, of rows as long as there are; what is shorter than the shortest base is in none."""
    lengths: list[tuple[int, int, Fold | Table]] = [(fold.length_s, 1, fold) for fold in folds]
    lengths += [(length_s, 0, table) for table, length_s in bases]
    pieces: list[Piece] = []
    gaps = [gap]
    for length_s, _, what in sorted(lengths, key=lambda each: each[:2], reverse=True):
        left: list[Gap] = []
        for begin, end in gaps:
            runs = _folded_runs(what, begin, end, folded) if isinstance(what, Fold) else [_whole(length_s, begin, end)]
            for since, until in runs:
                if since < until:
                    left.append((begin, since))
                    begin = until
                    table, name = (FOLDS, what.name) if isinstance(what, Fold) else (what, None)
                    pieces.append(Piece(table, length_s, since, until, name))
            left.append((begin, end))
        gaps = [(begin, end) for begin, end in left if begin < end]
    return pieces


def _whole(length_s: int, begin: int, end: int) -> Gap:
    return up(begin, length_s), down(end, length_s)


def _folded_runs(fold: Fold, begin: int, end: int, folded: Spans) -> Iterator[Gap]:
    moments = range(*_whole(fold.length_s, begin, end), fold.length_s)
    return _joined((at for at in moments if (*fold[:2], at) in folded), fold.length_s)


def down(at_s: int, length_s: int) -> int:
    return at_s - at_s % length_s


def up(at_s: int, length_s: int) -> int:
    return at_s + -at_s % length_s
