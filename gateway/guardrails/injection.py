"""Attempts to take over a model by what it reads, by a list of rules that each have a score.

It knows what attacks say, and not what they mean: new words get past it, and a text about attacks may be held for one.
How many it catches, and how many harmless texts it stops, is measured over the corpus in `tests/guardrails/corpus`; the
figures are in docs/guardrails.md.
"""

import asyncio
import re
import unicodedata
from base64 import b64decode
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from gateway.contract import Finding, GuardrailSpec, Hook, Subject
from gateway.guardrails.injection_harmless import without_harmless
from gateway.guardrails.injection_rule import Rule
from gateway.guardrails.injection_rules import RULES
from gateway.guardrails.needs import needed
from gateway.guardrails.plain import plain_of, prepare
from gateway.manifests.guardrail_kinds import InjectionConfig

SLICE = 4096
OVERLAP = 400
EACH = 64
"""Characters: what a text costs besides its length."""
AT_ONCE = 8
"""Rules that a large text is looked at with before others have their turn."""
MAX_HIDDEN = 8
"""Pieces of base64 of one slice that are looked into."""

_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF, 0xAD, *range(0xE0000, 0xE0080)])
_KINDS = {rule.name: rule.kind or rule.name for rule in RULES}
_SPELLED = re.compile(r"(?<!\w)(?:\w[ ._-]){5,40}\w(?!\w)")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,2000}={0,2}")
_LEET = str.maketrans("013457@$", "oieastas")


class InjectionGuardrail:
    hooks = frozenset({Hook.LLM_INPUT, Hook.MCP_PRE, Hook.MCP_POST})
    is_quick = True

    def __init__(self, spec: GuardrailSpec) -> None:
        config = spec.config
        assert isinstance(config, InjectionConfig)
        self.name = spec.name
        self._threshold = config.threshold
        self._rules = compiled_rules()
        prepare()

    async def check(self, subject: Subject) -> Finding:
        worst: dict[str, float] = {}
        unseen = 0
        for text in subject.texts:
            if text.role in ("system", "assistant"):
                continue  # what the operator says, and what the model itself has said
            unseen += len(text.text) + EACH
            if unseen > SLICE:
                await asyncio.sleep(0)
                unseen = 0
            found = await self.found_in(text.text)
            if sum(found.values()) > sum(worst.values()):
                worst = found
        if sum(worst.values()) < self._threshold:
            return Finding()
        return Finding("block", f"prompt injection: {', '.join(sorted(worst))}", data=worst)

    async def found_in(self, text: str) -> dict[str, float]:
        """Rule -> score, of one text."""
        found: dict[str, float] = {}
        for begin in range(0, max(len(text), 1), SLICE):
            for number, form in enumerate(forms_of(text[max(0, begin - OVERLAP) : begin + SLICE])):
                if begin or number:
                    await asyncio.sleep(0)
                without: str | None = None
                for place, (rule, regex) in enumerate(self._rules, 1):
                    if regex.search(form):
                        without = without_harmless(form) if without is None else without
                        if regex.search(without):
                            found[rule.name] = rule.score
                    if place % AT_ONCE == 0 and len(form) > SLICE // 4:
                        await asyncio.sleep(0)
        return strongest(found)


make = InjectionGuardrail


def strongest(found: Mapping[str, float]) -> dict[str, float]:
    """Of rules that say the same, the one with the highest score."""
    by_kind: dict[str, str] = {}
    for name, score in found.items():
        known = by_kind.get(_KINDS[name])
        if known is None or found[known] < score:
            by_kind[_KINDS[name]] = name
    return {name: found[name] for name in by_kind.values()}


@cache
def compiled_rules() -> list[tuple[Rule, Any]]:
    """Raises ValueError: RE2 is not installed."""
    engine = needed("re2")
    return [(rule, engine.compile(f"(?i){rule.source}")) for rule in RULES]


def forms_of(text: str) -> Iterator[str]:
    """As it is read: without invisible characters, and with what is spelled out, disguised or encoded in plain."""
    plain = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).replace("’", "'")
    if (read := plain_of(plain)) is not None:
        plain = read.text
    yield plain
    spelled = _SPELLED.sub(lambda found: re.sub(r"[ ._-]", "", found[0]), plain)
    if spelled != plain:
        yield spelled
    plainer = plain.translate(_LEET)
    if plainer != plain:
        yield plainer
    for found in [*_BASE64.finditer(plain)][:MAX_HIDDEN]:
        try:
            yield b64decode(found[0] + "=" * (-len(found[0]) % 4)).decode()
        except ValueError:
            continue
