"""The door to the ledger: what requests used and cost, the totals of budgets, and alerts that are to be sent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Select, Table, and_, delete, insert, select, tuple_, update

from gateway.contract.entry import Entry
from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window, span_of
from gateway.state.database.charging import DAY_KEY, alerts_due, day_rows, ledger_row, outbox_row, sums_of, total_rows
from gateway.state.database.connections import Connections
from gateway.state.database.engine import writer_beside
from gateway.state.database.errors import border
from gateway.state.database.inserting import STAYS, Inserting, PostgresInserting, SqliteInserting, growing
from gateway.state.database.ledger_rows import Alerting, DueAlert, Total, UsageRow
from gateway.state.database.reading import Row
from gateway.state.database.schema import LEDGER, OPEN_REQUESTS, OUTBOX, TOTALS, USAGE_DAYS
from gateway.state.database.usage_queries import usage_query, usage_row

LEADERS = 500
AT_ONCE = 100
"""Rows that are made between two turns of the event loop."""

_TOTAL_ROWS = select(
    *(TOTALS.c[name.removesuffix("_s")].label(name) for name in Total.__struct_fields__),
)
_ENTRY_ROWS = select(*(LEDGER.c[name] for name in Entry.__struct_fields__ if name in LEDGER.c))


class LedgerStore:
    """Writes and reads the ledger. It has connections of its own, and does not take the lock of those who change
    manifests and tokens: in PostgreSQL neither waits for the other.

    Each method raises what `gateway.state.database.errors` does: above all Unavailable, after `deadline_s` at the
    latest.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        alerts_of: when and to whom to tell that the budget of a hold is used up. It may be called by another thread.
        deadline_s: the longest wait of one call; of `forget`, of one of its steps.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(
        self, url: str, *, alerts_of: Callable[[Hold], Alerting | None] = lambda _: None, deadline_s: float = 2.0
    ) -> None:
        self.connections = Connections(url, deadline_s=deadline_s)
        self._writer = writer_beside(self.connections.engine, timeout_s=deadline_s)
        self._alerts_of = alerts_of

    async def close(self) -> None:
        """After the last call has ended."""
        await self.connections.close()
        if self._writer is not None:
            await self._writer.close()

    # --- what requests used ---

    async def write(self, entries: Iterable[Entry], *, at: datetime) -> int:
        """All of it is one transaction. An entry that was written before, here or by another replica, counts no more.

        Args:
            at: now, for alerts.

        Returns:
            How many entries were new.

        Raises:
            ValueError: a charge is for a window that is none of the calendar.
        """
        by_id = {entry.request_id: entry for entry in entries}
        if not by_id:
            return 0
        if self._writer is not None:
            async with border(self.connections.deadline_s):
                return await self._writer.run(lambda file: self._add(SqliteInserting(file), by_id, at))
        async with self.connections.writing() as connection:
            written = await connection.run_sync(lambda sync: self._add(PostgresInserting(sync), by_id, at))
            await connection.commit()
        return written

    async def entry(self, request_id: str) -> Entry | None:
        """One request, without its charges."""
        found = await self._rows(Entry, _ENTRY_ROWS.where(LEDGER.c.request_id == request_id))
        return next(iter(found), None)

    async def totals(self, at: datetime) -> list[Total]:
        """Of all windows that have not ended by then, in the order of their keys."""
        totals = await self._rows(Total, _TOTAL_ROWS.where(TOTALS.c.ends > int(at.timestamp())))
        return sorted(totals, key=lambda total: (total.key, total.begins_s))

    async def leaderboard(
        self, rule: str, unit: Unit, window: Window, at: datetime, *, limit: int = LEADERS
    ) -> list[Total]:
        """Who has used most of a budget, in the window of that moment; 500 at most."""
        begins_s = span_of(window, at.timestamp()).begins_s
        same = (TOTALS.c.rule == rule, TOTALS.c.begins == begins_s, TOTALS.c.unit == unit, TOTALS.c.window == window)
        first = _TOTAL_ROWS.where(*same).order_by(TOTALS.c.amount.desc(), TOTALS.c.scope)
        return await self._rows(Total, first.limit(max(0, min(limit, LEADERS))))

    async def usage(self, by: str, since: date, until: date, *, who: str | None = None) -> list[UsageRow]:
        """What was used from the day `since` until before the day `until`, both UTC; in the order of the groups.

        A request of somebody in two teams is in both groups of `team`. By `metadata.<key>` are only requests that have
        the key, and nothing older than `forget` left.

        Args:
            by: `subject`, `team`, `model`, `resolved_model`, `day` or `metadata.<key>`.
            who: only of this subject or, except by metadata, of this `team:<name>`.

        Raises:
            BadRequest: there are no such groups.
        """
        query = usage_query(by, since, until, who, self.connections.engine.dialect.name)
        async with self.connections.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return sorted(map(usage_row, rows), key=lambda row: row.group)

    async def forget(self, before: datetime, *, batch: int = 1000) -> int:
        """Deletes what is older, a batch at a time, so that nobody waits for it long: requests, totals of windows that
        have ended, and alerts that were sent or given up. Usage by day stays. What came from a spool only after its
        request was deleted would count again, so a day at least should be kept.

        Returns:
            How many requests were deleted.
        """
        requests = await self._delete(LEDGER, LEDGER.c.at < before, batch)
        await self._delete(TOTALS, TOTALS.c.ends < int(before.timestamp()), batch)
        await self._delete(OUTBOX, and_(OUTBOX.c.due_at.is_(None), OUTBOX.c.created_at < before), batch)
        return requests

    # --- requests under way ---

    async def note_open(self, replica: str, note: int, entries: Sequence[Entry]) -> None:
        """What the requests under way of a process come to by now; `note` is higher than that which it replaces."""
        row = {"note": note, "entries": msgspec.json.encode(entries)}
        async with self.connections.writing() as connection:
            replacing = update(OPEN_REQUESTS).where(OPEN_REQUESTS.c.replica == replica).values(row)
            if not (await connection.execute(replacing)).rowcount:
                await connection.execute(insert(OPEN_REQUESTS).values(replica=replica, **row))
            await connection.commit()

    async def open_notes(self) -> dict[str, int]:
        """Process -> the number of its note."""
        async with self.connections.reading() as connection:
            rows = await connection.execute(select(OPEN_REQUESTS.c.replica, OPEN_REQUESTS.c.note))
            return {row.replica: row.note for row in rows}

    async def open_entries(self, replica: str, note: int) -> list[Entry]:
        """None if it has been replaced since."""
        query = select(OPEN_REQUESTS.c.entries).where(_is_note(replica, note))
        async with self.connections.reading() as connection:
            data = await connection.scalar(query)
        return msgspec.json.decode(data, type=list[Entry]) if data is not None else []

    async def forget_open(self, replica: str, note: int) -> None:
        """Unless it has been replaced since."""
        async with self.connections.writing() as connection:
            await connection.execute(delete(OPEN_REQUESTS).where(_is_note(replica, note)))
            await connection.commit()

    # --- alerts ---

    async def claim_alerts(self, at: datetime, *, lease_s: float, limit: int = 20) -> list[DueAlert]:
        """Those that are to be sent now, the most urgent first. Nobody else gets them before the lease is over.

        Whoever has got them says by `note_alert` what became of it. One who dies instead has counted as an attempt.
        """
        due = select(*OUTBOX.primary_key).where(OUTBOX.c.due_at <= at).order_by(OUTBOX.c.due_at).limit(limit)
        async with self.connections.reading() as connection:
            if not (await connection.execute(due)).first():
                return []  # as nearly always, and nobody was locked out for it
        async with self.connections.writing() as connection:
            keys = [tuple(row) for row in await connection.execute(due.with_for_update(skip_locked=True))]
            claimed = await connection.execute(
                update(OUTBOX)
                .where(tuple_(*OUTBOX.primary_key).in_(keys))
                .values(due_at=at + timedelta(seconds=lease_s), attempts=OUTBOX.c.attempts + 1)
                .returning(OUTBOX.c.alert, OUTBOX.c.targets, OUTBOX.c.attempts)
            )
            alerts = [_struct(DueAlert, row) for row in claimed.mappings()]
            await connection.commit()
        return alerts

    async def note_alert(
        self, due: DueAlert, *, state: str, targets: Sequence[Any] = (), due_at: datetime | None, problem: str | None
    ) -> None:
        """What became of an alert that was claimed, unless somebody else has claimed it since.

        Args:
            targets: those that still have not got it.
            due_at: when to try again; None: never.
            problem: why it could not be sent; without secrets.
        """
        alert = due.alert
        same = (OUTBOX.c.key == alert.key, OUTBOX.c.begins == alert.begins_s, OUTBOX.c.threshold == alert.threshold)
        query = update(OUTBOX).where(*same, OUTBOX.c.attempts == due.attempts)
        async with self.connections.writing() as connection:
            await connection.execute(query.values(state=state, targets=targets, due_at=due_at, problem=problem))
            await connection.commit()

    # --- within ---

    def _add(self, database: Inserting, by_id: Mapping[str, Entry], at: datetime) -> int:
        rows = []
        for request_id in sorted(by_id):
            rows.append(ledger_row(by_id[request_id]))
            if len(rows) % AT_ONCE == 0:
                database.pause()
        new = database.add_new(rows)
        if not new:
            return 0
        entries = [by_id[row[0]] for row in new]
        days, sums_of_days = day_rows([*zip(entries, new, strict=True)])
        database.add(USAGE_DAYS, days, sums_of_days, growing(USAGE_DAYS, days[len(DAY_KEY) :]))
        if sums := sums_of(entries):
            database.add(TOTALS, tuple(TOTALS.c.keys()), total_rows(sums), growing(TOTALS, ("amount",)))
            watched = [key for key, total in sums.items() if total.hold.limit > 0 and self._alerts_of(total.hold)]
            if watched and (due := alerts_due(database.totals(watched), sums, self._alerts_of)):
                alerts = [outbox_row(alert, targets, at) for alert, targets in due]
                database.add(OUTBOX, tuple(OUTBOX.c.keys()), alerts, STAYS)
        return len(new)

    async def _delete(self, table: Table, where: Any, batch: int) -> int:
        keys = tuple_(*table.primary_key)
        deleted = 0
        while True:
            async with self.connections.writing() as connection:
                some = select(*table.primary_key).where(where).limit(batch).with_for_update(skip_locked=True)
                rows = [tuple(row) for row in await connection.execute(some)]
                if rows:
                    await connection.execute(delete(table).where(keys.in_(rows)))
                await connection.commit()
            deleted += len(rows)
            if len(rows) < batch:
                return deleted

    async def _rows(self, row_type: type[Row], query: Select[Any]) -> list[Row]:
        async with self.connections.reading() as connection:
            return [_struct(row_type, row) for row in (await connection.execute(query)).mappings()]


def _is_note(replica: str, note: int) -> Any:
    return and_(OPEN_REQUESTS.c.replica == replica, OPEN_REQUESTS.c.note == note)


def _struct(row_type: type[Row], row: RowMapping) -> Row:
    # Names of columns are a kind of str that msgspec does not take for one.
    return msgspec.convert({str(name): value for name, value in row.items()}, row_type)
