"""Nobody can grant more than they hold, nor reach it by a way round: what a change of the manifests must not do."""

from collections import defaultdict
from collections.abc import Iterable

from gateway.config.compile.snapshot import account_in
from gateway.config.snapshot import ANY_MODEL, Snapshot
from gateway.contract import Caller, Target
from gateway.control.control import actor
from gateway.control.ownership import TEAM_BUDGET, leads_its_team, require
from gateway.control.sight import let_in, sees_more
from gateway.errors import BadRequest, Forbidden
from gateway.manifests.identity import StoredSecret
from gateway.manifests.marks import Mark, marked
from gateway.manifests.notifications import channel_key
from gateway.rules.access import given_away, kind_of
from gateway.rules.access.delegation import beyond
from gateway.rules.access.may_use import may_use
from gateway.rules.access.roles import (
    BUDGET,
    NAME_MODELS,
    PROVIDER_ACCOUNT,
    READ_DATA,
    SECRET_GROUP,
    USE,
    WRITE_DATA,
    model_resource,
    resources_over,
)


def require_for_secrets(giver: Caller, before: Snapshot, secrets: Iterable[tuple[str, str]]) -> None:
    """Who sends a secret to an address of its own can read it there."""
    for group, _ in sorted(secrets):
        before.access.require(giver, READ_DATA, SECRET_GROUP.of(group))


def require_for_tokens(giver: Caller, before: Snapshot, after: Snapshot, name: str) -> None:
    """The gateway writes the tokens of a virtual account into the secret that it names."""
    account, old = after.access.virtual_accounts[name], before.access.virtual_accounts.get(name)
    place = account.secret_store_config
    if not isinstance(place, StoredSecret) or (old is not None and place == old.secret_store_config):
        return
    if ("secret-group", place.secret_group) not in after.manifests:
        raise BadRequest(f"secret_store_config: there is no secret group named {place.secret_group}")
    before.access.require(giver, WRITE_DATA, SECRET_GROUP.of(place.secret_group))


def require_all_of(snapshot: Snapshot, caller: Caller, subject: str) -> None:
    """For a token of somebody, or to let them in again: who may do less could do more with it, or by their hand."""
    if subject == caller.subject:
        return
    access = snapshot.access
    giver = actor(caller, access)
    if missing := beyond(access, subject, giver):
        raise Forbidden(
            f"{subject} holds {missing[0].permission} on {missing[0].resource}, which {caller.subject} does not; "
            "nobody can let others do more than they may do"
        )
    if rule := sees_more(snapshot, subject, giver):
        raise Forbidden(f"{subject} sees what others asked, by the rule {rule}, which {caller.subject} may not")


def refuse_escalation(before: Snapshot, after: Snapshot, giver: Caller, made: str | None) -> None:
    """`made`: the resource that the change creates."""
    given = given_away(before.access, after.access, giver, made=made)
    if given:
        subject, grant = given[0]
        raise Forbidden(
            f"this would give {subject} {grant.permission} on {grant.resource}, which {giver.subject} does not hold; "
            "nobody can grant more than they hold"
        )
    if seen := let_in(before, after, giver):
        raise Forbidden(f"{seen[0]} would see what others asked, by the rule {seen[1]}, which {giver.subject} may not")
    _refuse_opening(before, after, giver, made)
    _refuse_routes_to_others(before, after, giver)
    _refuse_names(before, after, giver)
    _refuse_channels_of_others(before, after, giver)
    _refuse_budgets_for_others(before, after, giver)
    if made is None or giver.is_admin:
        return
    _refuse_awaited(before, giver, made)
    family, _, name = made.partition(":")
    kind = kind_of(family)
    if not after.access.holds(actor(giver, after.access), kind.manage, made) and not _leads(giver, after, family, name):
        raise BadRequest(
            f"you could not manage {name} once it is made; add a collaborator {{subject: {giver.subject}, "
            f"role_id: {family}-manager}}, or ask an admin"
        )


def _refuse_opening(before: Snapshot, after: Snapshot, giver: Caller, made: str | None) -> None:
    """To take a model's `authorized_subjects` away is no grant, so it is looked at here; and so is what comes to the
    same, another name for the same model of the provider."""
    accounts: defaultdict[str, list[Target]] = defaultdict(list)
    for old in before.targets.values():
        accounts[_account(old)].append(old)
    for name, target in after.targets.items():
        if giver.is_admin or PROVIDER_ACCOUNT.of(_account(target)) == made:
            continue
        same = [before.targets[name]] if name in before.targets else accounts[_account(target)]
        for old in same:
            is_same = old.name == name or target.model in (old.model, ANY_MODEL)
            is_open = any(other.model == old.model and not _is_wider(other, target) for other in same)
            if is_same and not is_open and not may_use(giver, old):
                raise Forbidden(f"this would open {old.name} to others, and {giver.subject} may not use it")


