"""Who answers nobody is left alone for a while."""

from random import Random

import pytest

from gateway.rules.routing.breaker import Breaker


@pytest.fixture
def breaker(least):
    """Open since 0 s, until 5 s."""
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0.0, least)
    return breaker


def test_opens_after_five_failures_in_a_row(least):
    breaker = Breaker()

    states = []
    for second in range(6):
        breaker.failed(float(second), least)
        states.append(breaker.state(float(second)))

    assert states == ["closed", "closed", "closed", "closed", "open", "open"]
    assert breaker.until_s == 9.0  # the failure at 5 s was of a call sent before


def test_lets_nobody_through_and_then_one(breaker):
    assert [breaker.lets_through(now_s) for now_s in (0.0, 4.9)] == [False, False]
    assert not breaker.asked(4.9)  # asked nevertheless, because all others are open as well: no probe
    assert breaker.state(5.0) == "half_open"

    assert breaker.lets_through(5.0)
    assert breaker.asked(5.0)

    assert not breaker.lets_through(5.0)
    assert not breaker.asked(5.1)


def test_a_probe_nobody_hears_of_is_given_up(breaker):
    breaker.asked(5.0)

    assert not breaker.lets_through(34.9)
    assert breaker.lets_through(35.0)
    assert breaker.asked(35.0)
    assert not breaker.lets_through(35.1)


def test_a_probe_that_showed_nothing_makes_room_for_another(breaker):
    breaker.asked(5.0)

    breaker.released()

    assert breaker.state(6.0) == "half_open"
    assert breaker.asked(6.0)


def test_each_probe_that_fails_doubles_the_time_up_to_a_minute(breaker, least):
    times = []
    for _ in range(6):
        now_s = breaker.until_s
        assert breaker.asked(now_s)
        breaker.failed(now_s, least)
        times.append((now_s, breaker.until_s))

    assert times == [(5.0, 15.0), (15.0, 35.0), (35.0, 75.0), (75.0, 135.0), (135.0, 195.0), (195.0, 255.0)]


def test_replicas_do_not_probe_together():
    """Up to a fifth earlier, never later."""
    until = []
    for seed in range(1000):
        breaker, random = Breaker(), Random(seed)
        for _ in range(5):
            breaker.failed(0.0, random)
        until.append(breaker.until_s)

    assert 4.0 <= min(until) < 4.01
    assert 4.99 < max(until) <= 5.0
