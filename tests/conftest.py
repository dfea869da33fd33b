"""What most tests share: a configuration, a token, apps that are closed at the end, and waiting without sleeping."""

import asyncio

import pytest
import structlog

from gateway import build_app
from gateway.testing import ListSink, http_scope

TOKEN = "gw-test-0123456789abcdef"

MANIFEST = """\
type: provider-account/self-hosted-model
name: mock
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: real-m
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [chat]
    auth_data: {type: bearer-auth, bearer_token: provider-key-of-mock}
  - type: integration/model/self-hosted-model
    name: old
    hosted_model_name: real-old
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [completion]
  - type: integration/model/self-hosted-model
    name: vectors
    hosted_model_name: real-vectors
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [embedding]
"""


@pytest.fixture(autouse=True)
def _logs_as_they_are_by_default():
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def token():
    return TOKEN


@pytest.fixture(scope="session")
def auth():
    return {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def manifest(tmp_path):
    """A file with the models mock/m (chat), mock/old (completions) and mock/vectors (embeddings)."""
    path = tmp_path / "gateway.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_with(manifest, sink):
    """Builds apps around an upstream; they write into `sink` and are closed when the test ends."""
    apps = []

    def make(upstream, config=manifest, **options):
        options.setdefault("environ", {"GATEWAY_ADMIN_TOKEN": TOKEN})
        options.setdefault("sinks", [sink])
        apps.append(build_app(config, network=upstream, **options))
        return apps[-1]

    yield make
    for app in apps:
        await app.close()


@pytest.fixture(scope="session")
def until():
    """`await until(condition)`: returns as soon as it is true, and fails when that takes too long."""

    async def poll(condition, within_s=5.0):
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.001)

    return poll


@pytest.fixture(scope="session")
def call():
    """`await call(app, messages, ...)`: runs an app on given ASGI messages and returns what it sent.

    After the messages the client waits. `send` may take the place of the list that is returned.
    """

    async def run(app, *messages, method="POST", path="/", headers=None, send=None, **scope):
        sent = []
        left = list(messages)

        async def receive():
            if left:
                return left.pop(0)
            return await asyncio.Event().wait()

        async def keep(message):
            sent.append(message)

        await app({**http_scope(method, path, headers or {}, 0), **scope}, receive, send or keep)
        return sent

    return run
