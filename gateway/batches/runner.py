"""Takes up the batches that nobody works on, and holds on to each until it is over."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex

import msgspec
import structlog

from gateway.batches.files import LocalFiles
from gateway.batches.lines import Line
from gateway.batches.work import Answer, Begin, Work, problem_of
from gateway.contract.batches import Batch, Run, Runs
from gateway.contract.caller import Caller
from gateway.contract.objects import KEPT_FOR, ObjectKind, Objects
from gateway.contract.part import Figure, Part, gauge
from gateway.errors import NotFound, Unavailable
from gateway.logs import traceback_text
from gateway.state.background import background, ended

LEASE_S = 30.0
POLL_S = 2.0
AT_ONCE = 2
"""Batches of which one process begins requests."""
TURN_S = 60.0
"""After that others have their turn, if there are any."""
MAX_OPEN = 16
"""Batches of one process that have requests under way: those that have left their place wait for theirs to end,"""
MAX_OPEN_OF_ONE = 4
"""so many of one owner: nobody's provider that hangs keeps all the others waiting."""
CLOSE_S = 5.0
"""So long the results of what has been answered may take to be written when the gateway stops."""
FORGET_EVERY_S = 6 * 3600.0

AskAs = Callable[[Line, Batch, str, Caller, Begin], Awaitable[Answer]]
"""A request of a batch, of an account, by a caller."""

log = structlog.get_logger(__name__)


class Runner(Part):
    """
    Args:
        caller_of: a subject as a caller with what it may do now; None: it is nobody any more.
        ask: makes one request.
        is_stopping: no request is to be begun any more.
        clock: seconds since 1970, the same for all replicas.
        lease_s: after this long without a word of whoever works on a batch, another takes it up.
        poll_s: between two looks for batches.
        turn_s: so long a batch may keep its place while others wait for one.
    """

    name = "batches"

    def __init__(
        self,
        runs: Runs,
        files: LocalFiles,
        *,
        objects: Objects,
        caller_of: Callable[[str], Caller | None],
        ask: AskAs,
        is_stopping: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        turn_s: float = TURN_S,
    ) -> None:
        self.runs = runs
        self.files = files
        self._objects = objects
        self._caller_of = caller_of
        self._ask = ask
        self._is_stopping = is_stopping
        self._clock = clock
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._turn_s = turn_s
        self._id = token_hex(16)
        self._wake = asyncio.Event()
        self._works: dict[str, Work] = {}
        self._owners: Counter[str] = Counter()
        """Of batches that are open here."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning = asyncio.Lock()
        """One at a time, or two would count what is open before either has begun, and there would be too many."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_closing = False

    def figures(self) -> list[Figure]:
        return [gauge("gateway_batches_running", "Batches that this process works on.", len(self._works))]

    def wake(self) -> None:
        """There is a new batch."""
        self._wake.set()

    def cancelled(self, batch_id: str) -> None:
        """What another process works on hears of it with its lease."""
        if work := self._works.get(batch_id):
            work.cancel()
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with background(*[self._take_up() for _ in range(AT_ONCE)], self._forget()):
                try:
                    yield
                finally:
                    self._is_closing = True
                    with suppress(TimeoutError):
                        async with asyncio.timeout(CLOSE_S):
                            await self._idle.wait()
        finally:
            await ended(self._tasks)
            await self.runs.close()

    def _may_begin(self) -> bool:
        return not self._is_closing and not self._is_stopping()

    async def _take_up(self) -> None:
        while True:
            if (turn := await self._begun()) is not None:
                await turn.wait()
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()

    async def _begun(self) -> asyncio.Event | None:
        """Takes up a batch, if there is one and room for it. Its turn lasts until the event: it is over, or begins
        nothing more, and what it has under way comes to its end beside the next one."""
        async with self._beginning:
            if not self._may_begin() or len(self._tasks) >= MAX_OPEN:
                return None
            full = [owner for owner, open_ in self._owners.items() if open_ >= MAX_OPEN_OF_ONE]
            try:
                run = await self.runs.claim(self._id, now_s=self._clock(), lease_s=self._lease_s, without=full)
            except Unavailable as error:
                log.warning("no batches taken up", reason=error.message)
                return None
            return self._turn(run) if run is not None else None

    def _turn(self, run: Run) -> asyncio.Event:
        has_left = asyncio.Event()
        task = asyncio.create_task(self._one(run, has_left.set))
        self._tasks.add(task)
        self._owners[run.owner] += 1

        def is_over(_: object) -> None:
            self._tasks.discard(task)
            self._owners[run.owner] -= 1
            self._owners += Counter()  # without those that have none
            has_left.set()

        task.add_done_callback(is_over)
        return has_left

    async def _one(self, run: Run, left: Callable[[], None]) -> None:
        """To its end, or to that of the lease. What goes wrong is logged, and tried again when that is over."""
        try:
            await self._worked_on(run, left)
        except Exception:
            log.error("batch failed", batch=run.batch.id, traceback=traceback_text())
        finally:
            self._works.pop(run.batch.id, None)
            if not self._works:
                self._idle.set()

    async def _worked_on(self, run: Run, left: Callable[[], None]) -> None:
        owner = run.owner or await self._owner(run.batch)
        if owner is None:
            return
        lease = Lease(
            self.runs, self._id, until_s=self._clock() + self._lease_s, lease_s=self._lease_s, clock=self._clock
        )

        async def ask(line: Line, begin: Begin) -> Answer:
            caller = self._caller_of(owner)
            if caller is None:
                error = {"message": f"{owner} has no access any more", "type": "permission_error", "code": "no_access"}
                return Answer(403, "", msgspec.json.encode({"error": error}))
            return await self._ask(line, run.batch, run.account, caller, begin)

        work = Work(
            run,
            files=self.files,
            ask=ask,
            may_begin=self._may_begin,
            is_mine=lambda: lease.is_held,
            clock=self._clock,
            left=left,
        )
        self._works[run.batch.id] = work
        self._idle.clear()
        try:
            async with background(lease.kept(work), self._ends_turn(run.owner, work)):
                is_over = await work.run()
        except asyncio.CancelledError:
            # Given away at once, so that another replica goes on with what is left.
            await asyncio.shield(lease.end(work.so_far()))
            raise
        await asyncio.shield(lease.end(work.batch if is_over else work.so_far(), after_s=work.wait_s))
        if is_over and lease.is_held:
            await asyncio.to_thread(work.progress.close)
            log.info("batch is over", batch=work.batch.id, status=work.batch.status)

    async def _ends_turn(self, owner: str, work: Work) -> None:
        """When it has lasted long enough, and others wait."""
        await asyncio.sleep(self._turn_s)
        while True:
            with suppress(Unavailable):
                if await self.runs.is_wanted(owner, now_s=self._clock()):
                    work.leave()
                    return
            await asyncio.sleep(self._poll_s)

    async def _owner(self, batch: Batch) -> str | None:
        """Whose it is, where an earlier version did not write that down; None: nobody knows."""
        try:
            return (await self._objects.find(ObjectKind.BATCH, batch.id, None)).owner
        except NotFound as error:
            now = int(self._clock())
            failed = {"status": "failed", "failed_at": now, "errors": problem_of(error)}
            await self.runs.leave(msgspec.structs.replace(batch, **failed), self._id, due_s=now)
            return None

    async def _forget(self) -> None:
        while True:
            before_s = self._clock() - KEPT_FOR[ObjectKind.FILE].total_seconds()
            await asyncio.to_thread(self.files.forget, before_s)
            await asyncio.sleep(FORGET_EVERY_S)


