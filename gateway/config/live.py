"""The configuration in force, and how a newer one takes its place."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.config.compile.snapshot import compile_snapshot, manifests_from, refuse_without_models
from gateway.config.release import release
from gateway.config.snapshot import ANY_MODEL, Snapshot
from gateway.contract import Caller, Choice, Credential, Provider, ServesAccounts, Target, Upstream
from gateway.contract.part import Figure, Part, counter, gauge
from gateway.contract.route import NO_METADATA, Retry, Route
from gateway.dialects.proxy import CUSTOM_ENDPOINT
from gateway.errors import ConfigError, Fault, Forbidden, GatewayError, UnknownModel
from gateway.identity.callers import Callers
from gateway.manifests import Loader, Manifest, Secrets
from gateway.plugins import providers_by_type
from gateway.rules.access import kind_of
from gateway.rules.access.may_use import may_use
from gateway.rules.access.roles import PROVIDER_ACCOUNT, USE, missing
from gateway.rules.routing.routes import VIRTUAL, direct
from gateway.secrecy.sealing import Seal
from gateway.settings import Settings
from gateway.state.background import background

DEBOUNCE_MS = 400

STEP_MS = 200

LOOK_MS = 5000
"""A change that brings no event, as on network file systems, is seen after this long."""

MAX_FOUND = 10_000
"""Choices that are remembered: about 5 MB, and all are forgotten when there are more."""
NOTHING_FOUND: tuple[Caller | None, Choice | None] = (None, None)

log = structlog.get_logger(__name__)


class Stored(msgspec.Struct, frozen=True):
    """The part of the configuration that is in the database. `secrets`: (group, key) -> sealed value."""

    manifests: Sequence[Manifest] = ()
    secrets: Mapping[tuple[str, str], str] = {}


class Config(Part):
    """Holds one `Snapshot` and swaps it as a whole. A configuration that cannot be used leaves the one before in force.

    Args:
        path: of a file or directory; None when the environment is all there is.
        callers: told of each new snapshot.
        seal: opens the secrets of stored manifests.
        guarded: calls the providers of stored manifests that no admin has applied; None: the network of all does.
        providers: besides those that are installed.
        waits: a database is read before the first request, and may bring what the files lack.

    Raises:
        ConfigError: the first one cannot be used.
    """

    name = "config"

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        *,
        callers: Callers | None = None,
        seal: Seal | None = None,
        guarded: Upstream | None = None,
        waits: bool = False,
        providers: Sequence[Provider] = (),
    ) -> None:
        self.path = path
        self.generation = 0
        self.reload_failures = 0
        self.faults: tuple[Fault, ...] = ()
        """Why the last reload failed; empty when it did not."""
        self.stored = Stored()
        self.callers = callers or Callers()
        self.seal = seal
        self.guarded = guarded
        self.egress = settings.egress
        self.providers = {**providers_by_type(), **{type_: each for each in providers for type_ in each.accounts}}
        self._environ = settings.environ
        self._secrets = settings.secrets_dir
        self._reloading = asyncio.Lock()
        self._waits = waits
        self._told: frozenset[str] = frozenset()
        """The warnings about the snapshot in force, each told once."""
        self.snapshot = Snapshot()
        self._found_in = self.snapshot
        self._found: dict[tuple[str, str | None, int], tuple[Caller | None, Choice | None]] = {}
        """(name, model type, id of the caller) -> the caller, which stays alive for that, and what it got."""
        self._loader = Loader(path) if path is not None else None
        self._seen = self._fingerprint()
        self.files = self._read_files()
        """The manifests that are not stored; those of the snapshot in force."""
        snapshot = self.compile(self.files, self.stored)
        if not waits:
            refuse_without_models(snapshot, str(path))
        self._swap(snapshot)

    # What a request asks: the protocol `Models`.

    def find(
        self,
        name: str,
        caller: Caller | None,
        metadata: Mapping[str, str] = NO_METADATA,
        model_type: str | None = None,
    ) -> Choice:
        """What a caller got for a name is remembered until the snapshot is swapped. It is for that very caller: who has
        a token is made anew whenever grants or the token change."""
        if metadata:
            return self._find(name, caller, metadata, model_type)
        if self._found_in is not self.snapshot or len(self._found) >= MAX_FOUND:
            self._found_in, self._found = self.snapshot, {}
        known_caller, choice = self._found.get((name, model_type, id(caller)), NOTHING_FOUND)
        if choice is None or known_caller is not caller:
            choice = self._find(name, caller, metadata, model_type)
            if caller is None or caller.credential is not Credential.JWT:  # such a caller comes only once
                self._found[name, model_type, id(caller)] = caller, choice
        return choice

    def _find(self, name: str, caller: Caller | None, metadata: Mapping[str, str], model_type: str | None) -> Choice:
        routes = self.snapshot.routes
        choice = self._choice(name, caller, metadata, model_type)
        if routes.priorities:
            priority = routes.priority_of(choice.target.name, caller, metadata)
            return msgspec.structs.replace(choice, priority=priority)
        return choice

    def find_account(self, account: str, caller: Caller | None, model_type: str) -> Choice:
        for target in self.snapshot.accounts.get(account, ()):
            if model_type in target.model_types and (caller is None or may_use(caller, target)):
                return Choice(target)
        raise UnknownModel(account, self.names(caller))

    def serving(self, api: str | None, caller: Caller | None, account: str | None = None) -> Sequence[Target]:
        accounts = self.snapshot.accounts
        found = accounts.values() if account is None else [accounts.get(account, ())]
        first = [
            next((t for t in targets if _serves(t, api) and (caller is None or may_use(caller, t))), None)
            for targets in found
        ]
        return [target for target in first if target is not None]

    def name_of(self, account: str, model: str) -> str:
        """A model of an account, as callers name it: by that name, by what is behind the account's, or by the
        provider's own."""
        targets, named = self.snapshot.targets, f"{account}/{model}"
        if model.startswith(f"{account}/") and self.snapshot.find(model) is not None:
            return model
        if named not in targets:
            own = (target.name for target in self.snapshot.accounts.get(account, ()) if target.model == model)
            return next(own, named)
        return named

    def allows(self, caller: Caller | None, account: str, model: str) -> bool:
        """Whether a caller may use what the provider of an account calls so. None: somebody who may use everything."""
        own = [target for target in self.snapshot.accounts.get(account, ()) if target.model == model]
        if not own and (found := self.snapshot.find(f"{account}/{ANY_MODEL}")) is not None:
            own = [found]
        return any(caller is None or may_use(caller, target) for target in own)

    def _choice(self, name: str, caller: Caller | None, metadata: Mapping[str, str], model_type: str | None) -> Choice:
        snapshot = self.snapshot
        target, routes = snapshot.targets.get(name) or snapshot.find(name), snapshot.routes
        is_virtual = target is not None and target.provider is VIRTUAL
        if routes.rules and not is_virtual and (choice := self._by_rule(name, target, caller, metadata, model_type)):
            return choice
        if target is None:
            raise UnknownModel(name, self.names(caller))
        if caller is not None and not may_use(caller, target):
            raise self._denied(name, caller, target)
        if is_virtual:
            return Choice(target, routes.by_model[target.name], classifier=routes.classifiers.get(target.name))
        if (route := routes.by_model.get(target.name)) is not None:  # of endpoints, each with users of its own
            candidates = tuple(each for each in route.candidates if self._may_use(caller, each.name))
            if caller is not None and route.candidates and not candidates:
                raise self._denied(name, caller, target)
            return Choice(target, msgspec.structs.replace(route, candidates=candidates))
        if routes.retry is not None:
            return Choice(target, Route(target.name, "only", (direct(target, routes.retry),)))
        return Choice(target)

    def _by_rule(
        self,
        name: str,
        target: Target | None,
        caller: Caller | None,
        metadata: Mapping[str, str],
        model_type: str | None,
    ) -> Choice | None:
        """What the first rule that fits says, as far as the caller may use it."""
        rule = self.snapshot.routes.rule_for(name, caller, metadata)
        if rule is None:
            return None
        candidates = [
            candidate
            for candidate in rule.route.candidates
            if self._may_use(caller, candidate.name)
            and (model_type is None or model_type in candidate.route_target.target.model_types)
        ]
        if rule.fallback_statuses is not None:
            if target is None or not self._may_use(caller, name):
                return None  # the caller is told why, as without the rule
            first = direct(target, self.snapshot.routes.retry or Retry(), rule.fallback_statuses)
            candidates = [first, *(candidate for candidate in candidates if candidate.name != target.name)]
        if not candidates:
            return None
        route = Route(rule.route.name, rule.route.strategy, tuple(candidates), rule.route.sticky)
        return Choice(target or candidates[0].route_target.target, route, rule=rule.id)

    def _may_use(self, caller: Caller | None, name: str) -> bool:
        target = self.snapshot.find(name)
        return target is not None and (caller is None or may_use(caller, target))

    def find_real(self, name: str) -> Target | None:
        """A model that can be asked by itself, whoever wants that; None: there is no such, or it is a virtual one."""
        target = self.snapshot.find(name)
        return target if target is not None and target.provider is not VIRTUAL else None

    def may_use_guardrails(self, caller: Caller | None, group: str) -> bool:
        """As accounts are used: by a grant on the group."""
        return caller is None or self.snapshot.access.holds(caller, USE, PROVIDER_ACCOUNT.of(group))

    def names(self, caller: Caller | None) -> Sequence[str]:
        targets = self.snapshot.targets
        if caller is None:
            return tuple(name for name, target in targets.items() if CUSTOM_ENDPOINT not in target.model_types)
        return tuple(
            name
            for name, target in targets.items()
            if CUSTOM_ENDPOINT not in target.model_types and may_use(caller, target)
        )

    def _denied(self, name: str, caller: Caller, target: Target) -> GatewayError:
        """404 hides what the caller may not know of; 403 says what is missing."""
        account = PROVIDER_ACCOUNT.of(target.account)
        is_user = not target.users.isdisjoint(caller.subjects)
        if not is_user and not self.snapshot.access.holds(caller, PROVIDER_ACCOUNT.read, account):
            return UnknownModel(name, self.names(caller))
        lacks = "a place in its authorized_subjects" if is_user else missing(USE, account)
        return Forbidden(
            f"{caller.subject} may not use {name}: it takes {lacks}, which an admin can grant", param="model"
        )

    # What those ask who watch the gateway.

    def report(self) -> Mapping[str, object]:
        return {
            "generation": self.generation,
            "models": len(self.snapshot.targets),
            "reload_failures": self.reload_failures,
            "faults": [str(fault) for fault in self.faults],
        }

    def figures(self) -> Iterable[Figure]:
        yield gauge("gateway_config_generation", "Configurations in force so far.", self.generation)
        for name in (
            "gateway_config_reload_failures",
            "ai_gateway_config_parsing_failures",
        ):  # also as dashboards know it
            yield counter(name, "Configurations refused.", self.reload_failures)

    # Reloading.

    def _read_files(self) -> Sequence[Manifest]:
        return (
            self._loader.load() if self._loader is not None else manifests_from(self._environ, self.providers.values())
        )

    def compile(self, files: Sequence[Manifest], stored: Stored) -> Snapshot:
        """What would be in force with these manifests. Raises ConfigError: what stands in files cannot be used."""
        manifests = [*files, *stored.manifests]
        secrets = self.secrets(stored)
        return compile_snapshot(
            manifests, self.providers, secrets, egress=self.egress, guarded=self.guarded, before=self.snapshot
        )

    def secrets(self, stored: Stored) -> Secrets:
        """What references in files find."""
        return Secrets(self._environ, self._secrets, stored=stored.secrets, seal=self.seal)

    async def reload(self, stored: Stored | None = None) -> None:
        """Compiles what the files say now, and the database, and puts it in force; or says why it cannot.

        Args:
            stored: what the database says; None: what it said before.
        """
        async with self._reloading:
            is_new = stored is not None
            is_start = is_new and self._waits and self.generation <= 1  # until now, only files were known
            self._waits = self._waits and not is_new
            held: list[Any] = [self.snapshot, self.files, self.stored, self._found]
            self.stored = stored or self.stored
            try:
                files = await asyncio.to_thread(self._read_files)
                snapshot = await asyncio.to_thread(self.compile, files, self.stored)
                if not is_new:
                    self._refuse_loss(files, snapshot)
            except ConfigError as error:
                self.reload_failures += 1
                log.error("configuration not reloaded", faults=[*map(str, error.faults)], in_force=self.generation)
                if is_new:
                    await self._reload_stored()
                self.faults = error.faults
            else:
                self.files = files
                self._swap(snapshot)
                if is_start:
                    self.generation = 1
                else:
                    log.info("configuration reloaded", generation=self.generation, models=len(snapshot.targets))
            await asyncio.to_thread(release, held)

    def _refuse_loss(self, files: Sequence[Manifest], snapshot: Snapshot) -> None:
        """Raises ConfigError: with these files, what can be used now could not be used any more."""
        if self.snapshot.targets and not snapshot.targets:
            # A file that is written in place is empty for a moment.
            problem = "no models are left; the ones before stay in force"
            raise ConfigError([*snapshot.left_out, Fault(str(self.path), 0, "", problem)])
        wanted = _resources((manifest.type, manifest.name) for manifest in files)
        if (wanted & _resources(self.snapshot.manifests)) - _resources(snapshot.manifests):
            raise ConfigError(snapshot.left_out)

    async def _reload_stored(self) -> None:
        """What was changed over the API does not wait for files to be repaired: a grant may have been taken away."""
        with suppress(ConfigError):
            self._swap(await asyncio.to_thread(self.compile, self.files, self.stored))

    def running(self) -> AbstractAsyncContextManager[object]:
        """While inside, a change of the files leads to a reload."""
        return background(self._watch(self.path)) if self.path is not None else nullcontext()

    async def _watch(self, path: Path) -> None:
        # Only now, as it is not needed for the first answer, and in a thread, as it takes a tenth of a second.
        await asyncio.to_thread(import_module, "watchfiles")
        while True:
            await self._look()
            try:
                async with aclosing(_changes(self._watched(path))) as changes:
                    async for _ in changes:
                        if await self._look():
                            break  # what replaced a file has to be watched anew
            except FileNotFoundError:  # it is being replaced just now
                await asyncio.sleep(LOOK_MS / 1000)

    async def _look(self) -> bool:
        """Reloads when a file has changed since they were read."""
        now = await asyncio.to_thread(self._fingerprint)
        has_changed = now != self._seen
        if has_changed:
            self._seen = now
            await self.reload()
        return has_changed

    def _watched(self, path: Path) -> list[Path]:
        """A plain file by itself: beside it, logs may be written all the time. A link with its directory, where
        Kubernetes swaps what it leads to."""
        places = [path.absolute().parent if path.is_symlink() else path]
        if self._secrets is not None and self._secrets.is_dir():
            places.append(self._secrets)
        return places

    def _fingerprint(self) -> list[tuple[str, int, int]]:
        """Tells whether any of the files was written or replaced."""
        found = []
        for place in filter(None, (self.path, self._secrets)):
            files = sorted(place.rglob("*")) if place.is_dir() else [place]
            for file in files:
                with suppress(OSError):
                    stat = file.stat()
                    found.append((str(file), stat.st_mtime_ns, stat.st_ino))
        return found

    def _swap(self, snapshot: Snapshot) -> None:
        self.snapshot = self._found_in = snapshot
        self._found = {}
        self.callers.grant(snapshot.access)
        if self.callers.identities is not None:
            self.callers.identities.replace(snapshot.identity_providers)
        self.generation += 1
        self.faults = snapshot.left_out
        warnings = [str(warning) for warning in snapshot.warnings]
        for warning in warnings:
            if warning not in self._told:
                log.warning("manifest", problem=warning)
        self._told = frozenset(warnings)
        for fault in snapshot.left_out:
            log.error("manifest left out", problem=str(fault))


async def _changes(places: Iterable[Path]) -> AsyncGenerator[None, None]:
    """Says when something may have changed there. As `watchfiles.awatch`, without the event loop of anyio, 1.5 MiB.

    Raises:
        FileNotFoundError: one of the places is not there.
    """
    from watchfiles import watch

    stopping = threading.Event()
    seen = watch(
        *places,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        stop_event=stopping,
    )
    thread = ThreadPoolExecutor(1, "watching")  # not of those that all share: it would never come back
    try:
        while True:
            await asyncio.get_running_loop().run_in_executor(thread, next, seen, None)
            yield
    finally:
        stopping.set()  # `watch` looks every STEP_MS
        thread.shutdown(wait=False)


def _serves(target: Target, api: str | None) -> bool:
    return api is None or (isinstance(target.provider, ServesAccounts) and target.provider.serves(api, target))


def _resources(keys: Iterable[tuple[str, str]]) -> set[str]:
    """An account is the same under the type of another vendor."""
    return {kind_of(type_).of(name) for type_, name in keys}
