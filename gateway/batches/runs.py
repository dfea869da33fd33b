"""The batches of a gateway without a database: they end with the process."""

from collections.abc import Collection

import msgspec

from gateway.contract.batches import Batch, Held, Run

MAX_RUNS = 10_000


class MemoryRuns:
    """`Runs`. When there are more than it may hold, those go first that came first."""

    def __init__(self, *, max_runs: int = MAX_RUNS) -> None:
        self._max_runs = max_runs
        self._runs: dict[str, Run] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._cancelled: dict[str, int] = {}

    async def add(self, run: Run) -> None:
        self._runs[run.batch.id] = run
        while len(self._runs) > self._max_runs:
            oldest = next(iter(self._runs))
            for kept in (self._runs, self._leases, self._cancelled):
                kept.pop(oldest, None)

    async def get(self, batch_id: str) -> Batch | None:
        run = self._runs.get(batch_id)
        return run.batch.cancelled_by(self._cancelled.get(batch_id)) if run is not None else None

    async def cancel(self, batch_id: str, at: int) -> None:
        run = self._runs.get(batch_id)
        if run is not None and not run.batch.is_over:
            self._cancelled.setdefault(batch_id, at)
            by, until_s = self._leases.get(batch_id, ("", 0.0))
            self._leases[batch_id] = by, until_s if by else 0.0

    async def claim(self, by: str, *, now_s: float, lease_s: float, without: Collection[str] = ()) -> Run | None:
        due = [run for run in self._due(now_s) if run.owner not in without]
        if not due:
            return None
        turns: dict[str, float] = {}
        for id_, (_, until_s) in self._leases.items():
            owner = self._runs[id_].owner
            turns[owner] = max(turns.get(owner, 0.0), until_s)
        run = min(due, key=lambda each: turns.get(each.owner, 0.0))  # of one owner, that which came first
        id_ = run.batch.id
        self._leases[id_] = by, now_s + lease_s
        return msgspec.structs.replace(run, batch=run.batch.cancelled_by(self._cancelled.get(id_)))

    async def is_wanted(self, owner: str, *, now_s: float) -> bool:
        return any(run.owner != owner for run in self._due(now_s))

    def _due(self, now_s: float) -> list[Run]:
        return [
            run
            for id_, run in self._runs.items()
            if not run.batch.is_over and self._leases.get(id_, ("", 0.0))[1] <= now_s
        ]

    async def keep(self, batch: Batch, by: str, *, until_s: float) -> Held:
        run = self._runs.get(batch.id)
        if run is None or self._leases.get(batch.id, ("", 0.0))[0] != by:
            return "lost"
        self._runs[batch.id] = msgspec.structs.replace(run, batch=batch)
        self._leases[batch.id] = by, until_s
        return "cancelled" if batch.id in self._cancelled else "held"

    async def leave(self, batch: Batch, by: str, *, due_s: float) -> Held:
        held = await self.keep(batch, by, until_s=due_s)
        if held != "lost":
            self._leases[batch.id] = "", due_s
        return held

    async def close(self) -> None:
        """Nothing is open."""
