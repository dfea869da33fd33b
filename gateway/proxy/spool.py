"""Where the files of a request are while it lasts, if they are too large for memory."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from threading import Lock
from typing import BinaryIO, Self

from gateway.errors import Unavailable

WRITTEN_AT_ONCE = 256 * 1024
READ_AT_ONCE = 256 * 1024
DISK_BYTES = 4 * 1024 * 1024 * 1024


class Disk:
    """What all uploads together may take of the disk. Of the event loop's thread."""

    def __init__(self, max_bytes: int = DISK_BYTES) -> None:
        self.max_bytes = max_bytes
        self.used = 0

    def take(self, size: int) -> None:
        """Raises Unavailable: so much is not left."""
        if self.used + size > self.max_bytes:
            raise Unavailable(
                f"the uploads under way take all of the {self.max_bytes:,} bytes that they may have together; try "
                "again in a moment, or let the operator raise GATEWAY_UPLOAD_DISK",
                code="upload_disk_full",
                retry_after_s=5,
            )
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size


class Spool:
    """A temporary file without a name, made when there is something to put into it. `async with` it: then it is gone,
    however its request ends; the system takes it away even if the process is killed.

    Threads read, write and close, as disks may be slow: to free 300 MB takes 80 ms. One that is still busy when its
    request has been cancelled must not get into what the number of the closed file stands for next, so all of them
    hold the lock.

    Args:
        disk: None: only the system says what it may take.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk
        self._taken = 0
        self._file: BinaryIO | None = None
        self._lock = Lock()
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._size = 0
        self._is_used = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pending.clear()
        self._is_closed = True
        if self._is_used:
            try:
                await asyncio.shield(asyncio.to_thread(self._close))
            finally:
                if self._disk is not None:
                    self._disk.give_back(self._taken)

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_size += len(data)
        self._size += len(data)

    def since(self, begin: int, beginning: bytes) -> "Spooled":
        return Spooled(self, begin, self._size - begin, beginning)

    async def flush(self, *, is_end: bool = False) -> None:
        """Writes what has been added, once it is worth it, or all of it.

        Raises:
            Unavailable: there is no room for it.
        """
        if self._pending and (is_end or self._pending_size >= WRITTEN_AT_ONCE):
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
            self._is_used = True
            if self._disk is not None:
                self._disk.take(len(data))
                self._taken += len(data)
            try:
                await asyncio.to_thread(self._write, data)
            except OSError as error:
                raise Unavailable("the gateway has no room to keep this upload; try again later") from error

    async def read(self, begin: int, size: int) -> bytes:
        return await asyncio.to_thread(self._read, begin, size)

    def _close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _write(self, data: bytes) -> None:
        with self._lock:
            if self._is_closed:
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="gateway-upload-", buffering=0)  # noqa: SIM115  closed above
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]

    def _read(self, begin: int, size: int) -> bytes:
        with self._lock:
            if self._is_closed or self._file is None:
                raise ValueError("the upload is read after its request has ended")
            data = os.pread(self._file.fileno(), size, begin)
        if not data:
            raise ValueError("the upload is read beyond what was written of it")
        return data


class Spooled:
    """A `Stored` part of a spool."""

    def __init__(self, spool: Spool, begin: int, size: int, beginning: bytes) -> None:
        self._spool = spool
        self._begin = begin
        self._size = size
        self.beginning = beginning

    def __len__(self) -> int:
        return self._size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at, end = self._begin, self._begin + self._size
        while at < end:
            piece = await self._spool.read(at, min(READ_AT_ONCE, end - at))
            at += len(piece)
            yield piece
