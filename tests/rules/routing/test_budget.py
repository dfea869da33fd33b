"""However much fails, providers are asked little more often than callers ask."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.routing import RetryBudget


def spend_all(budget, now_s):
    spent = 0
    while budget.allows(now_s):
        budget.spend(now_s)
        spent += 1
    return spent


@pytest.mark.parametrize(
    ("requests", "extras"), [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (24, 4), (25, 5), (100, 20), (10_000, 2_000)]
)
def test_a_fifth_of_the_requests_or_three(requests, extras):
    budget = RetryBudget()
    for _ in range(requests):
        budget.requested(5.0)

    assert spend_all(budget, 5.0) == extras


def test_what_is_older_than_ten_seconds_does_not_count():
    budget = RetryBudget()
    for _ in range(100):
        budget.requested(0.0)
    assert spend_all(budget, 0.0) == 20

    assert spend_all(budget, 9.99) == 0
    assert spend_all(budget, 10.0) == 3
    assert spend_all(budget, 19.99) == 0
    assert spend_all(budget, 20.0) == 3


def test_requests_that_grow_old_take_their_room_with_them():
    budget = RetryBudget()
    for now_s in (0.0, 6.0):
        for _ in range(50):
            budget.requested(now_s)

    assert spend_all(budget, 9.0) == 20
    for _ in range(50):
        budget.requested(11.0)
    assert spend_all(budget, 11.0) == 0  # 100 requests and their 20 in the window
    assert spend_all(budget, 19.0) == 10  # 50 requests


def test_a_clock_that_stands_still_or_steps_back_is_harmless():
    budget = RetryBudget()
    budget.requested(100.0)
    budget.requested(99.0)

    assert spend_all(budget, 98.0) == 3


@pytest.mark.parametrize(("per_s", "share"), [(2, 0.195), (10, 0.2), (300, 0.2)])
def test_when_everything_fails_a_fifth_is_added(per_s, share):
    """Everybody wants as many attempts as there are. The first three are those that are always free."""
    budget, random = RetryBudget(), Random(per_s)
    requests = extras = 0
    for number in range(20_000):
        now_s = (number + random.random()) / per_s
        budget.requested(now_s)
        requests += 1
        extras += spend_all(budget, now_s)
        assert extras <= 3 + 0.2 * requests

    assert extras / requests == pytest.approx(share, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 4), st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_counts_as_the_whole_history_does(steps):
    """It forgets what it no longer needs, and nothing else."""
    budget, requests, extras, now_s = RetryBudget(), [], [], 1000.0
    for pause_s, arriving, wanted in steps:
        now_s += pause_s
        oldest = int(now_s * 10) - 99
        for _ in range(arriving):
            budget.requested(now_s)
            requests.append(int(now_s * 10))
        for _ in range(wanted):
            seen, extra = (sum(slot >= oldest for slot in slots) for slots in (requests, extras))
            assert budget.allows(now_s) == (extra < max(3, seen // 5))
            if budget.allows(now_s):
                budget.spend(now_s)
                extras.append(int(now_s * 10))


def test_takes_no_more_room_however_many_requests(held_more):
    """There are slots for ten seconds, and these are of a thousand."""
    budget = RetryBudget()

    def ask():
        for number in range(100_000):
            budget.requested(number / 100)

    assert held_more(ask) < 100_000
