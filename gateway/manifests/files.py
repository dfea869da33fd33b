"""Which files hold manifests, and their text."""

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import ConfigError, Fault

MAX_FILE_BYTES = 16 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")


def find(path: Path) -> list[Path]:
    """The path itself, or if it is a directory all `SUFFIXES` below it, in the order of their names.

    Hidden names are passed over, and with them the inner directories of a Kubernetes ConfigMap; links are followed, and
    a file that is found twice is there once. Raises ConfigError when a directory cannot be read.
    """
    if not path.is_dir():
        return [path]
    try:
        return list(_below(path, {os.path.realpath(path)}))
    except OSError as error:
        raise ConfigError([_unreadable(Path(error.filename or path), error)]) from error


def text_of(file: Path) -> str:
    """Raises ConfigError: it cannot be read, is too large, or is not UTF-8."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([_unreadable(file, error)]) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError([Fault(str(file), 0, "", f"larger than {MAX_FILE_BYTES:,} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(str(file), line, "", "not UTF-8 text")]) from None  # the cause holds the bytes


def _below(directory: Path, seen: set[str]) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        real = os.path.realpath(path)
        if path.name.startswith(".") or real in seen:
            continue
        if path.is_dir():
            seen.add(real)
            yield from _below(path, seen)
        elif path.suffix in SUFFIXES and path.is_file():
            seen.add(real)
            yield path


def _unreadable(file: Path, error: OSError) -> Fault:
    return Fault(str(file), 0, "", f"cannot be read: {error.strerror}")