def _refuse_routes_to_others(before: Snapshot, after: Snapshot, giver: Caller) -> None:
    """A virtual model takes a grant on its group alone, so whoever makes one must be able to use what is behind it: its
    targets, and what judges its requests. It is looked at when it is written: who loses a grant later loses the use of
    the model, and not what was made of it meanwhile, which an admin can see and delete."""
    if giver.is_admin:
        return
    known = _models_behind(before)
    for holder, models in _models_behind(after).items():
        for model in sorted(models - known.get(holder, set())):
            target = before.find(model) or after.find(model)
            if target is None or not may_use(giver, target):
                raise Forbidden(f"{holder[1]} would lead to {model}, which {giver.subject} may not use")


def _models_behind(snapshot: Snapshot) -> dict[tuple[str, str], set[str]]:
    """(type, name) of a manifest -> the models it names; of virtual models each by itself, named `group/model`."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for (type_, name), document in snapshot.documents.items():
        for path, mark, model in marked(document):
            if mark is Mark.MODEL:
                part = f"/{document.integrations[path[1]].name}" if path[0] == "integrations" else ""
                found[type_, name + part].add(model)
    return found


def _refuse_names(before: Snapshot, after: Snapshot, giver: Caller) -> None:
    """Who takes a name such as `gpt-4o` gets the requests of all who send it. Below the name of the group it is one's
    own; and what an admin once gave to a group stays with it."""
    for alias, target in after.targets.items():
        old = before.targets.get(alias)
        is_own = account_in(alias) == _account(target) or (old is not None and _account(old) == _account(target))
        if not is_own and not before.access.holds(giver, NAME_MODELS):
            raise Forbidden(
                f"{alias} as a name of {target.name} would be there for everybody, which takes the permission "
                f"{NAME_MODELS}; an admin can give it, or take a name that begins with {_account(target)}/"
            )


def _refuse_awaited(before: Snapshot, giver: Caller, made: str) -> None:
    """There was an account of that name, and what others say of it still stands: their requests would come along."""
    family, _, name = made.partition(":")
    if family != PROVIDER_ACCOUNT.resource:
        return
    for resource, users in before.access.users_by_resource(USE).items():
        if made in resources_over(resource) and users - {giver.subject}:
            raise Forbidden(f"{min(users - {giver.subject})} may use {name} already, so only an admin can make it")
    for (_, other), models in _models_behind(before).items():
        if any(account_in(model) == name for model in models):
            raise Forbidden(f"{other} leads to {name} already, so only an admin can make it")


def _refuse_channels_of_others(before: Snapshot, after: Snapshot, giver: Caller) -> None:
    """What goes out by a channel is said in the name of its owner, and to anybody: so it takes what a model takes."""
    if giver.is_admin:
        return
    for policy, alerts in after.policies.alerts.items():
        old = before.policies.alerts.get(policy)
        for target in alerts.targets:
            key = channel_key(target.notification_channel)
            if key is None:
                continue  # nothing will go out
            _, account, channel = key
            is_known = old is not None and target in old.targets
            if not is_known and not before.access.holds(giver, USE, model_resource(f"{account}/{channel}")):
                raise Forbidden(
                    f"this would send alerts by {target.notification_channel}, which {giver.subject} may not use; "
                    "an admin can name you in its authorized_subjects"
                )


def _refuse_budgets_for_others(before: Snapshot, after: Snapshot, giver: Caller) -> None:
    """Who manages a team must not decide what another one may spend."""
    for (type_, name), budget in after.manifests.items():
        old = before.manifests.get((type_, name))
        if type_ == TEAM_BUDGET and (old is None or old.data != budget.data):
            require(before.access, giver, BUDGET.manage, BUDGET.of(name), type_, budget.data)


def _leads(giver: Caller, after: Snapshot, family: str, name: str) -> bool:
    budget = after.manifests.get((TEAM_BUDGET, name)) if family == BUDGET.resource else None
    return budget is not None and leads_its_team(after.access, giver, TEAM_BUDGET, budget.data)


def _is_wider(old: Target, new: Target) -> bool:
    """Whether the list of who may use a model lets somebody in whom it kept out."""
    return old.only is not None and (new.only is None or not new.only <= old.only)


def _account(target: Target) -> str:
    return target.account
