"""What callers are told of their limits: headers with every answer, and an error when there is nothing left."""

import math
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from gateway.contract.limits import Amounts, Hold, Level, Mode, Unit, Verdict
from gateway.contract.money import dollars_text
from gateway.contract.windows import Window
from gateway.errors import RateLimited

LONGEST_RETRY_S = 60.0
"""SDKs that are told to wait longer come back at once instead, so they are told not to come back by themselves."""

_ENFORCE, _REQUESTS, _TOKENS = Mode.ENFORCE, Unit.REQUESTS, Unit.TOKENS
"""Each answer asks for them several times, and `Mode.ENFORCE` takes a thousand instructions on Python 3.11."""

_PER = {
    Window.MINUTE: "per minute",
    Window.HOUR: "per hour",
    Window.DAY: "per day",
    Window.CALENDAR_DAY: "per day (UTC)",
    Window.WEEK: "per week (UTC, from Monday)",
    Window.MONTH: "per month (UTC)",
    Window.QUARTER: "per quarter (UTC)",
    Window.LIFETIME: "for good",
    Window.WHILE_OPEN: "at once",
}


def refusal(verdict: Verdict, model: str, need: Amounts) -> RateLimited:
    """Says which limit, how much of it is left, and when to come back.

    Args:
        verdict: one that refuses.
        model: as the caller asked for it.
    """
    level = verdict.refused
    assert level is not None
    hold = level.hold
    needed = need.of(hold.unit)
    about = f" for {hold.scope}" if hold.scope else ""
    what = (
        f"Budget exceeded for model: {model} with rule: {hold.rule}."
        if hold.is_budget
        else (f"Rate limit exceeded for model: {model} with rule: {hold.rule}.")
    )
    if verdict.is_local:
        what += " Its counters are shared and cannot be reached just now."
    after_s = verdict.retry_after_s
    error = RateLimited(
        f"{what} It allows {amount_text(hold.unit, hold.limit)} {_PER[hold.window]}{about}; "
        f"{amount_text(hold.unit, level.used)} used or reserved, and this request may take "
        f"{amount_text(hold.unit, needed)}. {_when(hold, needed, after_s)}",
        code="budget_exceeded" if hold.is_budget else None,
        retry_after_s=after_s,
    )
    error.should_retry = after_s is not None and after_s <= LONGEST_RETRY_S
    return error


def _when(hold: Hold, needed: int, after_s: float | None) -> str:
    if after_s is not None:
        return f"Try again in {duration_text(after_s)}."
    if needed > hold.limit and hold.unit in (Unit.TOKENS, Unit.COST):
        return "That is more than all of it, so waiting does not help: lower max_tokens, or shorten the input."
    return "Waiting does not help."


def limit_headers(levels: Iterable[Level]) -> list[tuple[bytes, bytes]]:
    """`x-ratelimit-*`, as OpenAI sends them: of all limits on requests and on tokens, those with the least left.

    Source: platform.openai.com/docs/guides/rate-limits, read 2026-11.
    """
    requests = tokens = None
    for level in levels:
        hold = level.hold
        if hold.is_budget or hold.mode is not _ENFORCE:
            continue
        if hold.unit is _REQUESTS:
            requests = level if requests is None else _tighter(level, requests)
        elif hold.unit is _TOKENS:
            tokens = level if tokens is None else _tighter(level, tokens)
    headers = []
    if requests is not None:
        headers += [
            (b"x-ratelimit-limit-requests", _number(requests.hold.limit)),
            (b"x-ratelimit-remaining-requests", b"%d" % requests.remaining),
            (b"x-ratelimit-reset-requests", _duration(math.ceil(requests.resets_s * 1000))),
        ]
    if tokens is not None:
        headers += [
            (b"x-ratelimit-limit-tokens", _number(tokens.hold.limit)),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens.remaining),
            (b"x-ratelimit-reset-tokens", _duration(math.ceil(tokens.resets_s * 1000))),
        ]
    return headers


def _tighter(one: Level, other: Level) -> Level:
    """Compared as shares of their limits, without dividing: a limit may be 0."""
    return one if one.remaining * other.hold.limit < other.remaining * one.hold.limit else other


def rule_header(level: Level) -> tuple[bytes, bytes]:
    """Names the rule that refused."""
    hold = level.hold
    kind = "budget" if hold.is_budget else "rate_limit"
    told = {"rule": hold.rule, "scope": hold.scope, "limit": hold.limit, "used": level.used, "unit": hold.unit}
    return b"x-tfy-applied-rules", msgspec.json.encode({kind: {**told, "window": hold.window}})


def duration_text(seconds: float) -> str:
    """As in `1h0m0s`, `6m0s`, `12s` or `120ms`; rounded up, so that nobody comes too early."""
    return _duration(math.ceil(seconds * 1000)).decode()


@lru_cache(maxsize=4096)
def _duration(milliseconds: int) -> bytes:
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    if not minutes:
        return b"%ds" % seconds
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, seconds) if hours else b"%dm%ds" % (minutes, seconds)


@lru_cache(maxsize=4096)
def _number(limit: int) -> bytes:
    return b"%d" % limit


def amount_text(unit: Unit, amount: int) -> str:
    """As in `20000 tokens` or `$0.25`."""
    match unit:
        case Unit.COST:
            return dollars_text(amount)
        case Unit.CONCURRENT:
            return f"{amount} {'request' if amount == 1 else 'requests'}"
        case _:
            return f"{amount} {unit.removesuffix('s') if amount == 1 else unit}"
