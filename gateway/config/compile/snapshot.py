"""Manifests -> one immutable snapshot with every lookup made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from functools import partial
from itertools import chain
from operator import is_
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from gateway.config.compile.access import Document, access_of
from gateway.config.compile.guards import GuardCompiler
from gateway.config.compile.limits import PolicyCompiler
from gateway.config.compile.prices import PRIVATE, Unpriced, price_of
from gateway.config.compile.routes import RouteCompiler
from gateway.config.compile.telling import TellingCompiler
from gateway.config.snapshot import ANY_MODEL, Piece, Snapshot, find_target
from gateway.contract import Provider, Target, Upstream
from gateway.contract.egress import Egress
from gateway.contract.limits import Unit
from gateway.contract.price import Price
from gateway.contract.provider import Concurrency, StartsWithKeys
from gateway.dialects import CHAT
from gateway.errors import ConfigError, Fault, Unresolved
from gateway.logs import traceback_text
from gateway.manifests import Manifest, Secrets, accounts, load, read
from gateway.manifests.accounts import ProviderAccount
from gateway.manifests.guardrails import GuardrailGroup
from gateway.manifests.identity import IdentityProvider, IdentityProviderMapping, Role, VirtualAccount
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.notifications import ChannelAccount, channels_of
from gateway.manifests.outward import is_trusted, outward
from gateway.manifests.references import FormOnly
from gateway.manifests.routing import VIRTUAL_MODELS, VirtualModelGroup
from gateway.manifests.unread import why_unread
from gateway.plugins import GUARDRAILS, load_plugin, providers_by_type
from gateway.providers.catalog import VENDORS
from gateway.rules.access import EVERYONE, TENANT, Access
from gateway.rules.access.roles import LISTED, PROVIDER_ACCOUNT, ROLES, USE, model_resource
from gateway.rules.access.sharing import Joined
from gateway.rules.limits import Policies
from gateway.rules.limits.keys import manifest_of, policy_key
from gateway.rules.routing.routes import VIRTUAL, Routes
from gateway.secrecy.secret import cleaned
from gateway.settings import Settings

SHOWN = 5

log = structlog.get_logger(__name__)


def compile_snapshot(
    manifests: Sequence[Manifest],
    providers: Mapping[str, Provider],
    secrets: Secrets,
    *,
    egress: Egress = Egress(),  # noqa: B008 - it is frozen
    guarded: Upstream | None = None,
    before: Snapshot = Snapshot(),  # noqa: B008 - it is frozen
) -> Snapshot:
    """
    Args:
        guarded: calls the providers whose addresses nobody vouches for; None: the network of all does.
        before: made with all the same but manifests and secrets. What manifests came to that say the same is taken from
            it, and not compiled anew.

    Raises:
        ConfigError: with the faults of all manifests, save for two kinds, which are left out alone: stored ones, and
            accounts that are well written but cannot be used, for want of a secret or because their provider says so.
    """
    compiler = _Compiler(providers, secrets, egress, guarded, before)
    for manifest in manifests:
        compiler.read(manifest)
    return compiler.snapshot()


Compiled = TypeVar("Compiled", covariant=True)


class Compiler(Protocol[Compiled]):
    """Makes one thing of all documents, and collects what is wrong."""

    faults: list[tuple[Manifest, Fault]]
    warnings: list[Fault]

    def compile(self, documents: Sequence[tuple[Manifest, Any]]) -> Compiled: ...


class _Compiler:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        secrets: Secrets,
        egress: Egress,
        guarded: Upstream | None,
        before: Snapshot,
    ) -> None:
        self.providers = providers
        self.secrets = secrets
        self.stored_secrets = secrets.for_stored()
        self.egress = egress
        self.guarded = guarded
        self.before = before
        self.documents: dict[tuple[str, str], Document] = {}
        self.pieces: dict[tuple[str, str], Piece] = {}
        self.warnings: list[Fault] = []
        self.faults: list[Fault] = []
        self.left_out: list[Fault] = []
        self.accounts: dict[str, Manifest] = {}
        self.aliases: dict[str, str] = {}
        self.claims: dict[IdentityProviderMapping, str] = {}

    def read(self, manifest: Manifest) -> None:
        struct = struct_of(manifest.type, self.providers)
        if struct is None:
            why = why_unread(manifest.type, types_of(self.providers))
            self.warnings.append(manifest.fault(("type",), f"ignored: {why}"))
            return
        if other := self.documents.get((manifest.type, manifest.name)):
            where = f"{other[0].file}:{other[0].line}"
            message = f"ignored: {manifest.type} {manifest.name} stands in {where} too, and what a file manages wins"
            self.warnings.append(manifest.fault(("name",), message))
            return
        try:
            piece = self._known(manifest) or self._read(manifest, struct)
            self._claim_mappings(manifest, piece.document)
        except Unresolved as error:
            if issubclass(struct, ChannelAccount) or manifest.type in self.providers:
                self._leave_out(manifest, error.faults)
            else:
                self._refuse(manifest, error.faults)
            return
        except ConfigError as error:
            self._refuse(manifest, error.faults)
            return
        self.warnings += piece.warnings
        self.documents[manifest.type, manifest.name] = manifest, piece.document
        self.pieces[manifest.type, manifest.name] = piece

    def _known(self, manifest: Manifest) -> Piece | None:
        """What it came to before, if that still holds."""
        before = self.before.pieces.get((manifest.type, manifest.name))
        piece = before and before.with_manifest(manifest)
        if piece is None or (piece.found and not self._secrets_for(manifest).finds(piece.found)):
            return None
        return piece

    def _read(self, manifest: Manifest, struct: type[msgspec.Struct]) -> Piece:
        """Raises ConfigError."""
        secrets = self._secrets_for(manifest).anew()
        document, unknown = read(manifest, struct, secrets)
        _check(manifest, document)
        faults, more = outward(manifest, document, self.egress)
        if faults:
            raise ConfigError(faults)
        warnings = (*_of_other_vendors(manifest, document), *unknown, *more)
        return Piece(manifest, document, warnings, secrets.found)

    def _secrets_for(self, manifest: Manifest) -> Secrets:
        return self.secrets if manifest.version is None else self.stored_secrets

    def snapshot(self) -> Snapshot:
        self._claim_aliases()
        targets: dict[tuple[str, str], Sequence[Target]] = {}
        for key, (manifest, document) in [*self.documents.items()]:
            provider = VIRTUAL if manifest.type == VIRTUAL_MODELS else self.providers.get(manifest.type)
            if provider is not None:
                targets[key] = self._targets(manifest, self.pieces[key], provider)
            elif isinstance(document, ChannelAccount | GuardrailGroup):
                self._claim_account(manifest)
        by_name = {target.name: target for target in chain.from_iterable(targets.values())}
        routes = self._routes(by_name)
        by_name = {n: target for n, target in by_name.items() if target.provider is not VIRTUAL or n in routes.by_model}
        aliases = {alias: name for alias, name in self.aliases.items() if name in by_name}
        by_any_name = by_name | {alias: by_name[name] for alias, name in aliases.items()}
        policies = self._policies(by_any_name)
        find, plugin = partial(find_target, by_any_name), partial(load_plugin, GUARDRAILS)
        guards = self._compiled(lambda: GuardCompiler(find, guarded=self.guarded, plugin=plugin))
        telling = self._compiled(lambda: TellingCompiler(find))
        if self.faults:
            raise ConfigError(self.faults, self.warnings)
        documents = [*self.documents.values()]
        channels = [(each, document) for each, document in documents if isinstance(document, ChannelAccount)]
        access = access_of(documents, self.warnings)
        by_name = {target.name: target for target in _with_users(by_name.values(), access, self.before)}
        pieces = {
            key: _with_targets(
                self.pieces[key], [by_name[each.name] for each in targets.get(key, ()) if each.name in by_name]
            )
            for key in self.documents
        }
        return Snapshot(
            targets=by_name | {alias: by_name[name] for alias, name in aliases.items()},
            accounts={
                name: piece.targets
                for (_, name), piece in pieces.items()
                if piece.targets and piece.targets[0].provider is not VIRTUAL
            },
            routes=routes,
            policies=policies,
            guards=guards,
            channels=channels_of(document for _, document in channels),
            trusted_channels=frozenset(
                channels_of(document for each, document in channels if is_trusted(each, document))
            ),
            logging=telling.logging,
            metadata=telling.metadata,
            otel=telling.otel,
            access=access,
            identity_providers=tuple(document for _, document in documents if isinstance(document, IdentityProvider)),
            manifests={key: manifest for key, (manifest, _) in self.documents.items()},
            documents={key: document for key, (_, document) in self.documents.items()},
            pieces=pieces,
            warnings=tuple(self.warnings),
            left_out=tuple(self.left_out),
        )

    def _claim_mappings(self, manifest: Manifest, document: Any) -> None:
        """Raises ConfigError: a claim is another virtual account's already."""
        if isinstance(document, VirtualAccount):
            for index, mapping in enumerate(document.identity_provider_mapping):
                other = self.claims.setdefault(mapping, document.name)
                if other != document.name:
                    message = f"stands for the virtual account {other} already; a claim is one account's"
                    raise ConfigError([manifest.fault(("identity_provider_mapping", index), message)])

    def _routes(self, targets: Mapping[str, Target]) -> Routes:
        return self._compiled(lambda: RouteCompiler(partial(find_target, targets), CHAT))

    def _policies(self, targets: Mapping[str, Target]) -> Policies:
        policies = self._compiled(lambda: PolicyCompiler(partial(find_target, targets)))
        self._warn_unpriced(policies, targets.values())
        return policies

    def _compiled(self, make: Callable[[], Compiler[Compiled]]) -> Compiled:
        """All that can be used; a stored manifest with a part that cannot is left out as a whole."""
        while True:
            compiler = make()
            compiled = compiler.compile([*self.documents.values()])
            if not compiler.faults:
                self.warnings += compiler.warnings
                return compiled
            for manifest, fault in compiler.faults:
                self._refuse(manifest, [fault])
            if self.faults:
                return compiled

    def _warn_unpriced(self, policies: Policies, targets: Iterable[Target]) -> None:
        """Once for all budgets: whoever counts dollars wants to know what is not counted."""
        names = sorted({each.name for each in targets if each.price is None and each.provider is not VIRTUAL})
        counted = {
            manifest_of(rule.policy)
            for rule in policies.budgets
            if any(limit.unit is Unit.COST for limit in rule.limits)
        }
        for manifest, _ in self.documents.values() if names and counted else ():
            if policy_key(manifest.type, manifest.name) in counted:
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                message = f"does not count what {', '.join(names[:SHOWN])}{more} cost: they have no price (`cost`)"
                self.warnings.append(manifest.fault(("limits",), message))
                return

    def _claim_aliases(self) -> None:
        """Slugs and aliases of virtual models. A name is of the manifest that has it first, and those in files come
        before stored ones. What begins with the name of an account is that account's, whatever it offers by now."""
        holders: dict[str, tuple[Manifest, str]] = {}
        prefixes: dict[str, str] = {}
        accounts = {**self.accounts}
        for manifest, document in [*self.documents.values()]:
            if manifest.type.startswith("provider-account/"):
                if held := prefixes.get(manifest.name):
                    self._refuse(manifest, [manifest.fault(("name",), _taken(held, *holders[held]))])
                    continue
                accounts.setdefault(manifest.name, manifest)
            if isinstance(document, VirtualModelGroup):
                claims, faults = _claims_of(manifest, document, holders, accounts)
                holders |= claims
                prefixes |= {account: alias for alias in claims if (account := account_in(alias)) != document.name}
                if faults:
                    self._refuse(manifest, faults)
        self.aliases = {alias: name for alias, (_, name) in holders.items()}

    def _targets(self, manifest: Manifest, piece: Piece, provider: Any) -> Sequence[Target]:
        """The models of an account, all or none: one that its provider cannot use must not stop the others."""
        if piece.targets is None:
            piece = self._asked(manifest, piece, provider)
        if piece.targets is None or not self._claim_account(manifest):
            return ()
        self.warnings += piece.target_warnings
        self.pieces[manifest.type, manifest.name] = piece
        return piece.targets

    def _asked(self, manifest: Manifest, piece: Piece, provider: Any) -> Piece:
        """With its targets, unless the provider cannot use it."""
        account, warnings = piece.document, list[Fault]()
        try:
            found = list(provider.targets(account))
            if isinstance(account, ProviderAccount):
                found = list(_with_terms(manifest, account, found, warnings))
            if self.guarded is not None and not is_trusted(manifest, account):
                found = [msgspec.structs.replace(each, upstream=each.upstream or self.guarded) for each in found]
            for target in found:
                if target.account != manifest.name:
                    raise ValueError(f"the provider offers {target.name}, which is not in this account")
        except ConfigError as error:
            self._leave_out(manifest, error.faults)
        except ValueError as error:
            self._leave_out(manifest, [manifest.fault((), str(error))])
        except Exception as error:  # a plugin's; the other manifests are none the worse for it
            log.error("provider failed", type=manifest.type, name=manifest.name, traceback=traceback_text())
            message = f"the provider failed with {type(error).__name__}; the log has more"
            self._leave_out(manifest, [manifest.fault((), message)])
        else:
            return msgspec.structs.replace(piece, targets=tuple(found), target_warnings=tuple(warnings))
        return piece

    def _claim_account(self, manifest: Manifest) -> bool:
        """Accounts of all kinds have their names together, because grants are on names."""
        other = self.accounts.setdefault(manifest.name, manifest)
        if other is not manifest:
            message = f"a second account named {manifest.name}; the first is in {other.file}:{other.line}"
            self._refuse(manifest, [manifest.fault(("name",), message)])
        return other is manifest

    def _refuse(self, manifest: Manifest, faults: Sequence[Fault]) -> None:
        if manifest.version is None:
            self.faults += faults
        else:
            self._leave_out(manifest, faults)

    def _leave_out(self, manifest: Manifest, faults: Sequence[Fault]) -> None:
        self.left_out += faults
        if manifest.version is None:  # its name stays its own: nobody is to get what was meant for it
            self.accounts.setdefault(manifest.name, manifest)
        self.documents.pop((manifest.type, manifest.name), None)


