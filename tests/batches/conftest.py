"""What tests of batches have in common: a database or none, and watches that tell what becomes of them."""

import asyncio
import shutil

import pytest

from gateway.batches.watches import MemoryWatches
from gateway.state.database.migrate import migrate


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request, tmp_path):
    """None: there is no database."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            asyncio.run(migrate(url))
            yield url
    elif request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'gateway.db')}"
    else:
        yield None


class NotedWatches(MemoryWatches):
    def __init__(self):
        super().__init__()
        self.open = set()
        """Keys of those that are not done."""
        self.given_back = []

    async def add(self, watch, *, due_s):
        await super().add(watch, due_s=due_s)
        self.open.add(watch.key)

    async def later(self, watch, by, *, due_s):
        await super().later(watch, by, due_s=due_s)
        self.given_back.append(watch)

    async def done(self, watch):
        await super().done(watch)
        self.open.discard(watch.key)


@pytest.fixture
def noted():
    return NotedWatches()
