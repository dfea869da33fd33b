"""A gateway with a database, people with tokens, and short words for asking its control API."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from gateway import build_app
from gateway.config.live import Config
from gateway.config.replica import Replica
from gateway.control.control import Control
from gateway.control.endpoint import paths
from gateway.dialects import CHAT
from gateway.endpoints.router import Paths
from gateway.identity.callers import Callers
from gateway.middleware import AuthMiddleware, ErrorsMiddleware
from gateway.proxy.bodies import Bodies
from gateway.secrecy.sealing import Seal
from gateway.secrecy.tokens import Pepper
from gateway.settings import settings_from
from gateway.state.counters.memory import MemoryCounters
from gateway.state.database.ledger import LedgerStore
from gateway.state.database.migrate import migrate
from gateway.state.database.store import Store
from gateway.testing import FakeUpstream, ListSink, request

PEPPER = "pepper-of-the-tests-0123456789"
PEOPLE = ("ana", "bo", "cy", "dee")
REPLY = (200, [b'{"id":"1","choices":[{"message":{"content":"hello"}}]}'])


def token_of(name):
    return f"static-token-of-{name}"


def bearer(by):
    return {"authorization": f"Bearer {by if by.startswith(('gwp_', 'gwv_', 'ey')) else token_of(by)}"}


class Api:
    """Asks an app. `by` is `admin`, the name of somebody with a static token, or a token that was made."""

    def __init__(self, app, upstream):
        self.app = app
        self.upstream = upstream
        self.grants = 0

    async def ask(self, method, path, body=b"", *, by="admin"):
        return await request(self.app, method, f"/api/svc/v1{path}", body, headers=bearer(by))

    async def apply(self, manifest, *, by="admin", dry_run=False):
        return await self.ask("PUT", "/apply", {"manifest": manifest, "dryRun": dry_run}, by=by)

    async def grant(self, name, *permissions, on="tenant:acme"):
        """Gives somebody permissions on a resource, by a role and a binding of their own."""
        self.grants += 1
        type_, _, fqn = on.partition(":")
        role = {"type": "role", "name": f"granted-{self.grants}", "permissions": permissions}
        bound = {"resourceType": type_, "resourceFqn": f"acme:{fqn}", "role": role["name"]}
        subjects = [{"type": "user", "name": f"{name}@example.com"}]
        await self.done(self.apply(role))
        binding = {"type": "role-binding", "name": role["name"], "subjects": subjects, "permissions": [bound]}
        await self.done(self.apply(binding))

    async def holds(self, *, by):
        """All that somebody holds, as `permission on resource`, but for the demo model and their teams."""
        me = await self.done(self.ask("GET", "/me", by=by))
        found = {f"{held['permission']} on {held['resource']}" for held in me["permissions"]}
        return {"everything"} if me["isAdmin"] else {text for text in found if not text.endswith((":demo", "ReadTeam"))}

    async def delete(self, type_, name, *, by="admin"):
        return await self.ask("POST", "/delete", {"manifest": {"type": type_, "name": name}}, by=by)

    async def done(self, answering):
        """The JSON of an answer that has to be a 200."""
        answer = await answering
        assert answer.status == 200, answer.body
        return answer.json()

    async def refused(self, answering):
        """The status and message of one that must not be."""
        answer = await answering
        assert answer.status >= 400, answer.body
        return answer.status, answer.json()["error"]["message"]

    async def models(self, *, by):
        answer = await request(self.app, "GET", "/v1/models", headers=bearer(by))
        return [model["id"] for model in answer.json()["data"]] if answer.status == 200 else answer.status

    async def whoami(self, token):
        """The subject, or the status of the refusal."""
        answer = await self.ask("GET", "/me", by=token)
        return answer.json()["subject"] if answer.status == 200 else answer.status

    async def chat(self, model, *, by):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return (await request(self.app, "POST", "/v1/chat/completions", body, headers=bearer(by))).status


@pytest.fixture(scope="session")
def environ_for():
    """`environ_for(database, names)`: of a gateway on that file, where each has a token (`name@example.com`)."""

    def make(database, names=PEOPLE):
        return {
            "GATEWAY_DATABASE_URL": f"sqlite:///{database}",
            "GATEWAY_PEPPER": PEPPER,
            "GATEWAY_ADMIN_TOKEN": token_of("admin"),
            "GATEWAY_TOKENS": ",".join(f"user:{name}@example.com={token_of(name)}" for name in names),
        }

    return make


@pytest.fixture
def environ(tmp_path, migrated_file, environ_for):
    return environ_for(shutil.copy(migrated_file, tmp_path / "gateway.db"))


@pytest.fixture(scope="session")
def api_on():
    """`api_on(config, environ)`: an Api on a new app, which has to be opened and closed."""

    def make(config, environ, sinks=None):
        upstream = FakeUpstream(REPLY)
        return Api(build_app(config, environ=environ, network=upstream, sinks=sinks or [ListSink()]), upstream)

    return make


@pytest.fixture
async def open_app(api_on, environ):
    """`await open_app(config, **more_environ)`: an Api on a new app that is open; all are closed in the end."""
    apis = []

    async def make(config=None, *, sinks=None, **more):
        apis.append(api_on(config, {**environ, **more}, sinks))
        await apis[-1].app.open()
        return apis[-1]

    yield make
    for api in apis:
        await api.app.close()


@pytest.fixture
async def api(open_app):
    return await open_app()


@pytest.fixture
def control_app(api):
    return api.app


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def move(self, **period):
        self.now += timedelta(**period)


@pytest.fixture
def clock():
    """Stands still at the start of 2026 until it is moved."""
    return Clock()


@pytest.fixture
async def timed_on(clock):
    """`await timed_on(environ)`: an Api on the control API alone, which goes by `clock`; its `control` is what it works
    with. `counters` may take the place of those in memory."""
    opened = []

    async def make(environ, counters=None):
        pepper, url = environ["GATEWAY_PEPPER"].encode(), environ["GATEWAY_DATABASE_URL"]
        settings = settings_from(environ)
        callers = Callers(settings.tokens, pepper=Pepper(pepper), clock=lambda: clock().timestamp())
        config = Config(None, settings, callers=callers, seal=Seal(pepper))
        store = Store(url, clock=clock, deadline_s=20.0)
        control = Control(
            config=config,
            store=store,
            ledger=LedgerStore(url, deadline_s=20.0),
            counters=counters or MemoryCounters(lambda: clock().timestamp()),
            replica=Replica(store, config),
            seal=config.seal,
            pepper=callers.pepper,
            now=clock,
        )
        opened.append(control)
        await control.replica.refresh()
        routes = paths(control, bodies=Bodies(), wrap=partial(AuthMiddleware, tokens=callers))
        api = Api(ErrorsMiddleware(Paths(routes), dialect=CHAT), None)
        api.control = control
        return api

    yield make
    for control in opened:
        await control.store.close()
        await control.ledger.close()


@pytest.fixture
async def timed(timed_on, environ):
    return await timed_on(environ)


@pytest.fixture
def postgres_environ(postgres, environ):
    with postgres.database() as url:
        asyncio.run(migrate(url))
        yield {**environ, "GATEWAY_DATABASE_URL": url}


@pytest.fixture(params=["environ", "postgres_environ"], ids=["sqlite", "postgres"])
def either_environ(request):
    """Of a gateway on an empty database of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def either(either_environ, timed_on):
    """As `timed`, on either kind of database."""
    return await timed_on(either_environ)
