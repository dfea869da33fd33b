"""The tables are made and changed once, whoever else is at it, and as a whole."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.errors import ConfigError, Unavailable
from gateway.state.database import migrations
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.migrate import make_tables, migrate, upgrade
from gateway.state.database.reading import state_of
from gateway.state.database.rows import Change
from gateway.state.database.schema import METADATA, REVISIONS
from gateway.state.database.store import Store

ALL = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"]
ANA = "user:ana@example.com"
MIGRATE = (
    "import asyncio, sys; from gateway.state.database.migrate import migrate; print(asyncio.run(migrate(sys.argv[1])))"
)


@pytest.fixture
def database_url(empty_url):
    """Here, of a database without tables."""
    return empty_url


@pytest.fixture
async def unmigrated(database_url):
    store = Store(database_url)
    yield store
    await store.close()


@pytest.fixture
async def engine(database_url):
    engine = engine_of(database_url)
    yield engine
    await engine.dispose()


async def test_is_done_once(database_url, unmigrated):
    assert await unmigrated.schema_state() == "missing"

    assert await migrate(database_url) == ALL
    assert await migrate(database_url) == []

    assert await unmigrated.schema_state() == "current"


async def test_is_done_once_by_several_tasks(database_url, unmigrated):
    """Each of several workers tries when it starts; all of them have to come up."""
    applied = await asyncio.gather(*[migrate(database_url) for _ in range(4)])

    assert sorted(applied) == [[], [], [], ALL]
    assert await unmigrated.schema_state() == "current"


async def test_is_done_once_by_several_processes(database_url, unmigrated):
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    printed = sorted(process.communicate()[0] for process in processes)

    assert printed == ["['0001', '0002', '0003', '0004', '0005', '0006', '0007', '0008']\n", "[]\n", "[]\n"]
    assert await unmigrated.schema_state() == "current"


async def test_waits_for_a_writer(store, database_url):
    """What is stored may be changed while the first of new gateways comes up."""
    async with store.change(ANA) as transaction:
        await transaction.put_user("bo@example.com")
        migrating = asyncio.create_task(migrate(database_url))
        await transaction.put_user("cy@example.com")

    assert await migrating == []


async def test_leaves_all_as_it_was_when_it_fails(database_url, sql, unmigrated):
    """There is a table in the way, so some are made before that is found out."""
    await sql("CREATE TABLE tokens (id TEXT)")

    with pytest.raises(ConfigError, match=r"cannot be migrated: .*tokens.* already exists"):
        await migrate(database_url)

    assert await unmigrated.schema_state() == "missing"
    await sql("DROP TABLE tokens")
    for table in METADATA.tables:
        with pytest.raises(Exception, match=table):
            await sql(f"SELECT * FROM {table}")
    assert await migrate(database_url) == ALL


async def test_without_tables_it_says_what_to_do(unmigrated):
    with pytest.raises(Unavailable, match="migrate it first"):
        await unmigrated.versions()
    with pytest.raises(Unavailable, match="migrate it first"):
        async with unmigrated.change(ANA):
            pass


async def test_works_with_a_newer_schema(store, database_url, sql, token_of):
    """While replicas are replaced one by one, the old ones go on with tables that the first of the new ones changed."""
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"n": 1}, action="created")
    for table in METADATA.tables:
        await sql(f"ALTER TABLE {table} ADD COLUMN added TEXT")
        await sql(f"ALTER TABLE {table} ADD COLUMN counted BIGINT NOT NULL DEFAULT 7")
    await sql("CREATE TABLE brand_new (id TEXT PRIMARY KEY)")
    await sql("UPDATE alembic_version SET version_num = '9999'")

    assert await store.schema_state() == "newer"
    assert await migrate(database_url) == []
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"n": 2}, action="updated")
        await transaction.add_token(token_of("t"))
        await transaction.put_user("bo@example.com")
        await transaction.put_secret("g", "k", "v")

    assert [manifest.data for manifest in await store.manifests()] == [{"n": 2}]
    assert await store.tokens() == [token_of("t")]
    assert [user.email for user in await store.users()] == ["bo@example.com"]
    assert [secret.value for secret in await store.secrets()] == ["v"]
    assert (await store.history())[-1] == Change(
        1, (await store.history())[-1].at, ANA, "created", "team", "a", 1, {"n": 1}
    )


@pytest.mark.parametrize(
    ("revision", "state"), [(None, "missing"), ("0001", "older"), ("0002", "current"), ("0003", "newer")]
)
def test_tells_older_from_newer(revision, state):
    assert state_of(revision, known=("0001", "0002")) == state


async def test_migrations_and_tables_agree(store, engine):
    """A column that is added in one place only would be noticed by nobody else before it is missing."""

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, METADATA)

    async with connected(engine) as connection:
        assert await connection.run_sync(differences) == []


SCHEMA = {
    "sqlite": ["SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"],
    "postgresql": [
        "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, "
        "character_maximum_length FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1",
    ],
}


async def test_tables_that_are_made_at_once_are_those_of_all_migrations(engine):
    """Alembic took most of the first start."""
    found = []
    for make in (make_tables, upgrade):
        async with connected(engine, writes=True) as connection:
            await connection.run_sync(make)
            tables = [*METADATA.tables, "alembic_version"]
            schema = [
                [tuple(row) for row in await connection.exec_driver_sql(query)] for query in SCHEMA[engine.dialect.name]
            ]
            rows = [[tuple(row) for row in await connection.exec_driver_sql(f"SELECT * FROM {t}")] for t in tables]
        found.append((as_written(schema), rows))

    assert found[0] == found[1]


def as_written(schema):
    """SQLite keeps the statements as they came, and two writers may space them differently."""
    return [[tuple(" ".join(str(value).split()) for value in row) for row in rows] for rows in schema]


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["CREATE TABLE moz_places (id INTEGER)"], "another program keeps its tables there: moz_places"),
        (
            ["CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('3f2a9c0d11ab')"],
            "another program keeps its tables there: its revision is '3f2a9c0d11ab'",
        ),
    ],
)
async def test_leaves_the_database_of_another_program_alone(tmp_path, statements, problem):
    """It would have added its tables, or taken the other's revision for a newer one of its own."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        for statement in statements:
            other.execute(statement)
        other.commit()

    with pytest.raises(ConfigError, match=problem):
        await migrate(f"sqlite:///{tmp_path}/other.db")


def test_all_revisions_are_listed():
    script = ScriptDirectory(migrations.__path__[0])

    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == REVISIONS


async def test_what_is_new_or_current_needs_no_alembic(database_url):
    """It takes longer to import than all else of a start."""
    code = f"{MIGRATE}; print('alembic' in sys.modules)"

    printed = [
        subprocess.run([sys.executable, "-c", code, database_url], capture_output=True, check=True).stdout
        for _ in range(2)
    ]

    assert printed == [b"['0001', '0002', '0003', '0004', '0005', '0006', '0007', '0008']\nFalse\n", b"[]\nFalse\n"]


def test_rows_can_be_known_without_a_database():
    """A gateway that has none need not pay for it."""
    code = "import gateway.state.database.rows, sys; print('sqlalchemy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
