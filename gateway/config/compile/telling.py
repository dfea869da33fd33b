"""Manifests of what is told of requests -> the rules about it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.config.compile.filters import Find, Names
from gateway.errors import Fault
from gateway.manifests import Manifest
from gateway.manifests.builder import Steps
from gateway.manifests.identity import VirtualAccount
from gateway.manifests.routing import GlobalSettings
from gateway.manifests.scopes import Selection
from gateway.manifests.spelling import did_you_mean
from gateway.manifests.telemetry import (
    CreatedByIn,
    CustomerStorage,
    DataRoutingConfig,
    LogAlways,
    LogByHeader,
    LoggingConfig,
    MetadataConfig,
    MetadataIn,
    OtelConfig,
    RedactWith,
    RoutedDestination,
)
from gateway.rules.limits.rule import Filter
from gateway.rules.logging import MOST_REPEATS, PRESETS, REDACTED, Destination, LoggingRule, LoggingRules, Redaction
from gateway.rules.metadata import MetadataRule, MetadataRules
from gateway.rules.patterns import flaw_in
from gateway.state.telemetry.settings import TelemetrySettings
from gateway.state.telemetry.wanted import missing_for, wanted

MAX_VALUE_CHARS = 128
"""Of metadata, as of those that callers send."""

Documents = Sequence[tuple[Manifest, Any]]


class Telling(msgspec.Struct, frozen=True):
    logging: LoggingRules = LoggingRules()
    metadata: MetadataRules = MetadataRules()
    otel: OtelConfig | None = None


class TellingCompiler:
    """Collects faults in `faults`, each with its manifest, and warnings in `warnings`.

    Args:
        find: a name or alias -> the model, virtual ones included, or None.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self.faults: list[tuple[Manifest, Fault]] = []
        self.warnings: list[Fault] = []

    def compile(self, documents: Documents) -> Telling:
        """Of what there is one of, the first counts."""
        accounts = frozenset(
            manifest.name for manifest, _ in documents if manifest.type.startswith("provider-account/")
        )
        settings = GlobalSettings(type="")
        routing: DataRoutingConfig | None = None
        otel: OtelConfig | None = None
        logging: list[LoggingRule] = []
        metadata: list[MetadataRule] = []
        for manifest, document in reversed(documents):
            match document:
                case GlobalSettings():
                    settings = document
                case OtelConfig():
                    self._check_installed(manifest, document)
                    otel = document
                case DataRoutingConfig():
                    self._warn_of_storage(manifest, document)
                    routing = document
        for manifest, document in documents:
            names = Names(manifest, self.find, accounts, self.warnings)
            match document:
                case LoggingConfig():
                    logging.append(self._logging_rule(names, document))
                case MetadataConfig():
                    metadata += self._metadata_rules(names, document)
        return Telling(self._logging(settings, logging, routing), MetadataRules(metadata, _tags(documents)), otel)

    # What is written down.

    def _logging(
        self, settings: GlobalSettings, rules: Sequence[LoggingRule], routing: DataRoutingConfig | None
    ) -> LoggingRules:
        destinations = tuple(_destinations(routing)) if routing is not None else None
        match settings.logging_settings:
            case LogAlways():
                return LoggingRules("always", rules=rules, destinations=destinations)
            case LogByHeader(log_body_by_default=by_default):
                return LoggingRules("header", by_default, rules, destinations)
        return LoggingRules("never", rules=rules, destinations=destinations)

    def _logging_rule(self, names: Names, config: LoggingConfig) -> LoggingRule:
        when, redact = config.when, config.redact_with
        return LoggingRule(
            names.subjects(("when", "subjects"), when.subjects),
            names.selected_models(("when", "models"), when.models),
            when.metadata,
            config.log,
            self._redaction(names.manifest, redact) if redact is not None else None,
        )

    def _redaction(self, manifest: Manifest, redact: RedactWith) -> Redaction | None:
        patterns: list[tuple[re.Pattern[str], str]] = []
        for index, name in enumerate(redact.presets):
            if name in PRESETS:
                patterns.append((re.compile(PRESETS[name]), REDACTED))
            else:
                message = f"there is no preset {name!r}{did_you_mean(name, PRESETS)}"
                self._fault(manifest, ("redact_with", "presets", index), message)
        for index, custom in enumerate(redact.custom_patterns):
            if flaw := flaw_in(custom.pattern, MOST_REPEATS):
                self._fault(manifest, ("redact_with", "custom_patterns", index, "pattern"), flaw)
            else:
                patterns.append((re.compile(custom.pattern), custom.redaction_text))
        return Redaction(tuple(patterns)) if patterns else None

    def _warn_of_storage(self, manifest: Manifest, config: DataRoutingConfig) -> None:
        """What is told of a destination besides its name is for whoever keeps records there."""
        places: Iterable[tuple[Steps, Any]] = [
            (("default",), config.default),
            *((("destinations", index), each) for index, each in enumerate(config.destinations)),
        ]
        for at, each in places:
            if isinstance(each.storage, CustomerStorage):
                message = "records are not brought there by the gateway: they carry the name of their destination"
                self.warnings.append(manifest.fault((*at, "storage"), message))

    def _check_installed(self, manifest: Manifest, config: OtelConfig) -> None:
        if missing := missing_for(wanted(TelemetrySettings(), config).destinations):
            self._fault(manifest, (), missing)

    # Metadata.

    def _metadata_rules(self, names: Names, config: MetadataConfig) -> Iterator[MetadataRule]:
        for index, rule in enumerate(config.rules):
            subjects = names.subjects(("rules", index, "when", "subjects"), Selection(in_=rule.when.subjects))
            required = tuple(rule.required_keys)
            yield MetadataRule(Filter(subjects.only), rule.metadata_override, rule.default_metadata, required)

    def _fault(self, manifest: Manifest, at: Steps, message: str) -> None:
        self.faults.append((manifest, manifest.fault(at, message)))


def _destinations(config: DataRoutingConfig) -> Iterator[Destination]:
    for each in config.destinations:
        if each.enabled:
            yield Destination(each.name, tuple(_created_by(each)), tuple(_metadata(each)))


def _created_by(destination: RoutedDestination) -> Iterator[frozenset[str]]:
    return (frozenset(when.value) for when in destination.when if isinstance(when, CreatedByIn))


def _metadata(destination: RoutedDestination) -> Iterator[tuple[str, frozenset[str]]]:
    return ((when.key, frozenset(when.value)) for when in destination.when if isinstance(when, MetadataIn))


def _tags(documents: Documents) -> dict[str, dict[str, str]]:
    """Of virtual accounts; a tag that is no short text is nothing that a request could say."""
    found = {}
    for _, document in documents:
        if isinstance(document, VirtualAccount) and document.tags:
            tags = {
                name: value
                for name, value in document.tags.items()
                if isinstance(value, str) and len(value) <= MAX_VALUE_CHARS
            }
            if tags:
                found[f"virtualaccount:{document.name}"] = tags
    return found
