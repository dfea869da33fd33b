"""`/openai/{account}/proxy/...`: what an account has besides, on the whole gateway."""

import asyncio
import json

import pytest

from gateway.contract.request import FormPart
from gateway.contract.usage import Usage
from gateway.dialects import ALL, REALTIME
from gateway.errors import ConfigError
from gateway.testing import FakeUpstream, request
from gateway.wire.form import form_of
from gateway.wire.pass_through import SERVED, is_at

ANA, BO = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo"))
JSON = {"content-type": "application/json"}
ENVIRON = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_TOKENS": "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef",
}
PASSED = [
    {"path": "/vector_stores"},
    {"path": "/fim/completions", "methods": ["POST"]},
    {"path": "/audio"},
    {"path": "/videos"},
]


def account(name="oa", users=("user:ana@example.com",), passed=PASSED, **fields):
    model = {"type": "integration/model/openai", "model_types": ["chat"]}
    price = {"metric": "per_1000_tokens", "value": {"input": 1, "output": 2}}
    return {
        "type": "provider-account/openai",
        "name": name,
        "base_url": "https://provider.test/v1?team=a",
        "auth_data": {"type": "api-key", "api_key": "key-of-the-provider"},
        "pass_through": passed,
        "collaborators": [{"subject": user, "role_id": "provider-account-access"} for user in users],
        "integrations": [
            {**model, "name": "big", "model_id": "gpt-big", "cost": price},
            {**model, "name": "own", "model_id": "gpt-own", "authorized_subjects": ["user:nobody@example.com"]},
        ],
        **fields,
    }


@pytest.fixture
def gateway(app_with, tmp_path):
    def make(*replies, accounts=(), more=(), **options):
        path = tmp_path / "accounts.yaml"
        path.write_text(json.dumps([*(accounts or [account()]), *more]))
        app = app_with(network := FakeUpstream(*replies), path, environ=ENVIRON, **options)
        app.network = network
        return app

    return make


def told(status=200, headers=None, **fields):
    return status, [json.dumps(fields).encode()], {"content-type": "application/json", **(headers or {})}


async def ask(app, method, path, body=b"", who=ANA, **headers):
    if isinstance(body, dict):
        headers = {"content-type": "application/json", **headers}
    return await request(app, method, f"/openai/oa/proxy{path}", body, headers={**who, **headers})


async def test_passes_on_what_the_account_allows(gateway, sink, until):
    """With the account's key, and none of the caller's headers but a few."""
    app = gateway(told(201, {"etag": '"1"', "openai-organization": "acme-internal"}, id="vs_1"))
    headers = {
        "content-type": "application/json",
        "openai-beta": "assistants=v2",
        "openai-organization": "org-other",
        "cookie": "a=b",
        "x-forwarded-for": "1.1.1.1",
    }

    answer = await ask(app, "POST", "/v1/vector_stores/vs_1/search?limit=2&api_key=mine", {"query": "x"}, **headers)

    [asked] = app.network.requests
    assert (asked.endpoint.head, asked.body) == (
        b"POST /v1/vector_stores/vs_1/search?limit=2&team=a HTTP/1.1\r\nhost: provider.test\r\n"
        b"accept-encoding: identity\r\nauthorization: Bearer key-of-the-provider\r\nopenai-beta: assistants=v2\r\n"
        b"content-type: application/json\r\n",
        b'{"query":"x"}',
    )
    assert (answer.status, answer.json(), answer.headers["etag"]) == (201, {"id": "vs_1"}, '"1"')
    assert "openai-organization" not in answer.headers
    await until(lambda: sink.records)
    [record] = sink.records
    assert (record.request_type, record.resolved_model, record.cost_nanousd) == (
        "pass-through",
        "oa/pass-through",
        None,
    )


@pytest.mark.parametrize("path", ["/vector_stores", "/v1/vector_stores"])
@pytest.mark.parametrize("base", ["", "/v1", "/api/llm", "/api/inference/openai"])
async def test_is_below_each_base_and_takes_base_urls_with_and_without_a_version(gateway, base, path):
    app = gateway(told(data=[]))

    answer = await request(app, "GET", f"{base}/openai/oa/proxy{path}", headers=ANA)

    assert answer.status == 200
    assert app.network.requests[0].endpoint.url == "https://provider.test/v1/vector_stores?team=a"


