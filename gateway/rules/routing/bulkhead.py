"""Keeps one account from taking more calls at once than it should: so many run, so many wait, the rest is refused."""

import asyncio
from bisect import insort
from enum import StrEnum

from gateway.contract.provider import Concurrency
from gateway.errors import Overloaded

BUSY = "account_busy"

HEAD_START_S = 10.0
"""What one step of priority is worth: it passes those who came up to this long before, and nobody who came earlier. So
everybody's turn comes."""


class Stage(StrEnum):
    REFUSED = "refused"
    QUEUED = "queued"
    ADMITTED = "admitted"
    GONE = "gone"


class Ticket:
    """One call's place. Turns are in the order of `turn_s`, then of arrival."""

    __slots__ = ("deadline_s", "number", "stage", "turn_s")

    def __init__(self, stage: Stage, turn_s: float, number: int, deadline_s: float) -> None:
        self.stage = stage
        self.turn_s = turn_s
        self.number = number
        self.deadline_s = deadline_s

    def __lt__(self, other: "Ticket") -> bool:
        return (self.turn_s, self.number) < (other.turn_s, other.number)


class Bulkhead:
    """Who may run, who waits, who is refused; without waiting itself. Where there is room, nobody is queued."""

    def __init__(self, max_concurrent: int, max_queued: int) -> None:
        self.max_concurrent = max_concurrent
        self.max_queued = max_queued
        self.running = 0
        self._queue: list[Ticket] = []  # in the order of their turns
        self._number = 0

    def enter(self, now_s: float, *, priority: float = 0, deadline_s: float = float("inf")) -> Ticket:
        """Admitted, queued or refused, as its `stage` says. A full queue refuses all, whatever their priority.

        Args:
            priority: the higher comes first; of an equal one, who came first.
            deadline_s: it waits until then.
        """
        self._number += 1
        ticket = Ticket(Stage.REFUSED, now_s - priority * HEAD_START_S, self._number, deadline_s)
        if self.running < self.max_concurrent:
            self.running += 1
            ticket.stage = Stage.ADMITTED
            return ticket
        if len(self._queue) < self.max_queued and now_s < deadline_s:
            ticket.stage = Stage.QUEUED
            insort(self._queue, ticket)
        return ticket

    def leave(self, ticket: Ticket, now_s: float) -> list[Ticket]:
        """Who is admitted now. For a ticket that waits it is the end of waiting; a second time it does nothing.

        So whoever gives up leaves like everybody: an admission that was not noticed yet is passed on.
        """
        if ticket.stage is Stage.QUEUED:
            self._queue.remove(ticket)
        elif ticket.stage is Stage.ADMITTED:
            self.running -= 1
        else:
            return []
        ticket.stage = Stage.GONE
        return self._admit(now_s)

    def resize(self, max_concurrent: int, max_queued: int, now_s: float) -> list[Ticket]:
        """Who is admitted now. Those beyond a lower limit stay."""
        self.max_concurrent, self.max_queued = max_concurrent, max_queued
        return self._admit(now_s)

    def _admit(self, now_s: float) -> list[Ticket]:
        admitted = []
        for ticket in self._queue:
            if self.running >= self.max_concurrent:
                break
            if now_s < ticket.deadline_s:
                self.running += 1
                ticket.stage = Stage.ADMITTED
                admitted.append(ticket)
        for ticket in admitted:
            self._queue.remove(ticket)
        return admitted


class AsyncBulkhead:
    """The same for tasks of one event loop."""

    def __init__(self, concurrency: Concurrency) -> None:
        self.concurrency = concurrency
        self.bulkhead = Bulkhead(concurrency.max_concurrent, concurrency.max_queued)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}

    async def enter(self, *, priority: float = 0) -> Ticket:
        """Must be followed by `leave` when it returns.

        Raises:
            Overloaded: the queue is full, or nobody left in time.
        """
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        ticket = self.bulkhead.enter(now_s, priority=priority, deadline_s=now_s + self.concurrency.wait_s)
        if ticket.stage is Stage.ADMITTED:
            return ticket
        if ticket.stage is Stage.REFUSED:
            raise Overloaded("too many requests are waiting for this provider; ask again", code=BUSY, retry_after_s=1)
        admission = self._waiting[ticket] = loop.create_future()
        is_in = False
        try:
            async with asyncio.timeout_at(ticket.deadline_s):
                await admission
            is_in = True
        except TimeoutError:
            message = "this provider is busy, and nobody left in time; ask again"
            raise Overloaded(message, code=BUSY, retry_after_s=1) from None
        finally:
            del self._waiting[ticket]
            if not is_in:
                self.leave(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self._wake(self.bulkhead.leave(ticket, asyncio.get_running_loop().time()))

    def resize(self, concurrency: Concurrency) -> None:
        """What counts from now on; nobody who is in has to leave."""
        self.concurrency = concurrency
        now_s = asyncio.get_running_loop().time()
        self._wake(self.bulkhead.resize(concurrency.max_concurrent, concurrency.max_queued, now_s))

    def _wake(self, admitted: list[Ticket]) -> None:
        for ticket in admitted:
            admission = self._waiting[ticket]
            if not admission.done():  # its task was cancelled, and will leave when it runs
                admission.set_result(None)
