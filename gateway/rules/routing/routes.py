"""The routes of a configuration: what is asked for a model, by whom, and what is changed on the way."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from gateway.contract import Call, Caller, Classifier, Head, Target
from gateway.contract.route import Candidate, Retry, Route, RouteTarget
from gateway.errors import BadRequest
from gateway.manifests.routing import (
    VirtualModelGroup,
)
from gateway.rules.index import Index, Key


class Match(msgspec.Struct, frozen=True):
    """What it takes for a rule to decide; None and empty fit always. Models and subjects are as they are written."""

    subjects: frozenset[str] | None = None
    models: frozenset[str] | None = None
    metadata: Mapping[str, str] = {}

    def fits(self, name: str, caller: Caller | None, metadata: Mapping[str, str]) -> bool:
        if self.models is not None and name not in self.models:
            return False
        if self.subjects is not None and (caller is None or self.subjects.isdisjoint(caller.subjects)):
            return False
        return self.metadata.items() <= metadata.items()

    @property
    def keys(self) -> list[Key] | None:
        """Of which a request has to have one, as in `keys_of`; None: it need not."""
        if self.models is not None:
            return [("model", name) for name in self.models]
        if self.subjects is not None:
            return [("subject", subject) for subject in self.subjects]
        return [*self.metadata.items()][:1] or None


def keys_of(name: str, caller: Caller | None, metadata: Mapping[str, str]) -> list[Key]:
    """What rules can be found by."""
    subjects = caller.subjects if caller is not None else ()
    return [("model", name), *[("subject", subject) for subject in subjects], *metadata.items()]


class Rule(msgspec.Struct, frozen=True):
    """`fallback_statuses`: the requested model itself comes first, and after these the route's candidates."""

    id: str
    route: Route
    match: Match
    fallback_statuses: frozenset[int] | None = None


class Routes(msgspec.Struct, frozen=True, eq=False):
    """Virtual model -> its route, rules in their order, and how often a model is asked that was named directly.

    `priorities`: who of those that wait goes first, by the first that fits. `_rules` and `_priorities` follow from the
    rest.
    """

    by_model: Mapping[str, Route] = {}
    classifiers: Mapping[str, Classifier] = {}
    rules: tuple[Rule, ...] = ()
    priorities: tuple[tuple[Match, int], ...] = ()
    retry: Retry | None = None
    _rules: Index[Rule] = Index()
    _priorities: Index[tuple[Match, int]] = Index()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "_rules", Index((rule, rule.match.keys) for rule in self.rules))
        msgspec.structs.force_setattr(self, "_priorities", Index((each, each[0].keys) for each in self.priorities))

    def priority_of(self, name: str, caller: Caller | None, metadata: Mapping[str, str]) -> int:
        found = self._priorities.candidates(keys_of(name, caller, metadata))
        return next((number for match, number in found if match.fits(name, caller, metadata)), 0)

    def rule_for(self, name: str, caller: Caller | None, metadata: Mapping[str, str]) -> Rule | None:
        found = self._rules.candidates(keys_of(name, caller, metadata))
        return next((rule for rule in found if rule.match.fits(name, caller, metadata)), None)


class Virtual:
    """The `Provider` of virtual models. Whoever asks it itself wants an API that has to know the real model."""

    accounts: Mapping[str, Any] = {}

    def targets(self, account: VirtualModelGroup) -> Iterable[Target]:
        for model in account.integrations:
            yield Target(
                name=f"{account.name}/{model.name}", model="", model_types=frozenset(model.model_types), provider=self
            )

    def request(self, call: Call, target: Target) -> NoReturn:
        raise BadRequest(
            f"{target.name} is a virtual model, and {call.dialect.name} takes real ones only", param="model"
        )

    def reading(self, call: Call, target: Target, head: Head) -> NoReturn:
        self.request(call, target)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> NoReturn:
        raise AssertionError("a virtual model is never asked itself, so it cannot refuse")


VIRTUAL = Virtual()


def direct(target: Target, retry: Retry, fallback_statuses: frozenset[int] = frozenset()) -> Candidate:
    """A model that was asked for by its own name."""
    return Candidate(
        name=target.name,
        account=target.account,
        retry=retry,
        fallback_statuses=fallback_statuses,
        route_target=RouteTarget(target),
    )
