"""Candidates by name, and chance that is none."""

import tracemalloc
from random import Random

import pytest

from gateway.contract import Target
from gateway.contract.route import Candidate, RouteTarget
from gateway.providers.demo import Demo


class Least(Random):
    """Draws 0 each time: a breaker opens for its full time, a pause is half its delay."""

    def random(self):
        return 0.0


@pytest.fixture
def least():
    return Least()


@pytest.fixture
def held_more():
    """`held_more(work)`: how many bytes are held after it that were allocated in it."""

    def measure(work):
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    return measure


@pytest.fixture
def candidate():
    """`candidate("azure/gpt", weight=80)`: the account is in the name."""

    def make(name, **fields):
        target = Target(name=name, model=name, model_types=frozenset({"chat"}), provider=Demo())
        return Candidate(name=name, account=target.account, route_target=RouteTarget(target), **fields)

    return make
