"""What the gateway measures of itself, besides what its parts know."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from gateway._version import __version__
from gateway.contract.limits import Level, Unit
from gateway.contract.part import Distribution, Figure, Part, counter, gauge
from gateway.endpoints.health import problems
from gateway.proxy.admission import Admission
from gateway.proxy.drain import Drain
from gateway.rules.routing import Health

BREAKER = {"closed": 0, "half_open": 1, "open": 2}
NANO = 1e9


class Figures:
    """All that is measured: what the parts know, and what the gateway knows of itself."""

    def __init__(self, parts: Sequence[Part], *, drain: Drain) -> None:
        self.parts = parts
        self.drain = drain

    def __call__(self) -> Iterator[Figure | Distribution]:
        yield gauges("gateway_build_info", "What is running.", "version", {__version__: 1})
        yield gauge("gateway_open_requests", "Requests being served.", len(self.drain))
        streams = sum(1 for each in self.drain if each.call is not None and each.call.ask.stream)
        yield gauge("gateway_open_streams", "Those of them that want a stream.", streams)
        for part in self.parts:
            yield from part.figures()
        degraded = {name: 0 if problem is None else 1 for name, problem in problems(self.parts).items()}
        yield gauges("gateway_degraded", "1: a part does not work as it should.", "component", degraded)


class LimitFigures(Part):
    """What the rules did to requests. Those that begin with `ai_gateway_` are as dashboards of TrueFoundry's gateway
    know them: `nominated` is every request that a rule counted or refused, `applied` those it refused."""

    name = "limits"

    def __init__(self, admission: Admission) -> None:
        self.admission = admission

    def figures(self) -> Iterable[Figure]:
        admission = self.admission
        yield by_rule("gateway_limit_refusals", "Requests refused by a rule.", admission.refused)
        yield by_rule("gateway_limit_audits", "Requests a rule only watches.", admission.audited)
        for kind, is_budget in (("rate_limit", False), ("budget", True)):
            applied, nominated = (
                Counter({rule: count for (rule, of_budget), count in counts.items() if of_budget is is_budget})
                for counts in (admission.applied, admission.nominated)
            )
            yield by_rule(f"ai_gateway_{kind}_applied", "Requests refused by a rule.", applied, "ruleId")
            yield by_rule(f"ai_gateway_{kind}_nominated", "Requests a rule was about.", nominated, "ruleId")
        fullest = sorted(admission.budgets.values(), key=_part_used)  # so that of several of one rule, the last stays
        about = "used, or reserved, of a budget that all share, when it was last asked for"
        used = {level.hold.rule: _amount(level) for level in fullest}
        yield gauges("ai_gateway_budget_usage", f"Dollars, or tokens, {about}.", "ruleId", used)
        ratios = {level.hold.rule: _part_used(level) for level in fullest}
        yield gauges("gateway_budget_used_ratio", f"The part {about}.", "rule", ratios)
        unpriced = admission.unpriced
        yield counter("gateway_unpriced_requests", "Requests whose cost nobody knows.", unpriced)


def _part_used(level: Level) -> float:
    return level.used / level.hold.limit if level.hold.limit else 1.0


def _amount(level: Level) -> float:
    return level.used / NANO if level.hold.unit is Unit.COST else float(level.used)


class TargetFigures(Part):
    """How targets are doing, as far as they were heard of; a target is `account/model`.

    Args:
        is_configured: of a name; others are as many as callers can think of.
        clock: that of `health`.
    """

    name = "targets"

    def __init__(self, health: Health, *, is_configured: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self.health = health
        self.is_configured = is_configured
        self.clock = clock

    def figures(self) -> Iterable[Figure]:
        known = [each for each in self.health.conditions(self.clock()) if self.is_configured(each.name)]
        label = "model_name"
        breakers = {each.name: BREAKER[each.breaker] for each in known}
        yield gauges("gateway_breaker_state", "0: closed, 1: half open, 2: open.", label, breakers)
        failures = {each.name: each.failures for each in known}
        yield gauges("gateway_target_failures", "Failures of the last two minutes, up to two.", label, failures)
        cooldowns = {each.name: each.cooldown_s for each in known}
        about = "How long it rests yet, as its provider has asked for."
        yield gauges("gateway_target_cooldown_seconds", about, label, cooldowns)


def by_rule(name: str, about: str, counts: Counter[str], label: str = "rule") -> Figure:
    return Figure(name, about, "counter", {(rule,): count for rule, count in counts.items()}, labels=(label,))


def gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Figure:
    return Figure(name, about, "gauge", {(of,): value for of, value in values.items()}, (label,))
