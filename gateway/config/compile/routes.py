"""Manifests -> routes: which candidates there are for a model, and what is changed on the way to each."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.contract import Classifier, Dialect, Target
from gateway.contract.route import FALLEN_BACK, RETRIED, Candidate, Retry, Route, RouteTarget, Sla, Sticky, Strategy
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.endpoints import CustomEndpointAccount, EndpointBalancing
from gateway.manifests.routing import (
    ComplexityRouting,
    FallbackConfig,
    FallbackRule,
    GlobalSettings,
    Heuristic,
    LatencyRouting,
    LlmClassifier,
    LoadBalanceTarget,
    LoadBalancingConfig,
    PriorityConfig,
    PriorityRouting,
    PriorityTarget,
    RetryConfig,
    Routing,
    StaticTier,
    TierTarget,
    VirtualModelGroup,
    WeightRouting,
    WeightTarget,
    When,
)
from gateway.rules.access.subjects import canonical
from gateway.rules.routing.routes import VIRTUAL, Match, Routes, Rule
from gateway.wire.headers import CODING, wrong_headers, wrong_name

FIXED_PARAMS = frozenset({"model", "stream", "stream_options"})
"""What the answer's form depends on, so that no target may change it."""

FIXED_HEADERS = CODING | {"content-type"}
"""Besides those of the connection."""

Documents = Sequence[tuple[Manifest, Any]]


