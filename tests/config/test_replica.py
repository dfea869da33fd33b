"""What one gateway changes, the others do as well; and a database that is away stops nobody who was known."""

import asyncio

import pytest
import structlog

from gateway import build_app
from gateway.config.live import Config
from gateway.config.replica import STALE_S, Replica
from gateway.errors import ConfigError, Unavailable
from gateway.identity.callers import Callers
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import settings_from
from gateway.state.database.migrate import migrate
from gateway.state.database.store import Store
from gateway.testing import FakeUpstream, ListSink, get, request

PEPPER = "pepper-of-the-tests-0123456789"
ADMIN = "static-token-of-admin"
REPLY = (200, [b'{"choices":[]}'])
DEMO = {"resource_type": "provider-account", "resource_fqn": "demo", "role_id": "provider-account-access"}


@pytest.fixture
def environ(tmp_path):
    return {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db",
        "GATEWAY_PEPPER": PEPPER,
        "GATEWAY_ADMIN_TOKEN": ADMIN,
    }


@pytest.fixture
async def open_app(environ):
    """`await open_app(config, **environ)`: an app on the database, which is closed in the end."""
    apps = []

    async def make(config=None, **more):
        app = build_app(config, environ={**environ, **more}, network=FakeUpstream(REPLY), sinks=[ListSink()])
        apps.append(app)
        await app.open()
        return app

    yield make
    for app in apps:
        await app.close()


async def ask(app, method, path, body=b"", *, by=ADMIN):
    return await request(app, method, path, body, headers={"authorization": f"Bearer {by}"})


async def done(asking):
    answer = await asking
    assert answer.status == 200, answer.body
    return answer.json()


async def apply(app, manifest):
    return await done(ask(app, "PUT", "/api/svc/v1/apply", {"manifest": manifest}))


async def new_token(app, email="bo@example.com"):
    body = {"name": "laptop", "email": email}
    return await done(ask(app, "POST", "/api/svc/v1/personal-access-tokens/for-user", body))


async def status_of(app, token):
    return (await ask(app, "GET", "/v1/models", by=token)).status


# --- several of them ---------------------------------------------------------


