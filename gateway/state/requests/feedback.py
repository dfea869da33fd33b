"""What people say of requests: a table of its own beside the records, joined by the request's id.

It may be there before the record, which is written a moment after the answer. Whoever gave it was then not known to be
allowed to: until somebody has looked, it counts for the giver's own requests alone.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, delete, exists, func, not_, or_, select, true, update

from gateway.contract import Record
from gateway.state.requests.asked import Filter, Page, Query
from gateway.state.requests.feedback_rows import FEEDBACK, KEY, Feedback, fits, is_about, row_of, shown
from gateway.state.requests.tables import REQUESTS, prefix_of, upsert

if TYPE_CHECKING:
    from gateway.state.requests.store import RecordStore

AT_ONCE = 500
"""Ids that are looked for in one step."""
MOST_PENDING = 1000
"""Of one giver, for requests that are not in the records: ids are easily made up."""
MOST_NAMES = 50
"""Of one giver and request."""
PENDING = timedelta(days=1)
"""So long a record may take to be written: longer than any request, and than most outages of a database."""
CHANGING = ("kind", "value", "score", "comment", "metadata", "updated_at")
"""What is said anew; the rest stays as it was."""


class TooMany(ValueError):
    """More than one giver may leave behind: names for a request."""


class TooEarly(ValueError):
    """The same, of feedback to requests that are not in the records."""


class Feedbacks:
    """Each method raises what `gateway.state.database.errors` does."""

    def __init__(self, records: "RecordStore") -> None:
        self._records = records

    async def give(self, given: Feedback) -> Feedback:
        """In the place of what the same giver said under that name before; as it is kept.

        Raises:
            TooMany, TooEarly: there is too much by the same giver.
        """
        row = upsert(FEEDBACK, is_sqlite=self._records.is_sqlite).values(row_of(given))
        changing: dict[str, Any] = {name: row.excluded[name] for name in CHANGING}
        changing["is_checked"] = or_(FEEDBACK.c.is_checked, row.excluded.is_checked)
        mine = and_(FEEDBACK.c.request_id == given.request_id, FEEDBACK.c.subject == given.subject)
        async with self._records.connection(writes=True) as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=KEY, set_=changing))
            if (await connection.scalar(select(func.count()).where(mine)) or 0) > MOST_NAMES:
                raise TooMany
            if not given.is_checked and await self._pending(connection, given) > MOST_PENDING:
                raise TooEarly
            kept = (await connection.execute(select(FEEDBACK).where(mine, FEEDBACK.c.name == given.name))).mappings()
            found = shown(kept.one())
            await connection.commit()
        return found

    async def of_request(self, request_id: str) -> list[Feedback]:
        """All of it, the oldest first."""
        query = select(FEEDBACK).where(FEEDBACK.c.request_id == request_id)
        async with self._records.connection() as connection:
            rows = (await connection.execute(query.limit(AT_ONCE))).mappings().all()
        return sorted(map(shown, rows), key=lambda each: (each.created_at, each.subject, each.name))

    async def of(self, records: Sequence[Record]) -> dict[str, list[Feedback]]:
        """Id of a request -> what counts for it, the oldest first; of the others, nothing."""
        by_id = {record.request_id: record for record in records}
        found: dict[str, list[Feedback]] = {}
        ids = [*by_id]
        for at in range(0, len(ids), AT_ONCE):
            query = select(FEEDBACK).where(FEEDBACK.c.request_id.in_(ids[at : at + AT_ONCE])).limit(10 * AT_ONCE)
            async with self._records.connection() as connection:
                rows = (await connection.execute(query)).mappings().all()
            for given in sorted(map(shown, rows), key=lambda each: (each.created_at, each.subject, each.name)):
                if given.counts_for(by_id[given.request_id]):
                    found.setdefault(given.request_id, []).append(given)
        return found

    async def take_back(self, given: Feedback) -> None:
        """If it is still there."""
        same = [FEEDBACK.c[name] == getattr(given, name) for name in KEY]
        async with self._records.connection(writes=True) as connection:
            await connection.execute(delete(FEEDBACK).where(*same))
            await connection.commit()

    async def page(self, query: Query, **budget: float) -> Page:
        """`RecordStore.page`; where it asks for feedback, along that: there is little of it, and many requests."""
        about = next((each for each in query.filters if is_about(each.field) and not each.is_not), None)
        if about is None:
            return await self._records.page(query, **budget)
        ids = await self._ids(query, about)
        if not ids:
            return Page(())
        narrowed = msgspec.structs.replace(query, filters=(*query.filters, Filter("id", tuple(ids[:AT_ONCE]))))
        page = await self._records.page(narrowed, **budget)
        if page.next is None and len(ids) > AT_ONCE:
            return Page(page.records, ids[AT_ONCE - 1])
        return page

    async def _ids(self, query: Query, about: Filter) -> list[str]:
        """Of the next requests that may fit, one more than `AT_ONCE`."""
        id_: Any = FEEDBACK.c.request_id
        some = select(id_).distinct().where(fits(FEEDBACK, about))
        if query.since is not None:
            some = some.where(id_ >= prefix_of(query.since))
        if query.until is not None:
            some = some.where(id_ < prefix_of(query.until))
        if query.before is not None:
            some = some.where(id_ > query.before if query.oldest_first else id_ < query.before)
        some = some.order_by(id_ if query.oldest_first else id_.desc()).limit(AT_ONCE + 1)
        async with self._records.connection() as connection:
            return [*(await connection.scalars(some))]

    async def _pending(self, connection: Any, given: Feedback) -> int:
        """How much of the giver's waits for its record. Which have come is looked at when there seem to be too many."""
        waits = and_(
            FEEDBACK.c.subject == given.subject,
            not_(FEEDBACK.c.is_checked),
            FEEDBACK.c.request_id >= prefix_of(given.updated_at - PENDING),
        )
        count = select(func.count()).where(waits)
        if (waiting := await connection.scalar(count) or 0) <= MOST_PENDING:
            return int(waiting)
        own = exists().where(REQUESTS.c.request_id == FEEDBACK.c.request_id, REQUESTS.c.subject == given.subject)
        await connection.execute(update(FEEDBACK).where(waits, own).values(is_checked=true()))
        return int(await connection.scalar(count) or 0)
