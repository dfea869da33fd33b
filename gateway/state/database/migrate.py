"""Brings the tables up to this version. Where there are none yet, they are made as they are now; Alembic, which takes
longer to import than all else of a start, is for those of an older version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import ConfigError, Fault
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.errors import border
from gateway.state.database.reading import REVISION, Reading
from gateway.state.database.schema import METADATA, REVISIONS, STATE

LOCK = 0x67617465776179
"""The number of PostgreSQL's advisory lock that migrations of the gateway take."""


async def migrate(url: str, *, deadline_s: float = 60.0) -> list[str]:
    """All of it is one transaction: when it fails, the tables are as they were.

    Several may do it at once: the first does the work, the others wait for it.

    Args:
        deadline_s: for all of it, the waiting included.

    Returns:
        The revisions that were applied; none when the tables are up to date, or made by a newer version.

    Raises:
        ConfigError: the URL cannot be used, another program has its tables there, or the database refuses to make
            the tables; it says why.
        Unavailable: it cannot be reached, or another migration takes too long.
    """
    engine = engine_of(url, timeout_s=deadline_s)
    try:
        async with border(deadline_s), connected(engine, writes=True) as connection:
            if engine.dialect.name == "postgresql":
                # Ends with the transaction, which is the whole migration, so it also works through PgBouncer.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            state = await Reading(connection).schema_state()
            if state in ("current", "newer"):
                return []
            applied = await connection.run_sync(make_tables if state == "missing" else upgrade)
            await connection.commit()
            return applied
    finally:
        await engine.dispose()


def make_tables(connection: Connection) -> list[str]:
    """All of them, as all migrations together make them."""
    if connection.dialect.name == "sqlite":
        names = inspect(connection).get_table_names()
        if names and METADATA.tables.keys().isdisjoint(names):
            problem = f"another program keeps its tables there: {', '.join(names[:3])[:200]}. Name another file"
            raise ConfigError([Fault("the database", 0, "", problem)])
    with _refusals():
        METADATA.create_all(connection, checkfirst=False)
        REVISION.create(connection, checkfirst=True)
        connection.execute(insert(STATE).values(id=1, manifests=0, tokens=0, changes=0))
        connection.execute(insert(REVISION).values(version_num=REVISIONS[-1]))
    return list(REVISIONS)


def upgrade(connection: Connection) -> list[str]:
    """Step by step, from wherever it is."""
    # Alembic keeps the migration that runs in a global; one at a time is what the lock is for.
    from alembic import command
    from alembic.config import Config

    applied: list[str] = []
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes.update(connection=connection, applied=applied)
    with _refusals():
        command.upgrade(config, "head")
    return applied


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise ConfigError([Fault("the database", 0, "", f"it cannot be migrated: {error.orig}")]) from error
