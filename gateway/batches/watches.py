"""The unfinished batches at providers, for a gateway without a database: they are forgotten with the process."""

import msgspec

from gateway.contract.batches import Watch

MAX_WATCHES = 10_000

Key = tuple[str, str]


class _Place(msgspec.Struct):
    watch: Watch
    due_s: float
    leased_by: str = ""
    leased_until: float = 0.0


class MemoryWatches:
    """`Watches`. When there are more than it may hold, those go first that came first."""

    def __init__(self, *, max_watches: int = MAX_WATCHES) -> None:
        self._max_watches = max_watches
        self._places: dict[Key, _Place] = {}

    async def add(self, watch: Watch, *, due_s: float) -> None:
        place = self._places.setdefault(watch.key, _Place(watch, due_s))
        place.due_s = min(place.due_s, due_s)
        if len(self._places) > self._max_watches:
            del self._places[next(iter(self._places))]

    async def claim(self, by: str, *, now_s: float, lease_s: float) -> Watch | None:
        due = [each for each in self._places.values() if each.due_s <= now_s and each.leased_until <= now_s]
        if not due:
            return None
        first = min(due, key=lambda each: each.due_s)
        first.leased_by, first.leased_until = by, now_s + lease_s
        return first.watch

    async def keep(self, watch: Watch, by: str, *, until_s: float) -> bool:
        place = self._places.get(watch.key)
        if place is None or place.leased_by != by:
            return False
        place.leased_until = until_s
        return True

    async def later(self, watch: Watch, by: str, *, due_s: float) -> None:
        place = self._places.get(watch.key)
        if place is not None and place.leased_by == by:
            place.due_s, place.leased_by, place.leased_until = due_s, "", 0.0

    async def done(self, watch: Watch) -> None:
        self._places.pop(watch.key, None)

    async def close(self) -> None:
        """Nothing is open."""
