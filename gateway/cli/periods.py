"""How people write times to come: `30m`, `24h`, `90d`, `2027-01-31`."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import click

_PERIOD = re.compile(r"([0-9]{1,6})([mhd])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}


def minutes_of(text: str) -> int:
    """From `30m`, `24h`, `7d` or `0`. Raises ValueError: it is none of these."""
    if text == "0":
        return 0
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ValueError("it has to look like 30m, 24h or 7d, or be 0")
    return int(match[1]) * _MINUTES[match[2]]


def day_of(text: str, today: date) -> str:
    """yyyy-mm-dd, from that or from a number of days: `90d`. Raises ValueError: it is neither."""
    match = _PERIOD.fullmatch(text)
    with suppress(ValueError, OverflowError):
        if match and match[2] == "d":
            return (today + timedelta(days=int(match[1]))).isoformat()
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    raise ValueError("it has to look like 90d or 2027-01-31")


def since_of(text: str, today: date) -> str:
    """yyyy-mm-dd, from that or from how many days ago: `7d` is today and the six days before. Raises ValueError."""
    match = _PERIOD.fullmatch(text)
    with suppress(ValueError, OverflowError):
        if match and match[2] == "d" and int(match[1]) > 0:
            return (today - timedelta(days=int(match[1]) - 1)).isoformat()
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    raise ValueError("it has to look like 7d or 2026-01-31")


def since_option(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else since_of(value, datetime.now(UTC).date())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def minutes_option(_: click.Context, __: click.Parameter, value: str) -> int:
    """The callback of an option, as is `day_option`."""
    try:
        return minutes_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def day_option(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else day_of(value, datetime.now(UTC).date())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
