"""Manifests of limits and budgets -> policies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.config.compile.amounts import BUDGETS, RATES, Units, limits_of
from gateway.config.compile.filters import Find, Names
from gateway.contract.limits import Mode
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.identity import VirtualAccount
from gateway.manifests.limits import (
    Alerts,
    BudgetConfig,
    BudgetRule,
    McpRateLimit,
    ModelRateLimit,
    RateLimitConfig,
    RateLimitRule,
    TeamBudget,
    TenantBudget,
)
from gateway.manifests.notifications import Channel, ChannelAccount, channels_of, why_undelivered
from gateway.manifests.scopes import OVERRIDDEN, AppliesTo, Limits
from gateway.rules.limits.keys import policy_key
from gateway.rules.limits.policies import Policies
from gateway.rules.limits.rule import METADATA, Filter, Limit, Rule

Documents = Sequence[tuple[Manifest, Any]]

_SCOPES = {
    "aggregate": (),
    "per-user": ("user",),
    "per-virtual-account": ("virtualaccount",),
    "per-team": ("team",),
    "per-token": ("token",),
    "per-model": ("model",),
}


class PolicyCompiler:
    """Collects faults in `faults`, each with its manifest, and warnings in `warnings`.

    Args:
        find: a name or alias -> the model, virtual ones included, or None.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self.faults: list[tuple[Manifest, Fault]] = []
        self.warnings: list[Fault] = []

    def compile(self, documents: Documents) -> Policies:
        accounts = frozenset(
            manifest.name for manifest, _ in documents if manifest.type.startswith("provider-account/")
        )
        channels = channels_of(document for _, document in documents if isinstance(document, ChannelAccount))
        owned = _owned_accounts(documents)
        rules: list[Rule] = []
        for manifest, document in documents:
            names = Names(manifest, self.find, accounts, self.warnings)
            match document:
                case RateLimitConfig():
                    rules += [self._rate_limit(names, index, rule) for index, rule in enumerate(document.rules)]
                case BudgetConfig():
                    for index, rule in enumerate(document.rules):
                        self._warn_undelivered(manifest, ("rules", index, "alerts"), rule.alerts, channels)
                    rules += [self._budget(names, index, rule) for index, rule in enumerate(document.rules)]
                case ModelRateLimit():
                    rules.append(self._model_limit(names, document))
                case TenantBudget():
                    self._warn_undelivered(manifest, ("alerts",), document.alerts, channels)
                    rules.append(self._tenant_budget(names, document, owned))
                case McpRateLimit():
                    self._warn(manifest, (), "has no effect yet: calls of tools are not counted")
        return Policies(sorted(rules, key=lambda rule: (rule.is_budget, not rule.first_decides)))

    def _rate_limit(self, names: Names, index: int, rule: RateLimitRule) -> Rule:
        return Rule(
            policy=policy_key(names.manifest.type, names.manifest.name, rule.id),
            name=rule.id,
            is_budget=False,
            first_decides=True,
            limits=limits_of({rule.unit: rule.limit_to}, RATES),
            filters=names.filters_of_rule(("rules", index, "when"), rule.when),
            scopes=self._per(names.manifest, ("rules", index, "rate_limit_applies_per"), rule.rate_limit_applies_per),
            when_lost=rule.when_redis_is_lost,
        )

    def _budget(self, names: Names, index: int, rule: BudgetRule) -> Rule:
        return Rule(
            policy=policy_key(names.manifest.type, names.manifest.name, rule.id),
            name=rule.id,
            is_budget=True,
            first_decides=True,
            limits=limits_of({rule.unit: rule.limit_to}, BUDGETS),
            filters=names.filters_of_rule(("rules", index, "when"), rule.when),
            scopes=self._per(names.manifest, ("rules", index, "budget_applies_per"), rule.budget_applies_per),
            mode=Mode.AUDIT if rule.audit_mode else Mode.ENFORCE,
            when_lost=rule.when_redis_is_lost,
            alerts=_in_order(rule.alerts),
        )

    def _per(self, manifest: Manifest, at: Steps, scopes: tuple[str, ...] | None) -> tuple[str, ...]:
        if {"user", "virtualaccount"} <= set(scopes or ()):
            message = "the rule fits nobody, because no caller is a user and a virtual account; write two rules"
            self._warn(manifest, at, message)
        return scopes or ()

    def _model_limit(self, names: Names, limit: ModelRateLimit) -> Rule:
        if limit.log_request_body_on_block:
            self._warn(names.manifest, ("log_request_body_on_block",), "ignored: bodies are not logged")
        return Rule(
            policy=policy_key(names.manifest.type, names.manifest.name),
            name=limit.name,
            is_budget=False,
            first_decides=False,
            limits=limits_of(limit.limits.given(), RATES),
            filters=names.filters(limit.when),
            scopes=_scopes(limit.applies_to),
            overrides=self._overrides(names, limit.applies_to, limit.limits, RATES),
            mode=Mode(limit.mode),
            when_lost=limit.when_redis_is_lost,
        )

    def _tenant_budget(self, names: Names, budget: TenantBudget, owned: Mapping[str, Iterable[str]]) -> Rule:
        filters = names.filters(budget.when)
        if isinstance(budget, TeamBudget):
            members = frozenset((f"team:{budget.team_name}", *owned.get(budget.team_name, ())))
            filters = (("subject", Filter(members)), *filters)
        return Rule(
            policy=policy_key(names.manifest.type, names.manifest.name),
            name=budget.name,
            is_budget=True,
            first_decides=False,
            limits=limits_of(budget.limits.given(), BUDGETS),
            filters=filters,
            scopes=_scopes(budget.applies_to),
            overrides=self._overrides(names, budget.applies_to, budget.limits, BUDGETS),
            mode=Mode(budget.mode),
            when_lost=budget.when_redis_is_lost,
            alerts=_in_order(budget.alerts),
        )

    def _warn_undelivered(
        self, manifest: Manifest, at: Steps, alerts: Alerts | None, channels: Mapping[tuple[str, str, str], Channel]
    ) -> None:
        """The budget holds all the same. What a file names may be kept in the database, which is read later."""
        for index, target in enumerate(alerts.targets if alerts is not None else ()):
            if why := why_undelivered(target, channels):
                place = (*at, "notification_target", index, "notification_channel")
                self._warn(manifest, place, f"{target.notification_channel} {why}, so nobody is told by it")

    def _overrides(
        self, names: Names, applies_to: AppliesTo, limits: Limits, units: Units
    ) -> dict[str, tuple[Limit, ...]]:
        found: dict[str, tuple[Limit, ...]] = {}
        for index, override in enumerate(applies_to.overrides):
            at: Steps = ("applies_to", "overrides", index)
            given = {**limits.given(), **override.limits.given()}
            if "cost_per_lifetime" in given and len(given) > 1:
                message = "cost_per_lifetime does not go with other windows; those of the manifest hold here too"
                self._fault(names.manifest, (*at, "limits"), message)
            field = OVERRIDDEN[applies_to.type]
            for number, text in enumerate(getattr(override, field)):
                name = names.overridden(field, (*at, field, number), text)
                if name in found:
                    self._fault(names.manifest, (*at, field, number), f"{text} has an override already")
                elif name is not None:
                    found[name] = limits_of(given, units)
        return found

    def _fault(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.faults.append((manifest, manifest.fault(at, message)))

    def _warn(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.warnings.append(manifest.fault(at, message))


def _scopes(applies_to: AppliesTo) -> tuple[str, ...]:
    return _SCOPES.get(applies_to.type, (f"{METADATA}{applies_to.metadata}",))


def _in_order(alerts: Alerts | None) -> Alerts | None:
    """Each threshold once, the lowest first."""
    return alerts and Alerts(thresholds=tuple(sorted(set(alerts.thresholds))), targets=alerts.targets)


def _owned_accounts(documents: Documents) -> Mapping[str, list[str]]:
    """Team -> the virtual accounts that belong to it, as subjects."""
    owned: defaultdict[str, list[str]] = defaultdict(list)
    for _, document in documents:
        if isinstance(document, VirtualAccount) and document.owned_by is not None:
            owned[document.owned_by.team].append(f"virtualaccount:{document.name}")
    return owned
