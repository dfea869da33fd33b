"""What `gateway logs` makes of its options; the rest is tested with a real gateway."""

from datetime import date

import click
import pytest

from gateway.cli.logs import about, where_option
from gateway.cli.periods import since_of
from gateway.control.schema import RequestStep


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ([], {}),
        (["model=a"], {"model": ["a"]}),
        (["model=a", "model=b", "status=5xx"], {"model": ["a", "b"], "status": ["5xx"]}),
        (["model!=a"], {"not.model": ["a"]}),
        (["duration_ms>500", "duration_ms<=900"], {"duration_ms": [">500", "<=900"]}),
        (["cost >= 0.01"], {"cost": [">=0.01"]}),
        (["metadata.app=a=b"], {"metadata.app": ["a=b"]}),
        (["error="], {"error": [""]}),
    ],
)
def test_where(given, query):
    assert where_option(None, None, given) == query


@pytest.mark.parametrize("text", ["model", "=a", "!=a", "5=a", ""])
def test_where_it_makes_no_sense(text):
    with pytest.raises(click.BadParameter, match="has to look like"):
        where_option(None, None, [text])


@pytest.mark.parametrize(
    ("text", "day"), [("7d", "2026-02-23"), ("1d", "2026-03-01"), ("2026-01-31", "2026-01-31"), ("20260131", None)]
)
def test_since(text, day):
    """Today is one of the days."""
    if day is None:
        with pytest.raises(ValueError, match="7d or 2026-01-31"):
            since_of(text, date(2026, 3, 1))
    else:
        assert since_of(text, date(2026, 3, 1)) == day


@pytest.mark.parametrize(
    ("status", "given", "text"),
    [
        (200, {"result": "mutated", "reason": "mutated", "rule": "all-models"}, "mutated in 3 ms, by all-models"),
        (408, {"result": "error", "reason": "guardrail_timeout"}, "error in 3 ms, guardrail_timeout"),
        (503, {"reason": None}, "503 in 3 ms"),
    ],
)
def test_nothing_about_a_step_is_said_twice(status, given, text):
    step = RequestStep(kind="guardrail", name="g/pii", status=status, started_ms=0, duration_ms=3.1, **given)

    assert about(step) == text
