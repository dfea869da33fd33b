"""Which guardrails a call has to pass, and what it means when one of them objects or cannot tell."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from gateway.contract import Caller, Choice, Guardrail, Hook
from gateway.manifests.guardrails import EnforcingStrategy
from gateway.rules.index import Index, Key
from gateway.rules.limits.rule import Filter, names_of

DEFAULT_MESSAGE = "Input Guardrail checks failed for integrations: [{{failed_guardrails}}]: {{guardrail_message}}"

_FILLED_IN = re.compile(r"\{\{(failed_guardrails|guardrail_message)\}\}")
_NOBODY: frozenset[str] = frozenset()


class Check(msgspec.Struct, frozen=True, eq=False):
    """A guardrail, and what its word counts for. The lowest `priority` comes first."""

    guardrail: Guardrail
    strategy: EnforcingStrategy
    priority: int = 1

    @property
    def blocks(self) -> bool:
        return self.strategy != "audit"

    @property
    def blocks_on_error(self) -> bool:
        return self.strategy == "enforce"


class GuardRule(msgspec.Struct, frozen=True, eq=False):
    """What calls have to pass that all of it fits.

    Args:
        models: about the names of a call's models, as in `names_of`.
        subjects: one of them has to fit.
        message: for who is refused; with placeholders.
    """

    models: Filter
    subjects: tuple[Filter, ...]
    metadata: Mapping[str, str]
    checks: tuple[Check, ...]
    message: str | None = None

    def fits(self, names: Iterable[frozenset[str]], caller: Caller | None, metadata: Mapping[str, str]) -> bool:
        """`names`: for each model that may answer, all that it is called."""
        subjects = caller.subjects if caller is not None else _NOBODY
        return (
            self.metadata.items() <= metadata.items()
            and any(filter_.fits(subjects) for filter_ in self.subjects)
            and any(map(self.models.fits, names))
        )

    @property
    def keys(self) -> list[Key] | None:
        """Of which a call has to have one; None: it need not."""
        if self.models.only is not None:
            return [("model", name) for name in self.models.only]
        if all(filter_.only is not None for filter_ in self.subjects):
            return [("subject", subject) for filter_ in self.subjects for subject in filter_.only or ()]
        return [*self.metadata.items()][:1] or None


class GuardRules(msgspec.Struct, frozen=True, eq=False):
    """All rules in force; of hooks that have none, nothing.

    Args:
        timeout_s: what each guardrail may take.
        _by_hook: follows from `by_hook`.
    """

    by_hook: Mapping[Hook, tuple[GuardRule, ...]] = {}
    timeout_s: float = 5.0
    _by_hook: Mapping[Hook, Index[GuardRule]] = {}

    def __post_init__(self) -> None:
        indexes = {hook: Index((rule, rule.keys) for rule in rules) for hook, rules in self.by_hook.items()}
        msgspec.structs.force_setattr(self, "_by_hook", indexes)

    def matching(
        self, hook: Hook, choice: Choice, caller: Caller | None, metadata: Mapping[str, str]
    ) -> list[GuardRule]:
        """All that fit. A model that leads to others has their names too: a rule for one of these is not got around by
        asking for the other, and who excludes one has excluded it however it is asked for."""
        asked, route = choice.target.name, choice.route
        targets = [candidate.name for candidate in route.candidates] if route is not None else []
        names = [names_of((asked, target)) for target in targets or [asked]]
        index = self._by_hook.get(hook)
        if index is None:
            return []
        subjects = caller.subjects if caller is not None else _NOBODY
        keys = chain(
            (("model", name) for each in names for name in each),
            (("subject", subject) for subject in subjects),
            metadata.items(),
        )
        return [rule for rule in index.candidates(keys) if rule.fits(names, caller, metadata)]


def checks_of(rules: Iterable[GuardRule]) -> list[Check]:
    """Each guardrail once, in the order of their priorities."""
    by_name = {check.guardrail.name: check for rule in rules for check in rule.checks}
    return sorted(by_name.values(), key=lambda check: check.priority)


def refusal(rules: Sequence[GuardRule], objections: Mapping[str, str]) -> str:
    """What to tell who is refused: by the first rule that has words of its own for one of the guardrails.

    Args:
        objections: name of a guardrail -> what it objects to.
    """
    own = (
        rule.message
        for rule in rules
        if rule.message is not None and any(check.guardrail.name in objections for check in rule.checks)
    )
    texts = {
        "failed_guardrails": ", ".join(objections),
        "guardrail_message": "; ".join(dict.fromkeys(objections.values())),
    }
    return _FILLED_IN.sub(lambda found: texts[found[1]], next(own, DEFAULT_MESSAGE))
