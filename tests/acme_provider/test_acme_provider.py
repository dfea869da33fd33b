"""Somebody else's provider: built, installed, found through its entry point, and used."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# From this version on it builds wheels without the package `wheel`.
pytest.importorskip("setuptools", minversion="70.1")

HERE = Path(__file__).parent

MANIFEST = """\
type: provider-account/acme
name: acme
region: us
auth_data: {type: api-key, api_key: "${ACME_KEY}"}
integrations:
  - {type: integration/model/acme, name: coyote, model_id: coyote-9, model_types: [chat]}
"""

USE = """\
import asyncio, json, sys
from pathlib import Path

from gateway import build_app
from gateway.config.compile.snapshot import check
from gateway.settings import settings_from
from gateway.testing import FakeUpstream, post

ENVIRON = {"ACME_KEY": "k-acme", "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef"}
REPLY = b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"beep"},"finish_reason":"stop"}]}'
ASK = {"model": "acme/coyote", "messages": [], "seed": 7}


async def main():
    path = Path(sys.argv[1])
    report = check(path, settings_from(ENVIRON))
    upstream = FakeUpstream((200, [REPLY]))
    app = build_app(path, environ=ENVIRON, network=upstream, sinks=[])
    headers = {"authorization": "Bearer gw-test-0123456789abcdef"}
    answer = await post(app, "/v1/chat/completions", ASK, headers=headers)
    await app.close()
    request = upstream.requests[0]
    return {
        "models": report.models,
        "warnings": [str(warning) for warning in report.warnings],
        "provider": type(app.models.snapshot.find("acme/coyote").provider).__module__,
        "url": request.endpoint.url,
        "key": b"x-acme-key: k-acme" in request.endpoint.head and b"authorization" not in request.endpoint.head,
        "body": json.loads(request.body),
        "status": answer.status,
        "dropped": answer.headers["x-gateway-dropped-params"],
        "answer": answer.body == REPLY,
    }


print(json.dumps(asyncio.run(main())))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory with the distribution, built from a copy since building leaves files behind."""
    directory = tmp_path_factory.mktemp("acme")
    source = shutil.copytree(HERE, directory / "source", ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    target = directory / "site"
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *install, str(source)], check=True)
    return target


def test_a_third_partys_provider_is_found_and_used(installed, tmp_path):
    """What a plugin imports is the public surface: a change that breaks this breaks everybody's plugins."""
    manifest = tmp_path / "acme.yaml"
    manifest.write_text(MANIFEST)
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))

    run = subprocess.run(
        [sys.executable, "-c", USE, str(manifest)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert json.loads(run.stdout) == {
        "models": ["acme/coyote"],
        "warnings": [],
        "provider": "acme_gateway",
        "url": "https://us.acme.example/converse/v2",
        "key": True,
        "body": {"model": "coyote-9", "messages": []},
        "status": 200,
        "dropped": "seed",
        "answer": True,
    }
