"""A sink that is slow, broken or away loses nothing, as long as there is room."""

import asyncio
import selectors
from datetime import UTC, datetime

import pytest

from gateway.contract import Outcome, Record
from gateway.errors import Unavailable
from gateway.state.feed import LastingFeed
from gateway.testing import ListSink


@pytest.fixture
def record_of():
    def make(number):
        return Record(
            timestamp=datetime(2026, 3, 5, tzinfo=UTC),
            level="info",
            request_id=f"r{number:05}",
            method="POST",
            path="/",
            status=200,
            outcome=Outcome.COMPLETE,
            duration_ms=1.0,
        )

    return make


class Sink(ListSink):
    """Away while `error` says so; `holds` keeps whoever writes waiting."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error
        self.began = asyncio.Event()
        self.holds = None
        self.is_closed = False

    async def write(self, records):
        self.began.set()
        if self.holds is not None:
            await self.holds.wait()
        if self.error is not None:
            raise self.error
        await super().write(records)

    async def close(self):
        self.is_closed = True

    @property
    def ids(self):
        return sorted(record.request_id for record in self.records)


@pytest.fixture
def feed_of(tmp_path):
    def make(sink, **options):
        options = {"spool": tmp_path / "spool", "max_waiting": 1000, "flush_s": 0.001, "random": lambda: 0.0} | options
        return LastingFeed("test", sink, **options)

    return make


def ids(count):
    return [f"r{number:05}" for number in range(count)]


async def test_all_arrives_in_order(feed_of, record_of):
    sink = Sink()
    feed = feed_of(sink)

    for number in range(500):
        feed.add(record_of(number))
    await feed.close(5.0)

    assert [record.request_id for record in sink.records] == ids(500)
    assert (feed.problem, feed.dropped, sink.is_closed) == (None, 0, True)


async def test_what_comes_while_a_batch_is_written_waits_for_the_next(feed_of, record_of):
    """Under steady traffic each batch was of the few that came while the one before was written: dozens of transactions
    a second, which took more CPU than all else."""
    sink = Sink()
    sink.holds = asyncio.Event()
    feed = feed_of(sink, flush_s=60.0)
    feed.add(record_of(0))

    writing = asyncio.create_task(feed.flush())
    await sink.began.wait()
    feed.add(record_of(1))
    sink.holds.set()
    await writing

    assert (sink.ids, feed.waiting) == (ids(1), 1)
    await feed.close(5.0)
    assert sink.ids == ids(2)


@pytest.mark.parametrize("spool", [True, False])
async def test_what_a_sink_refuses_comes_later(feed_of, record_of, until, spool):
    sink = Sink(Unavailable("the database is away", retry_after_s=1))
    feed = feed_of(sink) if spool else feed_of(sink, spool=None)

    for number in range(300):
        feed.add(record_of(number))
    await until(lambda: feed.problem is not None and (not spool or not feed.waiting))
    problem, sink.error = feed.problem, None
    await until(lambda: len(sink.records) == 300)

    assert problem == "test takes no records: the database is away"
    assert sink.ids == ids(300)
    await until(lambda: feed.problem is None)
    await feed.close(5.0)
    assert feed.dropped == 0


async def test_a_sink_that_hangs_is_away(feed_of, record_of, until):
    """Nobody can wait for it for ever: what it was given is spooled, and it gets it again."""
    sink = Sink()
    sink.holds = asyncio.Event()
    feed = feed_of(sink, write_s=0.01)

    for number in range(20):
        feed.add(record_of(number))
    await until(lambda: feed.problem == "test takes no records: it takes too long" and not feed.waiting)
    sink.holds = None
    await until(lambda: len(sink.records) == 20)
    await feed.close(5.0)

    assert sink.ids == ids(20)


async def test_the_next_process_replays(feed_of, record_of, until):
    away, back = Sink(OSError(28, "No space left on device")), Sink()
    feed = feed_of(away)
    for number in range(50):
        feed.add(record_of(number))
    await feed.close(0.01)

    second = feed_of(back)
    second.start()
    await until(lambda: len(set(back.ids)) == 50)
    await second.close(5.0)

    assert sorted(set(back.ids)) == ids(50)  # those that were on their way may come twice
    assert (feed.dropped, second.dropped) == (0, 0)


async def test_when_there_is_no_room_the_newest_are_dropped_and_counted(feed_of, record_of, until):
    sink = Sink(Unavailable("away", retry_after_s=1))
    feed = feed_of(sink, max_waiting=100, max_spool_bytes=10_000)

    added = 0
    while not feed.dropped:
        feed.add(record_of(added))
        added += 1
        if added % 10 == 0:
            await asyncio.sleep(0)
    await until(lambda: feed.problem is not None and "is full" in feed.problem)
    sink.error = None
    await until(lambda: feed.problem is None and len(sink.records) == added - feed.dropped)
    await feed.close(5.0)

    assert sink.ids == ids(added)[: added - feed.dropped]


async def test_a_spool_that_cannot_be_written_is_told(feed_of, record_of, until, tmp_path):
    (tmp_path / "file").write_text("")
    sink = Sink(Unavailable("away", retry_after_s=1))
    feed = feed_of(sink, spool=tmp_path / "file" / "below")

    feed.add(record_of(0))
    await until(lambda: feed.problem is not None and "cannot be written" in feed.problem)
    sink.error = None
    await until(lambda: len(sink.records) == 1)
    await feed.close(5.0)

    assert feed.dropped == 0


class Skipping(selectors.SelectSelector):
    """Whoever waits for a while is let go on at once, that much later."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout=None):
        self.now_s += timeout or 0.0
        return super().select(0)


def skipping_loop():
    selector = Skipping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s
    return loop


def test_a_kill_costs_the_last_second_at_most(record_of):
    """With the times that a gateway has: whatever the moment, what came in a second before is written."""
    waited = []

    class SlowSink(Sink):
        async def write(self, records):
            await asyncio.sleep(0.1)
            waited.extend(asyncio.get_running_loop().time() - added[record.request_id] for record in records)

    added = {}

    async def adding():
        feed = LastingFeed("test", SlowSink(), max_waiting=100_000)
        for number in range(1000):
            record = record_of(number)
            added[record.request_id] = asyncio.get_running_loop().time()
            feed.add(record)
            await asyncio.sleep(0.01)
        await feed.close(5.0)

    with asyncio.Runner(loop_factory=skipping_loop) as runner:
        runner.run(adding())

    assert len(waited) == 1000
    assert 0.6 <= max(waited) <= 0.75
