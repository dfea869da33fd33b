"""Guardrails that are built in, each a `gateway.contract.Guardrail`.

What a kind needs is imported when the first one is made.
"""

from collections.abc import Mapping
from importlib import import_module

from gateway.contract import Guardrail, GuardrailSpec
from gateway.contract.guard import MakeGuardrail

_MODULES: Mapping[str, str] = {
    "regex": "found",
    "tfy-pii": "found",
    "secret-detection": "found",
    "word-list": "found",
    "tfy-prompt-injection": "injection",
    "tfy-content-moderation": "moderation",
    "openai-moderations": "moderation",
    "sql-sanitizer": "sql",
    "code-safety-linter": "code",
    "json-schema": "schema",
    "llm-judge": "judge",
    "custom": "custom",
    "opa": "policies",
    "azure-content-safety": "azure",
    "azure-prompt-shield": "azure",
    "azure-pii": "azure",
    "cedar": "cedar",
    "akto": "vendors",
    "calypsoai": "vendors",
    "cisco-ai-defense": "vendors",
    "crowdstrike-aidr": "vendors",
    "enkrypt-ai": "vendors",
    "fiddler": "vendors",
    "grayswan-cygnal": "vendors",
    "noma-security": "vendors",
    "palo-alto-prisma-airs": "vendors",
    "patronus": "vendors",
}


def _make(spec: GuardrailSpec) -> Guardrail:
    """Raises ValueError, worded for the operator: it cannot be used."""
    made: Guardrail = import_module(f"gateway.guardrails.{_MODULES[spec.kind]}").make(spec)
    return made


KINDS: Mapping[str, MakeGuardrail] = dict.fromkeys(_MODULES, _make)
"""The last part of a type -> what makes such guardrails."""
