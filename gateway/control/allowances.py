"""Which limits and budgets there are for somebody: for the caller, and for anybody an admin asks about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from gateway.contract import Caller, Choice, Target
from gateway.contract.limits import Amounts, Hold, Mode
from gateway.control.control import Ask, Control
from gateway.control.schema import Standing, Standings
from gateway.control.standing import Source, standing, used_of
from gateway.control.teams import user_subject
from gateway.errors import BadRequest, Forbidden, NotFound, UnknownModel
from gateway.rules.access.may_use import may_use
from gateway.rules.limits import Rule
from gateway.rules.limits.rule import METADATA, Facts, facts_of
from gateway.rules.limits.verdict import refusing

EACH = "*"
"""Stands for each model, or each value of the metadata, as long as nobody says which."""


class SimulateBody(msgspec.Struct, frozen=True, kw_only=True):
    """A request to think through. Teams come on top of those that the user is in."""

    model: str
    user: str | None = None
    virtual_account: str | None = None
    team: str | None = None
    teams: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


class Simulated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would become of the request, if it needed no more than the smallest amount of each unit.

    Args:
        model: the full name of what was asked for; `targets`: where a virtual one may lead.
        refused_by: None: it is allowed.
        rules: all that it draws on; those with a `target` only if it goes there.
    """

    subject: str
    teams: Sequence[str]
    model: str
    targets: Sequence[str]
    allowed: bool
    refused_by: Standing | None
    rules: Sequence[Standing]
    source: Source


# --- the handlers ------------------------------------------------------------


async def my_usage(control: Control, ask: Ask) -> Standings:
    """All that may count requests of the caller. What depends on the model or on metadata is left open, unless the
    query says which: `?model=openai-main/gpt-4o&metadata.project_id=p1`."""
    models = (_usable(control, ask.caller, ask.query["model"]).name,) if "model" in ask.query else ()
    metadata = {key.removeprefix(METADATA): value for key, value in ask.query.items() if key.startswith(METADATA)}
    found = [*about(control.config.snapshot.policies.rules, ask.caller, models, metadata)]
    used, source = await used_of(control, [hold for hold, is_one in found if is_one])
    now_s = control.now().timestamp()
    rows = [standing(hold, used[hold.key] if is_one else None, now_s) for hold, is_one in found]
    return Standings(tuple(rows), source)


async def simulate(control: Control, ask: Ask) -> Simulated:
    """Goes the way of a request, and takes nothing: first what is asked of the model it names, then of each target."""
    body: SimulateBody = ask.body
    caller = _caller_of(control, body)
    choice = _choice(control, caller, body)
    asked, targets = choice.target.name, _targets(choice)
    policies = control.config.snapshot.policies
    first = policies.holds(caller, (asked,), body.metadata, is_final=not targets)
    more = [(target, policies.more_holds(caller, asked, target.name, body.metadata, first)) for target in targets]
    used, source = await used_of(control, [*first, *chain.from_iterable(holds for _, holds in more)])
    refused = _refused(first, used, _least(targets or [choice.target]))
    if refused is None and more:
        of_targets = [_refused(holds, used, _least([target])) for target, holds in more]
        refused = None if None in of_targets else of_targets[0]
    now_s = control.now().timestamp()
    rows = [standing(hold, used[hold.key], now_s) for hold in first]
    rows += [standing(hold, used[hold.key], now_s, target=target.name) for target, holds in more for hold in holds]
    return Simulated(
        subject=caller.subject,
        teams=sorted(caller.teams),
        model=asked,
        targets=[target.name for target in targets],
        allowed=refused is None,
        refused_by=standing(refused, used[refused.key], now_s) if refused is not None else None,
        rules=rows,
        source=source,
    )


# --- what they do ------------------------------------------------------------


def about(
    rules: Iterable[Rule], caller: Caller, models: tuple[str, ...], metadata: Mapping[str, str]
) -> Iterator[tuple[Hold, bool]]:
    """What requests of a caller may draw on, in the order of the rules.

    A filter on what is not known here counts as fitting. A hold with False stands for one counter for each model, or
    each value of the metadata.

    Args:
        models: none: any. So it is with keys that are not in `metadata`.
    """
    facts = facts_of(caller, models, metadata)
    known = {"subject", *(("model", "account") if models else ()), *(METADATA + key for key in metadata)}
    decided: set[bool] = set()
    for rule in rules:
        filters = tuple((name, filter_) for name, filter_ in rule.filters if name in known)
        each = [scope for scope in rule.scopes if scope not in known and scope.startswith((METADATA, "model"))]
        whom: dict[str, tuple[str, ...]] = {**facts.whom, **dict.fromkeys(each, (EACH,))}
        holds = msgspec.structs.replace(rule, filters=filters).holds(Facts(facts.values, whom))
        if rule.first_decides and holds:
            if rule.is_budget in decided:
                holds = [msgspec.structs.replace(hold, mode=Mode.COUNT) for hold in holds]
            elif filters == rule.filters and not each:
                decided.add(rule.is_budget)
        yield from ((hold, not each) for hold in holds)


def _usable(control: Control, caller: Caller, name: str) -> Target:
    target = control.config.snapshot.find(name)
    if target is None or not may_use(caller, target):
        raise UnknownModel(name, control.config.names(caller))
    return target


def _caller_of(control: Control, body: SimulateBody) -> Caller:
    if (body.user is None) == (body.virtual_account is None):
        raise BadRequest("who asks: give either user, an address, or virtual_account, a name", param="user")
    subject = user_subject(body.user) if body.user is not None else f"virtualaccount:{body.virtual_account}"
    teams = {*body.teams, *([body.team] if body.team is not None else ())}
    return control.access.caller(subject, more_teams=teams)


def _choice(control: Control, caller: Caller, body: SimulateBody) -> Choice:
    """Without the list of models that an unknown one is answered with: it is not for who asks."""
    try:
        return control.config.find(body.model, caller, body.metadata)
    except (NotFound, Forbidden):
        raise NotFound(f"{caller.subject} may use no model named {body.model[:200]!r}", param="model") from None


def _targets(choice: Choice) -> list[Target]:
    """Those that are asked of which it is not clear from the start; each once."""
    if choice.route is None or choice.route.strategy == "only":
        return []
    found: dict[str, Target] = {}
    for candidate in choice.route.candidates:
        found.setdefault(candidate.name, candidate.route_target.target)
    return [*found.values()]


def _least(targets: Iterable[Target]) -> Amounts:
    """No request needs less. Those to a model without a price cost nothing."""
    return Amounts(tokens=1, cost=int(any(target.price is not None for target in targets)))


def _refused(holds: Sequence[Hold], used: Mapping[str, int | None], need: Amounts) -> Hold | None:
    fits = [(used[hold.key] or 0) + need.of(hold.unit) <= hold.limit for hold in holds]
    place = refusing(holds, fits)
    return holds[place] if place is not None else None
