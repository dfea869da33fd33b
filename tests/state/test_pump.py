"""The buffer between those who must not wait and those who take their time."""

import asyncio

import pytest

from gateway.state.pump import Pump


class Taker:
    """Takes one at a time, as long as it `may`, and keeps what had no room apart."""

    def __init__(self, **options):
        self.taken = []
        self.dropped = []
        self.times_more = 0
        self.may = asyncio.Event()
        self.may.set()
        self.pump = Pump(self._turn, self.dropped.append, **{"max_waiting": 1000, "flush_s": 0, **options})

    async def _turn(self):
        while self.pump.waiting:
            await self.may.wait()
            self.taken.append(self.pump.waiting.pop(0))
        self.times_more -= 1
        return self.times_more >= 0


async def test_carries_in_order(until):
    taker = Taker()

    for number in range(3):
        taker.pump.add(number)
    await until(lambda: taker.taken == [0, 1, 2])


async def test_a_full_batch_does_not_wait(until):
    taker = Taker(flush_s=60)

    for number in range(200):
        taker.pump.add(number)

    await until(lambda: len(taker.taken) == 200)


async def test_what_has_no_room_is_dropped(until):
    taker = Taker(max_waiting=2, flush_s=60)

    for number in range(4):
        taker.pump.add(number)
    await taker.pump.close(5)

    assert (taker.taken, taker.dropped) == ([0, 1], [2, 3])


async def test_comes_again_while_there_is_more_to_do(until):
    """As long as the spool has something, though nothing waits in memory."""
    taker = Taker()
    taker.times_more = 3

    taker.pump.start()

    await until(lambda: taker.times_more == -1)


@pytest.mark.parametrize("flush_s", [0, 60])
async def test_closing_gives_up_in_time(until, flush_s):
    taker = Taker(flush_s=flush_s)
    taker.may.clear()
    taker.pump.add(1)

    await taker.pump.close(0.01)

    assert (taker.taken, taker.pump.waiting) == ([], [1])


async def test_may_be_used_again_after_it_was_closed(until):
    """A gateway that was closed can be opened again."""
    taker = Taker()
    await taker.pump.close(5)

    taker.pump.add(1)

    await until(lambda: taker.taken == [1])


async def test_turns_do_not_overlap(until):
    taker = Taker()
    taker.may.clear()
    taker.pump.add(1)
    flushing = [asyncio.create_task(taker.pump.flush()) for _ in range(2)]
    await asyncio.sleep(0)
    taker.may.set()

    await asyncio.gather(*flushing)

    assert taker.taken == [1]


async def test_what_comes_while_a_batch_is_dealt_with_waits_for_the_next():
    """Under steady traffic each batch was of the few that came while the one before was written: dozens of transactions
    a second, which took more CPU than all else."""
    pump = Pump(none, none, max_waiting=1000, flush_s=60)
    for number in range(5):
        pump.add(number)

    batches = []
    for batch in pump.batches(2):
        batches.append(list(batch))
        pump.add(10 + len(batches))

    assert batches == [[0, 1], [2, 3], [4]]
    assert pump.waiting == [11, 12, 13]
    await pump.close(5)


async def test_a_batch_that_nobody_could_deal_with_waits_on():
    pump = Pump(none, none, max_waiting=1000, flush_s=60)
    for number in range(4):
        pump.add(number)

    batches = pump.batches(2)
    assert [next(batches), next(batches)] == [[0, 1], [2, 3]]
    batches.close()

    assert pump.waiting == [2, 3]
    await pump.close(5)


async def none(*_):
    return False