async def test_what_names_a_model_is_that_models(gateway, sink, until):
    """By its name here or at the provider of the account; rights, price and limits are those of the model."""
    app = gateway(told(usage={"prompt_tokens": 100, "completion_tokens": 20}))

    for name in ("big", "oa/big"):
        answer = await ask(app, "POST", "/fim/completions", {"model": name, "prompt": "x", "max_tokens": 5})
        assert answer.status == 200

    assert app.network.asked() == {"model": "gpt-big", "prompt": "x", "max_tokens": 5}
    await until(lambda: len(sink.records) == 2)
    assert (sink.records[0].resolved_model, sink.records[0].cost_nanousd) == ("oa/big", 140_000_000)
    assert sink.records[0].usage == Usage(input=100, output=20)


async def test_a_stream_passes_as_it_comes_and_is_billed(gateway, sink, until):
    events = [b'data: {"choices":[]}\n\n', b'data: {"usage":{"prompt_tokens":100,"completion_tokens":20}}\n\n']
    app = gateway((200, [*events, b"data: [DONE]\n\n"]))

    answer = await ask(app, "POST", "/fim/completions", {"model": "big", "stream": True})

    assert (answer.body, answer.headers["content-type"]) == (
        b"".join(events) + b"data: [DONE]\n\n",
        "text/event-stream",
    )
    await until(lambda: sink.records)
    assert sink.records[0].cost_nanousd == 140_000_000


async def test_an_answer_that_tells_no_usage_is_estimated(gateway, sink, until):
    app = gateway(told(id="x"))

    await ask(app, "POST", "/fim/completions", {"model": "big", "prompt": "x" * 400, "max_tokens": 5})

    await until(lambda: sink.records)
    assert (sink.records[0].usage.estimated, sink.records[0].usage.output) == (True, 5)


@pytest.mark.parametrize("cut", [1, 30, 45, 60])
async def test_the_accounts_key_is_not_shown_by_a_server_that_repeats_it(gateway, cut):
    """Some show all headers that they were sent. Lengths stay true."""
    said = b'{"headers": {"authorization": "Bearer key-of-the-provider", "x": "application/json"}}'
    hidden = said.replace(b"Bearer key-of-the-provider", b"*" * 26)
    head = {"content-type": "application/json", "content-length": str(len(said))}
    app = gateway((200, [said[:cut], said[cut:]], head), (200, [b"data: " + said + b"\n\n"]))

    whole = await ask(app, "GET", "/vector_stores")
    stream = await ask(app, "POST", "/fim/completions", {"model": "big", "stream": True})

    assert (whole.body, stream.body) == (hidden, b"data: " + hidden + b"\n\n")


async def test_forms_and_other_bodies_pass(gateway):
    app = gateway(told(id="v"))
    kind, form = form_of([FormPart("model", b"oa/big"), FormPart("f", b"\0\1", "a.png", "image/png")], "b")

    await ask(app, "POST", "/videos", form, **{"content-type": kind})
    await ask(app, "PUT", "/videos/v", b"\0raw", **{"content-type": "image/png"})
    await ask(app, "DELETE", "/videos/v")

    first, second, third = app.network.requests
    assert b'name="model"\r\n\r\ngpt-big\r\n' in first.body
    assert b"\0\1" in first.body
    assert (second.body, b"content-type: image/png\r\n" in second.endpoint.head) == (b"\0raw", True)
    assert (
        third.body,
        third.endpoint.head.startswith(b"DELETE /v1/videos/v?team=a "),
        b"content-type" in third.endpoint.head,
    ) == (b"", True, False)


# --- what is not passed on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/vector_stores/",
        "/vector_stores//x",
        "/vector_stores/../files",
        "/vector_stores/%2e%2e/files",
        "/vector_stores/%2E%2E%2Ffiles",
        "/vector_stores%2f..%2ffiles",
        "/vector_stores%2Fx",
        "/vector_stores/%252e%252e/files",
        "/vector_stores/..%5cfiles",
        "/vector_stores\\x",
        "/vector_stores/.hidden",
        "/vector_stores/a%0d%0aX: y",
        "/vector_stores/%00",
        "/vector_stores;/x",
        "//other.test/vector_stores",
        "/http://other.test/vector_stores",
        "/@other.test/vector_stores",
    ],
)
async def test_paths_that_can_be_read_in_two_ways_are_refused(gateway, path):
    app = gateway(told())

    answer = await ask(app, "GET", path)

    assert (400 <= answer.status < 405, app.network.requests) == (True, [])


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/evals", 403, "the account does not pass on GET /evals; what it does is its pass_through"),
        ("GET", "/vector_stores2", 403, "does not pass on"),
        ("GET", "/Vector_stores", 403, "does not pass on"),
        ("GET", "/fim/completions", 403, "does not pass on GET"),
        ("POST", "/audio/speech", 400, "/audio/speech is served by the gateway itself: call /v1/audio/speech"),
        ("POST", "/audio/SPEECH", 400, "is served by the gateway itself"),
        ("GET", "/files/file-1/content", 400, "is served by the gateway itself"),
        ("GET", "/organization/users", 400, "is never passed on"),
        ("POST", "/deployments/m/chat/completions", 400, "is never passed on"),
        ("HEAD", "/vector_stores", 405, ""),
        ("OPTIONS", "/vector_stores", 405, ""),
    ],
)
async def test_what_an_account_does_not_allow_stays_here(gateway, method, path, status, says):
    app = gateway(told())

    answer = await ask(app, method, path)

    assert (answer.status, says in answer.body.decode(), app.network.requests) == (status, True, [])


