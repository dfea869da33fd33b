"""Manifests -> one immutable snapshot with every lookup made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from gateway.config.compile.access import Document, access_of
from gateway.config.compile.guards import GuardCompiler
from gateway.config.compile.limits import PolicyCompiler
from gateway.config.compile.prices import PRIVATE, Unpriced, price_of
from gateway.config.compile.routes import RouteCompiler
from gateway.config.snapshot import ANY_MODEL, Snapshot, find_target
from gateway.contract import Provider, Target, Upstream
from gateway.contract.egress import Egress
from gateway.contract.limits import Unit
from gateway.contract.price import Price
from gateway.contract.provider import Concurrency
from gateway.dialects import CHAT
from gateway.errors import ConfigError, Fault, Unresolved
from gateway.logs import traceback_text
from gateway.manifests import Manifest, Secrets, accounts, load, read
from gateway.manifests.accounts import ProviderAccount
from gateway.manifests.guardrails import GuardrailGroup
from gateway.manifests.identity import IdentityProvider, IdentityProviderMapping, Role, VirtualAccount
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.notifications import ChannelAccount, channels_of
from gateway.manifests.outward import is_trusted, outward_faults, outward_warnings
from gateway.manifests.references import FormOnly
from gateway.manifests.routing import VIRTUAL_MODELS, VirtualModelGroup
from gateway.manifests.unread import why_unread
from gateway.plugins import providers_by_type
from gateway.providers.catalog import VENDORS
from gateway.rules.access import EVERYONE, TENANT, Access
from gateway.rules.access.roles import LISTED, PROVIDER_ACCOUNT, ROLES, USE, model_resource
from gateway.rules.limits import Policies
from gateway.rules.limits.keys import policy_key
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
) -> Snapshot:
    """
    Args:
        guarded: calls the providers whose addresses nobody vouches for; None: the network of all does.

    Raises:
        ConfigError: with the faults of all manifests, save for two kinds, which are left out alone: stored ones, and
            accounts that are well written but cannot be used, for want of a secret or because their provider says so.
    """
    compiler = _Compiler(providers, secrets, egress, guarded)
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
        self, providers: Mapping[str, Provider], secrets: Secrets, egress: Egress, guarded: Upstream | None
    ) -> None:
        self.providers = providers
        self.secrets = secrets
        self.egress = egress
        self.guarded = guarded
        self.documents: dict[tuple[str, str], Document] = {}
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
            secrets = self.secrets if manifest.version is None else self.secrets.for_stored()
            document, unknown = read(manifest, struct, secrets)
            self._check(manifest, document)
            if faults := [*outward_faults(manifest, document, self.egress)]:
                raise ConfigError(faults)
        except Unresolved as error:
            if issubclass(struct, ChannelAccount) or manifest.type in self.providers:
                self._leave_out(manifest, error.faults)
            else:
                self._refuse(manifest, error.faults)
            return
        except ConfigError as error:
            self._refuse(manifest, error.faults)
            return
        self.warnings += [*unknown, *outward_warnings(manifest, document)]
        self.documents[manifest.type, manifest.name] = manifest, document

    def snapshot(self) -> Snapshot:
        self._claim_aliases()
        targets: dict[tuple[str, str], list[Target]] = {}
        for key, (manifest, document) in [*self.documents.items()]:
            provider = VIRTUAL if manifest.type == VIRTUAL_MODELS else self.providers.get(manifest.type)
            if provider is not None:
                targets[key] = self._targets(manifest, document, provider)
            elif isinstance(document, ChannelAccount | GuardrailGroup):
                self._claim_account(manifest)
        by_name = {target.name: target for target in chain.from_iterable(targets.values())}
        routes = self._routes(by_name)
        by_name = {n: target for n, target in by_name.items() if target.provider is not VIRTUAL or n in routes.by_model}
        aliases = {alias: name for alias, name in self.aliases.items() if name in by_name}
        by_any_name = by_name | {alias: by_name[name] for alias, name in aliases.items()}
        policies = self._policies(by_any_name)
        guards = self._compiled(lambda: GuardCompiler(partial(find_target, by_any_name)))
        if self.faults:
            raise ConfigError(self.faults, self.warnings)
        documents = [*self.documents.values()]
        channels = [(each, document) for each, document in documents if isinstance(document, ChannelAccount)]
        access = access_of(documents, self.warnings)
        by_name = {target.name: target for target in _with_users(by_name.values(), access)}
        return Snapshot(
            targets=by_name | {alias: by_name[name] for alias, name in aliases.items()},
            routes=routes,
            policies=policies,
            guards=guards,
            channels=channels_of(document for _, document in channels),
            trusted_channels=frozenset(
                channels_of(document for each, document in channels if is_trusted(each, document))
            ),
            access=access,
            identity_providers=tuple(document for _, document in documents if isinstance(document, IdentityProvider)),
            manifests={key: manifest for key, (manifest, _) in self.documents.items()},
            documents={key: document for key, (_, document) in self.documents.items()},
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
        if isinstance(document, ProviderAccount) and manifest.type in VENDORS:
            self._warn_other_vendors(manifest, document)
        if isinstance(document, VirtualAccount):
            for index, mapping in enumerate(document.identity_provider_mapping):
                other = self.claims.setdefault(mapping, document.name)
                if other != document.name:
                    message = f"stands for the virtual account {other} already; a claim is one account's"
                    raise ConfigError([manifest.fault(("identity_provider_mapping", index), message)])

    def _warn_other_vendors(self, manifest: Manifest, account: ProviderAccount) -> None:
        """A model that was put into the wrong account is asked for there, where nobody knows it."""
        own = f"integration/model/{manifest.type.removeprefix('provider-account/')}"
        for index, model in enumerate(account.integrations):
            if model.type != own:
                message = f"is {model.type} in an account whose models are {own}; they are asked for there all the same"
                self.warnings.append(manifest.fault(("integrations", index, "type"), message))

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
        counted = {rule.policy for rule in policies.budgets if any(limit.unit is Unit.COST for limit in rule.limits)}
        for manifest, _ in self.documents.values():
            if names and any(key.startswith(policy_key(manifest.type, manifest.name)) for key in counted):
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

    def _targets(self, manifest: Manifest, account: Any, provider: Any) -> list[Target]:
        """The models of an account, all or none: one that its provider cannot use must not stop the others."""
        try:
            found = list(provider.targets(account))
            if isinstance(account, ProviderAccount):
                found = list(self._with_terms(manifest, account, found))
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
            if self._claim_account(manifest):
                return found
        return []

    def _claim_account(self, manifest: Manifest) -> bool:
        """Accounts of all kinds have their names together, because grants are on names."""
        other = self.accounts.setdefault(manifest.name, manifest)
        if other is not manifest:
            message = f"a second account named {manifest.name}; the first is in {other.file}:{other.line}"
            self._refuse(manifest, [manifest.fault(("name",), message)])
        return other is manifest

    def _with_terms(self, manifest: Manifest, account: ProviderAccount, targets: Iterable[Target]) -> Iterator[Target]:
        """What is the same for all providers: how many requests an account takes at once, and what its models cost."""
        concurrency = _concurrency(account.concurrency)
        prices: dict[str, Price | None] = {}
        for index, model in enumerate(account.integrations):
            try:
                price = price_of(model.cost, account.type, model.listed_as, account.discount_percent)
            except Unpriced as unpriced:
                self.warnings.append(manifest.fault(("integrations", index, "cost"), str(unpriced)))
                price = None
            prices[f"{account.name}/{model.name}"] = price
        for target in targets:
            price = prices.get(target.name)
            states_cost = target.states_cost and (price is None or price.version != PRIVATE)
            yield msgspec.structs.replace(target, concurrency=concurrency, price=price, states_cost=states_cost)

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


def _with_users(targets: Iterable[Target], access: Access) -> Iterator[Target]:
    nobody: frozenset[str] = frozenset()
    users, listed = access.users_by_resource(USE), access.users_by_resource(LISTED)
    for target in targets:
        account, model = PROVIDER_ACCOUNT.of(target.account), model_resource(target.name)
        yield msgspec.structs.replace(
            target,
            users=nobody.union(*(users.get(resource, nobody) for resource in (model, account, TENANT))),
            only=listed.get(model, nobody) if model in access.narrowed else None,
        )


def struct_of(type_: str, providers: Mapping[str, Provider]) -> type[msgspec.Struct] | None:
    """What a manifest of this type is read into; None when nobody reads it."""
    if struct := STRUCTS.get(type_):
        return struct
    provider = providers.get(type_)
    return provider.accounts[type_] if provider is not None else None


def types_of(providers: Mapping[str, Provider]) -> frozenset[str]:
    """All that somebody reads."""
    return frozenset((*providers, *STRUCTS))


def manifests_from(environ: Mapping[str, str]) -> list[Manifest]:
    """What there is without any configuration: an account for each vendor whose key is there, and the demo model.

    All users may use the demo; the accounts cost money, so they are for admins until a role binding says otherwise.
    """
    where = "the environment"
    everyone = {"subject": EVERYONE, "role_id": "provider-account-access"}
    demo = {"type": "provider-account/demo", "name": "demo", "collaborators": [everyone]}
    found = [Manifest("provider-account/demo", "demo", where, 0, demo)]
    for type_, vendor in VENDORS.items():
        if vendor.key_variable is None or not cleaned(environ.get(vendor.key_variable, "")):
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
        models: by all their names.
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
        models=tuple(snapshot.targets),
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
