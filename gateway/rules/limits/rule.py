"""One rule: which requests it is about, whom it tells apart, and the counters it puts them on."""

from collections.abc import Iterable, Mapping
from itertools import product

import msgspec

from gateway.contract import Caller
from gateway.contract.limits import Hold, Mode, Unit, WhenLost
from gateway.contract.windows import Window
from gateway.manifests.limits import Alerts
from gateway.rules.limits.keys import counter_key, scope_text

METADATA = "metadata."
"""What is said of a key of the metadata is called `metadata.<key>`."""


class Facts(msgspec.Struct, frozen=True):
    """What rules look at.

    Args:
        values: what filters are about (`subject`, `model`, `account`, `metadata.<key>`) -> all that the request is of
            that, `*` included when it is anything. Subjects are also `user:*` and the like.
        whom: what counters are told apart by (`user`, `virtualaccount`, `team`, `token`, `model`, `metadata.<key>`) ->
            the names that the request has there.
        is_final: it is known where the request goes.
    """

    values: Mapping[str, frozenset[str]]
    whom: Mapping[str, tuple[str, ...]]
    is_final: bool = True


def facts_of(caller: Caller, models: tuple[str, ...], metadata: Mapping[str, str], *, is_final: bool = True) -> Facts:
    """`models`: the name that was asked for and, once it is chosen, that of the target."""
    models = tuple(dict.fromkeys(models))
    kind, _, name = caller.subject.partition(":")
    teams = tuple(sorted(caller.teams))
    values = {
        "subject": caller.subjects | {f"{kind}:*", *(["team:*"] if teams else [])},
        "model": names_of(models),
        "account": frozenset(("*", *(model.partition("/")[0] for model in models))),
    }
    whom = {
        "team": teams,
        "token": (caller.token_id,) if caller.token_id is not None else (),
        "model": models,
        kind: (name,),
    }
    for key, value in metadata.items():
        values[METADATA + key] = frozenset((value, "*"))
        whom[METADATA + key] = (value,)
    return Facts(values, whom, is_final)


def names_of(models: Iterable[str]) -> frozenset[str]:
    """As manifests may call them: `account/model`, `account/*` and `*`."""
    return frozenset(("*", *models, *(f"{model.partition('/')[0]}/*" for model in models)))


class Filter(msgspec.Struct, frozen=True):
    """One of `only` is there, if that is not None, and none of `never`."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def fits(self, values: frozenset[str]) -> bool:
        return (self.only is None or not self.only.isdisjoint(values)) and self.never.isdisjoint(values)


class Limit(msgspec.Struct, frozen=True):
    """`amount` in requests, tokens or nano-dollars."""

    unit: Unit
    window: Window
    amount: int


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the first generation, or a manifest of the second.

    Args:
        policy: names it among all; what counters' keys begin with.
        name: what people know it as.
        first_decides: only the first of these that fits does what its mode says, and the others count; limits and
            budgets apart. Else each does.
        filters: what it is about, as in `Facts.values`; all have to fit.
        scopes: by what it tells counters apart, as in `Facts.whom`; empty: it counts all together.
        overrides: the limits of those who have others than `limits`; there is one scope then.
    """

    policy: str
    name: str
    is_budget: bool
    first_decides: bool
    limits: tuple[Limit, ...]
    filters: tuple[tuple[str, Filter], ...] = ()
    scopes: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Limit, ...]] = {}
    mode: Mode = Mode.ENFORCE
    when_lost: WhenLost = WhenLost.LOCAL
    alerts: Alerts | None = None

    @property
    def looks_at_models(self) -> bool:
        return "model" in self.scopes or any(about in ("model", "account") for about, _ in self.filters)

    @property
    def metadata_keys(self) -> frozenset[str]:
        named = (*self.scopes, *(about for about, _ in self.filters))
        return frozenset(name.removeprefix(METADATA) for name in named if name.startswith(METADATA))

    def holds(self, facts: Facts) -> list[Hold]:
        """No holds: it is not about the request, or cannot tell yet."""
        if not all(filter_.fits(facts.values.get(about, frozenset())) for about, filter_ in self.filters):
            return []
        if not facts.is_final and self._may_not_fit_the_target():
            return []
        whom = product(*([(scope, name) for name in self._names(scope, facts)] for scope in self.scopes))
        return [self._hold(limit, who) for who in whom for limit in self._limits_of(who)]

    def _may_not_fit_the_target(self) -> bool:
        return any(filter_.never for about, filter_ in self.filters if about in ("model", "account"))

    def _names(self, scope: str, facts: Facts) -> Iterable[str]:
        names = facts.whom.get(scope, ())
        if scope != "model":
            return names
        only = [filter_.only for about, filter_ in self.filters if about == "model" and filter_.only is not None]
        return [name for name in names if all(not each.isdisjoint(names_of([name])) for each in only)]

    def _limits_of(self, who: tuple[tuple[str, str], ...]) -> tuple[Limit, ...]:
        return self.overrides.get(who[0][1], self.limits) if self.overrides else self.limits

    def _hold(self, limit: Limit, who: tuple[tuple[str, str], ...]) -> Hold:
        return Hold(
            key=counter_key(self.policy, limit.unit, limit.window, who),
            rule=self.name,
            unit=limit.unit,
            window=limit.window,
            limit=limit.amount,
            scope=scope_text(who),
            mode=self.mode,
            when_lost=self.when_lost,
            is_budget=self.is_budget,
        )
