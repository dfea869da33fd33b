"""Notices when the event loop stands still, and says what it was doing."""

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from gateway.contract.part import Figure, Part, counter
from gateway.logs import redact_text

STALL_S = 0.1
PART = 4
"""The loop notes the time so often in each `stall_s`."""
QUIET_S = 1.0
"""Between two lines in the log. The figures count every stall."""
MOST_FRAMES = 25

log = structlog.get_logger(__name__)


class Stalls(Part):
    """The loop notes the time, and a thread looks whether it still does.

    So a stall is seen while it lasts, in the stack of the loop's thread, and no request pays for that. One that is over
    before anybody could look, as when the whole process was stopped, is told without a stack.

    Args:
        stall_s: from here on it is one; a quarter less may be.
        clock: monotonic seconds.
    """

    name = "stalls"

    def __init__(self, stall_s: float = STALL_S, clock: Callable[[], float] = monotonic) -> None:
        self.count = 0
        self.seconds = 0.0
        """Of all of them together."""
        self._stall_s = stall_s
        self._clock = clock
        self._noted_s = clock()
        self._seen: tuple[float, str] | None = None
        """The stack of the stall that began at a time."""
        self._told_s = self._noted_s - QUIET_S

    def figures(self) -> Iterable[Figure]:
        yield counter("gateway_loop_stalls", "Times the event loop stood still.", self.count)
        yield counter("gateway_loop_stall_seconds", "How long in all.", self.seconds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watches the running loop, whose thread this is."""
        loop = asyncio.get_running_loop()
        tick_s = self._stall_s / PART
        timer: asyncio.TimerHandle

        def turn() -> None:
            nonlocal timer
            self.note()
            timer = loop.call_later(tick_s, turn)

        self._noted_s = self._clock()
        timer = loop.call_later(tick_s, turn)
        done = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(done, threading.get_ident()), name="gateway-stalls", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            timer.cancel()
            done.set()
            thread.join()

    def note(self) -> None:
        """The loop turns. If it comes late, a stall has just ended, and is told."""
        now_s, before_s, seen = self._clock(), self._noted_s, self._seen
        self._noted_s = now_s
        stalled_s = now_s - before_s
        if stalled_s < self._stall_s:
            return
        self.count += 1
        self.seconds += stalled_s
        if now_s - self._told_s >= QUIET_S:
            self._told_s = now_s
            stack = seen[1] if seen is not None and seen[0] == before_s else None
            log.warning("event loop stalled", stall_ms=round(stalled_s * 1000), stack=stack)

    def look(self, ident: int) -> None:
        """From another thread: what the loop's own is at, if it has not turned for too long."""
        noted_s = self._noted_s
        is_seen = self._seen is not None and self._seen[0] == noted_s
        if self._clock() - noted_s >= self._stall_s and not is_seen:
            self._seen = (noted_s, stack_of(ident))

    def _watch(self, done: threading.Event, ident: int) -> None:
        while not done.wait(max(self._stall_s / PART, self._noted_s + self._stall_s - self._clock())):
            self.look(ident)


def stack_of(ident: int) -> str:
    """Where a thread is, innermost last, without the values of variables; empty if there is no such thread."""
    frame = sys._current_frames().get(ident)
    return redact_text("".join(traceback.format_stack(frame, MOST_FRAMES))) if frame is not None else ""
