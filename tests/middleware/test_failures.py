"""Who tries tokens one after the other."""

import pytest

from gateway.errors import RateLimited
from gateway.middleware.failures import Failures


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def client(address, port=1):
    return {"type": "http", "client": (address, port)}


def status(failures, address, port=1):
    """What a refused token from there is answered with."""
    try:
        failures.add(client(address, port))
    except RateLimited as refused:
        return refused.status
    return 401


@pytest.fixture
def clock():
    return Clock()


def test_after_the_limit_the_rest_of_the_window_is_refused(clock):
    failures = Failures(limit=3, window_s=60.0, clock=clock)

    answers = [status(failures, "192.0.2.1") for _ in range(6)]

    assert answers == [401, 401, 401, 429, 429, 429]


def test_says_when_to_come_back(clock):
    failures = Failures(limit=1, window_s=60.0, clock=clock)
    failures.add(client("192.0.2.1"))
    clock.now += 45.0

    with pytest.raises(RateLimited) as refused:
        failures.add(client("192.0.2.1"))

    assert (refused.value.retry_after_s, refused.value.code) == (15.0, "too_many_failures")
    assert refused.value.message == "too many tokens from this address were refused; wait, and send a valid one"


def test_a_window_ends_when_it_said(clock):
    """It began with the first refused token, and what comes meanwhile does not make it longer."""
    failures = Failures(limit=1, window_s=60.0, clock=clock)
    answers = []
    for now in (0.0, 59.0, 59.999, 60.0, 60.001, 119.999, 120.0):
        clock.now = 1000.0 + now
        answers.append(status(failures, "192.0.2.1"))

    assert answers == [401, 429, 429, 401, 429, 429, 401]


def test_clients_are_counted_by_address(clock):
    """Not by port, which is another for each connection; those without an address are one."""
    failures = Failures(limit=1, clock=clock)

    assert [status(failures, "192.0.2.1", port) for port in (1, 2)] == [401, 429]
    assert status(failures, "192.0.2.2") == 401
    failures.add({"type": "http", "client": None})
    with pytest.raises(RateLimited):
        failures.add({"type": "http"})


def test_never_remembers_more_clients_than_it_may(clock):
    """An attacker with many addresses must not fill the memory; the oldest windows go first."""
    failures = Failures(limit=1, max_clients=100, clock=clock)
    for number in range(10_000):
        failures.add(client(f"address-{number}"))

    assert [status(failures, f"address-{number}") for number in (9999, 9900, 9899)] == [429, 429, 401]


def test_a_window_that_began_anew_is_not_the_oldest(clock):
    failures = Failures(limit=1, window_s=60.0, max_clients=3, clock=clock)
    failures.add(client("a"))
    clock.now += 30.0
    failures.add(client("b"))
    clock.now += 30.0
    for name in ("a", "c", "d"):
        failures.add(client(name))

    assert [status(failures, name) for name in ("a", "c", "d")] == [429, 429, 429]
    assert status(failures, "b") == 401


def test_nobody_may_fail_at_all(clock):
    assert status(Failures(limit=0, clock=clock), "192.0.2.1") == 429
