"""Holds back of a stream what may yet turn out to be something that must not go out.

Events leave in their order, and as the very bytes that came, unless a text in them was changed.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.contract import Finder
from gateway.errors import BrokeOff
from gateway.wire import sse
from gateway.wire.redaction import Found, decide, redacted
from gateway.wire.wording import Spot, Wording, free_spots, opened_json, put_all, without_tokens
from gateway.wire.wording_events import EventWording, Piece, SlotKey, event_wording

PATIENCE = 32
"""Events. A text that has not gone on for so many of them is taken to have ended: the others have waited for it."""
MAX_HELD = 8 * 1024 * 1024
CONTEXT = 64
"""Characters that are kept of what has gone out, to look back at."""

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Slot:
    """One text of the answer, as it grows.

    `text` begins with what has gone out, as far as it is kept; from `start` on it is not decided. `runs`: what is
    decided and still to go out, as (characters that came, what stands in their place; None: they themselves).
    """

    __slots__ = ("decided", "is_json", "last", "runs", "start", "text")

    def __init__(self, *, is_json: bool) -> None:
        self.text = ""
        self.start = 0
        self.is_json = is_json
        self.runs: deque[tuple[int, str | None]] = deque()
        self.decided = 0
        self.last = 0

    def settle(self, finders: Sequence[Finder], *, is_end: bool) -> Sequence[Found]:
        """Decides as much as can be. What is JSON is decided when it is whole: until then nobody can tell where its
        texts begin."""
        if self.is_json:
            return self._settle_json(finders) if is_end and self.start < len(self.text) else ()
        decision = decide(self.text, self.start, finders, is_end=is_end)
        at = self.start
        for found in decision.found:
            self._run(found.start - at, None)
            self._run(found.end - found.start, found.replacement)
            at = found.end
        self._run(decision.upto - at, None)
        self.start = decision.upto
        if self.start > 2 * CONTEXT:
            cut = self.start - CONTEXT
            self.text, self.start = self.text[cut:], CONTEXT
        return decision.found

    def replace(self, text: str) -> bool:
        """Decides all of it: to be this. Whether that is another."""
        came = self.text[self.start :]
        self._run(len(came), None if text == came else text)
        self.start = len(self.text)
        return text != came

    def _settle_json(self, finders: Sequence[Finder]) -> Sequence[Found]:
        came = self.text[self.start :]
        found, changed = redacted_json(came, finders)
        self.replace(changed)
        return found

    def _run(self, length: int, replacement: str | None) -> None:
        if length:
            self.runs.append((length, replacement))
            self.decided += length

    def take(self, piece: str) -> str:
        """What goes out in place of a piece, all of which is decided."""
        left, at, parts = len(piece), 0, []
        self.decided -= left
        while left:
            length, replacement = self.runs.popleft()
            taken = min(length, left)
            parts.append(piece[at : at + taken] if replacement is None else replacement)
            if taken < length:
                self.runs.appendleft((length - taken, None if replacement is None else ""))
            at += taken
            left -= taken
        return "".join(parts)


def redacted_json(text: str, finders: Sequence[Finder]) -> tuple[Sequence[Found], str]:
    """What is found in the texts of a JSON document, and the document without it."""
    opened = opened_json(Spot("assistant", text, [text], 0))
    if opened is None:
        found = decide(text, 0, finders, is_end=True).found
        return found, redacted(text, found)
    everything: list[Found] = []
    changed: list[tuple[Spot, str]] = []
    for spot in free_spots(opened.value, "assistant"):
        found = decide(spot.text, 0, finders, is_end=True).found
        if found:
            everything += found
            changed.append((spot, redacted(spot.text, found)))
    put_all(changed)
    return everything, _encode(opened.value).decode() if everything else text


class RawText(list[str]):
    """The data of an event that is no JSON. It is taken to go on in the next."""

    def wording(self) -> EventWording:
        return EventWording([Piece(("raw",), Spot("assistant", self[0], self, 0))])


class _Event(msgspec.Struct, gc=False):
    """`pieces`: with the slot of each."""

    data: bytes
    document: Any
    pieces: list[tuple[Slot, Spot]]

    def waits_for(self) -> Slot | None:
        """A text of which some is not decided; None: it may go out."""
        pieces = self.pieces
        if len(pieces) == 1:
            slot, spot = pieces[0]
            return slot if slot.decided < len(spot.text) else None
        needed: dict[int, int] = {}
        for slot, spot in pieces:
            needed[id(slot)] = needed.get(id(slot), 0) + len(spot.text)
        return next((slot for slot, _ in pieces if slot.decided < needed[id(slot)]), None)


class HeldStream:
    """One event stream, in whichever dialect.

    Args:
        finders: what they find is replaced; which of them blocks is for the caller to say, by what `feed` tells.
        is_whole: nothing goes out before the end, and what then goes out is for `replace` to say.
    """

    def __init__(self, finders: Sequence[Finder], *, is_whole: bool = False) -> None:
        self._finders = finders
        self.is_whole = is_whole
        self._splitter = sse.EventSplitter()
        self._queue: deque[_Event] = deque()
        self._slots: dict[SlotKey, Slot] = {}
        self._cells: list[list[str]] = []
        self._count = 0
        self._is_first = True
        self._drops_tokens = False
        self.size = 0
        self.found: list[Found] = []
        """To be looked at, and emptied, after each `feed` and `end`."""
        self.said: list[tuple[SlotKey | None, str]] = []
        """The same: what has come of which text."""

    @property
    def is_too_large(self) -> bool:
        return self.size > MAX_HELD

    def feed(self, data: bytes) -> bytes:
        """What may go out. Raises BrokeOff: an event does not end."""
        grown: dict[int, Slot] = {}
        for event in self._splitter.feed(data):
            self._take(event, grown)
        if len(self._splitter) > sse.MAX_EVENT:
            raise BrokeOff(f"the provider sent an event of over {sse.MAX_EVENT:,} bytes")
        if self.is_whole:
            return b""
        for slot in grown.values():
            self._settle(slot, is_end=False)
        return self._released()

    def end(self) -> bytes:
        """All of the rest."""
        self.complete()
        if self.is_whole:
            for slot, cell in zip(self._slots.values(), self._cells, strict=False):
                self._drops_tokens |= slot.replace(cell[0])
        for slot in self._slots.values():
            self._settle(slot, is_end=True)
        return self._released()

    def complete(self) -> None:
        """Nothing more comes, so that the last event needs no blank line."""
        if rest := self._splitter.end():
            self._take(rest, {})

    def wording(self) -> Wording:
        """All of it, of a stream that is held whole. What is put into it goes out by `end`."""
        self._cells = [[slot.text] for slot in self._slots.values()]
        spots = [
            Spot("assistant", slot.text, cell, 0, slot.is_json)
            for slot, cell in zip(self._slots.values(), self._cells, strict=True)
        ]
        return Wording(iter(spots))

    def rest(self) -> bytes:
        """All that is held, as it came."""
        out = b"".join([event.data for event in self._queue]) + self._splitter.end()
        self._queue.clear()
        return out

    def _take(self, event: bytes, grown: dict[int, Slot]) -> None:
        if self._is_first:
            event, self._is_first = event.removeprefix(sse.BOM), False
        self._count += 1
        self.size += len(event)
        data = sse.data_of(event)
        if not data or data == sse.DONE:
            self._queue.append(_Event(event, None, []))
            return
        try:
            document = _decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            document = None
        if not isinstance(document, dict | list):
            document = RawText([data.decode(errors="replace")])
        wording = document.wording() if isinstance(document, RawText) else event_wording(document)
        pieces = []
        for key, spot in wording.tokens if self._finders else ():
            slot = self._slot(key, spot)
            slot.text += spot.text
            slot.last = self._count
            pieces.append((slot, spot))
            grown[id(slot)] = slot
        for key, spot in wording.pieces:
            slot = self._slot(key, spot)
            slot.text += spot.text
            slot.last = self._count
            self.said.append((key, spot.text))
            pieces.append((slot, spot))
            if key is not None:
                grown[id(slot)] = slot
            elif not self.is_whole:
                self._settle(slot, is_end=True)
        self._queue.append(_Event(event, document, pieces))
        if wording.closed and not self.is_whole:
            for key, slot in [*self._slots.items()]:
                if key[0] in wording.closed:
                    self._settle(slot, is_end=True)

    def _slot(self, key: SlotKey | None, spot: Spot) -> Slot:
        known = self._slots.get(key) if key is not None else None
        if known is None:
            known = Slot(is_json=spot.is_json and (self.is_whole or bool(self._finders)))
            if key is not None:
                self._slots[key] = known
            elif self.is_whole:
                self._slots[None, len(self._slots)] = known
        return known

    def _settle(self, slot: Slot, *, is_end: bool) -> None:
        self.found += slot.settle(self._finders, is_end=is_end)

    def _released(self) -> bytes:
        queue, out = self._queue, []
        while queue:
            event = queue[0]
            waits = event.waits_for()
            if waits is None:
                queue.popleft()
                self.size -= len(event.data)
                out.append(_written(event, drops_tokens=self._drops_tokens))
            elif self._count - waits.last < PATIENCE:
                break
            else:
                self._settle(waits, is_end=True)
        return out[0] if len(out) == 1 else b"".join(out)


def _written(event: _Event, *, drops_tokens: bool) -> bytes:
    changed: list[tuple[Spot, str]] = []
    for slot, spot in event.pieces:
        text = slot.take(spot.text)
        if text is not spot.text and text != spot.text:
            changed.append((spot, text))
    if not changed and not (drops_tokens and b'"logprobs"' in event.data):
        return event.data
    put_all(changed)
    if isinstance(event.document, RawText):
        return with_data(event.data, event.document[0].encode())
    without_tokens(event.document)
    return with_data(event.data, _encode(event.document))


def with_data(event: bytes, data: bytes) -> bytes:
    """An event with other data; its other lines stay."""
    lines = [line for line in event.splitlines() if line]
    first = next(index for index, line in enumerate(lines) if line.startswith(b"data:"))
    kept = [line for line in lines[first:] if not line.startswith(b"data:")]
    return b"\n".join([*lines[:first], *(b"data: " + line for line in data.split(b"\n")), *kept, b"", b""])
