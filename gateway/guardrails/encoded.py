"""What stands in a text in base64 or in hexadecimal digits, as far as that is text again."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

LEAST, MOST = 24, 4096
"""Characters of a run that is looked into."""
RUNS = rf"[A-Za-z0-9+/_\-]{{{LEAST},}}"
"""For RE2."""
MAX_RUNS = 64
"""Of one piece of a text."""
_HEX = frozenset("0123456789abcdefABCDEF")
_STANDARD = str.maketrans("-_", "+/")


def decoded_in(text: str, start: int, runs: Any) -> Iterator[tuple[int, int, str]]:
    """From where to where, and what it says.

    Args:
        runs: `RUNS`, compiled.
    """
    for number, run in enumerate(runs.finditer(text, start)):
        if number == MAX_RUNS:
            return
        begin, end = run.span()
        if end - begin <= MOST and (said := _decoded(text[begin:end])):
            yield begin, end, said


def _decoded(run: str) -> str:
    """Empty: it is no text, or none that anybody would hide."""
    if _HEX.issuperset(run):
        data = bytes.fromhex(run[: len(run) // 2 * 2])
    else:
        whole = run[: len(run) // 4 * 4 + (0 if len(run) % 4 == 1 else len(run) % 4)]
        data = b64decode(whole.translate(_STANDARD) + "=" * (-len(whole) % 4))
    return data.decode() if data.isascii() else ""