async def test_accounts_are_for_those_who_may_use_them(gateway):
    app = gateway(told(), accounts=[account(), account("closed", passed=[])])

    answers = [
        await ask(app, "GET", "/vector_stores", who=BO),
        await ask(app, "GET", "/vector_stores", who={}),
        await request(app, "GET", "/openai/closed/proxy/vector_stores", headers=ANA),
        await request(app, "GET", "/openai/none/proxy/vector_stores", headers=ANA),
        await request(app, "POST", "/openai/closed/proxy/fim/completions", {"model": "big"}, headers=ANA | JSON),
    ]

    assert ([answer.status for answer in answers], app.network.requests) == ([400, 401, 400, 400, 403], [])


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        ({"model": "own"}, "", 403),
        ({"model": "gpt-own"}, "", 404),
        ({"model": "other/big"}, "", 404),
        ({"model": {"id": "own"}}, "", 400),
        ({"model": "big", "Model": "own"}, "", 400),
        ({"MODEL": "own"}, "", 400),
        ({}, "?model=own", 400),
        ({"model": "big"}, "?Model=own", 400),
        ({}, "?a;model=own", 400),
    ],
)
async def test_no_model_is_asked_that_the_caller_may_not_use(gateway, body, query, status):
    app = gateway(told())

    answer = await ask(app, "POST", f"/fim/completions{query}", body)

    assert (answer.status, app.network.requests) == (status, [])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (None, b'{"model":"own"}'),
        ("text/plain", b' \n{"model":"own"}'),
        ("application/octet-stream", b'\xef\xbb\xbf{"file_id":"file-1"}'),
        ("application/vnd.api+json", b'"x"'),
        ("application/jsonl", b""),
        ("application/x-www-form-urlencoded", b"model=own"),
        ("multipart/mixed; boundary=b", b'--b\r\n\r\n{"model":"own"}\r\n--b--'),
        ("text/plain", '\ufeff{"model":"own"}'.encode("utf-16-le")),
        ("text/plain", '\ufeff{"model":"own"}'.encode("utf-16-be")),
        ("text/plain", '\ufeff{"model":"own"}'.encode("utf-32-le")),
        ("text/plain", b" " * 2 * 1024 * 1024 + b'{"model":"own"}'),
        ("text/plain, multipart/form-data; boundary=b", b'--b\r\n\r\n{"model":"own"}\r\n--b--'),
        ("x", b"y"),
    ],
)
async def test_a_body_is_not_what_nobody_looks_into(gateway, kind, body):
    """Some servers read any body as JSON, or as a form."""
    app = gateway(told())

    answer = await ask(app, "POST", "/fim/completions", body, **({"content-type": kind} if kind else {}))

    assert (answer.status, answer.json()["error"]["param"], app.network.requests) == (400, "content-type", [])


async def test_limits_hold(gateway):
    rule = {"id": "few", "when": {"models": ["oa/pass-through"]}, "limit_to": 1, "unit": "requests_per_day"}
    app = gateway(told(), more=[{"type": "gateway-rate-limiting-config", "name": "l", "rules": [rule]}])

    statuses = [(await ask(app, "GET", "/vector_stores")).status for _ in range(2)]

    assert statuses == [200, 429]


async def test_files_of_others_cannot_be_named(gateway):
    """They would be read through whatever they are put into."""
    app = gateway(told(id="file-1"), accounts=[account(users=["team:everyone"])])
    kind, form = form_of([FormPart("purpose", b"batch"), FormPart("file", b"{}", "a", "text/plain")], "b")
    await request(app, "POST", "/v1/files", form, headers={**ANA, "content-type": kind})

    named = {"file_id": "file-1"}
    statuses = [(await ask(app, "POST", "/vector_stores/vs_1/files", named, who=who)).status for who in (BO, ANA)]

    assert statuses == [404, 200]


