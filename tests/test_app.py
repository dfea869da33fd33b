"""The whole gateway as one ASGI app: mounted, twice in a process, attacked, and searched for secrets."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import fastapi
import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway import Gateway, build_app
from gateway.app import config_path
from gateway.contract import Endpoint, UpstreamRequest
from gateway.contract.part import Part
from gateway.errors import BrokeOff, ConfigError, Stopping, Unavailable, Unreachable
from gateway.logs import configure_logs
from gateway.state.sinks.log import LogSink
from gateway.testing import FakeUpstream, ListSink, get, http_scope, post, request

CHAT = "/v1/chat/completions"
REPLY = b'{"choices":[]}'
ASK = {"model": "mock/m", "messages": []}


# --- mounted -----------------------------------------------------------------


def starlette_around(gateway, **options):
    return Starlette(routes=[Mount("/api/llm", gateway)], **options)


def fastapi_around(gateway, **options):
    app = fastapi.FastAPI(**options)
    app.mount("/api/llm", gateway)
    return app


async def running(app, inside):
    """Runs the lifespan of an app as a server would, and `inside` while it is up."""
    told, said = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    found = await inside()
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await task
    return found


@pytest.mark.parametrize("around", [starlette_around, fastapi_around])
@pytest.mark.parametrize("path", ["/api/llm/chat/completions", "/api/llm/v1/chat/completions"])
@pytest.mark.parametrize("lifespan", ["none", "outer", "own"])
async def test_mounted_into_another_app(app_with, auth, sink, around, path, lifespan):
    """Starlette does not pass the lifespan on to what it mounts, so the first request has to open the gateway."""
    gateway = app_with(FakeUpstream((200, [REPLY])))
    outer = around(gateway, **({"lifespan": gateway.lifespan} if lifespan == "own" else {}))

    async def ask():
        return await post(outer, path, ASK, headers=auth)

    answer = await ask() if lifespan == "none" else await running(outer, ask)
    if lifespan != "own":
        await gateway.close()

    assert (answer.status, answer.body) == (200, REPLY)
    assert answer.headers["x-tfy-resolved-model"] == "mock/m"
    assert len(sink.records) == 1


@pytest.mark.parametrize("around", [starlette_around, fastapi_around])
async def test_errors_of_a_mounted_gateway_are_its_own(app_with, around):
    """FastAPI's handlers would answer in another shape."""
    outer = around(app_with(FakeUpstream((200, [REPLY]))))

    answers = [await get(outer, "/api/llm/nothing"), await post(outer, "/api/llm/chat/completions", ASK)]

    assert [(a.status, a.json()["error"]["code"]) for a in answers] == [(404, "not_found"), (401, "invalid_api_key")]


async def test_probes_of_a_mounted_gateway(app_with, sink):
    gateway = app_with(FakeUpstream((200, [REPLY])))
    outer = starlette_around(gateway)

    answers = [await get(outer, f"/api/llm{path}") for path in ("/", "/healthz", "/readyz", "/metrics")]
    await gateway.close()

    assert [answer.status for answer in answers] == [200] * 4
    assert sink.records == []


