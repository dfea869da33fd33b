"""Manifests -> one immutable snapshot with every lookup made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.access import EVERYONE, TENANT, Access, access_of
from gateway.access.grants import Document
from gateway.access.roles import LISTED, PROVIDER_ACCOUNT, ROLES, USE, model_resource
from gateway.contract import Provider, Target
from gateway.errors import ConfigError, Fault
from gateway.logs import traceback_text
from gateway.manifests import Manifest, Secrets, load, read
from gateway.manifests.identity import KINDS, IdentityProvider, IdentityProviderMapping, Role, VirtualAccount
from gateway.plugins import providers_by_type
from gateway.providers.catalog import VENDORS

ANY_MODEL = "*"

log = structlog.get_logger(__name__)


class Snapshot(msgspec.Struct, frozen=True):
    """One configuration, compiled.

    Args:
        targets: `account/model` -> where it is; `account/*` is any other model.
        manifests: (type, name) -> as it was written.
        left_out: what is wrong with stored manifests; those are not in force, and all others are.
    """

    targets: Mapping[str, Target] = {}
    access: Access = Access()
    identity_providers: tuple[IdentityProvider, ...] = ()
    manifests: Mapping[tuple[str, str], Manifest] = {}
    warnings: tuple[Fault, ...] = ()
    left_out: tuple[Fault, ...] = ()

    def find(self, name: str) -> Target | None:
        if target := self.targets.get(name):
            return target
        account, _, model = name.partition("/")
        if not model.isprintable() or " " in model:  # it becomes a header of the answer
            return None
        if model and (any_model := self.targets.get(f"{account}/{ANY_MODEL}")):
            return msgspec.structs.replace(any_model, name=name, model=model)
        return None


def compile_snapshot(manifests: Sequence[Manifest], providers: Mapping[str, Provider], secrets: Secrets) -> Snapshot:
    """Raises ConfigError with the faults of all manifests, save for stored ones: each of those is left out alone."""
    compiler = _Compiler(providers, secrets)
    for manifest in manifests:
        compiler.read(manifest)
    return compiler.snapshot()


class _Compiler:
    def __init__(self, providers: Mapping[str, Provider], secrets: Secrets) -> None:
        self.providers = providers
        self.secrets = secrets
        self.documents: dict[tuple[str, str], Document] = {}
        self.warnings: list[Fault] = []
        self.faults: list[Fault] = []
        self.left_out: list[Fault] = []
        self.accounts: dict[str, Manifest] = {}
        self.claims: dict[IdentityProviderMapping, str] = {}

    def read(self, manifest: Manifest) -> None:
        struct = struct_of(manifest.type, self.providers)
        if struct is None:
            close = get_close_matches(manifest.type, [*self.providers, *KINDS], n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            self.warnings.append(manifest.fault(("type",), f"ignored: no plugin reads {manifest.type}{hint}"))
            return
        if other := self.documents.get((manifest.type, manifest.name)):
            where = f"{other[0].file}:{other[0].line}"
            message = f"ignored: {manifest.type} {manifest.name} stands in {where} too, and what a file manages wins"
            self.warnings.append(manifest.fault(("name",), message))
            return
        try:
            secrets = self.secrets if manifest.version is None else self.secrets.for_stored()
            document, unknown = read(manifest, struct, secrets)
            self._check(manifest, document)
        except ConfigError as error:
            self._refuse(manifest, error.faults)
            return
        self.warnings += unknown
        self.documents[manifest.type, manifest.name] = manifest, document

    def snapshot(self) -> Snapshot:
        targets: dict[tuple[str, str], list[Target]] = {}
        for key, (manifest, document) in [*self.documents.items()]:
            if manifest.type in self.providers:
                targets[key] = self._targets(manifest, document)
        if self.faults:
            raise ConfigError(self.faults)
        documents = [*self.documents.values()]
        access = access_of(documents, self.warnings)
        return Snapshot(
            targets={target.name: target for target in _with_users(chain.from_iterable(targets.values()), access)},
            access=access,
            identity_providers=tuple(document for _, document in documents if isinstance(document, IdentityProvider)),
            manifests={key: manifest for key, (manifest, _) in self.documents.items()},
            warnings=tuple(self.warnings),
            left_out=tuple(self.left_out),
        )

    def _check(self, manifest: Manifest, document: Any) -> None:
        """What a document must not say, besides what its struct can tell. Raises ConfigError."""
        if isinstance(document, Role) and document.name in ROLES:
            raise ConfigError([manifest.fault(("name",), "is a built-in role; take another name")])
        if isinstance(document, VirtualAccount) and document.expiration_date is not None:
            try:
                date.fromisoformat(document.expiration_date)
            except ValueError:
                raise ConfigError([manifest.fault(("expiration_date",), "there is no such day")]) from None
        if isinstance(document, VirtualAccount):
            for index, mapping in enumerate(document.identity_provider_mapping):
                other = self.claims.setdefault(mapping, document.name)
                if other != document.name:
                    message = f"stands for the virtual account {other} already; a claim is one account's"
                    raise ConfigError([manifest.fault(("identity_provider_mapping", index), message)])

    def _targets(self, manifest: Manifest, account: Any) -> list[Target]:
        """The models of an account, all or none."""
        try:
            if other := self.accounts.get(manifest.name):
                message = f"a second account named {manifest.name}; the first is in {other.file}:{other.line}"
                raise ConfigError([manifest.fault(("name",), message)])
            found = list(self.providers[manifest.type].targets(account))
            for target in found:
                if target.name.partition("/")[0] != manifest.name:
                    raise ValueError(f"the provider offers {target.name}, which is not in this account")
        except ConfigError as error:
            self._refuse(manifest, error.faults)
        except ValueError as error:
            self._refuse(manifest, [manifest.fault((), str(error))])
        except Exception as error:  # a plugin's; the other manifests are none the worse for it
            log.error("provider failed", type=manifest.type, name=manifest.name, traceback=traceback_text())
            message = f"the provider failed with {type(error).__name__}; the log has more"
            self._refuse(manifest, [manifest.fault((), message)])
        else:
            self.accounts[manifest.name] = manifest
            return found
        return []

    def _refuse(self, manifest: Manifest, faults: Sequence[Fault]) -> None:
        if manifest.version is None:
            self.faults += faults
        else:
            self.left_out += faults
            self.documents.pop((manifest.type, manifest.name), None)


def _with_users(targets: Iterable[Target], access: Access) -> Iterator[Target]:
    nobody: frozenset[str] = frozenset()
    users, listed = access.users_by_resource(USE), access.users_by_resource(LISTED)
    for target in targets:
        account, model = PROVIDER_ACCOUNT.of(target.name.partition("/")[0]), model_resource(target.name)
        yield msgspec.structs.replace(
            target,
            users=nobody.union(*(users.get(resource, nobody) for resource in (model, account, TENANT))),
            only=listed.get(model, nobody) if model in access.narrowed else None,
        )


def struct_of(type_: str, providers: Mapping[str, Provider]) -> type[msgspec.Struct] | None:
    """What a manifest of this type is read into; None when nobody reads it."""
    if type_ in KINDS:
        return KINDS[type_]
    provider = providers.get(type_)
    return provider.accounts[type_] if provider is not None else None


def manifests_from(environ: Mapping[str, str]) -> list[Manifest]:
    """What there is without any configuration: an account for each vendor whose key is there, and the demo model.

    All users may use the demo; the accounts cost money, so they are for admins until a role binding says otherwise.
    """
    where = "the environment"
    everyone = {"subject": EVERYONE, "role_id": "provider-account-access"}
    demo = {"type": "provider-account/demo", "name": "demo", "collaborators": [everyone]}
    found = [Manifest("provider-account/demo", "demo", where, 0, demo)]
    for type_, vendor in VENDORS.items():
        if vendor.key_variable is None or not environ.get(vendor.key_variable):
            continue
        name = type_.removeprefix("provider-account/")
        model = {"type": f"integration/model/{name}", "name": ANY_MODEL, "model_id": ANY_MODEL}
        data = {
            "type": type_,
            "name": name,
            "auth_data": {"type": "api-key", "api_key": f"${{{vendor.key_variable}}}"},
            "integrations": [{**model, "model_types": ["chat", "completion", "embedding"]}],
        }
        found.append(Manifest(type_, name, where, 0, data))
    return found


def secrets_from(environ: Mapping[str, str]) -> Secrets:
    directory = environ.get("GATEWAY_SECRETS_DIR")
    return Secrets(environ, Path(directory) if directory else None)


class Report(msgspec.Struct, frozen=True):
    """What `gateway check` found."""

    models: tuple[str, ...]
    warnings: tuple[Fault, ...]


def check(path: Path, environ: Mapping[str, str]) -> Report:
    """Raises ConfigError with everything that is wrong."""
    snapshot = compile_snapshot(load(path), providers_by_type(), secrets_from(environ))
    return Report(tuple(snapshot.targets), snapshot.warnings)
