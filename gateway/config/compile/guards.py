"""Manifests of guardrails -> the rules that say who has to pass which."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.config.compile.filters import Find, Names
from gateway.contract import Guardrail, GuardrailSpec, Hook, Upstream
from gateway.contract.guard import MakeGuardrail
from gateway.errors import Fault
from gateway.guardrails import KINDS as MAKERS
from gateway.guardrails.metadata import MetadataGuardrail
from gateway.guardrails.pii import patterns_of
from gateway.guardrails.unavailable import UnavailableGuardrail
from gateway.logs import traceback_text
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.guardrail_kinds import JudgeConfig, ModerationConfig, PiiConfig, PluginConfig
from gateway.manifests.guardrails import (
    KIND,
    CustomIntegration,
    GuardrailGroup,
    GuardrailIntegration,
    GuardrailsConfig,
    GuardrailSettings,
    GuardrailsRule,
    MetadataConfig,
    MetadataIntegration,
    SubjectsWhen,
    ValueByPattern,
)
from gateway.manifests.outward import is_trusted
from gateway.manifests.routing import GlobalSettings
from gateway.plugins import log
from gateway.rules.guards import Check, GuardRule, GuardRules
from gateway.rules.limits.rule import Filter
from gateway.rules.patterns import flaw_in
from gateway.rules.routing.routes import VIRTUAL

CONSEQUENCES = {
    "enforce": "with `enforce`, whatever has to pass it is stopped",
    "enforce_but_ignore_on_error": "everything passes it",
    "audit": "everything passes it",
}
"""Strategy -> what it means that a guardrail cannot be asked."""
Documents = Sequence[tuple[Manifest, Any]]


class GuardCompiler:
    """Collects faults in `faults`, each with its manifest, and warnings in `warnings`.

    Args:
        find: a name or alias -> the model, virtual ones included, or None.
        guarded: calls the services whose addresses nobody vouches for; None: the network of all does.
        plugin: a kind -> what makes such guardrails that are not built in, or None.
    """

    def __init__(
        self,
        find: Find,
        *,
        guarded: Upstream | None = None,
        plugin: Callable[[str], MakeGuardrail | None] = lambda _: None,
    ) -> None:
        self.find = find
        self.guarded = guarded
        self.plugin = plugin
        self.faults: list[tuple[Manifest, Fault]] = []
        self.warnings: list[Fault] = []

    def compile(self, documents: Documents) -> GuardRules:
        accounts = frozenset(
            manifest.name for manifest, _ in documents if manifest.type.startswith("provider-account/")
        )
        found = next((document for _, document in documents if isinstance(document, GlobalSettings)), None)
        settings = (found and found.guardrail_settings) or GuardrailSettings()
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
        rules = {hook: tuple(compiled) for hook, compiled in by_hook.items()}
        return GuardRules(rules, settings.timeout_ms / 1000, settings.enable_parallel_execution, checks)

    def _checks(self, manifest: Manifest, group: GuardrailGroup) -> dict[str, Check | None]:
        """Selector -> the guardrail; None: it cannot be carried out here."""
        found: dict[str, Check | None] = {}
        upstream = None if is_trusted(manifest, group) else self.guarded
        for index, integration in enumerate(group.integrations):
            name, at = f"{group.name}/{integration.name}", ("integrations", index)
            guardrail = self._guardrail(manifest, at, name, integration)
            is_there = not isinstance(guardrail, UnavailableGuardrail)
            strategy, mutates = integration.enforcing_strategy, integration.operation == "mutate" and is_there
            found[name] = None
            if guardrail is not None:
                found[name] = Check(guardrail, strategy, integration.priority, mutates, upstream)
        return found

    def _guardrail(
        self, manifest: Manifest, at: Steps, name: str, integration: GuardrailIntegration
    ) -> Guardrail | None:
        kind = str(integration.__struct_config__.tag).removeprefix(KIND)
        if isinstance(integration, MetadataIntegration):
            self._check_patterns(manifest, (*at, "config"), integration.config)
            return MetadataGuardrail(name, integration.config)
        config, auth = getattr(integration, "config", None), getattr(integration, "auth_data", None)
        if isinstance(config, PluginConfig):
            kind, config = config.plugin, config.config
        if isinstance(config, PiiConfig) and (unknown := patterns_of(config.pii_categories)[1]):
            message = f"{', '.join(unknown)}: such things are found by a model alone, as behind azure-pii or custom"
            self.warnings.append(manifest.fault((*at, "config", "pii_categories"), message))
        model = getattr(config, "model", None) if isinstance(config, JudgeConfig | ModerationConfig) else None
        if model is not None and ((target := self.find(model)) is None or target.provider is VIRTUAL):
            message = f"{model} is no real model of any account, so this guardrail will fail"
            self.warnings.append(manifest.fault((*at, "config", "model"), message))
        make = MAKERS.get(kind) or self.plugin(kind)
        if make is None or (isinstance(config, ModerationConfig) and model is None):
            why = _where(kind) if make is None else "config.model names none of your models that judges"
            then = CONSEQUENCES[integration.enforcing_strategy]
            self.warnings.append(manifest.fault((*at, "type"), f"{KIND}{kind} cannot be asked: {why}; so {then}"))
            return UnavailableGuardrail(name, why)
        spec = GuardrailSpec(
            name=name,
            kind=kind,
            redacts=integration.operation == "mutate",
            config=config,
            auth={field: value.reveal() for field, value in (auth or {}).items()},
            target=integration.target if isinstance(integration, CustomIntegration) else None,
        )
        return self._made(manifest, at, make, spec)

    def _made(self, manifest: Manifest, at: Steps, make: MakeGuardrail, spec: GuardrailSpec) -> Guardrail | None:
        try:
            return make(spec)
        except ValueError as error:
            self._fault(manifest, (*at, "config"), str(error))
        except Exception as error:  # a plugin's; the other manifests are none the worse for it
            log.error("guardrail cannot be made", name=spec.name, traceback=traceback_text())
            self._fault(manifest, at, f"the guardrail failed with {type(error).__name__}; the log has more")
        return None

    def _check_patterns(self, manifest: Manifest, at: Steps, config: MetadataConfig) -> None:
        for name, key in config.keys.items():
            if isinstance(key.value, ValueByPattern) and (flaw := flaw_in(key.value.regex)):
                self._fault(manifest, (*at, "keys", name, "value", "regex"), flaw)

    def _rule(
        self, names: Names, at: Steps, rule: GuardrailsRule, checks: Mapping[str, Check | None]
    ) -> Iterator[tuple[Hook, GuardRule]]:
        """One for each hook that has guardrails."""
        conditions = rule.when.target.conditions
        model = conditions.model
        models = names.models((*at, "when", "target", "conditions", "model"), model) if model is not None else None
        is_for_tools = conditions.mcp_servers is not None or conditions.mcp_tools is not None
        subjects = self._subjects(names, (*at, "when", "subjects", "conditions"), rule.when.subjects)
        for hook in Hook:
            field = f"{hook}_guardrails"
            chosen = [*self._chosen(names.manifest, (*at, field), hook, getattr(rule, field), checks)]
            if not chosen:
                continue
            if models is None:
                if not is_for_tools:
                    warning = "nobody has to pass it: name models in when.target.conditions.model, or * for all"
                    self.warnings.append(names.manifest.fault((*at, field), warning))
                continue
            metadata, message = rule.when.metadata, rule.custom_error_message
            yield hook, GuardRule(models, subjects, metadata, tuple(chosen), message, rule.id)

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


def _where(kind: str) -> str:
    packages = {
        "aws-bedrock": "llm-asgi-gateway-aws",
        "google-model-armor": "llm-asgi-gateway-google",
        "presidio": "llm-asgi-gateway-presidio",
    }
    if kind in packages:
        return f"install {packages[kind]}"
    if kind == "trojai":
        return "TrojAI gives the description of its API to customers alone; type custom, or a plugin, can ask it"
    return "no plugin of that name is installed (entry points of the group gateway.guardrails)"
