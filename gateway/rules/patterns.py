"""Regular expressions that others write, to be searched for in what callers send."""

import re
from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined]  # the only way to see what an expression is made of
from typing import Any

MANY = 20
"""So many repetitions count as any number of them."""
MOST_REPEATS = 3
"""Each more may multiply the work by the length of the text."""


def flaw_in(pattern: str, most_repeats: int = MOST_REPEATS) -> str | None:
    """Why a pattern must not be used; None: it may.

    An expression that can match the same text in many ways takes time that doubles with each character: a repetition
    within a repetition, or a choice within one. Such are refused, also where they would do no harm.
    """
    try:
        re.compile(pattern)
        parsed = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    repeats = [*_repeats(parsed, within=False)]
    if None in repeats:
        return "may take too long: it has a repetition, or a choice with |, within another repetition"
    if len(repeats) > most_repeats:
        times = "repetition" if most_repeats == 1 else "repetitions"
        return f"may take too long: it has more than {most_repeats} {times} without a bound"
    return None


def _repeats(parsed: Iterable[Any], *, within: bool) -> Iterable[str | None]:
    """One for each repetition without a bound; None for what must not be within one."""
    for op, argument in parsed:
        name = str(op)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, most, inner = argument
            is_long = int(most) > MANY
            if is_long:
                yield None if within else name
            yield from _repeats(inner, within=within or is_long or (int(most) > 1 and within))
            continue
        if name in ("BRANCH", "GROUPREF") and within:
            yield None
        for inner in _inside(argument):
            yield from _repeats(inner, within=within)


def _inside(argument: Any) -> Iterable[Any]:
    """The expressions in what an operation is applied to, wherever they stand in it."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for each in argument:
            yield from _inside(each)
