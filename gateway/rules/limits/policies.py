"""All limits and budgets in force, and what a request draws on."""

from collections.abc import Iterable, Mapping
from itertools import chain

import msgspec

from gateway.contract import Caller
from gateway.contract.limits import Hold, Mode
from gateway.manifests.limits import Alerts
from gateway.rules.index import Index, Key
from gateway.rules.limits.rule import Rule, facts_of

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
        self._metadata_keys = frozenset().union(*(rule.metadata_keys for rule in self.rules))
        self._index = Index((rule, _keys_of(rule)) for rule in self.rules)
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
        keys = self._metadata_keys
        values = tuple(sorted([item for item in metadata.items() if item[0] in keys])) if keys else ()
        request = (caller.subject, caller.teams, caller.token_id, models, values, is_final)
        found = self._known.get(request)
        if found is None:
            found = self._match(caller, models, metadata, is_final=is_final)
            if sum(map(len, (*models, *chain.from_iterable(values)))) <= MAX_REMEMBERED_CHARS:
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
        for rule in self._index.candidates((about, each) for about, values in facts.values.items() for each in values):
            holds = rule.holds(last if rule.first_decides else facts)
            if rule.first_decides and holds:
                if rule.is_budget in decided:
                    holds = [msgspec.structs.replace(hold, mode=Mode.COUNT) for hold in holds]
                decided.add(rule.is_budget)
            found += holds
        return tuple(found)


def _keys_of(rule: Rule) -> list[Key] | None:
    """What one of its narrow filters asks for, if possible one that is about names and not about all of a kind."""
    narrow = [(about, filter_.only) for about, filter_ in rule.filters if filter_.only is not None]
    if not narrow:
        return None
    about, only = min(narrow, key=lambda each: any(value.endswith("*") for value in each[1]))
    return [(about, value) for value in only]
