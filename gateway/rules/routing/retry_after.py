"""When a provider wants to be asked again."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_S = 24 * 3600.0

_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Seconds from now, at least 0 and at most a day; None when the provider does not say, or nothing sensible.

    `retry-after-ms`, which is the more exact, comes first.

    Args:
        headers: names in lower case, or case-insensitive.
        wall_s: seconds since 1970; a date is compared with it.

    Source: RFC 9110, section 10.2.3; `retry-after-ms` is what OpenAI and Azure send and their clients read.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_S)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value, wall_s)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_S)


def _number(value: str) -> float | None:
    value = value.strip()
    return float(value) if _NUMBER.fullmatch(value) else None


def _until(value: str, wall_s: float) -> float | None:
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # "-0000", and asctime's, which are UTC
            date = date.replace(tzinfo=UTC)
        return date.timestamp() - wall_s
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