async def test_a_change_of_another_one(open_app):
    """Tokens, grants, secrets, users: after one look at the database all of it is in force."""
    one, two = await open_app(), await open_app()
    await apply(one, {"type": "secret-group", "name": "llm"})
    await done(
        ask(one, "PUT", "/api/svc/v1/secret-groups/llm/secrets", {"secrets": [{"key": "key", "value": "the-key"}]})
    )
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": "tfy-secret://t:llm:key"}
    collaborators = [{"subject": "user:bo@example.com", "role_id": "provider-account-access"}]
    account = {"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]}
    await apply(one, {**account, "collaborators": collaborators})
    new = await new_token(one)
    assert await status_of(two, new["token"]) == 401

    await two.control.replica.refresh()

    models = await done(ask(two, "GET", "/v1/models", by=new["token"]))
    assert [model["id"] for model in models["data"]] == ["demo/echo", "main/m"]
    endpoint = two.config.snapshot.targets["main/m"].settings.endpoints["chat"]
    assert b"authorization: Bearer the-key\r\n" in endpoint.head
    await done(ask(one, "PATCH", "/api/svc/v1/users/deactivate", {"email": "bo@example.com"}))
    await two.control.replica.refresh()
    assert await status_of(two, new["token"]) == 401


async def test_an_account_and_its_token_at_once(open_app):
    """The token is read before the manifest that says whose it is."""
    one, two = await open_app(), await open_app()
    await apply(one, {"type": "virtual-account", "name": "robot", "permissions": [DEMO]})
    new = await done(ask(one, "POST", "/api/svc/v1/virtual-accounts/robot/tokens", {}))

    await two.control.replica.refresh()
    assert await status_of(two, new["token"]) == 200
    await done(ask(one, "DELETE", "/api/svc/v1/virtual-accounts/robot"))
    await two.control.replica.refresh()
    assert await status_of(two, new["token"]) == 401


async def test_it_looks_by_itself(open_app, until):
    """Twice a second."""
    one, two = await open_app(), await open_app()

    new = await new_token(one)

    async with asyncio.timeout(30):
        while await status_of(two, new["token"]) == 401:
            await asyncio.sleep(0.01)


async def test_it_is_told_over_redis(open_app, redis_url, until):
    """And one whose Redis is another looks by itself all the same."""
    one, two = await open_app(GATEWAY_REDIS_URL=redis_url), await open_app(GATEWAY_REDIS_URL=redis_url)
    await until(lambda: one.control.replica.bus.is_listening and two.control.replica.bus.is_listening)

    new = await new_token(one)

    async with asyncio.timeout(30):
        while await status_of(two, new["token"]) == 401:
            await asyncio.sleep(0.01)


async def test_a_redis_that_is_frozen_delays_nothing(open_app, own_redis):
    app = await open_app(GATEWAY_REDIS_URL=own_redis.url)

    with own_redis.frozen():
        async with asyncio.timeout(0.9):
            new = await new_token(app)
            assert await status_of(app, new["token"]) == 200
        async with asyncio.timeout(5):
            await app.close()


async def test_nothing_is_loaded_when_nothing_changed(open_app):
    """The look costs one row."""
    app = await open_app()
    generation = app.config.generation

    for _ in range(3):
        await app.control.replica.refresh()
    assert app.config.generation == generation
    await new_token(app)
    assert app.config.generation == generation, "tokens and users are no manifests"
    await apply(app, {"type": "team", "name": "red", "members": []})
    assert app.config.generation == generation + 1


async def test_a_manifest_that_cannot_be_used_here(open_app, environ):
    """A newer gateway wrote it, or one with other plugins: all else is in force, and /readyz says what is not."""
    app = await open_app()
    async with app.control.store.change(by="user:admin") as change:
        await change.put_manifest("team", "broken", {"type": "team", "name": "broken"}, action="created")
        await change.put_manifest("next-version-config", "x", {"type": "next-version-config"}, action="created")
        await change.put_manifest(
            "team", "red", {"type": "team", "name": "red", "members": ["bo@x.io"]}, action="created"
        )

    await app.control.replica.refresh()

    assert app.config.snapshot.access.teams == {"bo@x.io": frozenset({"red"})}
    ready = (await get(app, "/readyz")).json()
    assert ready["config"]["faults"] == ["database/team/broken: missing required field `members`"]
    assert [str(warning) for warning in app.config.snapshot.warnings] == [
        "database/next-version-config/x: type: ignored: no plugin reads next-version-config"
    ]


async def test_a_secret_that_cannot_be_opened(open_app):
    """A damaged row costs the accounts that need it, and no others."""
    app = await open_app()
    auth = {"type": "api-key", "api_key": "tfy-secret://t:llm:key"}
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    data = {"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]}
    async with app.control.store.change(by="user:admin") as change:
        await change.put_manifest("secret-group", "llm", {"type": "secret-group", "name": "llm"}, action="created")
        await change.put_secret("llm", "key", "sealed:v1:AAAA")
        await change.put_manifest("provider-account/openai", "main", data, action="created")

    await app.control.replica.refresh()

    assert list(app.config.snapshot.targets) == ["demo/echo"]
    (fault,) = app.config.faults
    assert (fault.file, fault.path) == ("database/provider-account/openai/main", "auth_data.api_key")
    assert fault.message == "a stored secret cannot be opened: GATEWAY_PEPPER has changed, or it is damaged"


# --- files -------------------------------------------------------------------


async def test_a_token_that_is_revoked_while_the_files_are_broken(open_app, tmp_path):
    """Somebody is editing them. That keeps new manifests out, and must not keep old tokens in."""
    config = tmp_path / "gateway.yaml"
    config.write_text("{type: team, name: red, members: []}\n")
    app = await open_app(config)
    new = await new_token(app)
    assert await status_of(app, new["token"]) == 200
    config.write_text("type: [")

    await done(ask(app, "DELETE", f"/api/svc/v1/tokens/{new['id']}"))
    assert await status_of(app, new["token"]) == 401


# --- without the database ----------------------------------------------------


class Away:
    """A store whose database does not answer while `is_away`."""

    def __init__(self, store):
        self._store = store
        self.is_away = False

    def __getattr__(self, name):
        if self.is_away:
            raise Unavailable("the database cannot be reached; try again in a moment")
        return getattr(self._store, name)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def replica(environ, clock):
    """Of a database that has no tables yet and can be away. It goes by a clock of ours."""
    pepper, settings = PEPPER.encode(), settings_from(environ)
    callers = Callers(settings.tokens, pepper=Pepper(pepper))
    store = Away(Store(environ["GATEWAY_DATABASE_URL"]))
    replica = Replica(store, Config(None, settings, callers=callers, seal=Seal(pepper)), clock=clock)
    callers.is_stale = replica.is_stale
    yield replica
    store.is_away = False
    await store.close()


async def test_a_database_without_tables(replica, environ):
    """Before `gateway migrate`. What the environment says works already."""
    with pytest.raises(Unavailable, match="run `gateway migrate`"):
        await replica.refresh()
    assert (replica.is_loaded, replica.is_stale()) == (False, True)
    assert replica.config.callers.find(ADMIN.encode()).is_admin

    await migrate(environ["GATEWAY_DATABASE_URL"])
    await replica.refresh()

    assert (replica.is_loaded, replica.is_stale()) == (True, False)


async def test_a_database_that_is_away(replica, environ, clock):
    """After two seconds nobody can say that there is no such token. Those that are known go on all the same."""
    await migrate(environ["GATEWAY_DATABASE_URL"])
    await replica.refresh()
    callers, store = replica.config.callers, replica.store
    store.is_away = True

    clock.now += STALE_S
    assert await callers.verify(b"unknown") is None
    clock.now += 0.001
    with pytest.raises(Unavailable, match="the database cannot be asked just now") as raised:
        await callers.verify(b"unknown")
    assert (raised.value.status, raised.value.retry_after_s) == (503, 1)
    clock.now += 86_400
    assert callers.find(ADMIN.encode()).is_admin

    store.is_away = False
    await replica.refresh()
    assert await callers.verify(b"unknown") is None


async def test_it_is_said_once_that_the_database_is_away(replica, environ):
    await migrate(environ["GATEWAY_DATABASE_URL"])
    with structlog.testing.capture_logs() as logs:
        for is_away in (False, True, True, True, False):
            replica.store.is_away = is_away
            async with replica.running():
                pass  # it has asked before this begins

    assert [(entry["log_level"], entry["event"]) for entry in logs if entry["event"] != "configuration reloaded"] == [
        ("error", "database not read"),
        ("info", "database is back"),
    ]


async def test_a_change_whose_effect_cannot_be_read(open_app):
    """It was committed, so its maker is told so; it comes into force when the database is back."""
    app = await open_app()
    await app.control.replica.refresh()
    store = app.control.replica.store = Away(app.control.store)
    store.is_away = True

    applied = await apply(app, {"type": "team", "name": "red", "members": []})

    assert applied["action"] == "CREATE"
    assert ("team", "red") not in app.config.snapshot.manifests
    store.is_away = False
    await app.control.replica.refresh()
    assert ("team", "red") in app.config.snapshot.manifests


# --- another pepper ----------------------------------------------------------


async def test_another_pepper(open_app):
    """All tokens would be unknown and no secret could be opened: it says so, and does not start."""
    await (await open_app()).close()

    with pytest.raises(ConfigError) as raised:
        await open_app(GATEWAY_PEPPER="another-pepper-0123456789")

    (fault,) = raised.value.faults
    assert (fault.file, fault.path) == ("the environment", "GATEWAY_PEPPER")
    assert fault.message == "this is not the pepper that the tokens and secrets in the database were made with"


async def test_the_server_is_told_that_it_cannot_start(open_app, environ):
    """By the lifespan protocol: a server that saw an exception might take it for an app that has no lifespan."""
    await (await open_app()).close()
    app = build_app(None, environ={**environ, "GATEWAY_PEPPER": "another-pepper-0123456789"}, sinks=[ListSink()])
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)

    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "GATEWAY_PEPPER" in sent[0]["message"]


async def test_one_that_could_not_start_serves_nobody(open_app, environ):
    """Mounted into an app that does not pass the lifespan on, it is opened by the first request; and by the second, if
    the first one failed."""
    await (await open_app()).close()
    app = build_app(None, environ={**environ, "GATEWAY_PEPPER": "another-pepper-0123456789"}, sinks=[ListSink()])

    for _ in range(2):
        with pytest.raises(ConfigError):
            await get(app, "/v1/models")


@pytest.mark.parametrize("pepper", [None, "", "too-short"])
def test_no_pepper(environ, pepper):
    environ.pop("GATEWAY_PEPPER")

    with pytest.raises(ConfigError, match="GATEWAY_PEPPER: has to be set, to at least 16 characters"):
        build_app(None, environ={**environ, **({"GATEWAY_PEPPER": pepper} if pepper is not None else {})})


def test_no_pepper_for_a_database_that_is_none(environ):
    """It asked for a pepper first, and said only then that there is no such database."""
    environ.pop("GATEWAY_PEPPER")

    with pytest.raises(ConfigError, match="neither sqlite:/// nor postgresql://"):
        build_app(None, environ={**environ, "GATEWAY_DATABASE_URL": "mysql://localhost/x"})


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("GATEWAY_DATABASE_URL", "mysql://root:canary@localhost/x"),
        ("GATEWAY_DATABASE_URL", "postgresql://user:canary@host:port/x"),
        ("GATEWAY_REDIS_URL", "http://:canary@localhost"),
        ("GATEWAY_REDIS_URL", "redis://:canary@localhost:port"),
        ("GATEWAY_REDIS_URL", "redis://:can@ary/canary#1@localhost"),
        ("GATEWAY_REDIS_URL", "redis://:canary@localhost?ssl_cert_reqs=none"),
    ],
)
def test_an_address_that_is_none(environ, variable, url):
    with pytest.raises(ConfigError) as raised:
        build_app(None, environ={**environ, variable: url})

    assert "canary" not in str(raised.value)


