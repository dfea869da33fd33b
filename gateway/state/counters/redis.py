"""Counters that all replicas share, in Redis. One script decides, on Redis's clock, and one call carries many requests.

A call that waits for an answer is the only one under way, so what comes meanwhile goes together in the next: the busier
it is, the cheaper each request. What a ticket reserved is on lease: a replica that dies stops renewing it, and whoever
calls next gives it back.

Totals are exact up to 2^63: nine billion dollars in nano-dollars. Redis must not evict these keys: `maxmemory-policy`
should be `noeviction`.
"""

import asyncio
import secrets
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count
from typing import Any

import structlog

from gateway.contract.limits import Amounts, Counters, Hold, Level, Ticket, Verdict
from gateway.contract.part import ending_with
from gateway.errors import Unavailable
from gateway.logs import traceback_text
from gateway.state.counters.backlog import Backlog
from gateway.state.counters.batch import Batch, RedisTicket, Reply, Settlement
from gateway.state.counters.jobs import Job, Look, Reserve, Restore, Result
from gateway.state.counters.patience import Patience
from gateway.state.counters.scripted import ScriptedRedis

PREFIX = "{gateway}:"
LEASE_S = 30.0
MAX_AGE_S = 3600.0
TIMEOUT_S = 1.0
COMPANY_S = 0.005
"""How long a settlement waits for others, or for a request, to go with."""
MOST_JOBS = 100
MOST_RENEWED = 500
NOT_MET = "?"
"""Stands for the epoch of a Redis that was never met, and is none. ANY: whichever it is."""
ANY = ""
FILLING = "redis was empty, and is being filled again"

log = structlog.get_logger(__name__)


