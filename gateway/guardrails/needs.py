"""Packages that only guardrails need: `pip install 'llm-asgi-gateway[guardrails]'`, or `[cedar]` for that one alone."""

from importlib import import_module
from typing import Any

PACKAGES = {
    "re2": "google-re2",
    "cedarpy": "cedarpy",
    "phonenumbers": "phonenumbers",
    "sqlglot": "sqlglot",
    "jsonschema": "jsonschema",
}


def needed(module: str) -> Any:
    """Raises ValueError: it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        package = PACKAGES.get(module.partition(".")[0], module)
        extra = "cedar" if package == "cedarpy" else "guardrails"
        message = f"needs the package {package}: pip install 'llm-asgi-gateway[{extra}]'"
        raise ValueError(message) from error
