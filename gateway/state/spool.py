"""What cannot be written just now, on disk until it can."""

import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from time import time_ns
from typing import Generic, TypeVar
from zlib import crc32

import structlog

from gateway.errors import ConfigError, Fault

MAX_BYTES = 256 * 2**20
SEGMENT_BYTES = 4 * 2**20
"""A segment is read as a whole."""

_HEAD = struct.Struct(">II")
_SUFFIX = ".spool"
_DAMAGED = ".damaged"

Item = TypeVar("Item")

log = structlog.get_logger(__name__)


class Spool(Generic[Item]):
    """Files of records, each a length and a CRC-32 (four bytes each, big-endian) and what was made of an item.

    Each process writes its own files, which stay locked for as long as it lives; those of one that was killed are taken
    over by whoever asks for the oldest. What cannot be read of a file is left aside, as `*.damaged`.

    All methods wait for the disk, so they are for threads; several may call at once.

    Args:
        directory: made when it is needed. Processes may share it.
        encode, decode: an item to bytes, and back. Each may raise ValueError, and then it is no item.
        max_bytes: of all files in it.

    Raises:
        OSError: of each method: the disk is full, read-only or broken. Nothing was written then.
    """

    def __init__(
        self,
        directory: Path,
        *,
        encode: Callable[[Item], bytes],
        decode: Callable[[bytes], Item],
        max_bytes: int = MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.directory = directory
        self._encode = encode
        self._decode = decode
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes
        self._lock = Lock()
        self._held: dict[Path, int] = {}  # file -> descriptor, which keeps it locked
        self._current: Path | None = None  # the one of them that is written to
        self._damaged: set[Path] = set()

    def append(self, items: Sequence[Item]) -> int:
        """They are on the disk when it returns.

        Returns:
            How many of them, from the first on, had room.
        """
        with self._lock:
            room = self.max_bytes - sum(map(_size, self._files()))
            records = bytearray()
            count = 0
            for item in items:
                body = self._encode(item)
                if len(records) + _HEAD.size + len(body) > room:
                    break
                records += _HEAD.pack(len(body), crc32(body)) + body
                count += 1
            if count:
                self._write(records)
            return count

    def oldest(self) -> tuple[Path, list[Item]] | None:
        """A file that nobody writes to any more, to be given to `remove` once its items are safe elsewhere."""
        with self._lock:
            for path in sorted(self._files()):
                if path in self._held or self._take_over(path):
                    if path == self._current:
                        self._current = None
                    return path, self._read(path)
            return None

    def remove(self, path: Path) -> None:
        with self._lock:
            if path in self._damaged:
                path.rename(path.with_suffix(_DAMAGED))
                self._damaged.remove(path)
            else:
                path.unlink(missing_ok=True)
            os.close(self._held.pop(path))

    def close(self) -> None:
        """What is there is left to the next process."""
        with self._lock:
            self._current = None
            while self._held:
                os.close(self._held.popitem()[1])

    def _files(self) -> list[Path]:
        return [*self.directory.glob(f"*{_SUFFIX}")]

    def _write(self, records: bytes | bytearray) -> None:
        path = self._current or self._begin()
        file = self._held[path]
        end = os.fstat(file).st_size
        try:
            rest = memoryview(records)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise
        if end + len(records) >= self.segment_bytes:
            self._current = None

    def _begin(self) -> Path:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{time_ns():020d}-{os.getpid()}{_SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._held[path] = file
        self._current = path
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)  # else the file may have no name after the power went
        finally:
            os.close(directory)
        return path

    def _take_over(self, path: Path) -> bool:
        """Whether the process that wrote it is gone."""
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False  # another one was faster
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._held[path] = file
        return True

    def _read(self, path: Path) -> list[Item]:
        data = path.read_bytes()
        items, unread = items_of(data, self._decode)
        if unread:
            self._damaged.add(path)
            log.error("spool is damaged", file=path.name, bytes=len(data), unread_bytes=unread, entries=len(items))
        return items


def check_directory(directory: Path) -> None:
    """Makes it, and writes to it. A disk that is full is no fault of the configuration: it may be full of a spool.

    Raises:
        ConfigError: it is not to be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        TemporaryFile(dir=directory).close()
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            why = f"{str(directory)!r} cannot be written: {error.strerror}"
            what = "it has to be a directory that the gateway may write to, or make"
            raise ConfigError([Fault("the environment", 0, "GATEWAY_SPOOL_DIR", f"{why}; {what}")]) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process was done with it
        return 0


def items_of(data: bytes, decode: Callable[[bytes], Item]) -> tuple[list[Item], int]:
    """The items of a file, and how many of its bytes belong to none: damaged, or the beginning of a record."""
    items = []
    unread = 0
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length:
            break
        at += _HEAD.size + length
        try:
            if crc32(body) != checksum:
                raise ValueError("another checksum")
            items.append(decode(body))
        except ValueError:  # msgspec's errors are such, too
            unread += _HEAD.size + length
    return items, unread + len(data) - at