def _with_terms(
    manifest: Manifest, account: ProviderAccount, targets: Iterable[Target], warnings: list[Fault]
) -> Iterator[Target]:
    """What is the same for all providers: how many requests an account takes at once, and what its models cost."""
    concurrency = _concurrency(account.concurrency)
    prices: dict[str, Price | None] = {}
    for index, model in enumerate(account.integrations):
        try:
            price = price_of(model.cost, account.type, model.listed_as, account.discount_percent)
        except Unpriced as unpriced:
            warnings.append(manifest.fault(("integrations", index, "cost"), str(unpriced)))
            price = None
        prices[f"{account.name}/{model.name}"] = price
    for target in targets:
        price = prices.get(target.name)
        states_cost = target.states_cost and (price is None or price.version != PRIVATE)
        yield msgspec.structs.replace(target, concurrency=concurrency, price=price, states_cost=states_cost)


def _check(manifest: Manifest, document: Any) -> None:
    """What a document must not say, besides what its struct can tell. Raises ConfigError."""
    if isinstance(document, Role) and document.name in ROLES:
        raise ConfigError([manifest.fault(("name",), "is a built-in role; take another name")])
    if isinstance(document, VirtualAccount) and document.expiration_date is not None:
        try:
            date.fromisoformat(document.expiration_date)
        except ValueError:
            raise ConfigError([manifest.fault(("expiration_date",), "there is no such day")]) from None


