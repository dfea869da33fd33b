"""Each plugin as a distribution: what its entry points name can be loaded, and claims types that nobody else has."""

from configparser import ConfigParser
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gateway.manifests.unread import IN_PLUGINS
from gateway.providers.demo import Demo
from gateway.providers.openai_compatible import OpenAICompatible

OPTIONAL = {"presidio"}
"""With what they need, they are larger than everything else: who wants one installs it."""
FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/setup.cfg"))


def setup_of(folder):
    setup = ConfigParser()
    setup.read(folder / "setup.cfg")
    return setup


def loaded(folder, group):
    text = setup_of(folder).get("options.entry_points", group, fallback="")
    lines = [line.split("=", 1) for line in text.splitlines() if line]
    return [EntryPoint(name.strip(), value.strip(), group).load() for name, value in lines]


def read_by():
    """Type -> the distribution whose provider reads it."""
    return {
        type_: setup_of(folder)["metadata"]["name"]
        for folder in FOLDERS
        for provider in loaded(folder, "gateway.providers")
        for type_ in provider().accounts
    }


def test_the_gateway_knows_which_plugin_reads_a_type():
    """It tells whoever writes such an account without the plugin."""
    assert read_by() == IN_PLUGINS


def test_no_plugin_claims_a_type_of_the_gateways_own():
    assert read_by().keys().isdisjoint([*OpenAICompatible.accounts, *Demo.accounts])


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_says_what_it_is(folder):
    setup = setup_of(folder)

    assert setup["metadata"]["name"] == f"llm-asgi-gateway-{folder.name}"
    assert setup["options"]["packages"] == f"gateway_{folder.name}"
    assert (folder / f"gateway_{folder.name}" / "py.typed").exists()
    assert (folder / "README.md").read_text().count("2026-11") >= 1


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_names_what_is_there(folder):
    """What an entry point leads to can be imported and called, without the packages that it will need."""
    groups = setup_of(folder).options("options.entry_points")

    assert all(callable(each) for group in groups for each in loaded(folder, group))
    assert set(groups) <= {"gateway.guardrails", "gateway.providers", "gateway.sinks", "gateway.translators"}


def test_they_come_with_the_gateway():
    lines = (Path(__file__).parent.parent / "requirements.txt").read_text().splitlines()

    always = [folder.name for folder in FOLDERS if folder.name not in OPTIONAL]
    assert [line for line in lines if "plugins/" in line] == [f"-e plugins/{name}" for name in always]
