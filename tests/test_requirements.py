"""What a fresh clone installs: `constraints.txt` against `setup.cfg` and `pyproject.toml`."""

import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def pins():
    """Name -> version. A line that is anything but `name==version` fails."""
    pairs = (line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, version in pairs}


def declared():
    """What this project, its plugins and building ask for, extras included, but for themselves."""
    lines = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"])
    for path in (ROOT / "setup.cfg", *ROOT.glob("plugins/*/setup.cfg")):
        setup = ConfigParser()
        setup.read(path)
        extras = setup["options.extras_require"] if setup.has_section("options.extras_require") else {}
        texts = [setup["options"]["install_requires"], *extras.values()]
        lines |= {line for text in texts for line in text.split("\n") if line}
    return [line for line in sorted(lines) if not Requirement(line).name.startswith("llm-asgi-gateway")]


@pytest.mark.parametrize("line", declared())
def test_what_is_declared_is_tested_in_one_exact_version(line):
    """A clone was green one day and red the next, when one of them had a new version."""
    requirement = Requirement(line)

    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_building_takes_the_version_that_was_tested():
    """Pip builds this project apart from what it installs, where no constraints reach."""
    building = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]

    assert building == [f"setuptools=={pins()['setuptools']}"]
