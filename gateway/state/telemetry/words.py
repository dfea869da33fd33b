"""What was asked and answered, on its way into a trace; only where the configuration says so.

It comes when a request ends, a moment before the record, and waits here for that.
"""

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from gateway.state.contents import Kept, hidden_in, readable
from gateway.wire.conversation import Message, answered, asked

MOST_BYTES = 64 * 2**20
"""Of all that waits."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one request, without what must not be read. `input`, `output`: messages as JSON; None: they could not be read,
    and the texts are as they came."""

    input: str | None = None
    output: str | None = None
    raw_input: str | None = None
    raw_output: str | None = None


class Words:
    """When there is too much, the oldest goes: its record is late, and will say all but this."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self._most_bytes = most_bytes
        self._size = 0
        self._waiting: dict[str, Kept] = {}
        self._told: dict[str, Told] = {}

    def add(self, kept: Kept) -> None:
        self._waiting[kept.request_id] = kept
        self._size += _size(kept)
        while self._size > self._most_bytes:
            self.forget((next(iter(self._waiting)),))
            self.dropped += 1

    def size_of(self, request_id: str) -> int:
        """In bytes, about; 0: there is nothing."""
        kept = self._waiting.get(request_id)
        return _size(kept) if kept is not None else 0

    def forget(self, request_ids: Iterable[str]) -> None:
        for id_ in request_ids:
            if (kept := self._waiting.pop(id_, None)) is not None:
                self._size -= _size(kept)

    async def prepare(self, request_ids: Iterable[str]) -> None:
        """Makes them readable, in a thread: to look through so much takes longer than a request may be held up."""
        ready = {id_: kept for id_ in request_ids if (kept := self._waiting.get(id_)) is not None}
        if ready:
            self.forget(ready)
            self._told = await asyncio.to_thread(_told, ready)

    def take(self, request_id: str) -> Told | None:
        """Of those that were prepared last."""
        return self._told.pop(request_id, None) if self._told else None


def _size(kept: Kept) -> int:
    return len(kept.input) + len(kept.output)


def _told(ready: Mapping[str, Kept]) -> dict[str, Told]:
    return {id_: told_of(kept) for id_, kept in ready.items()}


def told_of(kept: Kept) -> Told:
    def written(messages: list[Message] | None) -> str | None:
        return msgspec.json.encode(hidden_in(messages, kept.hides)).decode() if messages is not None else None

    def raw(data: bytes, messages: str | None) -> str | None:
        return readable(data, kept.hides) if messages is None and data else None

    question, answer = written(asked(kept.input)), written(answered(kept.output))
    return Told(question, answer, raw(kept.input, question), raw(kept.output, answer))
