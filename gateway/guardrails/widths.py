"""What can be said of matches by looking at their expression: how long they are, and whether they hold whitespace."""

import re
from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]  # the only way to see what an expression is made of
from typing import Any

MANY_CHARS = 10_000
"""So long is as good as any length."""
_NARROW = frozenset({"CATEGORY_DIGIT", "CATEGORY_WORD"})


def width_of(pattern: str) -> int | None:
    """The longest match, in characters; None: it may have any length, or that cannot be told."""
    try:
        _, most = _parser.parse(pattern).getwidth()
    except (re.error, OverflowError, RecursionError):
        return None
    return int(most) if most < MANY_CHARS else None


def spans_whitespace(pattern: str) -> bool:
    """Whether a match may hold whitespace, or what is not ASCII; if that cannot be told, it may."""
    try:
        return any(map(_may_be_space, _parser.parse(pattern)))
    except (re.error, OverflowError, RecursionError):
        return True


def _may_be_space(node: Any) -> bool:
    op, argument = node
    match str(op):
        case "LITERAL":
            return not 0x21 <= argument <= 0x7E
        case "RANGE":
            return not (argument[0] >= 0x21 and argument[1] <= 0x7E)
        case "AT":
            return False
        case "IN":
            return any(map(_may_be_space, argument))
        case "CATEGORY":
            return str(argument) not in _NARROW
        case "ANY" | "ANY_ALL" | "NOT_LITERAL" | "NEGATE" | "GROUPREF":
            return True
    return any(_may_be_space(inner) for part in _inside(argument) for inner in part)


def _inside(argument: Any) -> Iterable[Any]:
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for each in argument:
            yield from _inside(each)
