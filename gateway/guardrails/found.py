"""Guardrails that find things by how they are written: `regex`, `tfy-pii`, `secret-detection`, `word-list`."""

from difflib import get_close_matches
from functools import lru_cache

import msgspec

from gateway.contract import Guardrail, GuardrailSpec
from gateway.guardrails.patterns import Pattern, Patterns, user_pattern
from gateway.guardrails.pii import patterns_of
from gateway.guardrails.presets import PRESETS, words
from gateway.guardrails.searching import PatternGuardrail
from gateway.guardrails.secrets import SECRETS
from gateway.manifests.guardrail_kinds import PiiConfig, RegexConfig, SecretsConfig, WordListConfig


def make(spec: GuardrailSpec) -> Guardrail:
    """Raises ValueError: a pattern cannot be used, or a preset is not known."""
    return PatternGuardrail(spec.name, _finder(spec.config), redacts=spec.redacts)


@lru_cache(maxsize=64)
def _finder(config: object) -> Patterns:
    """The same for the same config: to compile patterns takes long, and manifests are read anew at each change."""
    return Patterns(_patterns(config))


def _patterns(config: object) -> list[Pattern]:
    match config:
        case PiiConfig():
            patterns, _ = patterns_of(config.pii_categories)
        case SecretsConfig():
            patterns = [msgspec.structs.replace(each, replacement=config.redaction_text) for each in SECRETS]
        case WordListConfig():
            patterns = [words("word_list", "\n".join(config.words), config.redaction_text)]
        case RegexConfig():
            patterns = [_preset(name) for name in config.preset_patterns.presets]
            for number, custom in enumerate(config.custom_patterns):
                try:
                    patterns.append(user_pattern(f"pattern_{number + 1}", custom.pattern, custom.redaction_text))
                except ValueError as error:
                    raise ValueError(f"custom_patterns[{number}]: {error}") from None
        case _:
            patterns = []
    if not patterns:
        raise ValueError("has nothing to look for")
    return patterns


def _preset(name: str) -> Pattern:
    if name in PRESETS:
        return PRESETS[name]
    near = get_close_matches(name, PRESETS, 1)
    raise ValueError(f"no preset {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