def _of_other_vendors(manifest: Manifest, document: Any) -> Iterator[Fault]:
    """A model that was put into the wrong account is asked for there, where nobody knows it."""
    if not isinstance(document, ProviderAccount) or manifest.type not in VENDORS:
        return
    own = f"integration/model/{manifest.type.removeprefix('provider-account/')}"
    for index, model in enumerate(document.integrations):
        if model.type != own:
            message = f"is {model.type} in an account whose models are {own}; they are asked for there all the same"
            yield manifest.fault(("integrations", index, "type"), message)


def _claims_of(
    manifest: Manifest,
    group: VirtualModelGroup,
    holders: Mapping[str, tuple[Manifest, str]],
    accounts: Mapping[str, Manifest],
) -> tuple[dict[str, tuple[Manifest, str]], list[Fault]]:
    """Slug or alias -> who has it and the virtual model it stands for; and what is wrong with the others."""
    found: dict[str, tuple[Manifest, str]] = {}
    faults: list[Fault] = []
    own = {f"{group.name}/{model.name}" for model in group.integrations}
    for index, model in enumerate(group.integrations):
        name = f"{group.name}/{model.name}"
        for field, alias in [("slug", model.slug), *(("alias", alias) for alias in model.alias)]:
            if alias is None or alias == name:
                continue
            holder, account = found.get(alias) or holders.get(alias), accounts.get(account_in(alias))
            if alias in own:
                problem = f"{alias} is a model itself"
            elif holder is not None and holder[1] != name:
                problem = _taken(alias, *holder)
            elif account is not None and account.name != group.name:
                problem = f"{alias} is a name in the account {account.name}, which is in {_place(account)}"
            else:
                found[alias] = manifest, name
                continue
            faults.append(manifest.fault(("integrations", index, field), problem))
    return found, faults


