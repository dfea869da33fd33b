"""Whose requests a caller may see: its own, and what `gateway-data-access-config` gives. Admins see all."""

from collections.abc import Iterable, Iterator
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


def _rules(snapshot: Snapshot, caller: Caller, data: DataType) -> Iterator[DataAccessRule]:
    for document in snapshot.documents.values():
        if isinstance(document, DataAccessConfig):
            for rule in document.rules:
                if rule.enabled and data in rule.data_types and _is_about(rule.subjects, snapshot, caller):
                    yield rule


def _is_about(subjects: Iterable[str], snapshot: Snapshot, caller: Caller) -> bool:
    return any(
        _has_role(text.removeprefix("role:"), snapshot, caller)
        if text.startswith("role:")
        else canonical(text) in caller.subjects
        for text in subjects
    )


def _has_role(role: str, snapshot: Snapshot, caller: Caller) -> bool:
    bindings = [document for document in snapshot.documents.values() if isinstance(document, RoleBinding)]
    return any(
        canonical(f"{bound.type}:{bound.name}") in caller.subjects
        for binding in bindings
        if any(permission.role == role for permission in binding.permissions)
        for bound in binding.subjects
    )


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
