"""Built, installed, and found by its entry points."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# From this version on it builds wheels without the package `wheel`.
pytest.importorskip("setuptools", minversion="70.1")

HERE = Path(__file__).parent.parent

USE = """\
from gateway.plugins import providers_by_type
from gateway.translators import translator

made = [
    providers_by_type()["provider-account/cohere"],
    translator("chat", "cohere"),
    translator("embeddings", "cohere"),
]
print(*(type(each).__name__ for each in made))
"""


def test_it_is_found(tmp_path):
    source = shutil.copytree(HERE, tmp_path / "source", ignore=shutil.ignore_patterns("tests", "__pycache__", "build"))
    target = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *install, str(source)], check=True)
    path = os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")]))

    run = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert run.stdout.split() == ["Cohere", "ToChat", "ToEmbed"]
