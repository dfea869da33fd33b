"""One configuration, compiled: immutable, with every lookup made."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Target
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.identity import IdentityProvider
from gateway.manifests.notifications import Channel, channel_key
from gateway.manifests.telemetry import OtelConfig
from gateway.rules.access import Access
from gateway.rules.guards import GuardRules
from gateway.rules.limits import Policies
from gateway.rules.logging import LoggingRules
from gateway.rules.metadata import MetadataRules
from gateway.rules.routing.routes import Routes
from gateway.secrecy.secret import Secret

ANY_MODEL = "*"


class Piece(msgspec.Struct, frozen=True, eq=False):
    """What one manifest came to, by itself. While it and its secrets stay, so does this.

    Args:
        warnings: about what stands in it.
        found: what its references led to, as in `Secrets.found`.
        targets: in force with it; None: it has not been asked for any.
        target_warnings: about those.
    """

    manifest: Manifest
    document: Any
    warnings: tuple[Fault, ...] = ()
    found: Mapping[tuple[str, ...], Secret] = {}
    targets: tuple[Target, ...] | None = None
    target_warnings: tuple[Fault, ...] = ()

    def with_manifest(self, manifest: Manifest) -> "Piece | None":
        """The same for a manifest that says the same; None: it does not. Where it stands matters to warnings alone."""
        own = self.manifest
        if own is manifest:
            return self
        is_there = (own.file, own.line, own.lines) == (manifest.file, manifest.line, manifest.lines)
        is_same = (own.version is None, own.by_admin, own.data) == (
            manifest.version is None,
            manifest.by_admin,
            manifest.data,
        )
        if not is_same or ((self.warnings or self.target_warnings) and not is_there):
            return None
        return msgspec.structs.replace(self, manifest=manifest)


class Snapshot(msgspec.Struct, frozen=True):
    """One configuration, compiled.

    Args:
        targets: `account/model` -> where it is; `account/*` is any other model. Virtual models are among them, under
            all their names.
        accounts: account -> its real models.
        manifests: (type, name) -> as it was written.
        documents: (type, name) -> what it was read into.
        pieces: (type, name) -> both, and what the next snapshot can take over.
        left_out: why manifests are not in force while all others are: what is wrong with stored ones, and why accounts
            cannot be used for now.
    """

    targets: Mapping[str, Target] = {}
    accounts: Mapping[str, Sequence[Target]] = {}
    routes: Routes = Routes()
    policies: Policies = Policies()
    guards: GuardRules = GuardRules()
    channels: Mapping[tuple[str, str, str], Channel] = {}
    trusted_channels: frozenset[tuple[str, str, str]] = frozenset()
    logging: LoggingRules = LoggingRules()
    metadata: MetadataRules = MetadataRules()
    otel: OtelConfig | None = None
    access: Access = Access()
    identity_providers: tuple[IdentityProvider, ...] = ()
    manifests: Mapping[tuple[str, str], Manifest] = {}
    documents: Mapping[tuple[str, str], Any] = {}
    pieces: Mapping[tuple[str, str], Piece] = {}
    warnings: tuple[Fault, ...] = ()
    left_out: tuple[Fault, ...] = ()

    def find(self, name: str) -> Target | None:
        return find_target(self.targets, name)

    def channel(self, fqn: str) -> Channel | None:
        """Where alerts go, by a name such as `acme:slack:costs:notification-channel:webhook`."""
        key = channel_key(fqn)
        return self.channels.get(key) if key is not None else None

    def trusts_channel(self, fqn: str) -> bool:
        """Whether it may lead into a private network."""
        return channel_key(fqn) in self.trusted_channels


def find_target(targets: Mapping[str, Target], name: str) -> Target | None:
    """`account/model`, or else any model of an account that offers all."""
    if target := targets.get(name):
        return target
    account, _, model = name.partition("/")
    if not model.isprintable() or " " in model:  # it becomes a header of the answer
        return None
    if model and (any_model := targets.get(f"{account}/{ANY_MODEL}")):
        return msgspec.structs.replace(any_model, name=name, model=model)
    return None
