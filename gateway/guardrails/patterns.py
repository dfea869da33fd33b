"""Finds what looks like something: expressions in linear time, and checks of what they find.

All of it runs on RE2, whose time grows with the text and never with what is in it.
"""

import asyncio
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.contract import Finding, Hook, Match, Subject
from gateway.guardrails.needs import needed
from gateway.guardrails.widths import spans_whitespace, width_of
from gateway.wire.redaction import Found, decide, redacted

WINDOW = 256
"""Characters: no more is held back because something may begin there."""
LOOKBACK = 64
"""How far before it the word may stand that makes a number what it is."""
SLICE = 4096
"""Characters that are looked through before others have their turn."""
WITHIN = 8 * SLICE
"""Characters that are looked through again for what begins within one match that was rejected. Numbers take some
hundreds."""
EACH = 64
"""Characters: what a text costs besides its length."""
SHOWN = 8
REDACTED = "[REDACTED]"

_GRAPHIC = "".join(char for char in string.printable if not char.isspace())
_NUMBERISH = "0123456789 ().-/+"


class Pattern(msgspec.Struct, frozen=True):
    """
    Args:
        source: an expression of RE2.
        takes_group: what is found is its first group.
        accepts: the checksum of what was found, for example.
        reach: how long a match may be, of those that hold whitespace; None: it holds none.
        begun: of those that hold some: an expression of Python for how one looks that has only begun, at the end of 64
            characters.
        is_number: it may have spaces between its digits.
        looks_back: it begins with a word that may have passed already.
    """

    label: str
    source: str
    replacement: str = REDACTED
    accepts: Callable[[str], bool] | None = None
    reach: int | None = None
    begun: str | None = None
    is_number: bool = False
    looks_back: bool = False
    takes_group: bool = False


class Patterns:
    """A `Finder` of several patterns.

    Raises:
        ValueError: one of them is no expression of RE2, or RE2 is not installed.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        engine = needed("re2")
        self._patterns = [
            (pattern, _compiled(engine, pattern.source, captures=pattern.takes_group)) for pattern in patterns
        ]
        # Nearly every look finds nothing, so that one expression for all of them saves the others.
        self._any = _compiled(engine, "|".join(f"(?:{pattern.source})" for pattern in patterns))
        self._lookback = LOOKBACK if any(pattern.looks_back for pattern in patterns) else 0
        self._window = max((pattern.reach for pattern in patterns if pattern.reach is not None), default=0)
        self._has_numbers = any(pattern.is_number for pattern in patterns)
        begun = "|".join(pattern.begun for pattern in patterns if pattern.begun is not None)
        self._begun = re.compile(rf"(?:{begun})\Z") if begun else None

    def find(self, text: str, start: int) -> Iterator[Match]:
        first = self._any.search(text, max(0, start - self._lookback))
        if first is None:
            return
        for pattern, regex in self._patterns:
            since = max(0, start - LOOKBACK) if pattern.looks_back else max(start, first.start())
            for begin, end in _spans(pattern, regex, text, since):
                if begin >= start:
                    yield Match(begin, end, pattern.label, pattern.replacement)

    def open_from(self, text: str, start: int) -> int:
        size = len(text)
        at = max(start, size - self._window)
        tail = text[max(start, size - WINDOW) :]
        if self._has_numbers:
            tail = tail.rstrip(_NUMBERISH)
        word = tail.rstrip(_GRAPHIC)
        at = min(at, max(start, size - WINDOW) + len(word))
        if self._begun is not None and (begun := self._begun.search(text, max(start, size - LOOKBACK))):
            at = min(at, begun.start())
        return max(at, start)


def user_pattern(label: str, source: str, replacement: str = REDACTED) -> Pattern:
    """One that somebody wrote. Raises ValueError: it is no expression of RE2."""
    _compiled(needed("re2"), source)
    width = width_of(source)
    if spans_whitespace(source):
        return Pattern(label, source, replacement, reach=min(width or WINDOW, WINDOW))
    return Pattern(label, source, replacement)


class PatternGuardrail:
    """Blocks what has something in it that is found, or replaces that.

    Args:
        name: `<group>/<name>`
        redacts: replace it.
    """

    def __init__(self, name: str, finder: Patterns, *, redacts: bool, hooks: Iterable[Hook] = Hook) -> None:
        self.name = name
        self.hooks = frozenset(hooks)
        self.finder = finder
        self.redacts = redacts

    async def check(self, subject: Subject) -> Finding:
        labels: dict[str, int] = {}
        texts: list[str] = []
        unseen = 0
        for text in subject.texts:
            unseen += len(text.text) + EACH
            if unseen > SLICE:
                await asyncio.sleep(0)
                unseen = 0
            found = await find_all(text.text, self.finder)
            for each in found:
                labels[each.label] = labels.get(each.label, 0) + 1
            texts.append(redacted(text.text, found) if found and self.redacts else text.text)
        if not labels:
            return Finding()
        if self.redacts:
            return Finding(message=message_of(labels), texts=texts, data=labels)
        return Finding("block", message_of(labels), data=labels)


def message_of(labels: Iterable[str]) -> str:
    """What was found, and nothing of how it reads."""
    names = sorted(labels)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"found {', '.join(names[:SHOWN])}{more}"


async def find_all(text: str, finder: Patterns) -> list[Found]:
    """Others have their turn in between."""
    found: list[Found] = []
    at, end = 0, SLICE
    while True:
        low, is_end = max(0, at - LOOKBACK), end >= len(text)
        decision = decide(text[low:end], at - low, [finder], is_end=is_end)
        found += [msgspec.structs.replace(each, start=each.start + low, end=each.end + low) for each in decision.found]
        if is_end:
            return found
        at = low + decision.upto
        end += SLICE
        await asyncio.sleep(0)


def _spans(pattern: Pattern, regex: Any, text: str, since: int) -> Iterator[tuple[int, int]]:
    group = int(pattern.takes_group)
    for match in regex.finditer(text, since):
        if pattern.accepts is None or pattern.accepts(match.group(group)):
            yield match.span(group)
        else:
            yield from _within(pattern, regex, text, match.start(), match.end())


def _within(pattern: Pattern, regex: Any, text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Those that begin within one that was rejected, as long as there is time: each may reach as far as all others."""
    assert pattern.accepts is not None
    group = int(pattern.takes_group)
    cut = text[begin : end + LOOKBACK]
    at, left = 1, WITHIN
    while at < end - begin and left > 0:
        left -= len(cut) - at
        match = regex.search(cut, at)
        if match is None or match.start() >= end - begin:
            return
        if pattern.accepts(match.group(group)):
            first, last = match.span(group)
            yield first + begin, last + begin
            at = match.end()
        else:
            at = match.start() + 1


def _compiled(engine: Any, source: str, *, captures: bool = False) -> Any:
    options = engine.Options()
    options.log_errors = False
    options.never_capture = not captures
    try:
        return engine.compile(source, options)
    except engine.error as error:
        what = error.args[0] if error.args else ""
        raise ValueError(f"is no expression of RE2: {what.decode() if isinstance(what, bytes) else what}") from error
