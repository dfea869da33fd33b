"""Counters begin where the ledger ends."""

import pytest

from gateway.contract.limits import Hold, Unit
from gateway.contract.part import Status
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.state.counters.memory import MemoryCounters
from gateway.state.ledger import Restoring

HOLD = Hold(key="b#cost/lifetime", rule="b", unit=Unit.COST, window=Window.LIFETIME, limit=9)


class SlowLedger:
    """Cannot be read the first times."""

    def __init__(self, failures):
        self.failures = failures

    async def used(self):
        if self.failures:
            self.failures -= 1
            raise Unavailable("the database is away")
        return [(HOLD, 1_795_000_000.0, 7)]


@pytest.mark.parametrize(("failures", "problem"), [(0, None), (2, "budgets are not restored yet")])
async def test_budgets_are_restored_as_soon_as_the_database_is_there(until, failures, problem):
    """If it is there from the start, nobody is served before."""
    counters = MemoryCounters()
    restoring = Restoring(SlowLedger(failures), counters, retry_s=0.001)

    async with restoring.running():
        at_first = restoring.status
        await until(lambda: restoring.is_restored)
        [level] = await counters.levels([HOLD])

    assert (at_first, restoring.status) == (Status(problem), Status())
    assert level.used == 7
