"""Finds what looks like something: expressions in linear time, and checks of what they find.

All of it runs on RE2, whose time grows with the text and never with what is in it.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.contract import Match
from gateway.guardrails.encoded import LEAST, RUNS, decoded_in
from gateway.guardrails.needs import needed
from gateway.guardrails.plain import Plain, is_plain, plain_of, prepare
from gateway.guardrails.widths import spans_whitespace, width_of
from gateway.wire.redaction import MAX_GROWING

WINDOW = 256
"""Characters: no more is held back because something may begin there."""
LOOKBACK = 64
"""How far before it the word may stand that makes a number what it is."""
TURN = 100.0
"""Looks at what may be something, before others have their turn: some 0.5 ms. Who is let in between needs several."""
PASS = 0.004
"""What it takes to go over one character with one pattern, in such looks."""
WITHIN = 32 * 1024
"""Characters that are looked through again for what begins within one match that was rejected. Numbers take some
hundreds."""
REDACTED = "[REDACTED]"

_NONE: Iterator[Match] = iter(())
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
        effort: of one look at what may be one, in some 5 microseconds.
        long: an expression of Python for how one begins that may be longer than `WINDOW`.
        is_key: it is also looked for where it is encoded.
        is_sure: nothing else looks like it, so that it is also looked for where one text ends and another begins.
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
    effort: float = 1.0
    long: str | None = None
    is_key: bool = False
    is_sure: bool = False


class Patterns:
    """A `Finder` of several patterns. They are looked for in what is read, and found where that came from.

    Raises:
        ValueError: one of them is no expression of RE2, or RE2 is not installed.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        engine = needed("re2")
        prepare()
        self.patterns = patterns
        self.searches = [Search(engine, pattern) for pattern in patterns]
        self._lookback = LOOKBACK if any(pattern.looks_back for pattern in patterns) else 0
        self._window = max((pattern.reach for pattern in patterns if pattern.reach is not None), default=0)
        self._has_numbers = any(pattern.is_number for pattern in patterns)
        keys = [pattern for pattern in patterns if pattern.is_key]
        self._keys = [Search(engine, pattern) for pattern in keys]
        self._any_key = _any_of(engine, [pattern.source for pattern in keys])
        # Nearly every look finds nothing, so that one expression for all of them saves the others.
        self._any = _any_of(engine, [pattern.source for pattern in patterns])
        self._runs = _compiled(engine, RUNS)
        begun = "|".join(pattern.begun for pattern in patterns if pattern.begun is not None)
        self._begun = re.compile(rf"(?:{begun})\Z") if begun else None
        long = "|".join(pattern.long for pattern in patterns if pattern.long is not None)
        self._long = re.compile(long) if long else None

    def sure(self) -> "Patterns | None":
        """Those of them that nothing else looks like."""
        patterns = [pattern for pattern in self.patterns if pattern.is_sure]
        return Patterns(patterns) if patterns else None

    def find(self, text: str, start: int) -> Iterator[Match]:
        matches = self.scan(text, start)
        return (match for match in matches if match is not None) if matches else _NONE

    def scan(self, text: str, start: int) -> Iterable[Match | None]:
        """As `find`; None, whenever others should have their turn."""
        if is_plain(text):
            return self._scan(text, start)
        low = max(0, start - LOOKBACK - 1)
        plain = plain_of(text[low:])
        return self._scan(text, start) if plain is None else self._scan_plain(plain, low, start)

    def _scan_plain(self, plain: Plain, low: int, start: int) -> Iterator[Match | None]:
        """What is read stands in the text from `low` on."""
        for match in self._scan(plain.text, plain.place(start - low)):
            if match is None:
                yield None
            elif (begin := plain.begin(match.start) + low) >= start:
                yield Match(begin, plain.end(match.end) + low, match.label, match.replacement)

    def _scan(self, text: str, start: int) -> Iterable[Match | None]:
        first = self._any.search(text, max(0, start - self._lookback))
        begins = max(0, start - LOOKBACK)
        has_runs = bool(self._keys) and len(text) - start >= LEAST and self._runs.search(text, begins) is not None
        if first is None:
            return self._encoded(text, start) if has_runs else ()
        return self._matches(text, start, first.start(), has_runs=has_runs)

    def _matches(self, text: str, start: int, first: int, *, has_runs: bool) -> Iterator[Match | None]:
        if has_runs:
            yield from self._encoded(text, start)
        done = 0.0
        for search in self.searches:
            pattern = search.pattern
            since = max(0, start - LOOKBACK) if pattern.looks_back else max(start, first)
            done += (len(text) - since) * PASS
            if done > TURN:
                yield None
                done = 0.0
            for found in search.spans(text, since):
                done += pattern.effort
                if done > TURN:
                    yield None
                    done = 0.0
                if found is not None and found[0] >= start:
                    yield Match(*found, pattern.label, pattern.replacement)

    def _encoded(self, text: str, start: int) -> Iterator[Match | None]:
        """Keys that are encoded: all of the run, as there is no telling which part of it is the key."""
        for begin, end, said in decoded_in(text, max(0, start - LOOKBACK), self._runs):
            if end <= start or self._any_key.search(said) is None:
                continue
            for search in self._keys:
                if any(found is not None for found in search.spans(said, 0)):
                    pattern = search.pattern  # of a run that has begun before, the beginning may be out
                    yield Match(max(begin, start), end, pattern.label, pattern.replacement)
            yield None

    def open_from(self, text: str, start: int) -> int:
        if is_plain(text):
            return self._open_from(text, start)
        plain = plain_of(text[start:], is_growing=True)
        if plain is None:
            return self._open_from(text, start)
        # Of what cannot be seen there may be any amount, and all of it would be looked at again with each piece.
        return max(plain.begin(self._open_from(plain.text, 0)) + start, len(text) - MAX_GROWING)

    def _open_from(self, text: str, start: int) -> int:
        size = len(text)
        at = max(start, size - self._window)
        tail = text[max(start, size - WINDOW) :]
        if self._has_numbers:
            tail = tail.rstrip(_NUMBERISH)
        word = tail.rstrip(_GRAPHIC)
        at = min(at, max(start, size - WINDOW) + len(word))
        if self._begun is not None and (begun := self._begun.search(text, max(start, size - LOOKBACK))):
            at = min(at, begun.start())
        if not word and self._long is not None and size - start > WINDOW:
            at = min(at, self._long_from(text, start))
        return max(at, start)

    def _long_from(self, text: str, start: int) -> int:
        """Where in the last word, which is long, something begins that may be longer than others."""
        assert self._long is not None
        since = max(start, len(text) - MAX_GROWING)
        word = since + len(text[since:].rstrip(_GRAPHIC))
        begun = self._long.search(text, word)
        return begun.start() if begun is not None else len(text)


