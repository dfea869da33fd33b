"""Who calls, and what they may use: real gateways on one PostgreSQL and one Redis, and the official SDK."""

import asyncio
import json
import os
import re
import sys
import time
from asyncio.subprocess import PIPE

import aiohttp
import jwt
import openai
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from openai import AsyncOpenAI

HELLO = [{"role": "user", "content": "Say hello"}]
PEPPER = "pepper-of-these-tests"
DEMO = json.dumps(
    {
        "type": "provider-account/demo",
        "name": "demo",
        "delay_s": 0,
        "collaborators": [{"subject": "team:research", "role_id": "provider-account-access"}],
    }
)


class Admin:
    """The control API of one gateway, as an admin or whoever has the token."""

    def __init__(self, gateway, token, session):
        self.base = gateway.url.removesuffix("/v1") + "/api/svc/v1"
        self.models = gateway.url + "/models"
        self.headers = {"authorization": f"Bearer {token}"}
        self.session = session

    async def __call__(self, method, path, body=None, status=200):
        request = self.session.request(method, self.base + path, json=body, headers=self.headers)
        async with request as answer:
            said = await answer.json()
            assert answer.status == status, said
            return said

    async def knows(self, token):
        """Returns once the gateway takes this token, and knows of a model for it: grants come behind tokens."""
        headers = {"authorization": f"Bearer {token}"}
        deadline = time.monotonic() + 5
        while True:
            async with self.session.get(self.models + "/demo/echo", headers=headers) as answer:
                if answer.status == 200:
                    return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def token_of(self, email, *teams, name="laptop"):
        made = await self(
            "POST", "/personal-access-tokens/for-user", {"email": email, "name": name, "teams": list(teams)}
        )
        return made["id"], made["token"]


class Load:
    """Asks at a steady rate, and keeps what was answered when."""

    def __init__(self, gateway, token, session, *, per_second=200):
        self.url = gateway.url + "/chat/completions"
        self.headers = {"authorization": f"Bearer {token}"}
        self.session = session
        self.every_s = 1 / per_second
        self.answers = []
        self._asking = set()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task, *self._asking])

    @property
    def statuses(self):
        return sorted({status for _, status in self.answers})

    def first(self, status):
        """When an answer had this status first."""
        return next((at for at, got in self.answers if got == status), None)

    async def _run(self):
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            task = asyncio.create_task(self._ask())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            due += self.every_s
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _ask(self):
        body = {"model": "demo/echo", "messages": HELLO}
        async with self.session.post(self.url, json=body, headers=self.headers) as answer:
            await answer.read()
            self.answers.append((time.monotonic(), answer.status))


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
async def admin(session, token):
    return lambda gateway, by=token: Admin(gateway, by, session)


@pytest.fixture
def database(postgres):
    with postgres.database() as url:
        yield url


@pytest.fixture
async def replicas(gateway_process, database, redis_url):
    """Two gateways that share a database and Redis."""
    from gateway.state.database.migrate import migrate

    await migrate(database)
    environ = {"GATEWAY_DATABASE_URL": database, "GATEWAY_REDIS_URL": redis_url, "GATEWAY_PEPPER": PEPPER}
    return [gateway_process(config=DEMO, environ=environ) for _ in range(2)]


async def test_a_token_revoked_on_one_gateway_is_refused_on_the_other(replicas, admin, session, measured, until):
    """Within a second, under load."""
    one, other = replicas
    id_, token = await admin(one).token_of("ana@example.com", "research")
    await admin(other).knows(token)

    async with Load(other, token, session) as load:
        await until(lambda: len(load.answers) >= 100)
        revoked_at = time.monotonic()
        await admin(one)("DELETE", f"/tokens/{id_}")
        await until(lambda: load.first(401) is not None)

    assert load.statuses == [200, 401]
    took = load.first(401) - revoked_at
    measured("revoked elsewhere", took, "s")
    assert all(status == 401 for at, status in load.answers if at > revoked_at + 1.0)
    one.assert_sound()
    other.assert_sound()


async def test_not_one_request_fails_while_the_configuration_is_swapped(replicas, admin, session, until):
    one, other = replicas
    _, token = await admin(one).token_of("ana@example.com", "research")
    _, spare = await admin(one).token_of("bob@example.com", "research")
    await admin(other).knows(spare)
    generation = other.ready()[1]["config"]["generation"]

    async with Load(other, token, session) as load, Load(one, token, session, per_second=50) as at_one:
        for number in range(20):
            team = {"type": "team", "name": f"team-{number}", "members": ["ana@example.com"]}
            await admin(one)("PUT", "/apply", {"manifest": team})
        await until(lambda: other.ready()[1]["config"]["generation"] >= generation + 2)
        asked = len(load.answers)
        await until(lambda: len(load.answers) >= asked + 50)

    assert load.statuses == at_one.statuses == [200]
    me = await admin(other, spare)("GET", "/me")
    assert me["teams"] == ["research"]