@pytest.fixture
def with_database(tmp_path, token):
    url = f"sqlite:///{tmp_path / 'folder' / 'gateway.db'}"
    return {"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}


async def test_first_requests_at_once_wait_for_the_one_that_opens(app_with, auth, with_database):
    """All but one were answered with 503, by a gateway whose database was not read yet."""
    outer = starlette_around(app_with(FakeUpstream((200, [REPLY])), environ=with_database))

    answers = await asyncio.gather(*(post(outer, "/api/llm/chat/completions", ASK, headers=auth) for _ in range(4)))

    assert [answer.status for answer in answers] == [200] * 4


async def test_the_first_to_come_may_leave(app_with, auth, with_database):
    app = app_with(FakeUpstream((200, [REPLY])), environ=with_database)
    asking = [asyncio.create_task(post(app, CHAT, ASK, headers=auth)) for _ in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()

    first, second = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(first, asyncio.CancelledError)
    assert second.status == 200


async def test_first_requests_at_once_have_the_same_error(app_with, auth, with_database, tmp_path):
    """One attempt, so that nobody waits for those of all before; who comes later tries again."""
    (tmp_path / "folder").touch()
    app = app_with(FakeUpstream((200, [REPLY])), environ=with_database)

    errors = await asyncio.gather(*(post(app, CHAT, ASK, headers=auth) for _ in range(4)), return_exceptions=True)
    (tmp_path / "folder").unlink()
    answer = await post(app, CHAT, ASK, headers=auth)

    assert isinstance(errors[0], Unavailable)
    assert errors == [errors[0]] * 4
    assert answer.status == 200


class Steps(Part):
    """A part that takes time to open and to close. `failures` are raised first, one each time."""

    def __init__(self, name, steps, *failures):
        self.name = name
        self.steps = steps
        self.failures = list(failures)

    @asynccontextmanager
    async def running(self):
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.steps.append(f"open {self.name}")
        yield
        await asyncio.sleep(0)
        self.steps.append(f"close {self.name}")


def gateway_of(steps, *parts):
    async def app(scope, receive, send):
        steps.append("answer")

    return Gateway(app, parts, drain=None, config=None, admission=None)


async def test_parts_are_opened_in_order_and_closed_the_other_way_round():
    """Once, however many come at once, and nobody is answered before."""
    steps = []
    gateway = gateway_of(steps, Steps("a", steps), Steps("b", steps))

    await asyncio.gather(*(get(gateway, "/") for _ in range(4)))
    await gateway.close()

    assert steps == ["open a", "open b", *["answer"] * 4, "close b", "close a"]


async def test_a_part_that_cannot_be_opened_is_told_to_all_who_wait():
    """What was opened before it is closed again, and the next to come tries all of it anew."""
    steps, away = [], Unavailable("the disk is away")
    gateway = gateway_of(steps, Steps("a", steps), Steps("b", steps, away))

    outcomes = await asyncio.gather(*(get(gateway, "/") for _ in range(4)), return_exceptions=True)
    await get(gateway, "/")
    await gateway.close()

    assert outcomes == [away] * 4
    assert steps == ["open a", "close a", "open a", "open b", "answer", "close b", "close a"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10, 50])
async def test_closed_while_it_opens(app_with, auth, with_database, turns):
    """Wherever it is in that, nothing of it goes on, and it can be opened again."""
    app = app_with(FakeUpstream((200, [REPLY])), environ=with_database)
    asking = asyncio.create_task(post(app, "/nothing"))
    for _ in range(1 + turns):
        await asyncio.sleep(0)

    await app.close()
    (outcome,) = await asyncio.gather(asking, return_exceptions=True)

    assert isinstance(outcome, Stopping) or outcome.status == 404
    assert (await post(app, CHAT, ASK, headers=auth)).status == 200


async def test_a_start_that_is_cancelled_is_given_up(app_with):
    """As by a signal while it starts."""
    app = app_with(FakeUpstream((200, [REPLY])))
    before = asyncio.all_tasks()
    starting = asyncio.create_task(app.open())
    await asyncio.sleep(0)
    starting.cancel()

    await asyncio.wait([starting])

    assert starting.cancelled()
    assert asyncio.all_tasks() == before


def test_in_a_second_event_loop(manifest, token, auth):
    """Its tasks and connections have ended with the first: it answered, and lost its records without a word."""
    app = build_app(
        manifest, environ={"GATEWAY_ADMIN_TOKEN": token}, network=FakeUpstream((200, [REPLY])), sinks=[ListSink()]
    )

    assert asyncio.run(post(app, CHAT, ASK, headers=auth)).status == 200
    with pytest.raises(RuntimeError, match="open in another event loop"):
        asyncio.run(post(app, CHAT, ASK, headers=auth))


async def test_served_alone(app_with, auth, sink):
    gateway = app_with(FakeUpstream((200, [REPLY])))

    answer = await running(gateway, lambda: post(gateway, CHAT, ASK, headers=auth))

    assert answer.status == 200
    assert len(sink.records) == 1


async def test_two_gateways_in_one_process(app_with, auth):
    """Nothing is kept at module level: each has its own configuration, tokens and records."""
    upstreams = [FakeUpstream((200, [b'{"x":%d}' % number])) for number in range(2)]
    sinks = [ListSink(), ListSink()]
    own = {"GATEWAY_ADMIN_TOKEN": "gw-other-0123456789abcdef"}
    first = app_with(upstreams[0], sinks=[sinks[0]])
    second = app_with(upstreams[1], None, sinks=[sinks[1]], environ={**own, "OPENAI_API_KEY": "key"})
    outer = Starlette(routes=[Mount("/one", first), Mount("/two", second)])

    answers = [
        await post(outer, "/one/v1/chat/completions", ASK, headers=auth),
        await post(outer, "/two/v1/chat/completions", ASK, headers=auth),
        await post(outer, "/two/v1/chat/completions", ASK, headers={"x-api-key": own["GATEWAY_ADMIN_TOKEN"]}),
        await post(
            outer,
            "/two/v1/chat/completions",
            {**ASK, "model": "openai/gpt"},
            headers={"x-api-key": own["GATEWAY_ADMIN_TOKEN"]},
        ),
    ]
    await first.close()
    await second.close()

    assert [answer.status for answer in answers] == [200, 401, 404, 200]
    assert [len(sink.records) for sink in sinks] == [1, 3]


async def test_middlewares_of_ones_own(app_with, auth):
    """From the outside in, once caller and call are known."""
    order = []

    def named(name):
        def wrap(app):
            async def middleware(scope, receive, send):
                exchange = scope["state"]["gateway.proxy.exchange"]
                order.append((name, exchange.caller.subject, exchange.call.ask.model))
                await app(scope, receive, send)

            return middleware

        return wrap

    app = app_with(FakeUpstream((200, [REPLY])), middlewares=[named("first"), named("second")])
    await post(app, CHAT, ASK, headers=auth)

    assert order == [("first", "user:admin", "mock/m"), ("second", "user:admin", "mock/m")]


# --- configuration -----------------------------------------------------------


def test_where_the_configuration_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_path(None) is None
    assert config_path("mine.yaml") == Path("mine.yaml")

    (tmp_path / "gateway.yaml").touch()

    assert config_path(None) == Path("gateway.yaml")
    assert config_path("mine.yaml") == Path("mine.yaml")


def test_what_the_code_says_comes_before_the_environment(manifest, token, tmp_path):
    environ = {"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_CONFIG": str(manifest)}
    (tmp_path / "mine.yaml").write_text(Path(manifest).read_text())

    paths = [build_app(config, environ=environ).config.path for config in (None, tmp_path / "mine.yaml")]

    assert paths == [Path(manifest), tmp_path / "mine.yaml"]


async def test_without_a_configuration_there_is_a_model_to_try(app_with, auth, token, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    app = app_with(None, None, environ={"GATEWAY_ADMIN_TOKEN": token})
    messages = [{"role": "user", "content": "hello"}]

    answer = await post(app, CHAT, {"model": "demo/echo", "messages": messages}, headers=auth)

    assert answer.json()["choices"][0]["message"] == {"role": "assistant", "content": "hello"}


@pytest.mark.parametrize("environ", [{"GATEWAY_CONFIG": "/nowhere.yaml"}, {"GATEWAY_TOKENS": "x"}])
def test_what_cannot_be_used_is_said_at_once(environ):
    with pytest.raises(ConfigError):
        build_app(environ=environ)


@pytest.mark.parametrize(("below", "why"), [("file/spool", "Not a directory"), ("file", "File exists")])
def test_a_spool_that_cannot_be_written_is_said_at_once(manifest, tmp_path, below, why):
    """It was noticed when the database was away and the first record had no place."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError) as refused:
        build_app(manifest, environ={"GATEWAY_SPOOL_DIR": str(tmp_path / below)})

    [fault] = refused.value.faults
    assert str(fault) == (
        f"the environment: GATEWAY_SPOOL_DIR: {str(tmp_path / below)!r} cannot be written: {why}; it has to be a "
        "directory that the gateway may write to, or make"
    )


def test_a_spool_is_made_at_once(manifest, tmp_path):
    build_app(manifest, environ={"GATEWAY_SPOOL_DIR": str(tmp_path / "deep" / "spool")})

    assert [*(tmp_path / "deep").rglob("*")] == [tmp_path / "deep" / "spool"]


async def test_answers_to_its_own_names_only(app_with, auth):
    app = app_with(FakeUpstream((200, [REPLY])), hosts=["llm.test"])

    answers = [await post(app, CHAT, ASK, headers={**auth, "host": host}) for host in ("llm.test:1", "evil.test")]

    assert [answer.status for answer in answers] == [200, 400]


async def test_a_request_too_many(app_with, auth, until):
    gate = asyncio.Event()
    upstream = FakeUpstream((200, [gate, REPLY]))
    app = app_with(upstream, max_open=1)
    asking = asyncio.create_task(post(app, CHAT, ASK, headers=auth))
    await until(lambda: upstream.replies)

    refused = await post(app, CHAT, ASK, headers=auth)
    gate.set()

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (await asking).status == 200


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_too_large(app_with, auth, is_declared):
    upstream = FakeUpstream((200, [REPLY]))
    app = app_with(upstream, max_body_bytes=1000)

    answer = await post(app if is_declared else without_length(app), CHAT, {**ASK, "x": 2000 * "x"}, headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert upstream.requests == []


def without_length(app):
    """As a client sends a body in chunks: one piece, and then its end."""

    async def outer(scope, receive, send):
        headers = [header for header in scope["headers"] if header[0] != b"content-length"]
        pieces = [{**await receive(), "more_body": True}, {"type": "http.request", "body": b"", "more_body": False}]

        async def from_pieces():
            return pieces.pop(0)

        await app({**scope, "headers": [*headers, (b"transfer-encoding", b"chunked")]}, from_pieces, send)

    return outer


# --- paths -------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/healthz/../v1/models",
        "/v1/%2e%2e/chat/completions",
        "/v1%2fchat%2fcompletions",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions.",
        "/V1/chat/completions",
        "/v1/Chat/Completions",
        "/metrics/",
        "/healthz;x",
        "/readyz/x",
        "\\v1\\chat\\completions",
        "/v2/chat/completions",
        "/api/llm/v1/v1/chat/completions",
    ],
)
async def test_tricks_with_paths_lead_nowhere(app_with, auth, path):
    """A proxy in front may forbid one form of a path; no other form may lead to the same place."""
    upstream = FakeUpstream((200, [REPLY]))
    app = app_with(upstream)

    answers = [await post(app, path, ASK, headers=auth), await get(app, path, headers=auth)]

    assert [answer.status for answer in answers] == [404, 404]
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/v1/chat/completions\0", "/\r\nx", "/v1/models\x7f"])
async def test_control_characters_lead_nowhere(app_with, auth, path):
    assert (await post(app_with(FakeUpstream((200, [REPLY]))), path, ASK, headers=auth)).status == 400


@pytest.mark.parametrize("path", ["/api%2fsvc/v1/me", "/api/svc%5cv1/me", "/api/%73vc/v1/me", "/v1/models%2fmock/m"])
async def test_encoded_paths_lead_nowhere(app_with, auth, path):
    """The server decodes them before it hands them on."""
    answer = await request(app_with(FakeUpstream((200, [REPLY]))), "GET", path, headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")


async def test_names_of_models_may_be_encoded(app_with, auth):
    answer = await request(app_with(FakeUpstream((200, [REPLY]))), "GET", "/v1/models/mock%2Fm", headers=auth)

    assert (answer.status, answer.json()["id"]) == (200, "mock/m")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (CHAT, "GET, HEAD, POST"),
        ("/completions", "POST"),
        ("/responses", "POST"),
        ("/responses/resp_1", "DELETE, GET, HEAD"),
        ("/api/llm/embeddings", "POST"),
        ("/", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/v1/models", "GET, HEAD"),
        ("/v1/models/mock/m", "DELETE, GET, HEAD"),
        ("/v1/models/../../metrics", "DELETE, GET, HEAD"),
        ("/api/svc/v1/me", "GET, HEAD"),
        ("/api/svc/v1/apply", "PUT"),
        ("/api/svc/v1/secret-groups/g/secrets", "GET, HEAD, PUT"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
async def test_other_methods(app_with, auth, path, method, allowed):
    """DELETE on a model was answered with the model, and 200."""
    answer = await request(app_with(FakeUpstream((200, [REPLY]))), method, path, headers=auth)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/mock/m"])
async def test_head_is_answered_as_get_is(app_with, auth, path):
    app = app_with(FakeUpstream((200, [REPLY])))

    assert [(await request(app, method, path, headers=auth)).status for method in ("GET", "HEAD")] == [200, 200]


async def test_every_answer_has_its_ids(app_with, auth):
    app = app_with(FakeUpstream((200, [REPLY])))

    answers = [
        await post(app, CHAT, ASK, headers=auth),
        await post(app, CHAT, ASK),
        await get(app, "/nothing"),
        await get(app, "/healthz"),
        await post(app, CHAT, ASK, headers={"host": "a/b"}),
    ]

    assert [answer.status for answer in answers] == [200, 401, 404, 200, 400]
    assert all(len(answer.headers["x-request-id"]) == 32 for answer in answers)
    assert all(answer.headers["request-id"] == answer.headers["x-request-id"] for answer in answers)


# --- canary ------------------------------------------------------------------

CANARY = "canary7f3a9c"
SECRET = f"sk-{CANARY}0123456789abcdef"
"""What people paste by mistake looks like this."""

MANIFEST = f"""\
type: provider-account/self-hosted-model
name: mock
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: m
    url: http://127.0.0.1:9/v1?key={CANARY}
    model_server: openai-compatible
    model_types: [chat]
    headers: {{x-extra: {CANARY}-header}}
    auth_data: {{type: bearer-auth, bearer_token: {SECRET}}}
"""
ECHO = f'{{"error":{{"message":"Incorrect API key provided: {SECRET}","code":"x"}}}}'.encode()
STREAM = [b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n']


@pytest.fixture
def logs_restored():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def raising(app):
    async def middleware(scope, receive, send):
        prompt = scope["state"]["gateway.proxy.exchange"].call.fields
        raise ValueError(f"a fault beside {bool(prompt)}, Bearer {SECRET}")

    return middleware


@pytest.mark.parametrize(
    ("upstream", "options"),
    [
        (FakeUpstream((401, [ECHO])), {}),
        (FakeUpstream((400, [ECHO])), {}),
        (FakeUpstream((429, [ECHO], {"set-cookie": SECRET, "x-debug": SECRET})), {}),
        (FakeUpstream((500, [SECRET.encode()], {"content-type": "text/plain"})), {}),
        (FakeUpstream((200, [ECHO])), {}),
        (FakeUpstream((200, [b"data: " + ECHO + b"\n\n"])), {}),
        (FakeUpstream((200, [SECRET.encode()])), {}),
        (FakeUpstream(Unreachable("nobody there")), {}),
        (FakeUpstream((200, [*STREAM, BrokeOff("cut")])), {}),
        (FakeUpstream(ValueError(f"a fault with Bearer {SECRET}")), {}),
        (FakeUpstream((200, [REPLY])), {"middlewares": [raising]}),
    ],
    ids=[
        "401 echoes the key",
        "400 echoes the key",
        "429 with headers",
        "500 in plain text",
        "200 with an error",
        "stream of an error",
        "200 and garbage",
        "unreachable",
        "broke off",
        "fault in the upstream",
        "fault in a middleware",
    ],
)
@pytest.mark.parametrize("is_known", [True, False], ids=["caller", "stranger"])
async def test_a_canary_is_never_seen_again(app_with, tmp_path, capfd, logs_restored, upstream, options, is_known):
    """Secrets in every place one can stand in; whatever fails, no log line and no error answer shows any."""
    configure_logs()
    path = tmp_path / "canary.yaml"
    path.write_text(MANIFEST)
    token = f"gw-{CANARY}-token-0123456789"
    sink = ListSink()
    environ = {
        "GATEWAY_ADMIN_TOKEN": token,
        "GATEWAY_TOKENS": f"user:ana@example.com={token}-of-ana",
        "GATEWAY_PEPPER": CANARY,
    }
    app = app_with(upstream, path, environ=environ, sinks=[sink, LogSink()], **options)
    presented = token if is_known else f"{token}-wrong"
    asks = [
        (CHAT, {"model": "mock/m", "messages": [{"role": "user", "content": f"my password is {CANARY}"}]}),
        (CHAT, {"model": "mock/m", "stream": True, "messages": [], "user": SECRET, "metadata": {"a": SECRET}}),
        (CHAT, {"model": SECRET, "messages": []}),
        (CHAT, {"model": f"mock/{SECRET}", "messages": []}),
        (CHAT, f'{{"model":"mock/m","messages": {CANARY}}}'.encode()),
        (CHAT, {"model": "mock/m", "stream": CANARY}),
        (f"/v1/{SECRET}", {}),
        (f"/v1/models/{SECRET}", {}),
    ]
    headers = {
        "authorization": f"Bearer {presented}",
        "cookie": f"session={CANARY}",
        "user-agent": f"agent {SECRET}",
        "x-custom": CANARY,
        "x-forwarded-for": CANARY,
    }

    answers = []
    for where, body in asks:
        answers += [await post(with_query(app), where, body, headers=headers)]
        answers += [await post(app, where, body, headers={"x-api-key": SECRET, "user-agent": f"Bearer {SECRET}"})]
    answers += [await get(app, "/readyz"), await get(app, "/metrics")]
    await app.close()

    out, err = capfd.readouterr()
    seen = [("stdout", out), ("stderr", err), ("records", repr(sink.records)), ("app", repr(vars(app)))]
    seen += [(f"answer {a.status}", a.body.decode() + repr(a.headers)) for a in answers]
    assert [(place, text) for place, text in seen if CANARY in text] == []
    assert '"event":"request"' in out


def with_query(app):
    async def outer(scope, receive, send):
        await app({**scope, "query_string": f"key={SECRET}&api_key={CANARY}".encode()}, receive, send)

    return outer


async def test_scopes_can_be_printed(app_with, token):
    """A foreign middleware that logs its scope should find no secret in what we put there; headers are its own."""
    scope = http_scope("POST", CHAT, {"authorization": f"Bearer {token}"}, 2)
    app = app_with(FakeUpstream((200, [REPLY])))

    async def receive():
        return {"type": "http.request", "body": b"{}"}

    async def send(message): ...

    await app(scope, receive, send)

    assert token not in repr(scope["state"])


# --- where it may go ---------------------------------------------------------


async def test_there_is_a_network_for_those_nobody_vouches_for(manifest):
    """The same manifest leads to this machine from a file, and not from somebody who may only manage accounts."""
    gateway = build_app(manifest, environ={}, sinks=[ListSink()])
    call = UpstreamRequest(Endpoint("http://127.0.0.1:9/v1"), b"{}")

    with pytest.raises(Unreachable, match="in a private network, where only manifests in files"):
        await gateway.config.guarded.call(call)
    assert gateway.config.snapshot.find("mock/m").upstream is None
    await gateway.close()
    await gateway.config.guarded.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("GATEWAY_EGRESS_ALLOW", "10.0.0.1/8"), ("HTTPS_PROXY", "socks5://p"), ("GATEWAY_TRUST_ENV_PROXY", "perhaps")],
)
def test_a_way_out_that_cannot_be_meant(manifest, name, value):
    """It does not start, rather than go out by another way."""
    with pytest.raises(ConfigError, match=name):
        build_app(manifest, environ={name: value})