class RedisCounters(Counters):
    """Says Unavailable where it cannot reach Redis, from `reserve` too; FailoverCounters knows what to do then.

    Args:
        url: as `redis://user:password@host:port/0`.
        on_new_epoch: called, and waited for, when Redis was met for the first time or has lost everything, so that it
            can `restore` the calendar counters. Nothing is decided meanwhile. Not called if `restore` came first.
        prefix: of all keys; its {tag} keeps them together in a cluster.
        lease_s: how long a ticket outlives the replica that took it.
        max_age_s: how long one is renewed at most.
        timeout_s: the longest wait for a connection with an answer.
        clock: seconds since 1970, to guess what Redis's own clock shows.
        server_now_s: only for tests: stands in for Redis's clock.

    Raises:
        ValueError: that is no URL of a Redis server.
        ModuleNotFoundError: redis is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        on_new_epoch: Callable[[], Awaitable[None]] | None = None,
        prefix: str = PREFIX,
        lease_s: float = LEASE_S,
        max_age_s: float = MAX_AGE_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
        server_now_s: Callable[[], float] | None = None,
    ) -> None:
        self.replicas = 1
        """How many are alive, this one included."""
        self._redis = ScriptedRedis(url, timeout_s)
        self._on_new_epoch = on_new_epoch
        self._prefix = prefix
        self._lease_s = lease_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._server_now_s = server_now_s
        self._ahead_s = 0.0
        self._name = secrets.token_hex(8)
        self._numbers = count(1)
        self._epoch = NOT_MET
        self._epoch_began_s = 0.0
        self._open: weakref.WeakValueDictionary[str, RedisTicket] = weakref.WeakValueDictionary()
        self._jobs: list[Job[Any]] = []
        self._renewed: deque[str] | None = deque()
        """Tickets to be renewed; None: not now."""
        self._backlog = Backlog()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._filling: asyncio.Task[None] | None = None

    def now_s(self) -> float:
        """What Redis's clock shows, as far as is known."""
        return self._server_now_s() if self._server_now_s else self._clock() + self._ahead_s

    async def reserve(self, holds: Sequence[Hold], need: Amounts, patience: Patience | None = None) -> Verdict:
        """Raises Unavailable: Redis did not decide, and if it does so later, it is taken back. TimeoutError: the same,
        for those whose patience ends."""
        job = Reserve(f"{self._name}-{next(self._numbers)}", tuple(holds), need)
        try:
            return await self._done(job, patience)
        except asyncio.CancelledError:
            if job.future.done() and not job.future.cancelled() and job.future.exception() is None:
                self._give_back(job.future.result())
            raise

    def settle(self, ticket: Ticket, used: Amounts | None) -> None:
        assert isinstance(ticket, RedisTicket)
        if ticket.is_settled:
            return
        ticket.is_settled = True
        self._open.pop(ticket.id, None)
        self._backlog.settle(Settlement(ticket.id, ticket.at_s, ticket.holds, used))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COMPANY_S, self._go)

    async def levels(self, holds: Sequence[Hold], patience: Patience | None = None) -> Sequence[Level]:
        """Raises TimeoutError as well, for those whose patience ends."""
        return await self._done(Look(holds), patience)

    async def restore(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        """Raises Unavailable: Redis cannot be reached, or has lost everything again."""
        for start in range(0, max(1, len(used)), MOST_JOBS):
            await self._done(Restore(used[start : start + MOST_JOBS]))

    def charge(self, hold: Hold, at_s: float, amount: int) -> None:
        """Adds what was used without Redis, at a time on its clock. It is told with the next call, once."""
        self._backlog.charge(hold, at_s, amount, self.now_s())

    async def catch_up(self) -> None:
        """Tells Redis all that it has not been told, which replicas and tickets are alive included.

        Raises:
            Unavailable: it cannot be reached.
        """
        self._renew()
        await self._done(Look(()))
        while self._backlog:
            await self._done(Look(()))

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self.close)

    async def close(self) -> None:
        if self._running:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(self._redis.timeout_s):
                    await self.catch_up()
        if self._backlog:
            log.error("redis was not told all that was used", missing=len(self._backlog))
        for task in filter(None, (self._running, self._filling)):
            task.cancel()
            await asyncio.wait([task])
        if self._timer:
            self._timer.cancel()
        await self._redis.close()

    # --- what is to be told ---

    async def _done(self, job: Job[Result], patience: Patience | None = None) -> Result:
        if self._filling and not isinstance(job, Restore):
            raise Unavailable(FILLING)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        self._jobs.append(job)
        self._wake.set()
        if patience is not None:
            patience.add(job.future)
        return await job.future

    def _go(self) -> None:
        self._timer = None
        self._wake.set()

    def _give_back(self, result: object) -> None:
        if isinstance(result, Verdict) and result.ticket:
            self.settle(result.ticket, None)

    def _renew(self) -> None:
        youngest_s, oldest_s = self.now_s() - self._lease_s / 3, self.now_s() - self._max_age_s
        self._renewed = deque(ticket.id for ticket in self._open.values() if oldest_s < ticket.at_s <= youngest_s)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work())
            tasks.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            self._renew()
            self._wake.set()

    # --- telling it ---

    async def _work(self) -> None:
        """Sends what there is, call after call. After a failure it waits until somebody asks for something."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs or self._renewed is not None or (self._backlog and not self._filling):
                if not await self._send():
                    break

    async def _send(self) -> bool:
        jobs = self._take_jobs()
        epoch = ANY if self._is_new_to_us and any(isinstance(job, Restore) for job in jobs) else self._epoch
        tells = epoch != ANY and not self._filling
        batch = self._batch(jobs, tells=tells)
        now_ms = int(self._server_now_s() * 1000) if self._server_now_s else None
        try:
            reply = await self._redis.call(batch.arguments(epoch, self._lease_s, self._max_age_s, now_ms))
        except Unavailable as error:
            self._fail(jobs, error)
            return False
        self._ahead_s = reply.now_ms / 1000 - self._clock()
        if epoch == ANY:
            self._epoch, self._epoch_began_s = reply.epoch, reply.now_ms / 1000
        elif reply.epoch != epoch:
            self._begin(reply, jobs)
            return True
        elif tells:
            self._backlog.arrived()
        self.replicas = max(1, reply.replicas)
        self._renewed = self._renewed or None
        self._answer(jobs, reply)
        return True

    @property
    def _is_new_to_us(self) -> bool:
        return self._epoch == NOT_MET and self._filling is None

    def _take_jobs(self) -> list[Job[Any]]:
        """Into a Redis that was never met, those that restore go alone."""
        waiting = [job for job in self._jobs if not job.future.done()]
        restoring: list[Job[Any]] = [job for job in waiting if isinstance(job, Restore)]
        if self._is_new_to_us and restoring:
            self._jobs = [job for job in waiting if not isinstance(job, Restore)]
            return restoring
        self._jobs = waiting[MOST_JOBS:]
        return waiting[:MOST_JOBS]

    def _batch(self, jobs: Sequence[Job[Any]], *, tells: bool) -> Batch:
        batch = Batch(self._prefix, self._name, self.now_s())
        for job in jobs:
            job.put(batch)
        if self._renewed is not None:
            batch.renew([self._renewed.popleft() for _ in range(min(MOST_RENEWED, len(self._renewed)))])
        if tells and (items := self._backlog.take()):
            batch.settle(self._backlog.number, items, self._epoch_began_s)
        return batch

    def _answer(self, jobs: Sequence[Job[Any]], reply: Reply) -> None:
        reserved, levels = iter(reply.reserved), iter(reply.levels)
        for job in jobs:
            result = job.result(reserved, levels)
            if isinstance(result, Verdict) and isinstance(result.ticket, RedisTicket):
                self._open[result.ticket.id] = result.ticket
            if not job.future.done():
                job.future.set_result(result)
            else:
                self._give_back(result)

    def _fail(self, jobs: Sequence[Job[Any]], error: Unavailable) -> None:
        """Whether Redis has done what it was asked is not known, so what it may have taken is given back."""
        if any(isinstance(job, Restore) for job in jobs):
            self._epoch = NOT_MET
        for job in jobs:
            if isinstance(job, Reserve):
                self._backlog.settle(Settlement(job.ticket_id, 0.0, job.holds, None))
            job.fail(Unavailable(error.message))

    # --- when it has lost everything ---

    def _begin(self, reply: Reply, jobs: Sequence[Job[Any]]) -> None:
        """Of the jobs, nothing was done."""
        if self._filling:
            self._epoch = NOT_MET
        else:
            if self._epoch != NOT_MET:
                log.warning("redis has lost its counters", is_filled_again=self._on_new_epoch is not None)
            self._epoch, self._epoch_began_s = reply.epoch, reply.now_ms / 1000
            if self._on_new_epoch is None:
                self._jobs[:0] = jobs
                return
            self._filling = asyncio.create_task(self._fill(self._on_new_epoch))
        for job in jobs:
            job.fail(Unavailable(FILLING))

    async def _fill(self, on_new_epoch: Callable[[], Awaitable[None]]) -> None:
        try:
            await on_new_epoch()
        except Exception:
            self._epoch = NOT_MET
            log.error("counters could not be filled again", traceback=traceback_text())
        finally:
            self._filling = None
            self._wake.set()
