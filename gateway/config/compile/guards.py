"""Manifests of guardrails -> the rules that say who has to pass which."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.config.compile.filters import Find, Names
from gateway.contract import Hook
from gateway.errors import Fault
from gateway.guardrails.metadata import MetadataGuardrail
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.guardrails import (
    GuardrailGroup,
    GuardrailsConfig,
    GuardrailSettings,
    GuardrailsRule,
    MetadataConfig,
    MetadataIntegration,
    SubjectsWhen,
    ValueByPattern,
)
from gateway.manifests.routing import GlobalSettings
from gateway.rules.guards import Check, GuardRule, GuardRules
from gateway.rules.limits.rule import Filter
from gateway.rules.patterns import flaw_in

Documents = Sequence[tuple[Manifest, Any]]


class GuardCompiler:
    """Collects faults in `faults`, each with its manifest, and warnings in `warnings`.

    Args:
        find: a name or alias -> the model, virtual ones included, or None.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self.faults: list[tuple[Manifest, Fault]] = []
        self.warnings: list[Fault] = []

    def compile(self, documents: Documents) -> GuardRules:
        accounts = frozenset(
            manifest.name for manifest, _ in documents if manifest.type.startswith("provider-account/")
        )
        settings = next((document for _, document in documents if isinstance(document, GlobalSettings)), None)
        timeout_ms = ((settings and settings.guardrail_settings) or GuardrailSettings()).timeout_ms
        checks: dict[str, Check | None] = {}
        for manifest, document in documents:
            if isinstance(document, GuardrailGroup):
                checks |= self._checks(manifest, document)
        by_hook: defaultdict[Hook, list[GuardRule]] = defaultdict(list)
        for manifest, document in documents:
            if isinstance(document, GuardrailsConfig):
                names = Names(manifest, self.find, accounts, self.warnings)
                for index, rule in enumerate(document.rules):
                    for hook, compiled in self._rule(names, ("rules", index), rule, checks):
                        by_hook[hook].append(compiled)
        return GuardRules({hook: tuple(compiled) for hook, compiled in by_hook.items()}, timeout_ms / 1000)

    def _checks(self, manifest: Manifest, group: GuardrailGroup) -> dict[str, Check | None]:
        """Selector -> the guardrail; None: it does nothing yet."""
        found: dict[str, Check | None] = {}
        for index, integration in enumerate(group.integrations):
            name, at = f"{group.name}/{integration.name}", ("integrations", index)
            found[name] = None
            if isinstance(integration, MetadataIntegration):
                self._check_patterns(manifest, (*at, "config"), integration.config)
                guardrail = MetadataGuardrail(name, integration.config)
                found[name] = Check(guardrail, integration.enforcing_strategy, integration.priority)
            else:
                kind = integration.__struct_config__.tag
                self.warnings.append(manifest.fault((*at, "type"), f"{kind} is not supported yet, so it does nothing"))
        return found

    def _check_patterns(self, manifest: Manifest, at: Steps, config: MetadataConfig) -> None:
        for name, key in config.keys.items():
            if isinstance(key.value, ValueByPattern) and (flaw := flaw_in(key.value.regex)):
                self._fault(manifest, (*at, "keys", name, "value", "regex"), flaw)

    def _rule(
        self, names: Names, at: Steps, rule: GuardrailsRule, checks: Mapping[str, Check | None]
    ) -> Iterator[tuple[Hook, GuardRule]]:
        """One for each hook that has guardrails."""
        model = rule.when.target.conditions.model
        models = names.models((*at, "when", "target", "conditions", "model"), model) if model is not None else None
        subjects = self._subjects(names, (*at, "when", "subjects", "conditions"), rule.when.subjects)
        for hook in Hook:
            field = f"{hook}_guardrails"
            chosen = [*self._chosen(names.manifest, (*at, field), hook, getattr(rule, field), checks)]
            if not chosen:
                continue
            if models is None:
                message = "nobody has to pass it: name models in when.target.conditions.model, or * for all"
                self.warnings.append(names.manifest.fault((*at, field), message))
                continue
            yield hook, GuardRule(models, subjects, rule.when.metadata, tuple(chosen), rule.custom_error_message)

    def _chosen(
        self, manifest: Manifest, at: Steps, hook: Hook, selectors: Sequence[str], checks: Mapping[str, Check | None]
    ) -> Iterator[Check]:
        for index, selector in enumerate(selectors):
            if selector not in checks:
                self._fault(manifest, (*at, index), f"there is no guardrail {selector}; write <group>/<name>")
            elif (check := checks[selector]) is None:
                continue
            elif hook in check.guardrail.hooks:
                yield check
            else:
                hooks = ", ".join(sorted(check.guardrail.hooks))
                message = f"{selector} is asked about {hooks} alone, so here it does nothing"
                self.warnings.append(manifest.fault((*at, index), message))

    def _subjects(self, names: Names, at: Steps, when: SubjectsWhen) -> tuple[Filter, ...]:
        both = names.subjects(at, when.conditions)
        if when.operator == "or" and both.only is not None and both.never:
            return Filter(both.only), Filter(never=both.never)
        return (both,)

    def _fault(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.faults.append((manifest, manifest.fault(at, message)))
