"""One batch, line by line through the gateway's own pipeline."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from gateway.batches.files import LocalFiles
from gateway.batches.lines import Line, Splitter, Validation, answer, line_of
from gateway.batches.progress import ERRORS, OUTPUT, Progress
from gateway.contract.batches import Batch, BatchProblem, BatchProblems, RequestCounts, Run
from gateway.errors import GatewayError, Stopping

LINES_AT_ONCE = 8
REFUSED_AT_ONCE = 8
"""After so many in a row nothing more is begun for a while: the rest would be refused as well."""
STAYS_S = 5.0
"""A wait for a limit that is not longer is waited here; during all others, somebody else may have the place."""
WAITS_S = 60.0
"""At most between two attempts of a line that a limit has refused."""
ATTEMPTS = 20
ON_INTERRUPTION, REPORT, REPEAT = "on_interruption", "report", "repeat"
"""A key of a batch's metadata, and what it may say: what becomes of a line that may have been answered, when the
process that waited for the answer was killed."""
REPEATS = 3
"""A line that kills whoever asks for it is not made for ever."""
INTERRUPTED = (
    "the gateway was stopped while this request was under way; it may have been answered, so it was not repeated"
)
FILE_GONE = BatchProblem("file_not_found", "the input file is not there any more", param="input_file_id")
EXPIRED = "this request could not be made before the completion window was over"

_any = msgspec.json.Decoder(msgspec.Raw)
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
"""Within a text of JSON neither of them can stand."""

Begin = Callable[[], Awaitable[None]]
"""Awaited before a provider is asked; by chance more than once."""
Ask = Callable[[Line, Begin], Awaitable["Answer"]]
"""A request of the batch, made by its owner."""


class Answer(msgspec.Struct, frozen=True):
    """
    Args:
        again_s: it was refused, and may be made again after so long; None: this is the answer.
    """

    status: int
    request_id: str
    body: bytes
    again_s: float | None = None


class Work:
    """What one process does for one batch: from the first line that has no result to the end, or to that of the lease.

    Args:
        ask: makes one request.
        may_begin: whether another request may be begun: the gateway does not stop.
        is_mine: nobody else works on it.
        left: called once this needs no place any more, though some requests may still be under way.
    """

    def __init__(
        self,
        run: Run,
        *,
        files: LocalFiles,
        ask: Ask,
        may_begin: Callable[[], bool],
        is_mine: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self.batch = run.batch
        self.is_cancelled = run.batch.cancelling_at is not None
        self.progress = Progress(files.runs / run.batch.id)
        self.total = run.batch.request_counts.total
        self._files = files
        self._ask = ask
        self._goes_on = may_begin
        self._is_mine = is_mine
        self._is_file_gone = False
        self._clock = clock
        self._sleep = sleep
        self._left = left
        self._writing = asyncio.Lock()
        self.wait_s = 0.0
        """When this is not over: it makes no sense to go on before that."""
        self._has_left = False
        self._refused: dict[int, float] = {}
        """Lines that were refused since this began, or the last wait -> when they may be made."""
        self._in_a_row = 0

    async def run(self) -> bool:
        """True once it is over; `batch` says how. False: somebody else will have to go on."""
        await asyncio.to_thread(self.progress.open)
        if not self.total:
            problems = await self._validated()
            if problems:
                self._note(status="failed", failed_at=self._now, errors=BatchProblems(problems))
                await asyncio.to_thread(self.progress.close)
                return True
        status = "cancelling" if self.is_cancelled else "in_progress"
        self._note(status=status, in_progress_at=self.batch.in_progress_at or self._now)
        if not await self._all_lines():
            return False
        await self._finish()
        return True

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self._note(status="cancelling", cancelling_at=self.batch.cancelling_at or self._now)

    def leave(self) -> None:
        """Others want to have their turn: nothing more is begun."""
        if not self._has_left:
            self._has_left = True
            self._left()

    def so_far(self) -> Batch:
        counts = RequestCounts(self.total, self.progress.completed, self.progress.failed)
        return msgspec.structs.replace(self.batch, request_counts=counts)

    def _may_begin(self) -> bool:
        return self._is_mine() and self._goes_on() and not self._has_left

    async def _validated(self) -> tuple[BatchProblem, ...]:
        if await asyncio.to_thread(self._files.get, self.batch.input_file_id) is None:
            return (FILE_GONE,)
        validation = Validation(self.batch.endpoint)
        async for lines in self._lines():
            await asyncio.to_thread(validation.look, lines)
            if validation.problems:
                break
        self.total = validation.total
        return validation.end()

    async def _lines(self) -> AsyncIterator[list[bytes]]:
        splitter = Splitter()
        try:
            async for piece in self._files.pieces(self.batch.input_file_id):
                yield splitter.feed(piece)
        except FileNotFoundError:  # somebody has deleted it meanwhile
            self._is_file_gone = True
            return
        yield splitter.end()

    async def _all_lines(self) -> bool:
        """Whether there is nothing left to begin."""
        while True:
            self._refused, self._in_a_row = {}, 0
            if not await self._once_through():
                return False
            if not self._refused or self.is_cancelled:
                return True
            await self._sleep(self._wait_s())

    async def _once_through(self) -> bool:
        """Makes what is left, but for what is refused for a while. False: it has ended before that."""
        free = asyncio.Semaphore(LINES_AT_ONCE)
        number = 0
        async with asyncio.TaskGroup() as group:
            async for lines in self._lines():
                for data in lines:
                    number += 1
                    if number in self.progress.done:
                        continue
                    if self._is_lost(number):
                        await self._end_badly(number, data, "batch_interrupted", INTERRUPTED)
                        continue
                    await free.acquire()
                    if self.is_cancelled:
                        return True
                    if self._clock() >= self.batch.expires_at:
                        free.release()
                        await self._end_badly(number, data, "batch_expired", EXPIRED)
                        continue
                    if self._in_a_row >= REFUSED_AT_ONCE:
                        return self._stays()
                    if not self._may_begin():
                        return False
                    group.create_task(self._one(number, data, free))
        if not self._refused:
            return self._may_begin() or self.is_cancelled or len(self.progress.done) >= self.total
        return self._stays()

    def _stays(self) -> bool:
        """Whether the wait for limits is so short that it is waited here; else somebody else may have the place."""
        if self._may_begin() and self._wait_s() > STAYS_S:
            self.wait_s = self._wait_s()
            self.leave()
        return self._may_begin() or self.is_cancelled

    def _wait_s(self) -> float:
        return min(max(min(self._refused.values(), default=0.0) - self._clock(), 0.0), WAITS_S)

    def _is_lost(self, number: int) -> bool:
        """It may have been answered, and nobody knows what."""
        repeats = REPEATS if (self.batch.metadata or {}).get(ON_INTERRUPTION) == REPEAT else 1
        return self.progress.interrupted[number] >= repeats

    async def _write(self, number: int, text: bytes, *, is_good: bool) -> None:
        async with self._writing:
            if self._is_mine():  # else whoever has it has told of this line already
                await asyncio.to_thread(self.progress.end, number, text, is_good=is_good)

    async def _one(self, number: int, data: bytes, free: asyncio.Semaphore) -> None:
        was_begun = False

        async def begin() -> None:
            nonlocal was_begun
            if not self._is_mine():  # whoever has it makes this request
                raise Stopping("another process makes this request")
            if not was_begun:
                was_begun = True
                await asyncio.to_thread(self.progress.begin, number)
                if not self._is_mine():  # meanwhile
                    raise Stopping("another process makes this request")

        try:
            line = line_of(data)
            got = await self._ask(line, begin)
            if not self._is_mine():
                return
            if self._comes_again(number, got):
                await asyncio.to_thread(self.progress.undo, number, was_begun=was_begun)
                self._refused[number] = self._clock() + (got.again_s or 0.0)
                self._in_a_row += 1
                return
            self._in_a_row = 0
            response = {"status_code": got.status, "request_id": got.request_id, "body": _json(got.body)}
            text = answer(self._id(number), line.custom_id, response=response)
            await self._write(number, text, is_good=got.status < 300)
        finally:
            free.release()

    def _comes_again(self, number: int, got: Answer) -> bool:
        if got.again_s is None or self._clock() + got.again_s >= self.batch.expires_at:
            return False
        return self.progress.refused[number] < ATTEMPTS - 1

    async def _end_badly(self, number: int, data: bytes, code: str, message: str) -> None:
        text = answer(self._id(number), line_of(data).custom_id, error={"code": code, "message": message})
        await self._write(number, text, is_good=False)

    async def _finish(self) -> None:
        """May be done twice: it ends in the same way."""
        is_expired = self._clock() >= self.batch.expires_at and not self.is_cancelled
        self._note(status="finalizing", finalizing_at=self._now)
        await asyncio.to_thread(self.progress.settle)
        output = await asyncio.to_thread(self._adopted, OUTPUT, "file-gw0")
        errors = await asyncio.to_thread(self._adopted, ERRORS, "file-gw1")
        counts = self.so_far().request_counts
        self._note(output_file_id=output, error_file_id=errors, request_counts=counts)
        if self.is_cancelled:
            self._note(status="cancelled", cancelled_at=self._now)
        elif self._is_file_gone and counts.completed + counts.failed < counts.total:
            self._note(status="failed", failed_at=self._now, errors=BatchProblems((FILE_GONE,)))
        elif is_expired and counts.completed < counts.total:
            self._note(status="expired", expired_at=self._now)
        else:
            self._note(status="completed", completed_at=self._now)

    def _adopted(self, name: str, prefix: str) -> str | None:
        path = self.progress.folder / name
        id_ = prefix + self.batch.id.removeprefix("batch_gw")[1:]
        return self._files.adopt(path, id_, filename=f"{self.batch.id}_{name}", now_s=self._now)

    def _id(self, number: int) -> str:
        return f"batch_req_{self.batch.id.removeprefix('batch_')}_{number}"

    @property
    def _now(self) -> int:
        return int(self._clock())

    def _note(self, **changes: object) -> None:
        self.batch = msgspec.structs.replace(self.batch, **changes)


def _json(body: bytes) -> object:
    """As it stands there, on one line: it is skipped, not decoded, which would hold everybody up for large ones."""
    try:
        _any.decode(body)
        str(memoryview(body), "utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
    return msgspec.Raw(body.translate(_ONE_LINE))


def problem_of(error: GatewayError) -> BatchProblems:
    return BatchProblems((BatchProblem(error.code or "batch_failed", error.message),))