@pytest.fixture
def guarded(gateway):
    """With words that may be neither asked for nor answered."""
    words = {"name": "words", "operation": "validate", "enforcing_strategy": "enforce", "config": {"words": ["zebra"]}}
    group = {
        "type": "provider-account/guardrail-config-group",
        "name": "safety",
        "integrations": [{"type": "integration/guardrail-config/word-list", **words}],
    }
    hooks = {f"{hook}_guardrails": ["safety/words"] for hook in ("llm_input", "llm_output")}
    others = {f"mcp_tool_{hook}_invoke_guardrails": [] for hook in ("pre", "post")}
    target = {"conditions": {"model": {"condition": "in", "values": ["*"]}}}
    rules = {"type": "gateway-guardrails-config", "rules": [{"id": "r", "when": {"target": target}, **hooks, **others}]}
    return lambda *replies: gateway(*replies, more=[group, rules])


@pytest.mark.parametrize("named", [{}, {"model": "big"}])
async def test_guardrails_look_at_what_is_passed_on(guarded, named):
    """And not alone at what names a model: another shape, or another API, is a way around them."""
    app = guarded(told(found="a zebra"), told(found="a horse"))

    asked = [await ask(app, "POST", "/vector_stores/vs/search", {**named, "query": q}) for q in ("zebra", "x", "y")]
    form = form_of([FormPart("prompt", b"a zebra")], "b")
    asked += [await ask(app, "POST", "/videos", form[1], **{"content-type": form[0]})]
    asked += [await ask(app, "PUT", "/videos/v", b"\0zebra", **{"content-type": "image/png"})]

    assert [answer.status for answer in asked] == [400, 400, 200, 400, 400]
    assert [request.body[-10:] for request in app.network.requests] == [b'query":"x"}'[-10:], b'query":"y"}'[-10:]]


async def test_what_is_read_of_an_account_is_looked_at(guarded):
    app = guarded(
        told(data=["zebra"]), told(data=["horse"]), (204, [], {}), (200, [b"\0"], {"content-type": "image/png"})
    )

    asked = [await ask(app, "GET", "/vector_stores") for _ in range(2)]
    asked += [await ask(app, "DELETE", "/vector_stores/vs"), await ask(app, "GET", "/videos/v")]

    assert [(answer.status, answer.body[-7:]) for answer in asked[1:]] == [(200, b'orse"]}'), (204, b""), (200, b"\0")]
    assert asked[0].status == 400


@pytest.mark.parametrize("name", ["file_id", "file_ids[]", "image[file_id]"])
async def test_files_of_others_cannot_be_named_in_a_form(gateway, name):
    """OpenAI copies a file into a container by a form as well as by JSON."""
    app = gateway(told(id="file-1"), accounts=[account(users=["team:everyone"])])
    kind, form = form_of([FormPart("purpose", b"batch"), FormPart("file", b"{}", "a", "text/plain")], "b")
    await request(app, "POST", "/v1/files", form, headers={**ANA, "content-type": kind})

    kind, form = form_of([FormPart(name, b"file-1")], "b")
    headers = {"content-type": kind}
    statuses = [(await ask(app, "POST", "/vector_stores/vs_1", form, who=who, **headers)).status for who in (BO, ANA)]

    assert statuses == [404, 200]


async def test_what_the_account_refuses_is_passed_on(gateway):
    app = gateway(told(404, error={"message": "no vector store", "type": "invalid_request_error", "code": None}))

    answer = await ask(app, "GET", "/vector_stores/vs_9")

    assert (answer.status, answer.json()["error"]["message"]) == (404, "no vector store")


@pytest.mark.parametrize(
    "path",
    ["vector_stores", "/", "/vector_stores/", "/a/../b", "/a//b", "/v1/evals", "/files", "/Responses/x", "/a%2fb"],
)
def test_a_path_that_is_never_passed_on_is_refused_in_a_manifest(gateway, path):
    with pytest.raises(ConfigError, match="path"):
        gateway(told(), accounts=[account(passed=[{"path": path}])])


def test_all_that_the_gateway_serves_is_known():
    """Or a prefix would lead around its limits, and around whose things are."""
    vendors = ("/gemini", "/{version}", "/v1beta/", "/v2/", "/messages/")
    routes = {route for dialect in (*ALL, REALTIME) for _, route in dialect.routes if not route.startswith(vendors)}

    assert [route for route in sorted(routes) if not any(is_at(route, each) for each in SERVED)] == []


async def test_a_client_that_leaves_ends_the_call(gateway, auth, call):
    """As any other; no body is left behind."""
    app = gateway((200, [b"{", asyncio.Event()]))

    asking = asyncio.create_task(ask(app, "GET", "/vector_stores"))
    await asyncio.sleep(0)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(app.drain) == 0