class RouteCompiler:
    """Collects faults in `faults`, each with its manifest, and warnings in `warnings`.

    Args:
        find: `account/model` -> the real model, or None.
        chat: in which models that classify are asked.
    """

    def __init__(self, find: Callable[[str], Target | None], chat: Dialect) -> None:
        self.find = find
        self.chat = chat
        self.faults: list[tuple[Manifest, Fault]] = []
        self.warnings: list[Fault] = []
        self._default = Retry()

    def compile(self, documents: Documents) -> Routes:
        settings = next((document for _, document in documents if isinstance(document, GlobalSettings)), None)
        retry = _retry(settings.retry_settings, Retry()) if settings is not None and settings.retry_settings else None
        self._default = retry or Retry()
        by_model: dict[str, Route] = {}
        classifiers: dict[str, Classifier] = {}
        rules: list[Rule] = []
        priorities: list[tuple[Match, int]] = []
        for manifest, document in documents:
            match document:
                case VirtualModelGroup():
                    for index, model in enumerate(document.integrations):
                        name, at = f"{document.name}/{model.name}", ("integrations", index, "routing_config")
                        types = frozenset(model.model_types)
                        by_model[name] = self._route(manifest, at, name, model.routing_config, types)
                        if isinstance(model.routing_config, ComplexityRouting):
                            classifiers[name] = self._classifier(manifest, at, model.routing_config)
                case CustomEndpointAccount(slug=str(slug)):
                    by_model[f"{document.name}/{slug}"] = self._endpoints(document)
                case LoadBalancingConfig():
                    for index, rule in enumerate(document.rules):
                        route = self._route(manifest, ("rules", index), rule.id, rule)
                        rules.append(Rule(rule.id, route, _match(rule.when)))
                    if document.model_configs:
                        message = "limits belong in gateway-rate-limiting-config, and health is watched for all models"
                        self.warnings.append(manifest.fault(("model_configs",), f"ignored: {message}"))
                case FallbackConfig():
                    rules += [self._fallback(manifest, index, rule) for index, rule in enumerate(document.rules)]
                case PriorityConfig():
                    priorities += [(_match(waiting.when), waiting.priority) for waiting in document.rules]
        return Routes(
            by_model=by_model,
            classifiers=classifiers,
            rules=tuple(rules),
            priorities=tuple(priorities),
            retry=retry,
        )

    def _route(
        self,
        manifest: Manifest,
        at: Steps,
        name: str,
        routing: Routing,
        model_types: frozenset[str] = frozenset(),
    ) -> Route:
        """`model_types`: what all targets have to be declared as."""
        candidates = []
        seen: dict[str, int] = {}
        for index, target in enumerate(routing.load_balance_targets):
            candidate = self._candidate(manifest, (*at, "load_balance_targets", index), target)
            if candidate is None:
                continue
            if lacking := sorted(model_types - candidate.route_target.target.model_types):
                message = f"{candidate.name} is not declared as {', '.join(lacking)} (model_types), which {name} is"
                self._fault(manifest, (*at, "load_balance_targets", index, "target"), message)
            seen[candidate.name] = seen.get(candidate.name, 0) + 1
            if seen[candidate.name] > 1:
                candidate = msgspec.structs.replace(candidate, variant=str(seen[candidate.name]))
            candidates.append(candidate)
        strategy: Strategy = "complexity"
        sticky = None
        match routing:
            case WeightRouting():
                strategy = "weight"
                if routing.sticky_routing is not None:
                    identifiers = routing.sticky_routing.session_identifiers
                    sticky = Sticky(
                        routing.sticky_routing.ttl_seconds, tuple((each.source, each.key) for each in identifiers)
                    )
            case LatencyRouting():
                strategy = "latency"
            case PriorityRouting():
                strategy = "priority"
        return Route(name, strategy, tuple(candidates), sticky)

    def _endpoints(self, account: CustomEndpointAccount) -> Route:
        """Among all of an account that can be called. None is asked twice: what was asked may have been done."""
        candidates = []
        for each in account.integrations:
            found = self.find(f"{account.name}/{each.name}")
            if found is None:
                continue
            balancing = each.loadbalancing_config or EndpointBalancing()
            candidates.append(
                Candidate(
                    name=found.name,
                    account=found.account,
                    weight=balancing.weight,
                    priority=balancing.priority,
                    retry=Retry(1),
                    fallback_statuses=found.settings.fallback_statuses,
                    takes_fallbacks=balancing.fallback_candidate,
                    metadata_match=balancing.metadata_match or {},
                    route_target=RouteTarget(found),
                )
            )
        return Route(f"{account.name}/{account.slug}", account.routing_type or "weight", tuple(candidates))

    def _candidate(self, manifest: Manifest, at: Steps, target: LoadBalanceTarget) -> Candidate | None:
        found = self.find(target.target)
        if found is None:
            self._unknown(manifest, (*at, "target"), target.target)
            return None
        if found.provider is VIRTUAL:
            self._fault(manifest, (*at, "target"), f"{target.target} is a virtual model; name a real one")
            return None
        params = target.override_params or {}
        for name in sorted(FIXED_PARAMS & params.keys()):
            self._fault(manifest, (*at, "override_params", name), "cannot be overridden")
        headers = target.headers_override
        to_set = {name.lower(): value for name, value in headers.set.items()} if headers is not None else {}
        to_remove = frozenset(name.lower() for name in headers.remove) if headers is not None else frozenset()
        if headers is not None:
            for name, problem in wrong_headers(headers.set.items(), fixed=FIXED_HEADERS).items():
                self._fault(manifest, (*at, "headers_override", "set", name), problem)
            for index, name in enumerate(headers.remove):
                if wrong_name(name, fixed=FIXED_HEADERS):
                    message = f"{name[:100]} cannot be removed"
                    self._fault(manifest, (*at, "headers_override", "remove", index), message)
        codes = target.fallback_status_codes
        return Candidate(
            name=found.name,
            account=found.account,
            weight=target.weight if isinstance(target, WeightTarget) else 0,
            priority=target.priority if isinstance(target, PriorityTarget) else 0,
            sla=_sla(target) if isinstance(target, PriorityTarget) else None,
            tier=target.tier if isinstance(target, TierTarget) else None,
            retry=_retry(target.retry_config, self._default),
            fallback_statuses=FALLEN_BACK if codes is None else frozenset(map(int, codes)),
            takes_fallbacks=target.fallback_candidate,
            metadata_match=target.metadata_match or {},
            route_target=RouteTarget(
                found,
                params={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in params.items()},
                set_headers=to_set,
                remove_headers=to_remove,
            ),
        )

    def _classifier(self, manifest: Manifest, at: Steps, routing: ComplexityRouting) -> Classifier:
        tiers = [target.tier for target in routing.load_balance_targets]
        if len(set(tiers)) < len(tiers):
            self._fault(manifest, (*at, "load_balance_targets"), "two targets for one tier")
        strategy = routing.classification_strategy or Heuristic()
        if not isinstance(strategy, LlmClassifier):
            return Classifier(dialect=self.chat)
        found = self.find(strategy.model)
        if found is None:
            self._unknown(manifest, (*at, "classification_strategy", "model"), strategy.model)
        elif "chat" not in found.model_types or found.provider is VIRTUAL:
            self._fault(manifest, (*at, "classification_strategy", "model"), f"{strategy.model} is no real chat model")
        fallback = strategy.fallback_strategy
        tier = fallback.default_tier if isinstance(fallback, StaticTier) else None
        return Classifier(dialect=self.chat, target=found, timeout_s=strategy.timeout_ms / 1000, tier=tier)

    def _unknown(self, manifest: Manifest, at: Steps, model: str) -> None:
        """What a file names may be kept in the database, which is read later."""
        message = f"{model} is no model of any account"
        if manifest.version is None:
            self.warnings.append(manifest.fault(at, f"left out: {message}"))
        else:
            self._fault(manifest, at, message)

    def _fault(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.faults.append((manifest, manifest.fault(at, message)))

    def _fallback(self, manifest: Manifest, index: int, rule: FallbackRule) -> Rule:
        candidates = []
        for number, fallback in enumerate(rule.fallback_models):
            target = LoadBalanceTarget(target=fallback.target, override_params=fallback.override_params)
            candidate = self._candidate(manifest, ("rules", index, "fallback_models", number), target)
            if candidate is not None:
                candidates.append(msgspec.structs.replace(candidate, priority=number + 1))
        route = Route(rule.id, "priority", tuple(candidates))
        statuses = frozenset(rule.when.response_status_codes)
        return Rule(rule.id, route, _match(rule.when), statuses)


def _match(when: When) -> Match:
    subjects = when.subjects
    return Match(
        subjects=None if subjects is None or "*" in subjects else frozenset(filter(None, map(canonical, subjects))),
        models=None if when.models is None or "*" in when.models else frozenset(when.models),
        metadata=when.metadata or {},
    )


def _retry(config: RetryConfig | None, default: Retry) -> Retry:
    if config is None:
        return default
    codes = config.on_status_codes
    return Retry(config.attempts, config.delay / 1000, RETRIED if codes is None else frozenset(map(int, codes)))


def _sla(target: PriorityTarget) -> Sla | None:
    cutoff = target.sla_cutoff
    if cutoff is None:
        return None
    per_token, first = cutoff.time_per_output_token_ms, cutoff.time_to_first_token_ms
    return Sla(per_token / 1000 if per_token is not None else None, first / 1000 if first is not None else None)
