"""What is asked of Redis, and waited for: each puts itself into a batch and finds its answer in the reply."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from gateway.contract.limits import Amounts, Hold, Level, Verdict
from gateway.state.counters.batch import Answer, Batch

Result = TypeVar("Result")


class Job(ABC, Generic[Result]):
    """Answers of a kind come in the order of the jobs."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    @abstractmethod
    def put(self, batch: Batch) -> None: ...

    @abstractmethod
    def result(self, reserved: Iterator[Answer], levels: Iterator[Answer]) -> Result: ...

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Reserve(Job[Verdict]):
    __slots__ = ("holds", "need", "ticket_id")

    def __init__(self, ticket_id: str, holds: tuple[Hold, ...], need: Amounts) -> None:
        super().__init__()
        self.ticket_id = ticket_id
        self.holds = holds
        self.need = need

    def put(self, batch: Batch) -> None:
        batch.reserve(self.ticket_id, self.holds, self.need)

    def result(self, reserved: Iterator[Answer], levels: Iterator[Answer]) -> Verdict:
        return next(reserved).verdict(self.ticket_id, self.holds, self.need)


class Look(Job[Sequence[Level]]):
    __slots__ = ("holds",)

    def __init__(self, holds: Sequence[Hold]) -> None:
        super().__init__()
        self.holds = holds

    def put(self, batch: Batch) -> None:
        batch.look(self.holds)

    def result(self, reserved: Iterator[Answer], levels: Iterator[Answer]) -> Sequence[Level]:
        return next(levels).levels(self.holds)


class Restore(Job[None]):
    __slots__ = ("used",)

    def __init__(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        super().__init__()
        self.used = used

    def put(self, batch: Batch) -> None:
        for hold, at_s, amount in self.used:
            batch.restore(hold, at_s, amount)

    def result(self, reserved: Iterator[Answer], levels: Iterator[Answer]) -> None:
        return None
