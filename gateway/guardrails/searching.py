"""Guardrails that look through texts for something, a slice at a time."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from gateway.contract import Finding, Hook, Match, Subject, Text
from gateway.guardrails.patterns import LOOKBACK, Patterns
from gateway.guardrails.seams import overlaps, seams_of
from gateway.wire.redaction import Found, decided, redacted

SLICE = 2048
"""Characters that are looked through before others have their turn."""
EACH = 64
"""Characters: what a text costs besides its length."""
SHOWN = 8


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
        self._sure = finder.sure()
        self._numbers = frozenset(pattern.label for pattern in finder.patterns if pattern.is_number)
        self.redacts = redacts

    async def check(self, subject: Subject) -> Finding:
        labels: dict[str, int] = {}
        found = await self._found_in([text.text for text in subject.texts])
        await self._find_across(subject.texts, found)
        for each in chain(*found):
            if each.label:
                labels[each.label] = labels.get(each.label, 0) + 1
        if not labels:
            return Finding()
        if not self.redacts:
            return Finding("block", message_of(labels), data=labels)
        pairs = zip(subject.texts, found, strict=True)
        texts = [redacted(text.text, places) if places else text.text for text, places in pairs]
        return Finding(message=message_of(labels), texts=texts, data=labels)

    async def _found_in(self, texts: Sequence[str]) -> list[list[Found]]:
        found: list[list[Found]] = []
        unseen = 0
        for text in texts:
            unseen += len(text) + EACH
            if unseen > SLICE:
                await asyncio.sleep(0)
                unseen = 0
            found.append(await find_all(text, self.finder))
        return found

    async def _find_across(self, texts: Sequence[Text], found: list[list[Found]]) -> None:
        """What was cut in two: adds to what was found in each text its part of it. The first part has the name."""
        if self._sure is None:
            return
        for seam in seams_of(texts):
            for whole in await find_all(seam.text, self._sure):
                parts = seam.parts(whole)
                # A list of short numbers is no card that was cut into them.
                is_cut = len(parts) == 2 if whole.label in self._numbers else len(parts) > 1
                if is_cut and not any(overlaps(part, found[index]) for index, part in parts):
                    for index, part in parts:
                        found[index] = sorted([*found[index], part], key=lambda each: each.start)


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
        piece = text[low:end]
        matches: list[Match] = []
        for match in finder.scan(piece, at - low):
            if match is None:
                await asyncio.sleep(0)
            else:
                matches.append(match)
        limit = len(piece) if is_end else finder.open_from(piece, at - low)
        decision = decided(piece, at - low, [(0, match) for match in matches], limit, is_end=is_end)
        found += [msgspec.structs.replace(each, start=each.start + low, end=each.end + low) for each in decision.found]
        if is_end:
            return found
        at = low + decision.upto
        end += SLICE
        await asyncio.sleep(0)
