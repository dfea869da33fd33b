"""What callers are told of their limits."""

import json

import pytest

from gateway.contract.limits import Amounts, Hold, Level, Mode, Unit, Verdict
from gateway.contract.windows import Window
from gateway.rules.limits.refusals import amount_text, duration_text, limit_headers, refusal, rule_header

NEED = Amounts(tokens=520, cost=2_500_000)


def hold(unit=Unit.TOKENS, window=Window.MINUTE, limit=1000, **fields):
    return Hold(key=f"k#{unit}/{window}", rule="backend", unit=unit, window=window, limit=limit, **fields)


def refused(level, after_s, **fields):
    return refusal(Verdict(None, refused=level, retry_after_s=after_s, **fields), "prod/chat", NEED)


def test_says_which_limit_and_when():
    error = refused(Level(hold(scope="user:ana@example.com"), 900, 55.0), 12.2)

    assert error.message == (
        "Rate limit exceeded for model: prod/chat with rule: backend. It allows 1000 tokens per minute for "
        "user:ana@example.com; 900 tokens used or reserved, and this request may take 520 tokens. "
        "Try again in 13s."
    )
    assert (error.status, error.code, error.retry_after_s, error.should_retry) == (
        429,
        "rate_limit_exceeded",
        12.2,
        True,
    )


def test_budgets_have_their_own_words():
    """Clients of the TrueFoundry gateway look for how the text begins."""
    level = Level(hold(Unit.COST, Window.MONTH, 5_000_000_000, is_budget=True), 4_999_000_000, 86400.0)

    error = refused(level, 86400.0)

    assert error.message == (
        "Budget exceeded for model: prod/chat with rule: backend. It allows $5.00 per month (UTC); $5.00 used or "
        "reserved, and this request may take $0.0025. Try again in 24h0m0s."
    )
    assert error.code == "budget_exceeded"


@pytest.mark.parametrize(("after_s", "retries"), [(0.2, True), (60.0, True), (60.1, False), (None, False)])
def test_sdks_do_not_come_back_in_vain(after_s, retries):
    """They wait for a minute at most, and come back at once when they are told to wait longer."""
    assert refused(Level(hold(), 900, 1.0), after_s).should_retry is retries


def test_who_needs_more_than_all_is_told_what_helps():
    error = refused(Level(hold(limit=100), 0, 0.0), None)

    assert error.message.endswith(
        "That is more than all of it, so waiting does not help: lower max_tokens, or shorten the input."
    )


def test_a_limit_of_nothing_never_opens():
    assert refused(Level(hold(Unit.REQUESTS, limit=0), 0, 0.0), None).message.endswith("Waiting does not help.")


def test_says_that_it_decides_alone():
    error = refused(Level(hold(), 900, 1.0), 1.0, is_local=True)

    assert "Its counters are shared and cannot be reached just now." in error.message


def test_headers_are_of_the_tightest_limits():
    """Requests and tokens apart; budgets, and rules that do not refuse, are nobody's limit."""
    levels = [
        Level(hold(Unit.REQUESTS, limit=100), 40, 59.5),
        Level(hold(Unit.REQUESTS, Window.HOUR, limit=1000), 900, 3599.0),
        Level(hold(Unit.TOKENS, limit=20_000), 19_000, 0.12),
        Level(hold(Unit.TOKENS, limit=10, mode=Mode.AUDIT), 10, 1.0),
        Level(hold(Unit.TOKENS, Window.MONTH, limit=10, is_budget=True), 10, 1.0),
        Level(hold(Unit.COST, Window.MONTH, limit=10), 10, 1.0),
        Level(hold(Unit.CONCURRENT, Window.WHILE_OPEN, limit=1), 1, 0.0),
    ]

    assert limit_headers(levels) == [
        (b"x-ratelimit-limit-requests", b"1000"),
        (b"x-ratelimit-remaining-requests", b"100"),
        (b"x-ratelimit-reset-requests", b"59m59s"),
        (b"x-ratelimit-limit-tokens", b"20000"),
        (b"x-ratelimit-remaining-tokens", b"1000"),
        (b"x-ratelimit-reset-tokens", b"120ms"),
    ]


def test_what_is_over_its_limit_has_nothing_left():
    assert limit_headers([Level(hold(limit=0), 5, 1.0)])[1] == (b"x-ratelimit-remaining-tokens", b"0")


def test_the_rule_is_named():
    name, value = rule_header(Level(hold(scope="user:ana"), 900, 1.0))

    assert name == b"x-tfy-applied-rules"
    assert json.loads(value) == {
        "rate_limit": {
            "rule": "backend",
            "scope": "user:ana",
            "limit": 1000,
            "used": 900,
            "unit": "tokens",
            "window": "minute",
        }
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0001, "1ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (1.2, "2s"),
        (59.5, "1m0s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        (Unit.REQUESTS, 1, "1 request"),
        (Unit.REQUESTS, 2, "2 requests"),
        (Unit.TOKENS, 1, "1 token"),
        (Unit.CONCURRENT, 3, "3 requests"),
        (Unit.CONCURRENT, 1, "1 request"),
    ],
)
def test_amounts(unit, amount, text):
    assert amount_text(unit, amount) == text
