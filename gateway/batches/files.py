"""Uploaded files, in a directory: the content under the id, and what is known of it beside that."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from gateway.contract import Stored
from gateway.errors import Unavailable

PREFIX = "file-gw"
MAX_BYTES = 10 * 1024**3
PIECE = 256 * 1024
_ID = re.compile(r"file-gw[0-9a-f]{32}")


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """Source: platform.openai.com/docs/api-reference/files/object, read 2026-11."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str = "processed"


class LocalFiles:
    """Blocks, as disks do: all but `create`, `pieces` and the names of paths is to be called in a thread.

    Args:
        folder: which replicas share.
        max_bytes: of all files together; output of batches may go beyond it.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder / "files"
        self.runs = folder / "runs"
        self.max_bytes = max_bytes

    async def create(self, data: bytes | Stored, *, filename: str, purpose: str, now_s: int) -> LocalFile:
        """Raises Unavailable: there is no room for it."""
        id_ = f"{PREFIX}{token_hex(16)}"
        if await asyncio.to_thread(self._used) + len(data) > self.max_bytes:
            raise Unavailable(
                f"the files that the gateway keeps would be over {self.max_bytes:,} bytes; delete some, or let the "
                "operator raise GATEWAY_FILES_DISK",
                code="files_disk_full",
            )
        path = self.path(id_)
        try:
            await asyncio.to_thread(self._begin, path)
            if isinstance(data, bytes):
                await asyncio.to_thread(_append, path, data)
            else:
                async for piece in data:
                    await asyncio.to_thread(_append, path, piece)
            file = LocalFile(id=id_, bytes=len(data), created_at=now_s, filename=filename, purpose=purpose)
            await asyncio.to_thread(self._write_down, file)
        except OSError as error:
            await asyncio.to_thread(self.delete, id_)
            raise Unavailable("the gateway cannot write the file; tell whoever runs it") from error
        except BaseException:
            self.delete(id_)
            raise
        return file

    def get(self, id_: str) -> LocalFile | None:
        if _ID.fullmatch(id_) is None:
            return None
        try:
            return msgspec.json.decode(self._about(id_).read_bytes(), type=LocalFile)
        except (OSError, msgspec.DecodeError):
            return None

    def path(self, id_: str) -> Path:
        return self.folder / id_

    async def pieces(self, id_: str) -> AsyncIterator[bytes]:
        at = 0
        while data := await asyncio.to_thread(_piece, self.path(id_), at):
            at += len(data)
            yield data

    def delete(self, id_: str) -> None:
        for path in (self._about(id_), self.path(id_)):
            with suppress(OSError):
                path.unlink()

    def adopt(self, path: Path, id_: str, *, filename: str, now_s: int) -> str | None:
        """Makes a file of what a batch wrote, the same however often it is asked; None: it wrote nothing. What it wrote
        stays, so that it can be asked again by those who go on after a crash."""
        if path.exists() and path.stat().st_size:
            size = path.stat().st_size
            file = LocalFile(id=id_, bytes=size, created_at=now_s, filename=filename, purpose="batch_output")
            self.folder.mkdir(parents=True, exist_ok=True)
            _copy(path, self.path(id_))
            self._write_down(file)
        return id_ if self.get(id_) is not None else None

    def forget(self, before_s: float) -> int:
        """Deletes files that were written before that; returns how many."""
        gone = 0
        for path in self._all():
            with suppress(OSError):
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    gone += not path.name.endswith(".json")
        return gone

    def _begin(self, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)

    def _write_down(self, file: LocalFile) -> None:
        path = self._about(file.id)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(file))
        part.replace(path)

    def _about(self, id_: str) -> Path:
        return self.folder / f"{id_}.json"

    def _all(self) -> list[Path]:
        return [*self.folder.iterdir()] if self.folder.is_dir() else []

    def _used(self) -> int:
        size = 0
        for path in self._all():
            with suppress(OSError):
                size += path.stat().st_size
        return size


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _copy(path: Path, to: Path) -> None:
    with suppress(FileNotFoundError):
        to.unlink()
    try:
        os.link(path, to)
    except OSError:  # some file systems have no links
        shutil.copyfile(path, to)


def _piece(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), PIECE, at)
