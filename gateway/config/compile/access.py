"""Documents -> who holds what."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import gateway.rules.access.roles as roles
import gateway.rules.access.subjects as subjects
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.identity import ExternalSecretStore, Role, RoleBinding, StoredSecret, Team, VirtualAccount
from gateway.rules.access.access import Access, Grant, claim_subject, resource_of, secret_subject
from gateway.rules.access.roles import (
    ADMIN_PERMISSION,
    LISTED,
    ROLES,
    TEAM,
    TENANT,
    USE,
    VIRTUAL_ACCOUNT,
    kind_of,
    model_resource,
)
from gateway.rules.access.sharing import Unions

Document = tuple[Manifest, Any]
"""A manifest, and what it was read into."""


def access_of(documents: Sequence[Document], warnings: list[Fault]) -> Access:
    """What the documents grant. What cannot be understood grants nothing, and is a warning."""
    return _Compiler(documents, warnings).access()


class _Compiler:
    def __init__(self, documents: Sequence[Document], warnings: list[Fault]) -> None:
        self.documents = documents
        self.warnings = warnings
        self.grants: defaultdict[str, set[frozenset[Grant]]] = defaultdict(set)
        """Subject -> all that it was given, each shared by those it was given to."""
        self.teams: defaultdict[str, set[str]] = defaultdict(set)
        self.mapped: defaultdict[str, set[str]] = defaultdict(set)
        self.virtual_accounts: dict[str, VirtualAccount] = {}
        self.narrowed: set[str] = set()
        self.roles = dict(ROLES)
        self._given: dict[tuple[str, str], frozenset[Grant]] = {}
        """(role, resource) -> what it gives."""

    def access(self) -> Access:
        for manifest, document in self.documents:
            if isinstance(document, Role):
                self._role(manifest, document)
        for manifest, document in self.documents:
            match document:
                case Team():
                    self._team(document)
                case VirtualAccount():
                    self._virtual_account(manifest, document)
                case RoleBinding():
                    self._binding(manifest, document)
            self._collaborators(manifest, document)
            self._authorized(manifest, document)
        unions = Unions[Grant]()
        named = ((email, frozenset(names)) for email, names in self.teams.items())
        teams: dict[frozenset[str], frozenset[str]] = {}
        return Access(
            grants={subject: unions[frozenset(given)] for subject, given in self.grants.items()},
            teams={email: teams.setdefault(names, names) for email, names in named},
            mapped={name: frozenset(stands_for) for name, stands_for in self.mapped.items()},
            virtual_accounts=self.virtual_accounts,
            narrowed=frozenset(self.narrowed),
        )

    def _role(self, manifest: Manifest, role: Role) -> None:
        unknown = [permission for permission in role.permissions if permission not in roles.PERMISSIONS]
        for permission in unknown:
            self._warn(manifest, ("permissions",), f"{permission!r} is not known here, and grants nothing")
        self.roles.setdefault(role.name, frozenset(role.permissions) & roles.PERMISSIONS)

    def _team(self, team: Team) -> None:
        name = subjects.team(team.name)
        for email in (*team.members, *team.managers):
            self.teams[email.lower()].add(team.name)
        for email in team.managers:
            self.grants[subjects.user(email)].add(frozenset({Grant(TEAM.manage, TEAM.of(team.name))}))
        self.grants[name].add(frozenset({Grant(TEAM.read, TEAM.of(team.name))}))
        for mapping in team.identity_provider_mapping:
            self.mapped[claim_subject(mapping.identity_provider, mapping.value)].add(name)

    def _virtual_account(self, manifest: Manifest, account: VirtualAccount) -> None:
        self.virtual_accounts[account.name] = account
        subject = subjects.virtual_account(account.name)
        for index, permission in enumerate(account.permissions):
            at = ("permissions", index)
            given = self._permitted(manifest, at, permission.role_id, permission.resource_type, permission.resource_fqn)
            self._give(subject, given)
        for mapping in account.identity_provider_mapping:
            self.mapped[claim_subject(mapping.identity_provider, mapping.value)].add(subject)
        match account.secret_store_config:
            case StoredSecret(secret_group=group, key=key):
                self.mapped[secret_subject(group, key)].add(subject)
            case ExternalSecretStore(integration_fqn=store, secret_path=path):
                self.mapped[secret_subject(store, path)].add(subject)
        if account.owned_by is not None:
            owner = subjects.team(account.owned_by.team)
            self.grants[owner].add(frozenset({Grant(VIRTUAL_ACCOUNT.read, VIRTUAL_ACCOUNT.of(account.name))}))

    def _binding(self, manifest: Manifest, binding: RoleBinding) -> None:
        bound_subjects: list[str] = []
        for index, bound in enumerate(binding.subjects):
            subject = subjects.canonical(f"{bound.type}:{bound.name}")
            if subject is None:
                text = f"ignored: {bound.name!r} cannot be the name of a {bound.type}, or one cannot hold roles yet"
                self._warn(manifest, ("subjects", index), text)
            else:
                bound_subjects.append(subject)
        for number, permission in enumerate(binding.permissions if bound_subjects else ()):
            at = ("permissions", number)
            given = self._permitted(manifest, at, permission.role, permission.resource_type, permission.resource_fqn)
            for subject in bound_subjects:
                self._give(subject, given)

    def _collaborators(self, manifest: Manifest, document: Any) -> None:
        for index, collaborator in enumerate(getattr(document, "collaborators", None) or ()):
            subject = self._subject(manifest, ("collaborators", index, "subject"), collaborator.subject)
            if subject is not None:
                resource = kind_of(manifest.type).of(manifest.name)
                given = self._granted(manifest, ("collaborators", index), collaborator.role_id, resource)
                self._give(subject, given)

    def _authorized(self, manifest: Manifest, document: Any) -> None:
        """`authorized_subjects` of a model narrows what the account's collaborators give. In an account that names no
        collaborators it is the grant itself, as it was before there were any."""
        is_grant = getattr(document, "collaborators", None) is None
        for index, model in enumerate(getattr(document, "integrations", None) or ()):
            listed = getattr(model, "authorized_subjects", None)
            if listed is None:
                continue
            resource = model_resource(f"{manifest.name}/{model.name}")
            if not is_grant:
                self.narrowed.add(resource)
            given = frozenset({Grant(USE if is_grant else LISTED, resource)})
            for place, text in enumerate(listed):
                subject = self._subject(manifest, ("integrations", index, "authorized_subjects", place), text)
                if subject is not None:
                    self.grants[subject].add(given)

    def _subject(self, manifest: Manifest, at: Steps, text: str) -> str | None:
        subject = subjects.canonical(text)
        if subject is None:
            self._warn(
                manifest, at, "not a subject, so ignored; write user:<email>, team:<name> or virtualaccount:<name>"
            )
        return subject

    def _give(self, subject: str, given: frozenset[Grant] | None) -> None:
        if given is not None:
            self.grants[subject].add(given)

    def _permitted(self, manifest: Manifest, at: Steps, role: str, type_: str, fqn: str) -> frozenset[Grant] | None:
        if type_ in roles.RESOURCE_TYPES:
            return self._granted(manifest, at, role, resource_of(type_, fqn))
        known = ", ".join(sorted(roles.RESOURCE_TYPES))
        self._warn(manifest, at, f"there is no resource type {type_!r}, so it grants nothing; there are: {known}")
        return None

    def _granted(self, manifest: Manifest, at: Steps, role: str, resource: str) -> frozenset[Grant] | None:
        """What a role on a resource gives; None, and a warning: nothing."""
        permissions = self.roles.get(role)
        if permissions is None:
            self._warn(
                manifest, at, f"there is no role {role!r}, so it grants nothing; there are: {self._role_names()}"
            )
            return None
        # An admin of one resource would still be an admin, so that role counts on the tenant alone.
        if ADMIN_PERMISSION in permissions and resource != TENANT:
            self._warn(manifest, at, f"{role} is a role on the tenant, and grants nothing on {resource}")
            return None
        key = (role, resource)
        if key not in self._given:
            self._given[key] = frozenset(Grant(permission, resource) for permission in permissions)
        return self._given[key]

    def _role_names(self) -> str:
        return ", ".join(sorted(self.roles))

    def _warn(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.warnings.append(manifest.fault(at, message))
