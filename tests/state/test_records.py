"""The buffer between requests and sinks."""

import asyncio

import pytest

from gateway.state.records import Records
from gateway.testing import ListSink

# Records are passed on as they are, so numbers will do.


class SlowSink(ListSink):
    """Writes when it may, and keeps its batches apart."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.began = asyncio.Event()
        self.may = asyncio.Event()

    async def write(self, records):
        self.began.set()
        await self.may.wait()
        self.batches.append(list(records))


class BrokenSink:
    async def write(self, records):
        raise OSError("disk full")


async def test_writes_in_order_and_in_batches(until):
    sink = ListSink()
    records = Records([sink], flush_s=0.001)

    for number in range(1000):
        records.add(number)
    await until(lambda: sink.records)

    assert sink.records == list(range(1000))


async def test_goes_on_after_a_batch(until):
    sink = ListSink()
    records = Records([sink], flush_s=0.001)

    for number in range(3):
        records.add(number)
        await until(lambda number=number: sink.records == list(range(number + 1)))


async def test_closing_writes_the_rest():
    sink = ListSink()
    records = Records([sink], flush_s=60)
    records.add(1)

    await records.close()
    await records.close()

    assert sink.records == [1]


async def test_closing_waits_for_a_batch_that_is_being_written():
    """It was taken out of the buffer already; to cancel the sink would lose it."""
    sink = SlowSink()
    records = Records([sink], flush_s=0)
    records.add(1)
    await sink.began.wait()
    records.add(2)

    closing = asyncio.create_task(records.close())
    await asyncio.sleep(0)
    sink.may.set()
    await closing

    assert sink.batches == [[1], [2]]


async def test_drops_and_counts_what_does_not_fit():
    """A sink that hangs must not fill the memory. The oldest are kept: they tell how it began."""
    sink = ListSink()
    records = Records([sink], max_waiting=3, flush_s=60)

    for number in range(5):
        records.add(number)
    await records.close()

    assert sink.records == [0, 1, 2]
    assert records.dropped == 2


@pytest.mark.parametrize("sinks", [(0, 1), (1, 0)])
async def test_a_sink_that_fails_is_no_concern_of_the_others(sinks, capsys):
    good = ListSink()
    records = Records([(BrokenSink(), good)[index] for index in sinks], flush_s=60)
    records.add(1)
    records.add(2)

    await records.close()

    assert good.records == [1, 2]
    assert records.dropped == 2
    assert "records lost" in capsys.readouterr().out
    assert records.status.problem == "BrokenSink loses records: OSError"


async def test_a_sink_that_never_returns_is_no_concern_of_the_others(until, capsys):
    """What it has not taken is counted when its room is used up, and when the gateway stops."""
    stuck, good = SlowSink(), ListSink()
    records = Records([stuck, good], max_waiting=3, flush_s=0)

    for number in range(5):
        records.add(number)
        await until(lambda number=number: sorted(good.records) == list(range(number + 1)))
    dropped, problem = records.dropped, records.status.problem
    await records.close(deadline_s=0.01)

    assert (dropped, problem) == (2, "SlowSink loses records: it takes too long")
    assert (good.records, records.dropped) == ([0, 1, 2, 3, 4], 5)
    assert "records lost" in capsys.readouterr().out


async def test_goes_on_after_a_failure(until, capsys):
    class OnceBroken(ListSink):
        async def write(self, records):
            if 1 in records:
                raise OSError("disk full")
            await super().write(records)

    sink = OnceBroken()
    records = Records([sink], flush_s=0)
    records.add(1)
    await until(lambda: records.dropped)
    records.add(2)
    await until(lambda: sink.records)

    assert sink.records == [2]
