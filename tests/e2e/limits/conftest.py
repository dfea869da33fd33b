"""Gateways with limits on one database and one Redis, a provider at a price, and what is left in the end."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from subprocess import PIPE
from urllib.parse import urlsplit

import aiohttp
import pytest

PEPPER = "pepper-of-these-tests"
IN_TIME_S = 30

PRICED = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}}
"""A thousand nano-dollars for each token of input, ten thousand for each of output."""

PROMPT_TOKENS = 9
"""What the gateway takes "Hello!" for. It reserves one more."""

NURSERY = """\
'''Starts gateways that need not import anything, with leases that a test can wait for. Each line has the arguments.'''

import os
import sys
from functools import partial

import asyncpg
import gateway.app
import gateway.state.database.store
import gateway.servers.hypercorn
import gateway.state.counters.redis
from gateway.cli import main

gateway.state.counters.redis.RedisCounters = partial(gateway.state.counters.redis.RedisCounters, lease_s=3.0)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.dup2(2, 1)
        main(line.split())
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="session")
def until(until):
    return partial(until, within_s=IN_TIME_S)


class Database:
    """A new one, and what stands in it."""

    def __init__(self, url, postgres):
        self.url = url
        self._name = urlsplit(url).path.removeprefix("/")
        self._postgres = postgres

    def rows(self, query):
        """All columns as text."""
        return [line.split("|") for line in self._postgres.sql(query, database=self._name).splitlines()]

    @property
    def requests(self):
        """How many the ledger has."""
        [[count]] = self.rows("SELECT count(*) FROM ledger")
        return int(count)


@pytest.fixture
async def database(postgres):
    from gateway.state.database.migrate import migrate

    with postgres.database() as url:
        await migrate(url)
        yield Database(url, postgres)


@pytest.fixture
def environ(database, own_redis):
    return {"GATEWAY_DATABASE_URL": database.url, "GATEWAY_REDIS_URL": own_redis.url, "GATEWAY_PEPPER": PEPPER}


@pytest.fixture
def serve(gateway_process, environ):
    """`serve(manifest, ...)`: a gateway; those of one test share a database and Redis."""
    return lambda *manifests: gateway_process(config=json.dumps(manifests), environ=environ)


class Nursery:
    """One gateway at a time, which is to be killed."""

    def __init__(self, folder, environ):
        (folder / "nursery.py").write_text(NURSERY)
        self.pid = None
        with (folder / "err").open("wb") as err:
            command = [sys.executable, "nursery.py"]
            self._process = subprocess.Popen(command, cwd=folder, env=environ, stdin=PIPE, stdout=PIPE, stderr=err)

    async def start(self):
        """Returns once it listens."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        self._process.stdin.write(f"serve --config gateway.yaml --port {self.port}\n".encode())
        self._process.stdin.flush()
        self.pid = int(await asyncio.to_thread(self._process.stdout.readline))
        async with asyncio.timeout(IN_TIME_S):
            while True:
                with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                    return
                await asyncio.sleep(0.01)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.pid = None

    def end(self):
        if self.pid is not None:
            self.kill()
        self._process.communicate()


@pytest.fixture
def nursery(tmp_path, environ, token):
    """`nursery(manifest, ...)`: its gateways share the database and Redis of the others."""
    nurseries = []

    def make(*manifests):
        (tmp_path / "gateway.yaml").write_text(json.dumps(manifests))
        base = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GATEWAY_ADMIN_TOKEN": token}
        nurseries.append(Nursery(tmp_path, base | environ))
        return nurseries[-1]

    yield make
    for nursery in nurseries:
        nursery.end()


class Rules:
    """Manifests. They count all together, or apart by the value of `per` in the metadata."""

    @staticmethod
    def limit(name, per=None, **limits):
        applies_to = Rules._applies_to(per)
        return {"type": "tenant-rate-limit-config/model", "name": name, "limits": limits, "applies_to": applies_to}

    @staticmethod
    def budget(name, dollars, per=None, **fields):
        limits = {"limits": {"cost_per_lifetime": dollars}, "applies_to": Rules._applies_to(per), "mode": "enforce"}
        return {"type": "tenant-budget-config", "name": name, **limits, **fields}

    @staticmethod
    def _applies_to(per):
        return {"type": "metadata", "metadata": per} if per else {"type": "aggregate"}


@pytest.fixture(scope="session")
def rules():
    return Rules


@pytest.fixture
def priced(account, provider_url):
    """`priced("chat", ...)`: an account with these models of the provider of the test, all at the same price."""

    def priced(*names):
        made = account("mock", provider_url)
        chat = made["integrations"][0] | {"cost": PRICED}
        made["integrations"] = [chat | {"name": name, "hosted_model_name": f"real-{name}"} for name in names]
        return made

    return priced


@pytest.fixture(scope="session")
def reply(say):
    """`reply(output_tokens)`: what the provider says; the input is as long as it was taken for."""

    def reply(output_tokens):
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": output_tokens}
        return say.whole({**say.head(), "object": "chat.completion", "choices": [choice], "usage": usage})

    return reply


@pytest.fixture(scope="session")
def spent(ask):
    """`await spent(client)`: (requests that are left, tokens that are left, nano-dollars used).

    A refusal tells, and takes nothing: this request may cost more than any budget here. With `once`, it is asked until
    it says so, or time is up.
    """

    async def spent(client, once=None):
        deadline = time.monotonic() + IN_TIME_S
        while True:
            client.ask(ask("mock/chat", stream=False, max_tokens=10**8))
            answer = await client.answer()
            assert answer.status == 429, answer.body
            left = [int(answer.headers[f"x-ratelimit-remaining-{unit}"]) for unit in ("requests", "tokens")]
            found = (*left, json.loads(answer.headers["x-tfy-applied-rules"])["budget"]["used"])
            if once in (None, found) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    return spent


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session
