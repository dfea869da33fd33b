"""How long others are waited for who may be late."""

import asyncio
import time

import pytest

from gateway.state.counters.patience import Patience


def future():
    return asyncio.get_running_loop().create_future()


async def test_who_does_not_answer_is_given_up():
    patience = Patience(0.01)
    first, second = future(), future()

    patience.add(first)
    await asyncio.sleep(0)
    patience.add(second)

    for late in (first, second):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late, 30)


async def test_who_answers_is_left_alone():
    patience = Patience(0.01)
    answered, left, late = future(), future(), future()
    for each in (answered, left, late):
        patience.add(each)

    answered.set_result("yes")
    left.cancel()
    with pytest.raises(TimeoutError):
        await late

    assert (answered.result(), left.cancelled()) == ("yes", True)


async def test_the_next_is_waited_for_as_well():
    """Between the two, nobody was watched."""
    patience = Patience(0.01)

    for _ in range(2):
        late = future()
        patience.add(late)
        with pytest.raises(TimeoutError):
            await late


async def test_time_in_which_this_process_was_busy_does_not_count():
    patience = Patience(0.05)
    answered = future()

    patience.add(answered)
    time.sleep(0.2)
    asyncio.get_running_loop().call_later(0, answered.set_result, "yes")

    assert await answered == "yes"


async def test_a_process_that_is_always_busy_gives_up_too():
    patience = Patience(0.01)
    late = future()

    patience.add(late)
    for _ in range(1000):
        time.sleep(0.02)
        await asyncio.sleep(0)
        if late.done():
            break

    assert isinstance(late.exception(), TimeoutError)