# --- PostgreSQL --------------------------------------------------------------


async def readiness(app):
    answer = await get(app, "/readyz")
    state = answer.json()
    return answer.status, state["status"], state["database"]["status"]


async def test_postgres_without_tables(open_app, postgres):
    """Others share it, so nobody makes tables by starting. It is ready as soon as they are there."""
    with postgres.database() as url:
        app = await open_app(GATEWAY_DATABASE_URL=url)

        assert await readiness(app) == (503, "starting", "degraded")
        assert "run `gateway migrate`" in (await get(app, "/readyz")).json()["database"]["problem"]
        assert await status_of(app, ADMIN) == 200
        unknown = await ask(app, "GET", "/v1/models", by="unknown")
        assert (unknown.status, unknown.headers["retry-after"]) == (503, "1")
        assert (await ask(app, "GET", "/api/svc/v1/users")).status == 503

        await migrate(url)
        async with asyncio.timeout(10):
            while await readiness(app) != (200, "ready", "ok"):
                await asyncio.sleep(0.01)
        assert await status_of(app, "unknown") == 401
        assert await status_of(app, (await new_token(app))["token"]) == 200
        await app.close()


async def test_postgres_that_is_away(open_app, postgres):
    """At the start, and later."""
    with postgres.database() as url:
        await migrate(url)
        with postgres.stopped():
            app = await open_app(GATEWAY_DATABASE_URL=url)
            assert await readiness(app) == (503, "starting", "degraded")
        async with asyncio.timeout(10):
            while await readiness(app) != (200, "ready", "ok"):
                await asyncio.sleep(0.01)
        new = await new_token(app)

        with postgres.stopped():
            async with asyncio.timeout(10):
                while await readiness(app) != (200, "ready", "degraded"):
                    await asyncio.sleep(0.01)
            assert await status_of(app, new["token"]) == 200
            assert (await ask(app, "POST", "/api/svc/v1/users/register", {"email": "a@b.io"})).status == 503
        async with asyncio.timeout(10):
            while await readiness(app) != (200, "ready", "ok"):
                await asyncio.sleep(0.01)
        await app.close()
