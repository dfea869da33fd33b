"""Entries, and a database that is away when the test says so."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Hold, Unit
from gateway.contract.usage import Usage
from gateway.contract.windows import Window
from gateway.errors import Unavailable

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
ORG = Hold(key="org|cost|month", rule="org-cap", unit=Unit.COST, window=Window.MONTH, limit=1000)


@pytest.fixture(scope="session")
def entry_of():
    """Makes entries that cost 1."""

    def make(request_id):
        return Entry(
            request_id=str(request_id),
            at=NOW,
            subject="user:ana@example.com",
            teams=frozenset({"research"}),
            model="m/x",
            metadata={"app": "ä\n"},
            outcome="complete",
            usage=Usage(input=3),
            charges=(Charge(ORG, 1),),
        )

    return make


class FakeStore:
    """Keeps what it is given, each request once. `problem` is raised instead, and `may` waited for."""

    def __init__(self):
        self.batches = []
        self.problem = None
        self.asked = 0
        self.may = asyncio.Event()
        self.may.set()

    @property
    def ids(self):
        return [entry.request_id for batch in self.batches for entry in batch]

    async def write(self, entries, *, at):
        self.asked += 1
        await self.may.wait()
        if self.problem is not None:
            raise self.problem
        known = set(self.ids)
        self.batches.append([entry for entry in entries if entry.request_id not in known])
        return len(self.batches[-1])

    async def totals(self, at):
        if self.problem is not None:
            raise self.problem
        return []


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture(scope="session")
def away():
    return Unavailable("the database cannot be reached; try again in a moment")
