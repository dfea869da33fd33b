"""Who may do what. Pure decisions: nothing is asked of anybody.

    access = access_of(documents)                     # one immutable table, from `gateway.config.compile.access`
    caller = access.caller("user:ana@example.com")    # with all teams
    access.holds(caller, "team:ManageTeam", "team:research")

A grant is a permission on a resource. Subjects hold those of their own and those of their teams; the default is none.
"""

from gateway.rules.access.access import Access, Grant
from gateway.rules.access.delegation import given_away
from gateway.rules.access.roles import ADMIN_PERMISSION, TENANT, Kind, kind_of
from gateway.rules.access.subjects import EVERYONE, canonical

__all__ = [
    "ADMIN_PERMISSION",
    "EVERYONE",
    "TENANT",
    "Access",
    "Grant",
    "Kind",
    "canonical",
    "given_away",
    "kind_of",
]