def _taken(alias: str, holder: Manifest, name: str) -> str:
    return f"{alias} stands for {name} already, which is in {_place(holder)}"


def _place(manifest: Manifest) -> str:
    return f"{manifest.file}:{manifest.line}" if manifest.line else manifest.file


def account_in(name: str) -> str:
    """The account in `account/model`; empty: there is none in front."""
    account, slash, _ = name.partition("/")
    return account if slash else ""


def _concurrency(declared: accounts.Concurrency | None) -> Concurrency | None:
    if declared is None:
        return None
    return Concurrency(declared.max_requests, declared.max_queued, declared.queue_timeout_ms / 1000)


def _with_targets(piece: Piece, targets: Sequence[Target]) -> Piece:
    is_same = piece.targets is None or all(map(is_, piece.targets, targets))
    return piece if is_same else msgspec.structs.replace(piece, targets=tuple(targets))


def _with_users(targets: Iterable[Target], access: Access, before: Snapshot) -> Iterator[Target]:
    """Models with the same users share one set, if there was such a one that of `before`."""
    known: dict[frozenset[str], frozenset[str]] = {}
    joined: dict[tuple[frozenset[str], ...], Set[str]] = {}
    for old in before.targets.values():
        sets = old.users.sets if isinstance(old.users, Joined) else (frozenset(old.users),)
        known.update(zip(sets, sets, strict=True))
        joined[sets] = old.users
        if old.only is not None:
            known[old.only] = old.only
    users, listed = (
        {resource: known.setdefault(subjects, subjects) for resource, subjects in each.items()}
        for each in (access.users_by_resource(USE), access.users_by_resource(LISTED))
    )
    nobody = known.setdefault(frozenset(), frozenset())
    for target in targets:
        account, model = PROVIDER_ACCOUNT.of(target.account), model_resource(target.name)
        sets = tuple(users[resource] for resource in (model, account, TENANT) if resource in users) or (nobody,)
        may = joined.setdefault(sets, sets[0] if len(sets) == 1 else Joined(sets))
        only = listed.get(model, nobody) if model in access.narrowed else None
        is_same = target.users is may and target.only is only
        yield target if is_same else msgspec.structs.replace(target, users=may, only=only)


