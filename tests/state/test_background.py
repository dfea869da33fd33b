"""What is done beside the requests."""

import asyncio

import structlog

from gateway.errors import Unavailable
from gateway.state.background import Chore, background


async def test_a_job_has_ended_when_its_part_is_closed():
    """It may have to give something back first."""
    seen = []

    async def job():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    async with background(job(), job()):
        await asyncio.sleep(0)

    assert seen == ["ended", "ended"]


async def test_a_job_that_misses_the_word_is_told_again():
    """With Redis, a gateway that was ended while it started never did."""
    missed = []

    async def job():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            missed.append("once")
        await asyncio.Event().wait()

    async with background(job(), again_s=0.01):
        await asyncio.sleep(0)

    assert missed == ["once"]


async def test_a_chore_goes_on_after_a_failure(until):
    """What others can mend is told in a line, what we have to with its traceback."""
    outcomes = iter([Unavailable("the database is away"), KeyError("oh")])
    times_done = 0

    async def sweep():
        nonlocal times_done
        if error := next(outcomes, None):
            raise error
        times_done += 1

    with structlog.testing.capture_logs() as logs:
        async with Chore("sweeping", sweep, every_s=0.001, failing="not swept").running():
            await until(lambda: times_done >= 2)

    assert [(line["log_level"], line["event"], line.get("reason")) for line in logs] == [
        ("warning", "not swept", "the database is away"),
        ("error", "not swept", None),
    ]
    assert "KeyError" in logs[1]["traceback"]
