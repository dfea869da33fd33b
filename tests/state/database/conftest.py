"""A database of either kind for each test."""

import asyncio
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import Unavailable
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.migrate import migrate
from gateway.state.database.rows import StoredToken
from gateway.state.database.store import Store


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    """Stands still at the start of 2026 until it is moved."""
    return Clock()


@pytest.fixture(scope="session")
def migrated_template(postgres):
    """The name of a database of PostgreSQL with all tables, to be copied."""
    with postgres.database() as url:
        asyncio.run(migrate(url))
        yield url.partition("@/")[2].partition("?")[0]


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path):
    """Of a database with all tables and nothing in them."""
    if request.param == "sqlite":
        (tmp_path / "data").mkdir()
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'data' / 'gateway.db')}"
    else:
        template = request.getfixturevalue("migrated_template")
        with request.getfixturevalue("postgres").database(template) as url:
            yield url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path):
    """Of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/gateway.db"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
async def store(database_url, clock):
    await migrate(database_url)  # where a test begins without tables
    store = Store(database_url, clock=clock, deadline_s=20.0)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def in_the_end():
    """`await in_the_end(ask)`: what `ask()` returns once the database is there for those who do not wait for long."""

    async def answer(ask):
        async with asyncio.timeout(60):
            while True:
                with suppress(Unavailable):
                    return await ask()

    return answer


@pytest.fixture
def sql(database_url):
    """`await sql(statement)`: runs it and returns the rows there are."""

    async def run(statement):
        engine = engine_of(database_url)
        try:
            async with connected(engine, writes=True) as connection:
                result = await connection.exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
                await connection.commit()
                return rows
        finally:
            await engine.dispose()

    return run


@pytest.fixture
def token_of():
    """Makes rows of tokens."""

    def make(token_id, subject="user:bo@example.com", name="laptop", **fields):
        digest = b"digest of " + token_id.encode()
        created_at = datetime(2026, 1, 1, tzinfo=UTC)
        return StoredToken(token_id, subject, name, digest, "gw-...x", "opaque", created_at, "user:ana", **fields)

    return make
