"""What a batch of records comes to."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from gateway.contract import Outcome, Record, SideCall
from gateway.contract.usage import Usage
from gateway.state.requests.rows import Names, batch_of, sum_columns
from gateway.state.requests.tables import KEY

AT = datetime(2026, 3, 5, 23, 59, 30, tzinfo=UTC)


def record_of(number: int, **fields: object) -> Record:
    at = AT + timedelta(seconds=number % 60)
    what = {
        "timestamp": at,
        "level": "info",
        "request_id": f"{int(at.timestamp() * 1000):012x}{number:020x}",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "duration_ms": 0.5 + number,
        "request_type": "chat",
        "subject": "user:ana@example.com",
        "model": "m",
        "resolved_model": "a/m",
    }
    return Record(**(what | fields))


def sums_of(*records: Record) -> dict[str, int]:
    """Of the rows about all requests: column -> its sum."""
    batch = batch_of(records, 0, Names(), ("app",), 0)
    rows = [dict(zip(sum_columns(), row, strict=True)) for row in batch.minutes]
    return {name: sum(row[name] for row in rows if row["kind"] == "all") for name in sum_columns()[len(KEY) :]}


def some() -> list[Record]:
    """Alike and not: over midnight, of several outcomes, with and without usage, cost and times."""
    judge = SideCall("a/judge", Usage(input=5, output=1), 11)
    kinds = product(
        (Outcome.COMPLETE, Outcome.CLIENT_LEFT, Outcome.UPSTREAM_BROKE),
        (200, 502),
        (None, Usage(input=3, cache_read=2, output=7)),
        (None, 0, 9),
        (True, False),
    )
    return [
        record_of(
            number,
            outcome=outcome,
            status=status,
            usage=usage,
            cost_nanousd=cost,
            stream=stream,
            time_to_first_token_ms=float(number),
            time_per_output_token_ms=None if number % 3 else 2.5,
            teams=("red",) if number % 2 else (),
            metadata={"app": "x"} if number % 4 else {},
            side_calls=(judge,) if number % 5 == 0 else (),
        )
        for number, (outcome, status, usage, cost, stream) in enumerate(kinds)
    ]


def test_a_batch_comes_to_what_its_records_come_to():
    """Those that are alike are counted together, which is to change nothing."""
    records = some()
    alone: dict[str, int] = {}
    for record in records:
        for name, amount in sums_of(record).items():
            alone[name] = alone.get(name, 0) + amount

    together = sums_of(*records)

    assert together == alone
    assert together["requests"] == 72


@pytest.mark.parametrize(
    ("outcome", "status", "failures"),
    [
        (Outcome.COMPLETE, 200, 0),
        (Outcome.COMPLETE, 400, 1),
        (Outcome.CLIENT_LEFT, 499, 0),
        (Outcome.UPSTREAM_BROKE, 200, 1),
        (Outcome.REFUSED, 429, 1),
    ],
)
def test_what_is_a_failure(outcome, status, failures):
    """Who leaves early has not met with one."""
    assert sums_of(*[record_of(number, outcome=outcome, status=status) for number in range(3)])["failures"] == (
        3 * failures
    )


def test_of_no_records_there_is_nothing():
    batch = batch_of([], 0, Names(), (), 0)

    assert batch.requests == batch.teams == []
    assert batch.minutes == batch.hours == []


def test_a_record_that_is_no_json_is_left_out():
    batch = batch_of([record_of(0, error_message="\ud800"), record_of(1)], 7, Names(), (), 0)

    assert [row[:2] for row in batch.requests] == [(record_of(1).request_id, 8)]
    assert batch.minutes[0][len(KEY)] == 1