def struct_of(type_: str, providers: Mapping[str, Provider]) -> type[msgspec.Struct] | None:
    """What a manifest of this type is read into; None when nobody reads it."""
    if struct := STRUCTS.get(type_):
        return struct
    provider = providers.get(type_)
    return provider.accounts[type_] if provider is not None else None


def types_of(providers: Mapping[str, Provider]) -> frozenset[str]:
    """All that somebody reads."""
    return frozenset((*providers, *STRUCTS))


def manifests_from(environ: Mapping[str, str], providers: Iterable[Provider]) -> list[Manifest]:
    """What there is without any configuration: an account for each vendor whose key is there, and the demo model.

    All users may use the demo; the accounts cost money, so they are for admins until a role binding says otherwise.
    """
    where = "the environment"
    everyone = {"subject": EVERYONE, "role_id": "provider-account-access"}
    demo = {"type": "provider-account/demo", "name": "demo", "collaborators": [everyone]}
    found = [Manifest("provider-account/demo", "demo", where, 0, demo)]
    keys = frozenset(name for name, value in environ.items() if cleaned(value))
    for provider in {id(provider): provider for provider in providers}.values():
        if isinstance(provider, StartsWithKeys):
            found += [Manifest(data["type"], data["name"], where, 0, data) for data in provider.accounts_for(keys)]
    return found


