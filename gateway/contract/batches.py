"""Batches that the gateway runs itself, for accounts whose provider has none; and those at providers, until they are
billed."""

from collections.abc import Collection, Mapping
from typing import Literal, Protocol

import msgspec

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
OVER = frozenset({"failed", "completed", "expired", "cancelled"})
"""After these it changes no more."""


class BatchProblem(msgspec.Struct, frozen=True):
    """`line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchProblems(msgspec.Struct, frozen=True):
    data: tuple[BatchProblem, ...]
    object: str = "list"


class RequestCounts(msgspec.Struct, frozen=True):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """As its owner sees it. Moments are whole seconds since 1970.

    Source: platform.openai.com/docs/api-reference/batch/object, read 2026-11.
    """

    id: str
    object: str = "batch"
    endpoint: str
    errors: BatchProblems | None = None
    input_file_id: str
    completion_window: str = "24h"
    status: Status = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = RequestCounts()
    metadata: Mapping[str, str] | None = None

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    def cancelled_by(self, at: int | None) -> "Batch":
        """As it is told between the moment when somebody cancels it, and that when whoever works on it hears of it.

        Args:
            at: when somebody did; None: nobody has.
        """
        if at is None or self.is_over:
            return self
        return msgspec.structs.replace(self, status="cancelling", cancelling_at=self.cancelling_at or at)


class Run(msgspec.Struct, frozen=True):
    """
    Args:
        account: whose models its lines name.
        owner: the subject that its lines are requests of; empty: an earlier version did not write it down.
    """

    batch: Batch
    account: str
    owner: str = ""


Held = Literal["held", "cancelled", "lost"]
"""cancelled: held, and somebody has cancelled the batch. lost: another process has it."""


class Runs(Protocol):
    """All batches of the gateway's own. One process works on one at a time: who holds its lease.

    Each method may raise Unavailable.
    """

    async def add(self, run: Run) -> None: ...

    async def get(self, batch_id: str) -> Batch | None: ...

    async def cancel(self, batch_id: str, at: int) -> None:
        """Unless it is over. Whoever works on it, or is the next to, brings it to its end."""

    async def claim(self, by: str, *, now_s: float, lease_s: float, without: Collection[str] = ()) -> Run | None:
        """One that is not over and that nobody works on; nobody else gets it before the lease is over. Owners take
        turns: it is the oldest of the one whose last turn, at whatever process, was over first.

        Args:
            without: owners who have had their share.
        """

    async def is_wanted(self, owner: str, *, now_s: float) -> bool:
        """Whether somebody else has one that nobody works on."""

    async def keep(self, batch: Batch, by: str, *, until_s: float) -> Held:
        """Writes down how far it is, and holds on to it until then."""

    async def leave(self, batch: Batch, by: str, *, due_s: float) -> Held:
        """Writes down how far it is, and gives it away: from then on anybody may go on with it, and at once if somebody
        cancels it."""

    async def close(self) -> None:
        """After the last call has ended."""


class Watch(msgspec.Struct, frozen=True):
    """A batch at its provider that is not billed yet.

    Args:
        id: as its owner knows it.
        created_s: in seconds since 1970.
    """

    account: str
    provider_id: str
    id: str
    created_s: float

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.provider_id


class Watches(Protocol):
    """All of them. One process looks at one at a time: who holds its lease. Each method may raise Unavailable."""

    async def add(self, watch: Watch, *, due_s: float) -> None:
        """To be looked at by then; if it is there already, no later than that."""

    async def claim(self, by: str, *, now_s: float, lease_s: float) -> Watch | None:
        """The one that is due first; nobody else gets it before the lease is over."""

    async def keep(self, watch: Watch, by: str, *, until_s: float) -> bool:
        """Holds on to it until then. False: another process has it, or it is done."""

    async def later(self, watch: Watch, by: str, *, due_s: float) -> None:
        """Gives it back, to be looked at again, unless another process has it."""

    async def done(self, watch: Watch) -> None:
        """It is looked at no more."""

    async def close(self) -> None:
        """After the last call has ended."""
