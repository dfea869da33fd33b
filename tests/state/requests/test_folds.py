"""Which spans cover a time, and which are to be folded."""

from gateway.state.requests.folds import (
    BASE,
    DAY,
    FLOOR,
    FOLDS_OF,
    GRACE_S,
    HOUR,
    MINUTE,
    SIX_HOURS,
    TEN_MINUTES,
    Spans,
    cover,
    due,
)
from gateway.state.requests.tables import DAYS, FOLDS, HOURS, MINUTES

DAY_0 = 16 * DAY * 100
"""The begin of a span of 16 days, and so of one of each length."""


BASES = [(MINUTES, MINUTE)]


def folded(first_s, now_s):
    """All that can be, where minutes are of the last two days."""
    found = Spans([(FLOOR, 0, max(first_s, now_s - now_s % HOUR - 2 * DAY))])
    for run in due(first_s, now_s, found):
        found.add(run.keys)
    return found


def without(spans, *keys):
    return Spans(spans.keys - {*keys})


def told(pieces):
    """(table, length in days, begin, end), days after `DAY_0`, in the order of time."""
    return sorted(
        ((piece.table.name, piece.length_s / DAY, (piece.since_s - DAY_0) / DAY, (piece.until_s - DAY_0) / DAY))
        for piece in pieces
    )


def test_a_month_is_a_few_spans():
    """Long ones in the middle; what they are too long for, in shorter ones, at last in hours."""
    gap = DAY_0 + DAY + 4 * HOUR, DAY_0 + 31 * DAY
    complete = folded(DAY_0, DAY_0 + 40 * DAY)

    pieces = cover(gap, FOLDS_OF["full"], BASES, complete)

    assert told(pieces) == [
        ("request_days", 1, 30, 31),
        ("request_folds", 1 / 4, 1.25, 2),
        ("request_folds", 2, 2, 4),
        ("request_folds", 2, 28, 30),
        ("request_folds", 4, 4, 8),
        ("request_folds", 4, 24, 28),
        ("request_folds", 8, 8, 24),
        ("request_hours", 1 / 24, 1 + 4 / 24, 1.25),
    ]


def test_what_is_not_folded_is_read_as_it_was_written():
    gap = DAY_0 - 90, DAY_0 + 4 * DAY
    complete = without(
        folded(DAY_0, DAY_0 + 40 * DAY),
        ("full", 4 * DAY, DAY_0),
        ("full", 2 * DAY, DAY_0),
    )

    pieces = cover(gap, FOLDS_OF["full"], BASES, complete)

    assert [(piece.table, piece.since_s - DAY_0, piece.until_s - DAY_0) for piece in pieces] == [
        (FOLDS, 2 * DAY, 4 * DAY),
        (DAYS, 0, 2 * DAY),
        (MINUTES, -60, 0),
    ]


def test_hours_are_folded_for_people():
    complete = folded(DAY_0, DAY_0 + 2 * HOUR + GRACE_S)

    pieces = cover((DAY_0, DAY_0 + 3 * HOUR), FOLDS_OF["who"], BASES, complete)

    assert [(piece.table, piece.fold, piece.since_s - DAY_0, piece.until_s - DAY_0) for piece in pieces] == [
        (FOLDS, "who", 0, 2 * HOUR),
        (MINUTES, None, 2 * HOUR, 3 * HOUR),
    ]


def test_of_the_hour_that_is_not_over_ten_minutes_are_folded():
    complete = folded(DAY_0, DAY_0 + 1300 + GRACE_S)

    pieces = cover((DAY_0, DAY_0 + HOUR), FOLDS_OF["who"], BASES, complete)

    assert [(piece.table, piece.fold, piece.since_s - DAY_0, piece.until_s - DAY_0) for piece in pieces] == [
        (FOLDS, "base", 0, 1200),
        (MINUTES, None, 1200, HOUR),
    ]


def test_an_hour_of_which_there_are_no_minutes_any_more_is_complete():
    complete = Spans([(FLOOR, 0, DAY_0 + 2 * HOUR), (BASE, HOUR, DAY_0 + 3 * HOUR)])

    pieces = cover((DAY_0, DAY_0 + 4 * HOUR), FOLDS_OF["full"], BASES, complete)

    assert [(piece.table, piece.since_s - DAY_0, piece.until_s - DAY_0) for piece in pieces] == [
        (HOURS, 0, 2 * HOUR),
        (HOURS, 3 * HOUR, 4 * HOUR),
        (MINUTES, 2 * HOUR, 3 * HOUR),
    ]


def test_a_span_is_folded_when_it_is_over_and_so_are_its_halves():
    """In an order in which each finds them. What comes in just after the end of a span is not late."""
    now_s = DAY_0 + 4 * DAY + GRACE_S

    order = [key for run in due(DAY_0, now_s, Spans([(FLOOR, 0, DAY_0)])) for key in run.keys]
    complete = folded(DAY_0, now_s)
    before = folded(DAY_0, now_s - 1)

    assert ("full", 4 * DAY, DAY_0) not in order  # as nobody folded its halves meanwhile
    assert ("full", 4 * DAY, DAY_0) in complete
    assert complete.keys - before.keys == {
        ("full", 4 * DAY, DAY_0),
        ("full", 2 * DAY, DAY_0 + 2 * DAY),
        ("full", SIX_HOURS, DAY_0 + 4 * DAY - SIX_HOURS),
        ("who", 4 * DAY, DAY_0),
        ("who", 2 * DAY, DAY_0 + 2 * DAY),
        ("who", DAY, DAY_0 + 3 * DAY),
        ("who", SIX_HOURS, DAY_0 + 4 * DAY - SIX_HOURS),
        ("who", HOUR, DAY_0 + 4 * DAY - HOUR),
        (BASE, DAY, DAY_0 + 3 * DAY),
        (BASE, HOUR, DAY_0 + 4 * DAY - HOUR),
        (BASE, TEN_MINUTES, DAY_0 + 4 * DAY - TEN_MINUTES),
    }


def test_short_spans_are_not_made_of_what_is_long_ago():
    """Who asks for days of last year, before there were folds, reads them as they are."""
    now_s = DAY_0 + 200 * DAY

    first: dict[int, int] = {}
    for name, length_s, at in folded(DAY_0, now_s).keys:
        if name == "who":
            first[length_s // HOUR] = max(first.get(length_s // HOUR, 0), (now_s - at) // DAY)

    assert first == {384: 88, 192: 96, 96: 96, 48: 98, 24: 99, 6: 99, 1: 99}
