"""The time spans that limits and budgets count in. All calendar windows are UTC; weeks begin on Monday."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec


class Window(StrEnum):
    """Sliding ones look back from now: minute, hour, day. Calendar ones begin and end together for all."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    CALENDAR_DAY = "calendar_day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    LIFETIME = "lifetime"
    WHILE_OPEN = "while_open"
    """Counts what is going on just now."""

    sliding_s: int | None
    """The length of a sliding window, in seconds; None for the others."""
    is_calendar: bool
    """Whether it begins and ends together for all: `span_of` says when."""

    def __init__(self, value: str) -> None:
        self.sliding_s = {"minute": 60, "hour": 3600, "day": 86400}.get(value)
        self.is_calendar = self.sliding_s is None and value != "while_open"


FOREVER_S = 32503680000
"""The end of a lifetime: the year 3000."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """One calendar window: from `begins_s` until just before `ends_s`, in seconds since 1970."""

    begins_s: int
    ends_s: int


def utc_now() -> datetime:
    return datetime.now(UTC)


def span_of(window: Window, at_s: float) -> Span:
    """The calendar window that holds a moment, in seconds since 1970.

    Raises:
        ValueError: the window is none of the calendar.
    """
    return _span_of(window, int(at_s // 86400))


@lru_cache(maxsize=256)
def _span_of(window: Window, day: int) -> Span:
    today = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    match window:
        case Window.CALENDAR_DAY:
            begin, end = today, today + timedelta(days=1)
        case Window.WEEK:
            begin = today - timedelta(days=today.weekday())
            end = begin + timedelta(days=7)
        case Window.MONTH:
            begin = today.replace(day=1)
            end = _months_later(begin, 1)
        case Window.QUARTER:
            begin = today.replace(day=1, month=today.month - (today.month - 1) % 3)
            end = _months_later(begin, 3)
        case Window.LIFETIME:
            return Span(0, FOREVER_S)
        case _:
            raise ValueError(f"{window} is no window of the calendar")
    return Span(int(begin.timestamp()), int(end.timestamp()))


def _months_later(begin: datetime, months: int) -> datetime:
    years, month = divmod(begin.month - 1 + months, 12)
    return begin.replace(year=begin.year + years, month=month + 1)
