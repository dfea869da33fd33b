"""Who may do what. Pure decisions: manifests in, grants out, nothing is asked of anybody.

    access = access_of(documents)                     # one immutable table
    caller = access.caller("user:ana@example.com")    # with all teams
    access.holds(caller, "team:ManageTeam", "team:research")

A grant is a permission on a resource. Subjects hold those of their own and those of their teams; the default is none.
"""

from gateway.access.delegation import given_away
from gateway.access.grants import Access, Grant, access_of
from gateway.access.roles import ADMIN_PERMISSION, TENANT, Kind, kind_of
from gateway.access.subjects import EVERYONE, canonical

__all__ = [
    "ADMIN_PERMISSION",
    "EVERYONE",
    "TENANT",
    "Access",
    "Grant",
    "Kind",
    "access_of",
    "canonical",
    "given_away",
    "kind_of",
]
