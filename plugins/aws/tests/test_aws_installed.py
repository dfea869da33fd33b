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
import sys

from gateway.plugins import providers_by_type
from gateway.translators import translator

providers = providers_by_type()
for name in ("bedrock", "sagemaker"):
    print(type(providers[f"provider-account/aws-{name}"]).__name__)
print(type(translator("chat", "bedrock")).__name__, type(translator("embeddings", "bedrock")).__name__)
print("botocore" in sys.modules)
"""


def test_it_is_found(tmp_path):
    """And botocore, which takes an eighth of a second, is not loaded before an account needs it."""
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

    assert run.stdout.split() == ["Bedrock", "SageMaker", "ToConverse", "ToEmbeddings", "False"]
