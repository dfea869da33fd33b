"""Request records as log lines: JSON for machines, one readable line each for people."""

import asyncio
import sys
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from gateway.contract import Record

_encode_lines = msgspec.json.Encoder().encode_lines


class LogSink:
    """Writes to `stream` in a thread, so that a full pipe holds up no request."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdout.buffer
        self._format = as_text if self._stream.isatty() else as_json

    async def write(self, records: Sequence[Record]) -> None:
        # Encoding is a moment's work; done in the thread, the two would fight over the interpreter's lock.
        await asyncio.to_thread(self._write, self._format(records))

    def _write(self, lines: bytes) -> None:
        self._stream.write(lines)
        self._stream.flush()


def as_json(records: Sequence[Record]) -> bytes:
    return _encode_lines(records)


def as_text(records: Sequence[Record]) -> bytes:
    return "".join(map(readable, records)).encode()


def readable(record: Record) -> str:
    parts = [
        record.timestamp.strftime("%H:%M:%S"),
        f"{record.status} {record.method} {printable(record.path)}",
        printable(record.model or "-"),
        f"{record.duration_ms:.0f} ms",
    ]
    if record.time_to_first_token_ms is not None:
        parts.append(f"first token {record.time_to_first_token_ms:.0f} ms")
    if record.usage is not None:
        parts.append(f"{record.usage.input_tokens} -> {record.usage.output_tokens} tokens")
    if record.error_message is not None:
        parts.append(f"{record.outcome}: {printable(record.error_message)}")
    return "  ".join(parts) + "\n"


def printable(text: str) -> str:
    """With control characters escaped: a name must not move the cursor or begin a line of its own."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
