"""Makes the tables of records, PostgreSQL's partitions of them, and what is known when there is none yet."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, inspect, literal_column, select, text, update

from gateway.state.database.async_engine import AsyncConnection
from gateway.state.requests.folds import BASE, DAY, FLOOR, HOUR, down, up
from gateway.state.requests.tables import BY_DAY, DAYS, FOLDED, HOURS, MINUTES, TABLES, partitions

MINUTES_KEPT = timedelta(hours=48)
LOCK_MS = 500


def make_tables(connection: Connection, now: datetime) -> list[str]:
    """Those that are missing; returns their names. Who may not make any can serve where there are all."""
    if connection.dialect.name == "postgresql":
        for table in TABLES.sorted_tables:
            table.dialect_kwargs.update(table.info)
            for index in table.indexes:
                index.dialect_kwargs.update(index.info)
    there = set(inspect(connection).get_table_names())
    missing = [table for table in TABLES.sorted_tables if table.name not in there]
    TABLES.create_all(connection, tables=missing, checkfirst=False)
    others = [] if connection.dialect.name == "sqlite" else [f"{table.name}_others" for table in BY_DAY]
    for name in (missing_others := [name for name in others if name not in there]):
        connection.exec_driver_sql(f"CREATE TABLE {name} PARTITION OF {name.removesuffix('_others')} DEFAULT")
    floor_s = connection.scalar(select(FOLDED.c.at).where(FOLDED.c.fold == FLOOR))
    if floor_s is None:
        connection.execute(insert(FOLDED), _begin(connection, int(now.timestamp())))
    elif floor_s < (kept_from_s := _minutes_from_s(int(now.timestamp()))):
        _raise_floor(connection, floor_s, kept_from_s)
    return [*(table.name for table in missing), *missing_others]


def _begin(connection: Connection, now_s: int) -> list[dict[str, Any]]:
    """Before there was such a row, each record was written into the sums of its hour and its day, too: those that are
    over are complete. Those who still do so add to all three, so they stay it."""
    minutes_from_s = _minutes_from_s(now_s)
    keys = [(FLOOR, 0, minutes_from_s)]
    first_s = connection.scalar(select(func.min(DAYS.c.at)).where(DAYS.c.kind == "all"))
    if first_s is not None:
        keys += [(BASE, HOUR, at) for at in range(minutes_from_s, down(now_s, HOUR), HOUR)]
        keys += [(BASE, DAY, at) for at in range(down(first_s, DAY), down(now_s, DAY), DAY)]
    return [dict(zip(FOLDED.c.keys(), key, strict=True)) for key in keys]


def _raise_floor(connection: Connection, since_s: int, until_s: int) -> None:
    """For who went back to the version before and comes again: it wrote hours, and has deleted minutes that nobody had
    folded. As a rule there are none of these, as hours are made of minutes."""
    requests = {}
    for table in (HOURS, MINUTES):
        hour = (table.c.at - table.c.at % literal_column(str(HOUR))).label("hour")
        within = (table.c.kind == "all", table.c.at >= since_s, table.c.at < until_s)
        rows = connection.execute(select(hour, func.sum(table.c.requests)).where(*within).group_by(hour))
        requests[table] = {at: int(many) for at, many in rows}
    without = [at for at, many in requests[HOURS].items() if many > requests[MINUTES].get(at, 0)]
    if without:
        connection.execute(update(FOLDED).where(FOLDED.c.fold == FLOOR).values(at=max(without) + HOUR))


def _minutes_from_s(now_s: int) -> int:
    return up(now_s - int(MINUTES_KEPT.total_seconds()), HOUR)


async def make_partition(connection: AsyncConnection, day: str) -> list[str]:
    """Of each table, if it is not there; returns the names of those that were made."""
    made = []
    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    for create, attach in partitions(day):
        name = create.split()[5]
        if not await connection.scalar(_is_attached(name)):
            await connection.exec_driver_sql(create)
            await connection.exec_driver_sql(attach)
            made.append(name)
    return made


def _is_attached(name: str) -> Any:
    return text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)").bindparams(name=name)