async def test_known_tokens_outlive_the_database(replicas, admin, session, postgres, until):
    """PostgreSQL goes away under load: who was known goes on, who is not is told to come back, and it heals."""
    one, other = replicas
    _, token = await admin(one).token_of("ana@example.com", "research")
    await admin(other).knows(token)
    stranger = Load(other, "gwp_unknown-token-of-nobody", session, per_second=20)

    async with Load(other, token, session) as load, stranger:
        await until(lambda: len(load.answers) >= 50)
        assert stranger.statuses in ([], [401])
        with postgres.stopped():
            await until(lambda: stranger.first(503) is not None)
            status, ready = other.ready()
            assert (status, ready["database"]["status"]) == (200, "degraded")
            async with session.post(other.url + "/chat/completions", json={}, headers=stranger.headers) as answer:
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            await admin(one)("POST", "/users/register", {"email": "eve@example.com"}, status=503)
        await until(lambda: other.ready()[1]["database"]["status"] == "ok")
        seen = len(stranger.answers)
        await until(lambda: [status for _, status in stranger.answers[seen:]][-3:] == [401, 401, 401])
        _, later = await admin(one).token_of("bob@example.com", "research")

    assert load.statuses == [200]
    await admin(other).knows(later)


async def test_a_frozen_database_holds_nobody_up(replicas, admin, session, postgres, until):
    one, _ = replicas
    _, token = await admin(one).token_of("ana@example.com", "research")

    async with Load(one, token, session) as load:
        with postgres.frozen():
            await until(lambda: one.ready()[1]["database"]["status"] == "degraded")
            await admin(one)("POST", "/users/register", {"email": "eve@example.com"}, status=503)
        await until(lambda: one.ready()[1]["database"]["status"] == "ok")

    assert load.statuses == [200]


async def test_the_sdk_with_a_token_of_a_user(gateway_process, admin, provider, account, provider_url, say):
    """What it may use it lists and calls; what it may not is not there, or says what is missing."""
    mock = account("mock", provider_url) | {
        "collaborators": [{"subject": "user:ana@example.com", "role_id": "provider-account-access"}]
    }
    mock["integrations"][1]["authorized_subjects"] = ["user:bob@example.com"]
    gateway = gateway_process(config=json.dumps([mock, account("secret", provider_url)]))
    provider.on("real-chat", [say.completion("hello")])
    id_, token = await admin(gateway).token_of("Ana@Example.com")

    async with AsyncOpenAI(base_url=gateway.url, api_key=token, max_retries=0) as client:
        answer = await client.chat.completions.create(model="mock/chat", messages=HELLO)
        models = [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError) as hidden:
            await client.chat.completions.create(model="secret/chat", messages=HELLO)
        with pytest.raises(openai.PermissionDeniedError) as denied:
            await client.completions.create(model="mock/old", prompt="x")
        await admin(gateway)("DELETE", f"/tokens/{id_}")
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()

    assert answer.choices[0].message.content == "hello"
    assert models == ["mock/chat", "mock/vectors"]
    assert hidden.value.body["message"] == "no model named 'secret/chat'; you may use: mock/chat, mock/vectors"
    assert "user:ana@example.com may not use mock/old" in denied.value.body["message"]
    [record] = await gateway.records_of(answer._request_id)
    assert (record["subject"], record["token_id"]) == ("user:ana@example.com", id_)


