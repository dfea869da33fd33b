"""Request records into the database."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.contract import Record

if TYPE_CHECKING:
    from gateway.state.requests.store import RecordStore


class DatabaseSink:
    """Takes requests for models. What the control API and unknown paths were asked is in the log alone: else whoever
    looks at the records would fill them by looking."""

    def __init__(self, store: "RecordStore") -> None:
        self._store = store

    async def write(self, records: Sequence[Record]) -> None:
        """Again is not twice: what was written before counts no more."""
        if kept := [record for record in records if record.request_type or record.model or record.spans]:
            await self._store.write(kept)

    async def close(self) -> None:
        await self._store.close()
