"""Who may handle a manifest: whoever holds the permission and, of the budget of a team, whoever manages the team."""

from collections.abc import Mapping
from typing import Any

from gateway.contract import Caller
from gateway.rules.access import EVERYONE, Access, kind_of
from gateway.rules.access.roles import TEAM

TEAM_BUDGET = "team-budget-config"

Data = Mapping[str, Any]


def may_read(access: Access, caller: Caller, type_: str, name: str, *versions: Data) -> bool:
    """`versions`, here and below: what the manifest says, before a change and after it, as far as it is there."""
    kind = kind_of(type_)
    return access.holds(caller, kind.read, kind.of(name)) or leads_its_team(access, caller, type_, *versions)


def require(access: Access, caller: Caller, permission: str, resource: str, type_: str, *versions: Data) -> None:
    """For a change of a manifest. Raises Forbidden, which names what is missing."""
    if not leads_its_team(access, caller, type_, *versions):
        access.require(caller, permission, resource)


def leads_its_team(access: Access, caller: Caller, type_: str, *versions: Data) -> bool:
    """Whether it is the budget of a team that the caller manages, in all versions. Nobody manages `everyone`."""
    if type_ != TEAM_BUDGET:
        return False
    resources = [TEAM.of(str(data.get("team_name"))) for data in versions]
    return bool(resources) and all(
        resource != EVERYONE and access.holds(caller, TEAM.manage, resource) for resource in resources
    )
