"""The watchdog of the event loop."""

import asyncio
import threading
import time

import pytest
import structlog

from gateway.state.stalls import Stalls, stack_of
from gateway.testing import FakeUpstream, get


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stalls(clock):
    return Stalls(0.1, clock)


@pytest.mark.parametrize(
    ("gaps_s", "count", "seconds"),
    [([0.025] * 9, 0, 0.0), ([0.09] * 3, 0, 0.0), ([0.025, 0.11, 0.025], 1, 0.11), ([0.2, 3.0], 2, 3.2), ([], 0, 0.0)],
)
def test_a_loop_that_is_late_has_stalled(stalls, clock, gaps_s, count, seconds):
    for gap_s in gaps_s:
        clock.now_s += gap_s
        stalls.note()

    assert (stalls.count, stalls.seconds) == (count, pytest.approx(seconds))


def test_what_it_was_doing_is_told_once_it_is_over(stalls, clock):
    with structlog.testing.capture_logs() as lines:
        clock.now_s += 0.3
        stalls.look(threading.get_ident())
        before = list(lines)
        clock.now_s += 0.2
        stalls.note()

    [line] = lines
    assert before == []
    assert (line["event"], line["log_level"], line["stall_ms"]) == ("event loop stalled", "warning", 500)
    assert "in test_what_it_was_doing_is_told_once_it_is_over" in line["stack"]


def test_the_stack_is_that_of_this_stall_and_no_earlier_one(stalls, clock):
    with structlog.testing.capture_logs() as lines:
        clock.now_s += 0.3
        stalls.look(threading.get_ident())
        stalls.note()
        clock.now_s += 2.0
        stalls.note()

    assert [line["stack"] is None for line in lines] == [False, True]


def test_nobody_looks_at_a_loop_that_turns(stalls, clock):
    with structlog.testing.capture_logs() as lines:
        clock.now_s += 0.09
        stalls.look(threading.get_ident())
        clock.now_s += 0.02
        stalls.note()

    assert lines[0]["stack"] is None


def test_a_loop_that_is_always_late_does_not_fill_the_log(stalls, clock):
    with structlog.testing.capture_logs() as lines:
        for _ in range(20):
            clock.now_s += 0.25
            stalls.note()

    assert (stalls.count, len(lines)) == (20, 5)


def test_a_stack_shows_no_secret():
    def tell(key="sk-abcdefghijklmno"):  # a line of code is shown as it stands
        return stack_of(threading.get_ident()) if key == "sk-abcdefghijklmno" else ""

    text = tell()

    assert 'if key == "***"' in text


def test_a_thread_that_has_ended_is_nowhere():
    assert stack_of(-1) == ""


async def block():
    time.sleep(0.3)


async def test_a_call_that_blocks_is_found():
    stalls = Stalls()

    with structlog.testing.capture_logs() as lines:
        async with stalls.running():
            await asyncio.sleep(0)
            await block()
            while not stalls.count:
                await asyncio.sleep(0)

    assert "in block" in next(line["stack"] for line in lines if line["stall_ms"] >= 300)
    assert not [thread for thread in threading.enumerate() if thread.name == "gateway-stalls"]


async def test_the_gateway_watches_its_own_loop(app_with):
    app = app_with(FakeUpstream((200, [b"{}"])))
    [stalls] = [part for part in app.parts if part.name == "stalls"]

    await app.open()
    await block()
    while not stalls.count:
        await asyncio.sleep(0)
    text = (await get(app, "/metrics")).body.decode()
    await app.close()

    told = dict(line.split() for line in text.splitlines() if line.startswith("gateway_loop_stall"))
    assert float(told["gateway_loop_stalls_total"]) >= 1
    assert float(told["gateway_loop_stall_seconds_total"]) >= 0.3
