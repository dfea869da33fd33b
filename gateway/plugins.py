"""Finds what is installed: built-ins and everybody else's plugins come the same way."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import structlog

from gateway.contract import Provider
from gateway.logs import traceback_text

PROVIDERS = "gateway.providers"
MIDDLEWARES = "gateway.middlewares"
SINKS = "gateway.sinks"
GUARDRAILS = "gateway.guardrails"

log = structlog.get_logger(__name__)


def load_plugins(group: str) -> Mapping[str, Any]:
    """Name -> what the entry point names. One that cannot be imported is logged and left out; the rest still runs."""
    found = {}
    for entry in sorted(entry_points(group=group)):
        try:
            found[entry.name] = entry.load()
        except Exception:
            log.error("plugin cannot be loaded", group=group, plugin=entry.name, traceback=traceback_text())
    return found


def load_plugin(group: str, name: str) -> Any:
    """The one of that name; None: there is none, or it cannot be imported, which is logged."""
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except Exception:
            log.error("plugin cannot be loaded", group=group, plugin=name, traceback=traceback_text())
    return None


def providers_by_type() -> Mapping[str, Provider]:
    """Manifest type -> the provider that reads it. Where two want the same type, the first by name has it."""
    found: dict[str, Provider] = {}
    for name, factory in load_plugins(PROVIDERS).items():
        try:
            provider: Provider = factory()
            types = list(provider.accounts)
        except Exception:
            log.error("plugin cannot be used", group=PROVIDERS, plugin=name, traceback=traceback_text())
            continue
        for type_ in types:
            if type_ in found:
                log.error("two plugins for one type", type=type_, ignored=name)
            found.setdefault(type_, provider)
    return found
