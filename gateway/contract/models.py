"""From the name of a model to what is asked for it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.contract.call import Dialect
from gateway.contract.caller import Caller
from gateway.contract.provider import Target
from gateway.contract.route import Candidate, Route, RouteTarget, Tier


class Classifier(msgspec.Struct, frozen=True, kw_only=True):
    """How a route tells the tier of a request: by asking `target`, and else, or without one, by looking at the text.

    Args:
        dialect: in which the target is asked.
        tier: the one to take when the target does not say; None: look at the text.
    """

    dialect: "Dialect"
    target: Target | None = None
    timeout_s: float = 2.0
    tier: Tier | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What a caller asked for.

    Args:
        target: the model, real or virtual.
        route: the real models to choose from; None: the target is real, and alone.
        rule: the id of the rule that decided this.
        priority: who of those that wait for an account goes first: the highest.
        leads_back: what one of several accounts has encrypted is marked, so that the next turn finds it.
        prefers: the account that is asked first, if it is well.
    """

    target: Target
    route: Route | None = None
    rule: str | None = None
    priority: float = 0
    classifier: Classifier | None = None
    leads_back: bool = False
    prefers: str | None = None
    alone: Candidate | None = None
    """Derived: the target as the only candidate; None: there is a route."""

    def __post_init__(self) -> None:
        if self.route is None:
            target = self.target
            alone = Candidate(name=target.name, account=target.account, route_target=RouteTarget(target))
            msgspec.structs.force_setattr(self, "alone", alone)

    @property
    def targets(self) -> Sequence[Target]:
        """All that may be asked, real models, in the order of the route."""
        route = self.route
        return (self.target,) if route is None else [each.route_target.target for each in route.candidates]


class Models(Protocol):
    """The models of the configuration in force."""

    def find(self, name: str, caller: Caller | None, metadata: Mapping[str, str], model_type: str | None) -> Choice:
        """What to ask for a model; the caller None is somebody who may use everything.

        Args:
            model_type: what it is asked for, as in `Dialect.model_type`. Rules choose among such models only.

        Raises:
            UnknownModel: there is none of that name, or none the caller may know of.
            Forbidden: the caller may know of it, and not use it.
        """

    def find_account(self, account: str, caller: Caller | None, model_type: str) -> Choice:
        """What to ask for something that belongs to an account, and not to a model: any of its models of that type.

        Raises:
            UnknownModel: there is none that the caller may use.
        """

    def serving(self, api: str | None, caller: Caller | None, account: str | None = None) -> Sequence[Target]:
        """One target for each account that has such an API (see `ServesAccounts`) and some model that the caller may
        use; of all accounts, or of this one. `api` None: whatever it has."""

    def names(self, caller: Caller | None) -> Sequence[str]:
        """All that the caller may use."""
