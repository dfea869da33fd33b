"""When calendar windows begin and end."""

from datetime import UTC, datetime

import pytest

from gateway.contract.windows import Span, Window, span_of


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "begins", "ends"),
    [
        (Window.CALENDAR_DAY, "2026-11-22T00:00:00", "2026-11-22", "2026-11-23"),
        (Window.CALENDAR_DAY, "2026-11-22T23:59:59.999", "2026-11-22", "2026-11-23"),
        (Window.WEEK, "2026-11-22T12:00:00", "2026-11-16", "2026-11-23"),
        (Window.WEEK, "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        (Window.MONTH, "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        (Window.MONTH, "2028-02-29T01:00:00", "2028-02-01", "2028-03-01"),
        (Window.QUARTER, "2026-11-22T12:00:00", "2026-10-01", "2027-01-01"),
        (Window.QUARTER, "2026-03-31T23:00:00", "2026-01-01", "2026-04-01"),
        (Window.LIFETIME, "2026-11-22T12:00:00", "1970-01-01", "3000-01-01"),
    ],
)
def test_calendar_windows_are_utc(window, moment, begins, ends):
    """Weeks begin on Monday, months and quarters on their first day; an instant belongs to the window it begins."""
    assert span_of(window, at(moment)) == Span(int(at(begins)), int(at(ends)))


@pytest.mark.parametrize("window", [Window.MINUTE, Window.HOUR, Window.DAY, Window.WHILE_OPEN])
def test_other_windows_have_no_span(window):
    with pytest.raises(ValueError, match="is no window of the calendar"):
        span_of(window, 0.0)


def test_calendar_windows_are_those_with_a_span():
    assert [window for window in Window if window.is_calendar] == [
        Window.CALENDAR_DAY,
        Window.WEEK,
        Window.MONTH,
        Window.QUARTER,
        Window.LIFETIME,
    ]


def test_sliding_windows_have_a_length():
    assert {window: window.sliding_s for window in Window if window.sliding_s} == {
        Window.MINUTE: 60,
        Window.HOUR: 3600,
        Window.DAY: 86400,
    }
