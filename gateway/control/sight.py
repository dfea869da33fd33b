"""Whose requests a caller may see: its own, and what `gateway-data-access-config` gives. Admins see all."""

from collections.abc import Collection, Iterator
from typing import Literal

import msgspec

from gateway.config.snapshot import Snapshot
from gateway.contract import Caller
from gateway.manifests.data_access import CreatedByCondition, DataAccessConfig, DataAccessRule, MetadataCondition
from gateway.manifests.identity import RoleBinding
from gateway.rules.access import canonical
from gateway.rules.access.roles import LIST_CONTROLS
from gateway.rules.access.subjects import user, virtual_account
from gateway.state.requests.asked import METADATA, Filter, Rule

DataType = Literal["traces", "metrics"]


class Sight(msgspec.Struct, frozen=True):
    """Requests that fit one of the rules; `rules` None: all."""

    rules: tuple[Rule, ...] | None

    @property
    def subjects(self) -> frozenset[str] | None:
        """Whose sums may be seen; None: everybody's. Sums are not kept by all that rules may ask for, so of those that
        look at metadata, or leave somebody out, there are none."""
        if self.rules is None:
            return None
        alone = [rule[0] for rule in self.rules if len(rule) == 1]
        return frozenset(
            subject for each in alone if each.field == "subject" and not each.is_not for subject in each.values
        )


def sight_of(snapshot: Snapshot, caller: Caller, data: DataType) -> Sight:
    """Who may list controls sees what others used already, and so all metrics."""
    if caller.is_admin or (data == "metrics" and snapshot.access.holds(caller, LIST_CONTROLS)):
        return Sight(None)
    subjects = {caller.subject}
    rules: list[Rule] = []
    for rule in _rules(snapshot, caller, data):
        match rule.scope:
            case "own_data":
                pass
            case "all_data" if not rule.filters:
                return Sight(None)
            case "all_data":
                rules.append(tuple(map(_filter, rule.filters)))
            case "team_data":
                subjects |= _mates(snapshot, caller) | _accounts_of_teams(snapshot, caller)
            case "team_virtual_account_data":
                subjects |= _accounts_of_teams(snapshot, caller)
    return Sight(((Filter("subject", tuple(sorted(subjects))),), *rules))


def let_in(before: Snapshot, after: Snapshot, giver: Caller) -> tuple[str, str] | None:
    """(subject, id of the rule): somebody who by a change comes under a rule that is not about the giver, and so would
    see what others asked; None: nobody."""
    if giver.is_admin:
        return None
    for rule in _beyond_own(after):
        then, now = _named(rule, before), _named(rule, after)
        if then.isdisjoint(giver.subjects):
            for subject in sorted(after.access.known() | set(map(virtual_account, after.access.virtual_accounts))):
                if not now.isdisjoint(_stood_for(subject, after)) and then.isdisjoint(_stood_for(subject, before)):
                    return subject, rule.id
    return None


def sees_more(snapshot: Snapshot, subject: str, giver: Caller) -> str | None:
    """The id of a rule by which a subject sees what others asked, and the giver does not; None: there is none."""
    own = _stood_for(subject, snapshot)
    for rule in _beyond_own(snapshot):
        named = _named(rule, snapshot)
        if not giver.is_admin and named.isdisjoint(giver.subjects) and not named.isdisjoint(own):
            return rule.id
    return None


def _beyond_own(snapshot: Snapshot) -> Iterator[DataAccessRule]:
    return (rule for rule in _all_rules(snapshot) if rule.scope != "own_data")


def _all_rules(snapshot: Snapshot) -> Iterator[DataAccessRule]:
    for document in snapshot.documents.values():
        if isinstance(document, DataAccessConfig):
            yield from (rule for rule in document.rules if rule.enabled)


def _rules(snapshot: Snapshot, caller: Caller, data: DataType) -> Iterator[DataAccessRule]:
    for rule in _all_rules(snapshot):
        if data in rule.data_types and not _named(rule, snapshot).isdisjoint(caller.subjects):
            yield rule


def _named(rule: DataAccessRule, snapshot: Snapshot) -> set[str]:
    """Whom a rule is about: also those who have a role that it names."""
    named = {canonical(text) for text in rule.subjects}
    roles = {text.removeprefix("role:") for text in rule.subjects if text.startswith("role:")}
    for binding in snapshot.documents.values() if roles else ():
        if isinstance(binding, RoleBinding) and any(each.role in roles for each in binding.permissions):
            named |= {canonical(f"{bound.type}:{bound.name}") for bound in binding.subjects}
    return {subject for subject in named if subject is not None}


def _stood_for(subject: str, snapshot: Snapshot) -> Collection[str]:
    """As whom somebody comes, with their teams: by a claim or a secret, as what is mapped to that. A virtual account
    that is not there is nobody."""
    kind, _, name = subject.partition(":")
    access = snapshot.access
    if kind == "user":
        return access.caller(subject).subjects
    if kind == "virtualaccount":
        return {subject} if name in access.virtual_accounts else ()
    return access.mapped.get(subject, ())


def _filter(condition: CreatedByCondition | MetadataCondition) -> Filter:
    if isinstance(condition, MetadataCondition):
        return Filter(f"{METADATA}{condition.key}", condition.value, condition.operator == "NOT_IN")
    values = tuple(canonical(text) or text for text in condition.value)
    return Filter("subject", values, condition.operator == "NOT_IN")


def _mates(snapshot: Snapshot, caller: Caller) -> set[str]:
    return {user(email) for email, teams in snapshot.access.teams.items() if not teams.isdisjoint(caller.teams)}


def _accounts_of_teams(snapshot: Snapshot, caller: Caller) -> set[str]:
    return {
        virtual_account(account.name)
        for account in snapshot.access.virtual_accounts.values()
        if account.owned_by is not None and account.owned_by.team in caller.teams
    }
