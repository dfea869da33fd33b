"""Plugins are found among what is installed, and a broken one does not take the rest down."""

import sys

import pytest
from structlog.testing import capture_logs

from gateway.plugins import MIDDLEWARES, PROVIDERS, load_plugins, providers_by_type
from gateway.providers.custom_endpoint import CustomEndpoints
from gateway.providers.demo import Demo
from gateway.providers.openai_compatible import OpenAICompatible

WORKS = "class Works:\n    accounts = {'provider-account/works': object}\n"
CLAIMS = "class Claims:\n    accounts = {'provider-account/openai': object, 'provider-account/claimed': object}\n"
NEEDS = "class Needs:\n    def __init__(self, key):\n        self.accounts = {}\n"


@pytest.fixture
def install(tmp_path):
    """`install("name", group, {entry: source})`: a distribution with a module for each entry point."""
    sys.path.insert(0, str(tmp_path))

    def make(name, group, sources):
        entries = []
        for entry, source in sources.items():
            module = f"plugin_of_{name}_{entry}"
            (tmp_path / f"{module}.py").write_text(source)
            entries.append(f"{entry} = {module}:{entry.capitalize()}")
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(entries))

    yield make
    sys.path.remove(str(tmp_path))
    for module in [module for module in sys.modules if module.startswith("plugin_of_")]:
        del sys.modules[module]


def test_finds_what_comes_with_the_gateway():
    """Built-ins are found like everybody else's plugins, so that the way there is always in use."""
    built_in = {name: each for name, each in load_plugins(PROVIDERS).items() if each.__module__.startswith("gateway.")}
    assert built_in == {"custom_endpoint": CustomEndpoints, "demo": Demo, "openai_compatible": OpenAICompatible}
    assert load_plugins(MIDDLEWARES) == {}


def test_finds_what_others_installed(install):
    install("others", PROVIDERS, {"works": WORKS})

    providers = providers_by_type()

    assert type(providers["provider-account/works"]).__name__ == "Works"
    assert type(providers["provider-account/openai"]) is OpenAICompatible


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("this is no Python", "SyntaxError: invalid syntax"),
        ("", "AttributeError: module 'plugin_of_broken_bad' has no attribute 'Bad'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_logged_and_left_out(install, source, reason):
    install("broken", "tests.broken", {"bad": source, "works": WORKS})

    with capture_logs() as logs:
        found = load_plugins("tests.broken")

    assert [*found] == ["works"]
    assert [(line["event"], line["log_level"], line["group"], line["plugin"]) for line in logs] == [
        ("plugin cannot be loaded", "error", "tests.broken", "bad")
    ]
    assert logs[0]["traceback"].strip().endswith(reason)


def test_a_provider_that_cannot_be_made_is_logged_and_left_out(install):
    install("wants", PROVIDERS, {"needs": NEEDS, "works": WORKS})

    with capture_logs() as logs:
        providers = providers_by_type()

    assert "provider-account/works" in providers
    assert [(line["event"], line["plugin"]) for line in logs] == [("plugin cannot be used", "needs")]


def test_the_first_by_name_has_a_type_that_two_want(install):
    """Which one it is must not depend on the order of directories."""
    install("claimants", PROVIDERS, {"claims": CLAIMS})

    with capture_logs() as logs:
        providers = providers_by_type()

    assert type(providers["provider-account/openai"]).__name__ == "Claims"
    assert type(providers["provider-account/groq"]) is OpenAICompatible
    assert [(line["event"], line["type"], line["ignored"]) for line in logs] == [
        ("two plugins for one type", "provider-account/openai", "openai_compatible")
    ]


def test_finds_nothing_where_nothing_is():
    assert load_plugins("tests.of.nothing") == {}
