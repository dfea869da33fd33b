"""What is found in a text that is still growing, and how far that is decided."""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.contract import Finder, Match

MAX_GROWING = 8192
"""Characters. What is found and reaches the end of what has come may become longer, and is waited for until then."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """`by`: which of the finders, or the first of several whose matches overlap; `others`: the rest of these."""

    start: int
    end: int
    label: str
    replacement: str
    by: int
    others: tuple[int, ...] = ()


class Decision(msgspec.Struct, frozen=True, gc=False):
    """`upto`: what stands before it will not change any more, whatever follows."""

    found: tuple[Found, ...]
    upto: int


def decide(text: str, start: int, finders: Sequence[Finder], *, is_end: bool) -> Decision:
    """
    Args:
        start: up to where it was decided before.
        finders: those that go first win where matches overlap; then all of both is one.
        is_end: nothing more will come.
    """
    size = len(text)
    limit = size if is_end else min((finder.open_from(text, start) for finder in finders), default=size)
    matches = [(by, match) for by, finder in enumerate(finders) for match in finder.find(text, start)]
    if not matches:
        return Decision((), max(limit, start))
    return decided(text, start, matches, limit, is_end=is_end)


def decided(text: str, start: int, matches: Iterable[tuple[int, Match]], limit: int, *, is_end: bool) -> Decision:
    """
    Args:
        matches: each with the number of its finder.
        limit: from there on something may begin that what follows will complete.
    """
    size = len(text)
    found: list[Found] = []
    upto = max(limit, start)
    for by, match in sorted(matches, key=_by_place):
        last = found[-1] if found else None
        if last is not None and match.start < last.end:
            found[-1] = _joined(last, match, by)
        elif match.start >= limit and not is_end:
            break
        elif match.end > match.start:
            found.append(Found(match.start, match.end, match.label, match.replacement, by))
        if found:
            upto = max(upto, found[-1].end)
    if not is_end and found and _is_open(found[-1], limit, size):
        upto = found.pop().start
    return Decision(tuple(found), upto)


def _by_place(match: tuple[int, Match]) -> tuple[int, int, Match]:
    return match[1].start, match[0], match[1]


def _is_open(last: Found, limit: int, size: int) -> bool:
    """It may become longer, or something begins in it that will reach beyond its end."""
    return (last.end == size or last.end > limit) and size - last.start <= MAX_GROWING


def _joined(first: Found, second: Match, by: int) -> Found:
    others = first.others if by == first.by or by in first.others else (*first.others, by)
    return msgspec.structs.replace(first, end=max(first.end, second.end), others=others)


def redacted(text: str, found: Sequence[Found]) -> str:
    """With what was found replaced."""
    parts: list[str] = []
    at = 0
    for each in found:
        parts += (text[at : each.start], each.replacement)
        at = each.end
    return "".join([*parts, text[at:]])
