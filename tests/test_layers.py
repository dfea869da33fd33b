"""The order of the house: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import gateway

LAYERS = [
    {"_version", "address", "errors", "headers", "secret", "sealing", "tokens"},
    {"asgi", "egress", "usage", "logs", "windows", "unpacking", "urls"},
    {"proxies", "wire", "routing", "holds", "pricing"},
    {"entries"},
    {"contract"},
    {"exchange"},
    {"plugins", "manifests", "connection", "database", "bus"},
    {"outgoing"},
    {"access", "identities", "shared_health"},
    {
        "upstream",
        "providers",
        "dialects",
        "stores",
        "sinks",
        "records",
        "drain",
        "outlet",
        "overdue",
        "stalls",
        "testing",
        "callers",
        "estimates",
        "policies",
        "refusals",
        "prices",
        "ledger",
        "alerts",
        "routes",
        "tiers",
        "wishes",
    },
    {"relay", "watch", "router", "bodies", "admission"},
    {"dispatch", "middleware", "snapshot"},
    {"config"},
    {"replica"},
    {"control"},
    {"accounting"},
    {"endpoints"},
    {"app"},
    {"servers"},
    {"serve"},
    {"cli"},
    {"__main__"},
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
ROOT = Path(gateway.__file__).parent


def part_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """The parts of the gateway that a module imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" if node.module == "gateway" else node.module for alias in node.names]
        yield from {name.split(".")[1] for name in names if name.startswith("gateway.")} - {part_of(path)}


def test_imports_go_downwards():
    """A module imports from layers below its own, so that each can be understood without those above."""
    modules = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]

    wrong = [
        f"{path.relative_to(ROOT)} (layer {LAYER_OF[part_of(path)]}) imports {name} (layer {LAYER_OF[name]})"
        for path in modules
        for name in imports(path)
        if LAYER_OF[name] >= LAYER_OF[part_of(path)]
    ]

    assert wrong == []


def test_importing_the_package_costs_nothing():
    """`gateway --version` and tools that only look at it must not pay for a web server."""
    heavy = ["aiohttp", "asyncio", "msgspec", "starlette", "structlog", "yaml"]
    code = f"import gateway, sys; print([name for name in {heavy} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_unknown_names_are_still_errors():
    assert gateway.build_app.__name__ == "build_app"
    assert not hasattr(gateway, "no_such_name")