def refuse_without_models(snapshot: Snapshot, place: str) -> None:
    """Raises ConfigError: no model can be asked for, so there is nothing to start for."""
    if all(target.provider is VIRTUAL for target in snapshot.targets.values()):
        problem = (
            "no model can be used; it takes a provider-account with integrations (`gateway init` writes an example)"
        )
        raise ConfigError([*snapshot.left_out, Fault(place, 0, "", problem)], snapshot.warnings)


class Report(msgspec.Struct, frozen=True):
    """What `gateway check` found.

    Args:
        models: each by one name, however many it has.
        accounts: of whom they are.
        without_alias: those that have no name but `account/model`.
    """

    models: tuple[str, ...]
    accounts: frozenset[str]
    without_alias: tuple[str, ...]
    warnings: tuple[Fault, ...]
    left_out: tuple[Fault, ...] = ()


def check(path: Path, settings: Settings, *, has_secrets: bool = True) -> Report:
    """Unless it `has_secrets`, those that are not there are taken to be.

    Raises:
        ConfigError: with everything that is wrong, or when no model can be used.
    """
    secrets = Secrets(settings.environ, settings.secrets_dir) if has_secrets else FormOnly(settings.environ)
    snapshot = compile_snapshot(load(path), providers_by_type(), secrets, egress=settings.egress)
    refuse_without_models(snapshot, str(path))
    return Report(
        models=tuple(dict.fromkeys(target.name for target in snapshot.targets.values())),
        accounts=frozenset(target.account for target in snapshot.targets.values()),
        without_alias=_without_alias(snapshot),
        warnings=snapshot.warnings,
        left_out=snapshot.left_out,
    )


def _without_alias(snapshot: Snapshot) -> tuple[str, ...]:
    """Real models that no name without a slash leads to."""
    aliased = {
        candidate.name
        for alias, target in snapshot.targets.items()
        if "/" not in alias
        for candidate in snapshot.routes.by_model[target.name].candidates
    }
    return tuple(
        name
        for name, target in snapshot.targets.items()
        if target.provider is not VIRTUAL and target.model != ANY_MODEL and name not in aliased
    )
