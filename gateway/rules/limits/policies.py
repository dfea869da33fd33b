"""All limits and budgets in force, and what a request draws on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from gateway.contract import Caller
from gateway.contract.limits import Hold, Mode
from gateway.manifests.limits import Alerts
from gateway.rules.limits.rule import Facts, Rule, facts_of

MAX_REMEMBERED = 50_000
"""Requests and their holds, together: about 20 MB."""
MAX_REMEMBERED_CHARS = 1_000
"""A request with longer names and values is matched each time, so that what is remembered stays small."""


class Policies:
    """Rules in the order in which they are asked; they never change. What they said is remembered.

    A model that leads to others has two names: the one that was asked for, and that of the target it got. Rules of the
    first generation, of which the first that fits decides, decide for each of the names. Those of the second see both
    at once: one of the names has to be in an `in` list, and none of them in a `not_in`.

    Args:
        rules: those of which the first decides stand in the order of their manifests.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.is_empty = not self.rules
        self.looks_at_models = any(rule.looks_at_models for rule in self.rules)
        self.alerts: Mapping[str, Alerts] = {rule.policy: rule.alerts for rule in self.rules if rule.alerts is not None}
        """Policy, as `policy_of` reads it from the key of a hold, -> whom to tell."""
        self._metadata_keys = tuple(sorted(frozenset().union(*(rule.metadata_keys for rule in self.rules))))
        self._index = _index_of(self.rules)
        self._known: dict[tuple[object, ...], tuple[Hold, ...]] = {}
        self._remembered = 0

    @property
    def budgets(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.is_budget)

    def holds(
        self, caller: Caller, models: tuple[str, ...], metadata: Mapping[str, str], *, is_final: bool = True
    ) -> tuple[Hold, ...]:
        """What a request draws on: each counter once, limits before budgets.

        Args:
            models: the full name of what was asked for and, once it is chosen, that of the target after it.
            is_final: False while a target is still to be chosen. Rules with a `not_in` for models or accounts wait
                until it is, and so they come with `more_holds`.
        """
        if self.is_empty:
            return ()
        values = tuple([metadata.get(key) for key in self._metadata_keys]) if self._metadata_keys else ()
        request = (caller.subject, caller.teams, caller.token_id, models, values, is_final)
        found = self._known.get(request)
        if found is None:
            found = self._match(caller, models, metadata, is_final=is_final)
            if sum(map(len, (*models, *filter(None, values)))) <= MAX_REMEMBERED_CHARS:
                self._remember(request, found)
        return found

    def more_holds(
        self, caller: Caller, asked: str, target: str, metadata: Mapping[str, str], held: Iterable[Hold]
    ) -> tuple[Hold, ...]:
        """What it draws on besides `held`, now that it goes to `target`.

        What was asked for without a choice of targets was final at once, and has no more.
        """
        if not self.looks_at_models:
            return ()
        keys = {hold.key for hold in held}
        return tuple([hold for hold in self.holds(caller, (asked, target), metadata) if hold.key not in keys])

    def _remember(self, request: tuple[object, ...], found: tuple[Hold, ...]) -> None:
        self._remembered += 1 + len(found)
        if self._remembered > MAX_REMEMBERED:
            self._known.clear()
            self._remembered = 1 + len(found)
        self._known[request] = found

    def _match(
        self, caller: Caller, models: tuple[str, ...], metadata: Mapping[str, str], *, is_final: bool
    ) -> tuple[Hold, ...]:
        facts = facts_of(caller, models, metadata, is_final=is_final)
        last = facts_of(caller, models[-1:], metadata, is_final=is_final) if len(models) > 1 else facts
        found: list[Hold] = []
        decided: set[bool] = set()
        for rule in self._candidates(facts):
            holds = rule.holds(last if rule.first_decides else facts)
            if rule.first_decides and holds:
                if rule.is_budget in decided:
                    holds = [msgspec.structs.replace(hold, mode=Mode.COUNT) for hold in holds]
                decided.add(rule.is_budget)
            found += holds
        return tuple(found)

    def _candidates(self, facts: Facts) -> Iterable[Rule]:
        """The rules that may fit, in their order."""
        numbers = set(self._index.get(_ALWAYS, ()))
        for about, values in facts.values.items():
            for value in values:
                numbers.update(self._index.get((about, value), ()))
        return [self.rules[number] for number in sorted(numbers)]


_ALWAYS = ("", "")


def _index_of(rules: Iterable[Rule]) -> Mapping[tuple[str, str], list[int]]:
    """Each rule under what its first narrow filter asks for, such as (`subject`, `team:backend`), or under _ALWAYS."""
    index: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, rule in enumerate(rules):
        narrow = ((about, filter_.only) for about, filter_ in rule.filters if filter_.only is not None)
        about, only = next(narrow, ("", {""}))
        for value in only:
            index[about, value].append(number)
    return dict(index)
