"""How far a batch is: what was begun, and what came of it. In files, so that a process that is killed loses nothing.

`journal` has a line for each request that was begun, written when only the provider is left to be asked: after a crash,
those without a result may have been answered, and those that are not in it have not. A result is one whole line of
`output.jsonl` or `errors.jsonl`.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path

JOURNAL, OUTPUT, ERRORS = "journal", "output.jsonl", "errors.jsonl"
_NOTE = re.compile(rb"(begun|not|refused) ([0-9]+)\n")
_NUMBER = re.compile(rb'\{"id":"batch_req_[0-9a-z]+_([0-9]+)"')
"""As `gateway.batches.lines.answer` writes it."""


class Progress:
    """Blocks, as disks do. For one process at a time: who holds the lease of the batch.

    Args:
        folder: of this batch alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.completed = 0
        self.failed = 0
        self.done: set[int] = set()
        """Numbers of the requests with a result."""
        self.interrupted: Counter[int] = Counter()
        """Those that were begun, and whose result is lost -> how often."""
        self.refused: Counter[int] = Counter()
        """Those that were refused for a while -> how often."""
        self._had_others = False

    def open(self) -> None:
        """Reads what those have written who worked on it before. A line that was cut short is taken away."""
        self._had_others = self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        completed = _numbers(self.folder / OUTPUT)
        failed = _numbers(self.folder / ERRORS)
        self.completed, self.failed, self.done = len(completed), len(failed), completed | failed
        begun, self.refused = Counter[int](), Counter[int]()
        for line in _whole_lines(self.folder / JOURNAL):
            if match := _NOTE.fullmatch(line):
                note, number = match[1], int(match[2])
                begun[number] += (note == b"begun") - (note == b"not")
                if note != b"begun":
                    self.refused[number] += 1
        self.interrupted = Counter({number: begun[number] for number in +begun if number not in self.done})

    def begin(self, number: int) -> None:
        self._append(JOURNAL, b"begun %d\n" % number)

    def undo(self, number: int, *, was_begun: bool) -> None:
        """It was refused for a while, and so not made after all."""
        self._append(JOURNAL, b"%b %d\n" % (b"not" if was_begun else b"refused", number))
        self.refused[number] += 1

    def end(self, number: int, answer: bytes, *, is_good: bool) -> None:
        """`answer`: one line, with its end."""
        self._append(OUTPUT if is_good else ERRORS, answer)
        self.done.add(number)
        self.completed += is_good
        self.failed += not is_good

    def settle(self) -> None:
        """Before it is over: of each request, the first result stays, a good one if there is any. Who was held up for
        longer than the lease, between a look at it and a write, has told of a request that somebody else told of."""
        if not self._had_others:
            return
        completed = _only_first(self.folder / OUTPUT, frozenset())
        failed = _only_first(self.folder / ERRORS, completed)
        self.completed, self.failed, self.done = len(completed), len(failed), completed | failed

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _append(self, name: str, data: bytes) -> None:
        # In one call, so that only the end of the machine can cut it short; a full disk is told by an error.
        file = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.write(file, data) != len(data):
                raise OSError("the disk is full")
        finally:
            os.close(file)


def _numbers(path: Path) -> set[int]:
    return {number for line in _whole_lines(path) if (number := _number(line)) is not None}


def _number(line: bytes) -> int | None:
    match = _NUMBER.match(line)
    return int(match[1]) if match is not None else None


def _only_first(path: Path, elsewhere: Set[int]) -> set[int]:
    """The numbers in it. Lines of others, and the second of one, are taken away."""
    found = [*map(_number, _whole_lines(path))]
    numbers = {number for number in found if number is not None} - elsewhere
    if len(found) > len(numbers):
        left, part = set(numbers), path.with_suffix(".part")
        part.touch(mode=0o600)
        with part.open("wb") as file:
            for line in _whole_lines(path):
                if (number := _number(line)) in left:
                    left.discard(number)
                    file.write(line)
        part.replace(path)
    return numbers


def _whole_lines(path: Path) -> Iterator[bytes]:
    """One after the other, as all of them may be larger than memory. One without its end is taken away."""
    if not path.exists():
        return
    whole = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole += len(line)
                yield line
    os.truncate(path, whole)
