"""What git knows of the files in a directory."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gateway.cli.terminal import failed

TIMEOUT_S = 60.0


class Differing(NamedTuple):
    """Files below a directory that are not as they were; all paths begin there.

    Args:
        now: those that are there: changed, or not known to git and not ignored.
        before: those that were there: changed, or gone.
        commit: the full name of the commit they are compared with.
    """

    now: list[Path]
    before: list[Path]
    commit: str


def differing(directory: Path, ref: str) -> Differing:
    """Compares the files as they lie there with those of a commit. Raises `click.ClickException`: git cannot."""
    if ref.startswith("-"):
        raise failed(f"{ref} is no commit")
    commit = _git(directory, "rev-parse", "--verify", f"{ref}^{{commit}}").decode().strip()
    names = ("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--relative")
    now = _paths(_git(directory, *names, "--diff-filter=d", commit, "--", "."))
    untracked = _paths(_git(directory, "ls-files", "-z", "--others", "--exclude-standard", "--", "."))
    before = _paths(_git(directory, *names, "--diff-filter=a", commit, "--", "."))
    return Differing(list(dict.fromkeys([*now, *untracked])), before, commit)


def content(directory: Path, commit: str, file: Path) -> bytes:
    """What a file held in a commit."""
    return _git(directory, "cat-file", "blob", f"{commit}:./{file.as_posix()}")


def _paths(listed: bytes) -> list[Path]:
    names: Iterable[bytes] = filter(None, listed.split(b"\0"))
    return [Path(os.fsdecode(name)) for name in names]


def _git(directory: Path, *arguments: str) -> bytes:
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=directory, env=environ, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except OSError as error:
        raise failed(f"git cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise failed(f"git {arguments[0]} took longer than {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise failed(f"git {' '.join(arguments)}: {reason}")
    return done.stdout