class Search:
    """One pattern, and how it is looked for.

    Within what was found and rejected another may begin, so that it is looked through again by `re`, which reads where
    RE2 copies. It takes no longer than linear time, either: what is checked has a longest form, or few beginnings.
    """

    __slots__ = ("_again", "_group", "_regex", "pattern")

    def __init__(self, engine: Any, pattern: Pattern) -> None:
        self.pattern = pattern
        self._group = int(pattern.takes_group)
        self._regex = _compiled(engine, pattern.source, captures=pattern.takes_group)
        self._again = _for_re(pattern.source) if pattern.accepts is not None else None

    def spans(self, text: str, since: int) -> Iterator[tuple[int, int] | None]:
        """None: something that was rejected."""
        accepts, group = self.pattern.accepts, self._group
        for match in self._regex.finditer(text, since):
            if accepts is None or accepts(match.group(group)):
                yield match.span(group)
            else:
                yield None
                yield from self._within(text, *match.span())

    def _within(self, text: str, begin: int, end: int) -> Iterator[tuple[int, int] | None]:
        accepts, again, group = self.pattern.accepts, self._again, self._group
        assert accepts is not None
        assert again is not None
        at, left = begin + 1, WITHIN
        while left > 0 and (match := again.search(text, at, end + LOOKBACK)) is not None and match.start() < end:
            left -= match.end() - at
            if accepts(match[group]):
                yield match.span(group)
                at = match.end()
            else:
                yield None
                at = match.start() + 1


def _has_words(source: str) -> bool:
    """Whether it asks for letters of its own: what is nothing but digits stands in many texts side by side."""
    return len(re.findall("[A-Za-z]", re.sub(r"\\.|\[[^][]*\]|\(\?[A-Za-z:<!=]*|\{[^{}]*\}", "", source))) > 1


def _any_of(engine: Any, sources: Iterable[str]) -> Any:
    return _compiled(engine, "|".join(f"(?:{source})" for source in sources))


def _for_re(source: str) -> re.Pattern[str]:
    """As RE2 reads it: of letters and digits, those of ASCII."""
    plain = source.removeprefix("(?i)")
    return re.compile(plain, re.ASCII | (re.IGNORECASE if plain != source else 0))


def user_pattern(label: str, source: str, replacement: str = REDACTED) -> Pattern:
    """One that somebody wrote. Raises ValueError: it is no expression of RE2."""
    _compiled(needed("re2"), source)
    width = width_of(source)
    if spans_whitespace(source):
        return Pattern(label, source, replacement, reach=min(width or WINDOW, WINDOW))
    return Pattern(label, source, replacement, is_sure=_has_words(source))


def _compiled(engine: Any, source: str, *, captures: bool = False) -> Any:
    options = engine.Options()
    options.log_errors = False
    options.never_capture = not captures
    try:
        return engine.compile(source, options)
    except engine.error as error:
        what = error.args[0] if error.args else ""
        raise ValueError(f"is no expression of RE2: {what.decode() if isinstance(what, bytes) else what}") from error
