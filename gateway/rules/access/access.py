"""Who holds what: one immutable table of grants."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

import gateway.rules.access.roles as roles
import gateway.rules.access.subjects as subjects
from gateway.contract import Caller, Credential
from gateway.errors import Forbidden
from gateway.manifests.identity import VirtualAccount
from gateway.rules.access.roles import (
    ADMIN_PERMISSION,
    TENANT,
    resources_over,
)
from gateway.rules.access.sharing import Unions
from gateway.rules.access.subjects import EVERYONE


class Grant(NamedTuple):
    """`resource` as `provider-account:openai-main`, `model:openai-main/gpt-5`, or TENANT for all."""

    permission: str
    resource: str


_ADMIN = Grant(ADMIN_PERMISSION, TENANT)

_NOTHING: frozenset[Grant] = frozenset()


class Access(msgspec.Struct, frozen=True):
    """One table of it all.

    Args:
        grants: subject -> its own.
        teams: email -> names of teams.
        mapped: what is no subject but stands for some, a claim (`claim:okta:engineers`) or a secret that holds tokens
            (`secret:vats:ci`) -> those subjects.
        narrowed: models that only those may use who are listed.
    """

    grants: Mapping[str, frozenset[Grant]] = {}
    teams: Mapping[str, frozenset[str]] = {}
    mapped: Mapping[str, frozenset[str]] = {}
    virtual_accounts: Mapping[str, VirtualAccount] = {}
    narrowed: frozenset[str] = frozenset()

    def caller(
        self,
        subject: str,
        *,
        more_teams: Iterable[str] = (),
        credential: Credential = Credential.OTHER,
        token_id: str | None = None,
    ) -> Caller:
        """A canonical subject as a caller, with its teams and with `more_teams`."""
        kind, _, name = subject.partition(":")
        teams = self.teams.get(name, frozenset()) | frozenset(more_teams) if kind == "user" else frozenset()
        caller = Caller(subject=subject, teams=teams, credential=credential, token_id=token_id)
        if any(_ADMIN in self.grants.get(held_by, _NOTHING) for held_by in caller.subjects):
            return msgspec.structs.replace(caller, is_admin=True)
        return caller

    def holds(self, caller: Caller, permission: str, resource: str = TENANT) -> bool:
        """Whether a caller has a permission on a resource, by itself, by a team, or on the whole tenant."""
        if caller.is_admin:
            return True
        wanted = {Grant(permission, over) for over in resources_over(resource)}
        return any(not wanted.isdisjoint(self.grants.get(subject, _NOTHING)) for subject in caller.subjects)

    def require(self, caller: Caller, permission: str, resource: str = TENANT) -> None:
        """Raises Forbidden, which names what is missing."""
        if not self.holds(caller, permission, resource):
            raise Forbidden(f"{caller.subject} lacks {roles.missing(permission, resource)}; an admin can grant it")

    def effective(self, subject: str) -> frozenset[Grant]:
        """All that a subject holds, by itself and by teams."""
        found = set(self.grants.get(subject, _NOTHING))
        for other in self._inherits(subject):
            found |= self.grants.get(other, _NOTHING)
        return frozenset(found)

    def users_by_resource(self, permission: str) -> dict[str, frozenset[str]]:
        """Resource -> the subjects that were granted a permission on it. Who holds it on TENANT stands there alone, and
        admins are not listed. Resources with the same subjects share one set."""
        holders: defaultdict[frozenset[Grant], list[str]] = defaultdict(list)
        for subject, held in self.grants.items():
            holders[held].append(subject)
        found: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
        for held, whom in holders.items():
            sharing = frozenset(whom)
            for grant in held:
                if grant.permission == permission:
                    found[grant.resource].append(sharing)
        unions = Unions[str]()
        return {resource: unions[tuple(sets)] for resource, sets in found.items()}

    def known(self) -> frozenset[str]:
        """Every subject of which anything is said."""
        return frozenset({*self.grants, *map(subjects.user, self.teams), *self.mapped, EVERYONE})

    def _inherits(self, subject: str) -> Iterable[str]:
        kind, _, name = subject.partition(":")
        if kind == "user":
            return [EVERYONE, *map(subjects.team, self.teams.get(name, ()))]
        return self.mapped.get(subject, ())


def claim_subject(provider: str, value: str) -> str:
    """Whoever an identity provider says this of. It holds what that stands for, so mapping it is a grant as well."""
    return f"claim:{provider}:{value}"


def secret_subject(group: str, key: str) -> str:
    """Whoever can read this secret, and with it the token of a virtual account; so writing it there is a grant too."""
    return f"secret:{group}:{key}"


def resource_of(type_: str, fqn: str) -> str:
    """`provider-account`, `acme:openai:openai-main` -> `provider-account:openai-main`."""
    if type_ == TENANT:
        return TENANT
    return f"{type_}:{fqn.rpartition(':')[2]}"
