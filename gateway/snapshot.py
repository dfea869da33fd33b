"""Manifests -> one immutable snapshot with every lookup made."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec
import structlog

from gateway.contract import Provider, Target
from gateway.errors import ConfigError, Fault
from gateway.logs import traceback_text
from gateway.manifests import Manifest, Secrets, load, read
from gateway.plugins import providers_by_type
from gateway.providers.catalog import VENDORS

ANY_MODEL = "*"

log = structlog.get_logger(__name__)


class Snapshot(msgspec.Struct, frozen=True):
    """One configuration, compiled. `targets`: `account/model` -> where it is; `account/*` is any other model."""

    targets: Mapping[str, Target] = {}
    warnings: tuple[Fault, ...] = ()

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
    """Raises ConfigError with the faults of all manifests."""
    targets: dict[str, Target] = {}
    warnings: list[Fault] = []
    faults: list[Fault] = []
    for manifest in manifests:
        provider = providers.get(manifest.type)
        if provider is None:
            close = get_close_matches(manifest.type, providers, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            warnings.append(manifest.fault(("type",), f"ignored: no plugin reads {manifest.type}{hint}"))
            continue
        try:
            account, unknown = read(manifest, provider.accounts[manifest.type], secrets)
            warnings += unknown
            for target in provider.targets(account):
                if target.name in targets:
                    faults.append(manifest.fault(("name",), f"a second model named {target.name}; rename one account"))
                targets[target.name] = target
        except ConfigError as error:
            faults += error.faults
        except ValueError as error:
            faults.append(manifest.fault((), str(error)))
        except Exception as error:  # a plugin's; the other manifests are none the worse for it
            log.error("provider failed", type=manifest.type, name=manifest.name, traceback=traceback_text())
            faults.append(manifest.fault((), f"the provider failed with {type(error).__name__}; the log has more"))
    if faults:
        raise ConfigError(faults)
    return Snapshot(targets, tuple(warnings))


def manifests_from(environ: Mapping[str, str]) -> list[Manifest]:
    """What there is without any configuration: an account for each vendor whose key is there, and the demo model."""
    where = "the environment"
    found = [Manifest("provider-account/demo", "demo", where, 0, {"type": "provider-account/demo", "name": "demo"})]
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
