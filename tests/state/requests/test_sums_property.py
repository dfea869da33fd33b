"""Whatever is asked, by whatever it is grouped: sums are those of the records themselves."""

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations
from random import Random

from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.state.requests.asked import Question
from gateway.state.requests.histogram import LATENCY

NOW = datetime(2026, 3, 5, 13, tzinfo=UTC)

WHO = ("subject", "token"), ("team",), ("metadata.app",)
"""Of these, only those of one line can be asked for together."""
OTHERS = ("model", "resolved_model", "account", "type", "status")


def groupings():
    others = [*chain.from_iterable(combinations(OTHERS, count) for count in range(len(OTHERS) + 1))]
    return [(*who, *other) for who in ((), ("subject",), ("token",), *WHO) for other in others]


def records_of(record_of, random, count, *, days):
    """Of `days` days before now; each of a few people, models and statuses."""
    for number in range(count):
        user, model = random.randrange(4), random.choice(["a/m", "b/m", "b/n"])
        status = random.choice([200, 200, 429, 502])
        yield record_of(
            number * 1000 + random.randrange(1000),
            at=NOW - timedelta(milliseconds=random.randrange(int(days * 86400_000))),
            subject=f"user:u{user}@example.com",
            token_id=f"t{user}{number % 2}",
            model=random.choice(["virtual/x", model]),
            resolved_model=model,
            request_type=random.choice(["chat", "embeddings"]),
            status=status,
            outcome=Outcome.COMPLETE,
            duration_ms=float(random.randrange(1, 100_000)),
            stream=False,
            usage=random.choice([None, Usage(input=random.randrange(100), output=random.randrange(100))]),
            cost_nanousd=random.choice([None, random.randrange(10**9)]),
            teams=tuple(f"team{team}" for team in range(user)),
            metadata=random.choice([{}, {"app": f"app{user}"}]),
        )


def groups_of(record, by):
    """Those that a record is in: one for each team."""
    values = [{"subject": record.subject, "token": record.token_id, "model": record.model, "type": record.request_type}]
    values[0] |= {"status": str(record.status), "resolved_model": record.resolved_model}
    values[0] |= {"account": record.resolved_model.partition("/")[0], "metadata.app": record.metadata.get("app")}
    if "team" in by:
        values = [values[0] | {"team": team} for team in record.teams]
    return [tuple(each[name] for name in by) for each in values if None not in (each[name] for name in by)]


def expected(records, by):
    """Group -> requests, failures, unpriced, cost, tokens, latency in us, and how many took at most 1, 1.4, 2 ms ..."""
    sums = {}
    for record in records:
        for group in groups_of(record, by):
            found = sums.setdefault(group, [0] * 6 + [[0] * LATENCY.bins])
            found[0] += 1
            found[1] += record.status >= 400
            found[2] += record.usage is not None and record.cost_nanousd is None
            found[3] += record.cost_nanousd or 0 if record.usage is not None else 0
            found[4] += record.usage.input_tokens + record.usage.output_tokens if record.usage is not None else 0
            found[5] += int(record.duration_ms * 1000)
            found[6][LATENCY.bin_of(record.duration_ms)] += 1
    return sums


def told(found):
    return {
        each.group: [
            each.requests,
            each.failures,
            each.unpriced,
            each.cost,
            each.usage.input_tokens + each.usage.output_tokens,
            each.latency_us,
            [*each.bins["latency"]],
        ]
        for each in found
    }


async def assert_adds_up(store, records, random, part):
    """By a sixth of all groupings, each of another time: whole hours, since minutes are not kept for long."""
    for by in groupings()[part::6]:
        since = NOW - timedelta(hours=random.randrange(1, 24 * 20))
        until = random.choice([NOW, since + timedelta(hours=random.randrange(1, 24 * 20))])
        asked = Question(since=since, until=until, by=by, scales=(LATENCY,))

        found = told(await store.sums(asked, now=NOW))

        expected_of = expected([record for record in records if since <= record.timestamp < until], by)
        assert {group: counts for group, counts in found.items() if any(counts[:6])} == expected_of, (by, since, until)


async def test_sums_are_those_of_the_records(store, record_of):
    """Before they are folded, after it, when some came late, and when there are no minutes any more."""
    random = Random(17)
    records = [*records_of(record_of, random, 400, days=19)]
    await store.write(records[:200])
    await assert_adds_up(store, records[:200], random, 0)

    assert await store.fold() > 0
    await assert_adds_up(store, records[:200], random, 1)

    await store.write(records[200:300])
    await store.forget(NOW - timedelta(days=30), now=NOW + timedelta(hours=30))
    await assert_adds_up(store, records[:300], random, 2)

    assert await store.fold() > 0
    await store.forget(NOW - timedelta(days=30), now=NOW + timedelta(hours=30))
    await assert_adds_up(store, records[:300], random, 3)

    await store.write(records[300:])
    await assert_adds_up(store, records, random, 4)

    assert await store.fold() > 0
    assert await store.fold() == 0
    await assert_adds_up(store, records, random, 5)