async def test_the_callers_own_key_goes_to_the_provider(
    gateway_process, admin, provider, provider_url, say, connect, ask
):
    """An account without a key: Authorization is the provider's, x-tfy-api-key the gateway's."""
    bring_your_own = {
        "type": "provider-account/openai",
        "name": "own",
        "base_url": provider_url,
        "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
        "integrations": [
            {"type": "integration/model/openai", "name": "m", "model_id": "real-chat", "model_types": ["chat"]}
        ],
    }
    gateway = gateway_process(config=json.dumps(bring_your_own))
    provider.on("real-chat", [say.completion("hello")])
    _, token = await admin(gateway).token_of("ana@example.com")
    headers = {"x-tfy-api-key": token}

    async with AsyncOpenAI(base_url=gateway.url, api_key="sk-own-key", default_headers=headers) as client:
        await client.chat.completions.create(model="own/m", messages=HELLO)
    async with AsyncOpenAI(base_url=gateway.url, api_key=token, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.chat.completions.create(model="own/m", messages=HELLO)

    [asked] = provider.requests
    assert b"authorization: Bearer sk-own-key\r\n" in asked.head
    assert token.encode() not in asked.head + asked.body
    assert refused.value.body["code"] == "provider_key_missing"
    assert "sk-own-key" not in gateway.out + gateway.err


@pytest.fixture
async def identity_provider(session):
    """Publishes one key, and signs what it is told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k1", "use": "sig", "alg": "ES256"}

    async def keys(_):
        return web.json_response({"keys": [public]})

    app = web.Application()
    app.router.add_get("/keys", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def sign(**claims):
        about = {"iss": issuer, "aud": "llm-gateway", "exp": int(time.time()) + 60, **claims}
        return jwt.encode(about, key, algorithm="ES256", headers={"kid": "k1"})

    yield issuer, sign
    await runner.cleanup()


async def test_jwts_of_an_identity_provider(gateway_process, identity_provider, admin):
    """The SDK sends its user's JWT; groups are teams, a claim is an application, and who was deactivated stays out."""
    issuer, sign = identity_provider
    mapping = [{"identity_provider": "okta", "value": "g-research"}]
    manifests = [
        json.loads(DEMO),
        {"type": "team", "name": "research", "members": [], "identity_provider_mapping": mapping},
        {
            "type": "identity-provider",
            "name": "okta",
            "issuer": issuer,
            "jwks_uri": f"{issuer}/keys",
            "audiences": ["llm-gateway"],
        },
    ]
    gateway = gateway_process(config=json.dumps(manifests))
    ana = sign(email="Ana@Example.com", groups=["g-research", "g-other"])
    bob = sign(email="bob@example.com")

    async with AsyncOpenAI(base_url=gateway.url, api_key=ana, max_retries=0) as client:
        answer = await client.chat.completions.create(model="demo/echo", messages=HELLO)
    me = await admin(gateway, ana)("GET", "/me")
    async with AsyncOpenAI(base_url=gateway.url, api_key=bob, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="demo/echo", messages=HELLO)
    made = await admin(gateway, ana)("POST", "/personal-access-tokens", {"name": "laptop"})
    await admin(gateway)("PATCH", "/users/deactivate", {"email": "ana@example.com"})
    async with AsyncOpenAI(base_url=gateway.url, api_key=ana, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    forged = ana[:-4] + "AAAA"
    await admin(gateway, forged)("GET", "/me", status=401)
    await admin(gateway, made["token"])("GET", "/me", status=401)

    assert answer.choices[0].message.content == "Say hello"
    assert (me["subject"], me["teams"], me["credential"]) == ("user:ana@example.com", ["research"], "jwt")
    assert ana not in gateway.out + gateway.err


async def test_from_the_command_line(gateway_process, tmp_path, token):
    """What the docs show, with the real commands."""
    gateway = gateway_process(config=DEMO)
    environ = {"GATEWAY_URL": gateway.url.removesuffix("/v1"), "GATEWAY_TOKEN": token, "PATH": os.environ["PATH"]}

    async def cli(*arguments, exit_code=0):
        command = [sys.executable, "-m", "gateway", *arguments]
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environ, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        assert process.returncode == exit_code, (out, err)
        return out.decode()

    manifest = tmp_path / "job.yaml"
    permission = "{resource_type: provider-account, resource_fqn: 'acme:demo:demo', role_id: provider-account-access}"
    manifest.write_text(f"type: virtual-account\nname: job\npermissions: [{permission}]\n")
    differs = await cli("diff", "-f", "job.yaml", exit_code=1)
    applied = await cli("apply", "-f", "job.yaml")
    same = await cli("diff", "-f", "job.yaml")
    made = (await cli("token", "create", "--virtual-account", "job", "--expires", "90d")).strip()
    environ["GATEWAY_TOKEN"], kept = made, token
    mine = await cli("user", "me", "--json")
    environ["GATEWAY_TOKEN"] = kept
    [listed] = json.loads(await cli("token", "list", "--json"))
    await cli("token", "revoke", listed["id"])
    history = await cli("history", "virtual-account", "job")
    managed_by_a_file = await cli("delete", "provider-account/demo", "demo", "--yes", exit_code=1)

    assert "+name: job" in differs
    assert applied == "created virtual-account job (version 1)\n"
    assert same.startswith("unchanged")
    assert re.fullmatch(r"gwv_[0-9A-Za-z]{38}", made)
    assert json.loads(mine)["models"] == ["demo/echo"]
    assert (listed["subject"], listed["status"]) == ("virtualaccount:job", "active")
    assert "created" in history
    assert managed_by_a_file == ""


async def test_guessing_tokens_costs_the_guesser(gateway_process, session, token):
    """Many wrong ones from one address: refused alike, then slowed down; a valid one from there still passes."""
    url = gateway_process().url + "/models"
    answers = []
    for number in range(120):
        async with session.get(url, headers={"authorization": f"Bearer gwp_guess-{number}"}) as answer:
            answers.append((answer.status, await answer.read(), answer.headers.get("retry-after")))
    async with session.get(url, headers={"authorization": f"Bearer {token}"}) as valid:
        status = valid.status

    assert [status for status, _, _ in answers] == [401] * 100 + [429] * 20
    assert len({body for _, body, _ in answers[:100]}) == 1
    assert 1 <= int(answers[-1][2]) <= 60
    assert status == 200
