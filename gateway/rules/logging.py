"""What of a request is written down, and what is made unreadable before."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from gateway.contract import Caller, Choice, Record
from gateway.rules.limits.rule import Filter, names_of

MOST_CHARS = 500
"""Of each text in a record; what is beyond is cut off."""
WINDOW = 512
"""Characters that a pattern is looked for in at once. What it finds is hidden whole if it has at most half as many."""
MOST_REPEATS = 1
"""Repetitions without a bound in one pattern: the work then grows with the square of a window, at worst."""

PRESETS: Mapping[str, str] = {
    "amex": r"\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b",
    "aws_access_key": r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b",
    "credit_card": r"\b(?:\d[ -]?){12,18}\d\b",
    "discover": r"\b6(?:011|5\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    "email": r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    "india_aadhaar": r"\b[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}\b",
    "india_pan": r"\b[A-Z]{5}\d{4}[A-Z]\b",
    "ipv4": r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",
    "mastercard": r"\b(?:5[1-5]\d{2}|2[2-7]\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}",
    "url": r"\bhttps?://[^\s\"'<>]{1,300}",
    "us_phone": r"(?<!\d)(?:\+?1[ .-]?)?\(?[2-9]\d{2}\)?[ .-]?[2-9]\d{2}[ .-]?\d{4}(?!\d)",
    "us_ssn": r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b",
    "us_ssn_no_dash": r"\b(?!000|666|9\d\d)\d{3}(?!00)\d{2}(?!0000)\d{4}\b",
    "visa": r"\b4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
}
"""Those of TrueFoundry's presets that are about what may stand in a record; its expressions are not published, so these
are our own. Numbers of cards are found by their form."""
REDACTED = "[REDACTED]"
DEFAULT_DESTINATION = "default"

_NOBODY: frozenset[str] = frozenset()


class Redaction(msgspec.Struct, frozen=True, eq=False):
    """Pattern -> what stands in place of what it finds."""

    patterns: tuple[tuple[re.Pattern[str], str], ...]

    def of(self, text: str) -> str:
        """A long text is looked through in windows that overlap, so that the work grows with its length and no faster.
        What is found at the edge of one may be a little more than is meant, and never less."""
        for pattern, instead in self.patterns:
            if len(text) <= WINDOW:
                text = pattern.sub(lambda _, instead=instead: instead, text)  # type: ignore[misc]  # no \\1 is meant
            else:
                text = _without(text, _found_in(text, pattern), instead)
        return text


def _found_in(text: str, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """Begin and end of what is found, in the order of the text; what overlaps is one."""
    spans = {
        (offset + match.start(), offset + match.end())
        for offset in range(0, len(text) - WINDOW // 2, WINDOW // 2)
        for match in pattern.finditer(text[offset : offset + WINDOW])
    }
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif begin < end:
            found.append((begin, end))
    return found


def _without(text: str, found: Iterable[tuple[int, int]], instead: str) -> str:
    pieces, kept = [], 0
    for begin, end in found:
        pieces += [text[kept:begin], instead]
        kept = end
    return "".join([*pieces, text[kept:]])


class LoggingRule(msgspec.Struct, frozen=True, eq=False):
    """About requests that all of it fits.

    Args:
        models: about all names that a model has, as in `names_of`.
        log: False: what such requests ask and are answered is not written down.
    """

    subjects: Filter = Filter()
    models: Filter = Filter()
    metadata: Mapping[str, str] = {}
    log: bool = True
    redaction: Redaction | None = None

    def fits(self, names: frozenset[str], caller: Caller | None, metadata: Mapping[str, str]) -> bool:
        return (
            self.subjects.fits(caller.subjects if caller is not None else _NOBODY)
            and self.models.fits(names)
            and self.metadata.items() <= metadata.items()
        )


class Destination(msgspec.Struct, frozen=True, eq=False):
    """Takes the records that all of it fits.

    Args:
        created_by: about the caller itself, and none of its teams.
        metadata: key -> values, one of which it has to have.
    """

    name: str
    created_by: tuple[frozenset[str], ...] = ()
    metadata: tuple[tuple[str, frozenset[str]], ...] = ()

    def fits(self, caller: Caller | None, metadata: Mapping[str, str]) -> bool:
        subject = caller.subject if caller is not None else ""
        return all(subject in each for each in self.created_by) and all(
            metadata.get(key) in values for key, values in self.metadata
        )


class LoggingRules(msgspec.Struct, frozen=True, eq=False):
    """All rules in force: none of them says less because of another.

    Args:
        bodies: whether what is asked and answered is written down, where no rule forbids it: `header` is as the caller
            says, or else `by_default`.
        destinations: the first that fits takes a record; None: nobody has said where they go.
        changes: what is said of requests depends on the rules; follows from them.
    """

    bodies: Literal["always", "never", "header"] = "never"
    by_default: bool = False
    rules: Sequence[LoggingRule] = ()
    destinations: Sequence[Destination] | None = None
    changes: bool = False

    def __post_init__(self) -> None:
        changes = self.destinations is not None or any(rule.redaction is not None for rule in self.rules)
        msgspec.structs.force_setattr(self, "changes", changes)

    def keeps_bodies(
        self, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str], wished: bool | None
    ) -> bool:
        """Whether what a request asks and is answered may be written down.

        Args:
            wished: what `x-tfy-logging-config` says; None: nothing.
        """
        if self.bodies == "never":
            return False
        if self.bodies == "header" and not (self.by_default if wished is None else wished):
            return False
        return all(rule.log for rule in self._fitting(choice, caller, metadata))

    def redaction(self, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str]) -> Redaction | None:
        """What all rules want that fit, one after the other; None: nothing."""
        fitting = (rule.redaction for rule in self._fitting(choice, caller, metadata))
        patterns = [pattern for each in fitting if each is not None for pattern in each.patterns]
        return Redaction(tuple(patterns)) if patterns else None

    def told(self, record: Record, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str]) -> Record:
        """As it is to be written down, and where. What callers and providers have written is made unreadable; who
        asked for which model stays: it is what a record is found by."""
        destination = None
        if self.destinations is not None:
            fitting = (each.name for each in self.destinations if each.fits(caller, metadata))
            destination = next(fitting, DEFAULT_DESTINATION)
        redaction = self.redaction(choice, caller, metadata)
        if redaction is None:
            return msgspec.structs.replace(record, destination=destination)
        texts = {name: getattr(record, name) for name in ("path", "user_agent", "error_message")}
        changed = {name: redaction.of(text[:MOST_CHARS]) for name, text in texts.items() if text is not None}
        values = {name: redaction.of(value) for name, value in record.metadata.items()}
        return msgspec.structs.replace(record, destination=destination, metadata=values, **changed)

    def _fitting(
        self, choice: Choice | None, caller: Caller | None, metadata: Mapping[str, str]
    ) -> Iterable[LoggingRule]:
        """A model that leads to others has their names, too: who excludes one has excluded it however it is asked
        for."""
        asked = [choice.target.name] if choice is not None else []
        if choice is not None and choice.route is not None:
            asked += [candidate.name for candidate in choice.route.candidates]
        names = names_of(asked)
        return (rule for rule in self.rules if rule.fits(names, caller, metadata))
