"""Request records as lines of JSON in a file that never grows beyond measure."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from gateway.contract import Record
from gateway.errors import ConfigError, Fault

FILE, BYTES, KEPT = "GATEWAY_RECORDS_FILE", "GATEWAY_RECORDS_FILE_BYTES", "GATEWAY_RECORDS_FILE_KEPT"
MAX_BYTES = 100 * 2**20
MAX_KEPT = 5

_encode_lines = msgspec.json.Encoder().encode_lines


class FileSink:
    """When a batch would make the file larger than `max_bytes`, it becomes `<name>.1`, the one before `<name>.2`, and
    so on; of those, `kept` stay. Each process needs a file of its own.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = MAX_KEPT) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.kept = kept

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """None: nobody wants it. Raises ConfigError."""
        path = environ.get(FILE)
        if not path:
            return None
        return cls(Path(path), max_bytes=_number(environ, BYTES, MAX_BYTES), kept=_number(environ, KEPT, MAX_KEPT))

    async def write(self, records: Sequence[Record]) -> None:
        await asyncio.to_thread(self._write, _encode_lines(records))

    def _write(self, lines: bytes) -> None:
        """Opened anew each time: somebody else may move it away. Raises OSError: the disk is full, or it may not be."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._size() + len(lines) > self.max_bytes and self._size():
            self._rotate()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            end = os.fstat(file).st_size
            rest = memoryview(lines)
            try:
                while rest:
                    rest = rest[os.write(file, rest) :]
            except OSError:
                os.ftruncate(file, end)  # no half lines, and no line twice when it is tried again
                raise
        finally:
            os.close(file)

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _rotate(self) -> None:
        for number in range(self.kept, 0, -1):
            older = self._numbered(number - 1) if number > 1 else self.path
            if older.exists():
                older.replace(self._numbered(number))
        if not self.kept:
            self.path.unlink()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise ConfigError([Fault("the environment", 0, name, "has to be a number")])
    return int(text)
