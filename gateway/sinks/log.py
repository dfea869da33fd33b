"""Request records as log lines: JSON for machines, one readable line each for people."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from gateway.contract import Record

_encoder = msgspec.json.Encoder()


class LogSink:
    """Writes to `stream` in a thread, so that a full pipe holds up no request."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._format = readable if self._stream.isatty() else as_json

    async def write(self, records: Sequence[Record]) -> None:
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[Record]) -> None:
        self._stream.write("".join(map(self._format, records)))
        self._stream.flush()


class Line(msgspec.Struct):
    """What the lines of requests share with all others in the log."""

    timestamp: str
    level: str
    event: str = "request"


def as_json(record: Record) -> str:
    line = Line(timestamp=_utc(record.time), level="info" if record.status < 500 else "error")
    head = _encoder.encode(line).decode()
    return f"{head[:-1]},{_encoder.encode(record).decode()[1:]}\n"


def readable(record: Record) -> str:
    parts = [
        _utc(record.time)[11:23],
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


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
