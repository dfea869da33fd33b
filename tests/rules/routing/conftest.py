"""Candidates by name, and chance that is none."""

from random import Random

import pytest

from gateway.contract.route import Candidate


class Least(Random):
    """Draws 0 each time: a breaker opens for its full time, a pause is half its delay."""

    def random(self):
        return 0.0


@pytest.fixture
def least():
    return Least()


@pytest.fixture
def candidate():
    """`candidate("azure/gpt", weight=80)`: the account is in the name."""

    def make(name, **fields):
        return Candidate(name=name, account=name.partition("/")[0], **fields)

    return make
