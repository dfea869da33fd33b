"""The order of the house: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import gateway

GROUND = {"ground"}
VALUES = GROUND | {"documents"}
STORED = VALUES | {"plugs", "rules", "upstream", "state"}
WINGS = {
    "ground": ({"_version", "errors", "logs", "plugins", "secrecy", "contract", "wire"}, set()),
    "documents": ({"manifests"}, GROUND),
    "plugs": ({"dialects", "translators", "providers", "guardrails"}, VALUES),
    "rules": ({"rules"}, VALUES),
    "upstream": ({"upstream"}, GROUND),
    "proxy": ({"proxy", "testing"}, GROUND | {"rules", "upstream"}),
    "pipeline": ({"middleware", "endpoints"}, GROUND | {"rules", "proxy"}),
    "state": ({"state"}, STORED - {"state"}),
    "settings": ({"settings"}, GROUND | {"rules", "upstream", "state"}),
    "identity": ({"identity"}, STORED),
    "config": ({"config"}, STORED | {"settings", "identity"}),
    "doors": (
        {"app", "batches", "control", "servers", "cli", "__main__"},
        STORED | {"settings", "identity", "config", "proxy", "pipeline"},
    ),
}
"""Wing -> the rooms in it, and the wings it may import from besides itself."""
WING_OF = {room: wing for wing, (rooms, _) in WINGS.items() for room in rooms}
PURE = ("contract", "wire", "rules", "dialects", "translators", "providers", "guardrails")
IO = {"aiohttp", "redis", "sqlalchemy", "asyncpg", "aiosqlite"}
PUBLIC = (
    "gateway.contract",
    "gateway.errors",
    "gateway.wire",
    "gateway.translators",
    "gateway.guardrails.services",
    "gateway.providers.openai_compatible",
    "gateway.providers.credentials",
    "gateway.providers.client_credentials",
    "gateway.secrecy.secret",
    "gateway.manifests.accounts",
    "gateway.upstream.outgoing",
    "gateway.upstream.proxies",
    "gateway.testing",
)
"""What a plugin may import."""
ROOT = Path(gateway.__file__).parent
PLUGINS = [Path(__file__).parent / "acme_provider", Path(__file__).parent.parent / "plugins"]


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """The modules that a file imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_root = node.module == "gateway"
            yield from (f"{node.module}.{alias.name}" if is_root else node.module for alias in node.names)


def test_each_room_is_in_a_wing():
    rooms = {room_of(path) for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"}

    assert rooms - WING_OF.keys() == set()


def test_imports_go_downwards():
    """A room imports from its own wing and from those it may, so that each can be understood without those above."""
    wrong = [
        f"{path.relative_to(ROOT)} ({wing}) imports {name}"
        for path in ROOT.rglob("*.py")
        if path != ROOT / "__init__.py"
        for wing in [WING_OF[room_of(path)]]
        for name in imported(path)
        if name.startswith("gateway.") and WING_OF[name.split(".")[1]] not in WINGS[wing][1] | {wing}
    ]

    assert wrong == []


def test_no_module_imports_itself_through_others():
    """In a circle nothing can be understood, or tested, before all of it is."""
    modules = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }
    waiting = {}
    for name, path in modules.items():
        source = ast.walk(ast.parse(path.read_text()))
        froms = [node for node in source if isinstance(node, ast.ImportFrom) and node.module]
        named = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
        waiting[name] = {each if each in modules else each.rpartition(".")[0] for each in named} & modules.keys() - {
            name
        }

    while free := [name for name, names in waiting.items() if not names & waiting.keys()]:
        for name in free:
            del waiting[name]

    assert sorted(waiting) == []


def test_decisions_do_no_io():
    """What decides, reads and writes formats can be tested with values alone."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room in PURE
        for path in (ROOT / room).rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in IO
    ]

    assert wrong == []


def test_plugins_import_what_is_public():
    """All else may be changed from one release to the next."""
    wrong = [
        f"{path.name} imports {name}"
        for folder in PLUGINS
        for path in folder.rglob("*.py")
        if not path.name.startswith(("test_", "conftest"))
        for name in imported(path)
        if name.startswith("gateway.") and not name.startswith(PUBLIC)
    ]

    assert wrong == []


def test_the_root_has_few_files():
    assert sorted(path.name for path in ROOT.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "_version.py",
        "app.py",
        "errors.py",
        "logs.py",
        "plugins.py",
        "settings.py",
        "testing.py",
    ]


def test_importing_the_package_costs_nothing():
    """`gateway --version` and tools that only look at it must not pay for a web server."""
    heavy = ["aiohttp", "asyncio", "msgspec", "starlette", "structlog", "yaml"]
    code = f"import gateway, sys; print([name for name in {heavy} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


START = """
import asyncio, sys, threading
from gateway import build_app, servers
from gateway.cli import main
from gateway.servers.lifespan import lifespan

main.commands["serve"]
servers.find("hypercorn")

async def start():
    app = build_app(sys.argv[1], environ={
        "GATEWAY_DATABASE_URL": sys.argv[2], "GATEWAY_PEPPER": "p" * 16, "GATEWAY_ADMIN_TOKEN": "t" * 32
    })
    async with lifespan(app, end_s=10.0):
        while not any(thread.name.startswith("watching") for thread in threading.enumerate()):
            await asyncio.sleep(0.01)

asyncio.run(start())
print([name for name in sys.argv[3:] if name in sys.modules])
"""


def test_a_gateway_at_rest_does_not_hold_what_few_need(tmp_path):
    """Each takes from half a MiB to 6 MiB."""
    config = tmp_path / "gateway.yaml"
    config.write_text("type: team\nname: readers\nmanagers: [ana@example.com]\nmembers: [ana@example.com]\n")
    few = ["sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "h2", "anyio._backends", "starlette.requests"]
    few += ["gateway.cli.apply", "alembic"]
    command = [sys.executable, "-c", START, str(config), f"sqlite:///{tmp_path}/gateway.db", *few]

    assert subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout.splitlines()[-1] == b"[]"


def test_unknown_names_are_still_errors():
    assert gateway.build_app.__name__ == "build_app"
    assert not hasattr(gateway, "no_such_name")