class Lease:
    """That of one batch; `is_held` turns false once, and stays so."""

    def __init__(self, runs: Runs, by: str, *, until_s: float, lease_s: float, clock: Callable[[], float]) -> None:
        self._runs = runs
        self._by = by
        self._until_s = until_s
        self._lease_s = lease_s
        self._clock = clock
        self._is_lost = False

    @property
    def is_held(self) -> bool:
        # With a margin, as clocks of replicas differ.
        if self._clock() > self._until_s - self._lease_s / 4:
            self._is_lost = True
        return not self._is_lost

    async def kept(self, work: Work) -> None:
        while self.is_held:
            until_s = self._clock() + self._lease_s
            try:
                held = await self._runs.keep(work.so_far(), self._by, until_s=until_s)
            except Unavailable as error:
                log.warning("batch not kept", reason=error.message)
            else:
                self._until_s = until_s
                self._is_lost = held == "lost"
                if held == "cancelled":
                    work.cancel()
            await asyncio.sleep(self._lease_s / 10)
        work.leave()  # what it has under way may never end, and must not keep its place for that

    async def end(self, batch: Batch, *, after_s: float = 0.0) -> None:
        """Gives it away, to whoever goes on with it after so long."""
        if not self.is_held:
            return
        try:
            self._is_lost = await self._runs.leave(batch, self._by, due_s=self._clock() + after_s) == "lost"
        except Unavailable as error:
            self._is_lost = True
            log.warning("batch not kept", reason=error.message)
