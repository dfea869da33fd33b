"""Carries what was asked and answered to the database, without any request waiting for it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
import structlog

from gateway.contract import Content
from gateway.contract.part import Figure, Part, Status, counter
from gateway.errors import GatewayError
from gateway.logs import redact_text, traceback_text
from gateway.state.pump import Pump
from gateway.wire.conversation import Message, answered, texts_changed
from gateway.wire.sse import looks_like_events

MAX_WAITING = 500
"""At most 64 MB of them."""
FLUSH_S = 0.5
CLOSE_S = 5.0
AT_ONCE = 50
STEP = 500
MOST_BYTES = 64 * 1024
"""Of question and answer each; what has so many was cut off."""
MARGIN = 512

log = structlog.get_logger(__name__)


class Hides(Protocol):
    @property
    def patterns(self) -> Sequence[tuple[re.Pattern[str], str]]: ...


class Kept(Protocol):
    """What `gateway.proxy.content.Kept` is."""

    @property
    def request_id(self) -> str: ...

    @property
    def input(self) -> bytes: ...

    @property
    def output(self) -> bytes: ...

    @property
    def is_cut(self) -> bool: ...

    @property
    def hides(self) -> Hides | None: ...


class Store(Protocol):
    async def write_contents(self, contents: Sequence[tuple[str, Content]]) -> None: ...


class Contents(Part):
    """What looks like a key, and what rules want hidden, is made unreadable before it leaves the process, in a thread:
    looking through 64 KiB takes longer than a request may be held up. It is not spooled; when the database is away or
    slow, the newest are dropped, and counted.
    """

    name = "contents"

    def __init__(self, store: Store, *, max_waiting: int = MAX_WAITING, flush_s: float = FLUSH_S) -> None:
        self.dropped = 0
        self.problem: str | None = None
        self._store = store
        self._pump: Pump[Kept] = Pump(self._turn, self._drop, max_waiting=max_waiting, flush_s=flush_s, batch=AT_ONCE)
        self.add = self._pump.add

    @property
    def status(self) -> Status:
        return Status(self.problem)

    def figures(self) -> Iterable[Figure]:
        yield counter("gateway_contents_dropped", "Requests whose text was to be kept, and was not.", self.dropped)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._pump.close(CLOSE_S)
            self.dropped += len(self._pump.waiting)
            self._pump.waiting.clear()

    async def _turn(self) -> bool:
        for batch in self._pump.batches(AT_ONCE):
            try:
                await self._store.write_contents(await asyncio.to_thread(_contents, batch))
                self.problem = None
            except Exception as error:
                self.dropped += len(batch)
                reason = error.message if isinstance(error, GatewayError) else type(error).__name__
                if self.problem is None:
                    log.error("contents lost", reason=reason, requests=len(batch), traceback=traceback_text())
                self.problem = f"what requests ask and are answered is lost: {reason}"
        return False

    def _drop(self, _: Kept) -> None:
        self.dropped += 1


def _contents(kept: Iterable[Kept]) -> list[tuple[str, Content]]:
    return [
        (each.request_id, Content(readable(each.input, each.hides), _answer(each.output, each.hides), each.is_cut))
        for each in kept
    ]


def _answer(data: bytes, hides: Hides | None) -> str:
    """A stream in which something is to be hidden, as the messages it came to: no event may show all of it."""
    messages = answered(data) if looks_like_events(data) else None
    if messages is not None and (hidden := hidden_in(messages, hides)) != messages:
        return msgspec.json.encode(hidden).decode()
    return readable(data, hides)


def hidden_in(messages: Sequence[Message], hides: Hides | None) -> list[Message]:
    """Without what must not be read."""
    return texts_changed(messages, lambda text: _hidden(text, hides))


def readable(data: bytes, hides: Hides | None) -> str:
    """Text that every database takes. What must not be read and is cut off at the end would not be known again, so of
    what was cut a little more is left out."""
    text = _hidden(data.decode(errors="replace").replace("\0", "\ufffd"), hides)
    return text if len(data) < MOST_BYTES else text[:-MARGIN]


def _hidden(text: str, hides: Hides | None) -> str:
    text = redact_text(text)
    for pattern, instead in hides.patterns if hides is not None else ():
        text = _replaced(pattern, instead, text)
    return text


def _replaced(pattern: re.Pattern[str], instead: str, text: str) -> str:
    """Looks at so much at a time that a pattern whose work grows with the square of it takes milliseconds. What is
    found may have `STEP` characters, wherever it stands."""
    parts: list[str] = []
    done = 0
    for begin in range(0, len(text), STEP):
        for match in pattern.finditer(text, max(begin, done), begin + 2 * STEP):
            if match.start() >= begin + STEP:
                break  # for the next step, which sees more of it
            parts += (text[done : match.start()], instead)
            done = match.end()
    return "".join((*parts, text[done:]))
