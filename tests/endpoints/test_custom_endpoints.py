"""`/proxy-api/...`: any HTTP API behind the gateway, on the whole of it."""

import asyncio

import msgspec
import pytest

from gateway import build_app
from gateway.contract import Caller
from gateway.errors import BrokeOff, ConfigError, Unreachable
from gateway.testing import FakeUpstream, http_scope, request

MANIFEST = """\
type: provider-account/custom-endpoint
name: speech
routing_type: priority
slug: any
auth_data: {type: header, headers: {Ocp-Apim-Subscription-Key: key-of-the-account}}
integrations:
  - type: integration/model/custom-endpoint
    name: west
    base_url: https://west.test/base?fixed=1
    headers: {X-Trace: "1"}
    loadbalancing_config: {priority: 0, fallback_status_codes: ["429", "502", "503"]}
  - name: east
    base_url: https://east.test
    auth_data: {type: header, headers: {X-Own-Key: key-of-east}}
    authorized_subjects: ["user:nobody@example.com"]
    loadbalancing_config: {priority: 1}
  - name: open
    base_url: https://open.test
    loadbalancing_config: {priority: 2}
"""
COLLABORATORS = """\
collaborators: [{subject: "user:ana@example.com", role_id: provider-account-access}]
"""
CHAT_MODEL = """\
---
type: provider-account/openai
name: oa
auth_data: {type: api-key, api_key: k}
integrations: [{type: integration/model/openai, name: chat, model_id: gpt, model_types: [chat]}]
"""
MORE = """\
---
type: provider-account/custom-endpoint
name: q
integrations: [{name: q, base_url: "https://q.test/?KEY"}]
"""
LIMITS = """\
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: few, when: {models: [speech/open]}, limit_to: 1, unit: requests_per_day}
"""


@pytest.fixture
def gateway(app_with, manifest):
    def make(*replies, more="", **options):
        manifest.write_text(MANIFEST + more)
        app = app_with(network := FakeUpstream(*replies), **options)
        app.network = network
        return app

    return make


def lines_of(asked):
    """The first line of a request, and its headers."""
    first, *lines = asked.endpoint.head.decode().split("\r\n")[:-1]
    return first, dict(line.split(": ", 1) for line in lines)


async def test_passes_a_request_on_with_the_accounts_credentials(gateway, auth):
    """What is the caller's own does not go on, and what is the account's cannot be replaced."""
    app = gateway((201, [b"\0sound"], {"content-type": "audio/x", "etag": '"1"', "set-cookie": "a=b", "server": "s"}))
    headers = {
        **auth,
        "content-type": "application/ssml+xml",
        "x-format": "riff",
        "x-trace": "2",
        "cookie": "session=1",
        "x-tfy-metadata": "{}",
        "x-forwarded-for": "10.0.0.1",
        "ocp-apim-subscription-key": "mine",
    }

    answer = await request(app, "POST", "/proxy-api/speech/west/v1/a%2Fb?q=a%20b&key=1", b"<speak/>", headers=headers)

    [asked] = app.network.requests
    assert (lines_of(asked), asked.body) == (
        (
            "POST /base/v1/a%2Fb?fixed=1&q=a%20b&key=1 HTTP/1.1",
            {
                "host": "west.test",
                "accept-encoding": "identity",
                "x-trace": "1",
                "ocp-apim-subscription-key": "key-of-the-account",
                "content-type": "application/ssml+xml",
                "x-format": "riff",
            },
        ),
        b"<speak/>",
    )
    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, b"\0sound", "audio/x")
    assert (answer.headers["etag"], "set-cookie" in answer.headers, "server" in answer.headers) == ('"1"', False, False)
    assert answer.headers["x-tfy-resolved-model"] == "speech/west"


async def test_the_accounts_credentials_do_not_come_back(gateway, auth):
    """Some servers repeat the headers they were sent, in a header or in a page for whoever looks for an error."""
    said = [b'{"key":"key-of-the-', b'account","size":1}']
    app = gateway((500, said, {"x-echo": "was key-of-the-account", "content-length": "37"}))

    answer = await request(app, "GET", "/proxy-api/speech/west/x", headers=auth)

    assert (answer.status, answer.body) == (500, b'{"key":"******************","size":1}')
    assert (answer.headers["x-echo"], answer.headers["content-length"]) == ("was ******************", "37")


@pytest.mark.parametrize("key", ["sig", "subscription-key", "code"])
async def test_a_key_in_the_query_does_not_come_back(gateway, auth, key):
    """A server that misses a slash redirects to where it was asked, with the account's query and all."""
    more = MORE.replace("KEY", f"{key}=canary%2Bof-the-account")
    place = f"https://q.test/x/?{key}=canary%2Bof-the-account"
    page = f"see {place}, which is canary+of-the-account".encode()
    app = gateway((301, [page], {"location": place, "content-length": str(len(page))}), more=more)

    answer = await request(app, "GET", "/proxy-api/q/q/x", headers=auth)

    assert answer.headers["location"] == f"https://q.test/x/?{key}=***********************"
    assert answer.body == f"see https://q.test/x/?{key}={'*' * 23}, which is {'*' * 21}".encode()


async def test_headers_that_some_servers_take_for_others_stay_back(gateway, auth):
    """With `_` in place of `-` they read the same; and two would lead out of the base path."""
    app = gateway((200, [b"{}"]))
    other = {"x_trace": "2", "x_tfy_metadata": "{}", "x_forwarded_for": "1.1.1.1", "x-original-url": "/", "x_own": "1"}

    await request(app, "GET", "/proxy-api/speech/west/x", headers={**auth, **other, "x-rewrite-url": "/"})

    _, sent = lines_of(app.network.requests[0])
    assert sent.keys() == {"host", "accept-encoding", "x-trace", "ocp-apim-subscription-key", "x_own"}


async def test_headers_of_the_clients_own_connection_stay_back(gateway, auth):
    """Source: RFC 9110, section 7.6.1."""
    app = gateway((200, [b"{}"]))

    await request(app, "GET", "/proxy-api/speech/west/x", headers={**auth, "connection": "X-Hop, close", "x-hop": "1"})

    _, sent = lines_of(app.network.requests[0])
    assert "x-hop" not in sent


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("path", "target"), [("", "/base"), ("/", "/base/"), ("/x/y", "/base/x/y")])
async def test_any_method_and_path(gateway, auth, method, path, target):
    app = gateway((200, [b"{}"]))

    await request(app, method, f"/api/llm/v1/proxy-api/speech/west{path}", headers=auth)

    assert lines_of(app.network.requests[0])[0] == f"{method} {target}?fixed=1 HTTP/1.1"


@pytest.mark.parametrize("status", [204, 302, 304, 400, 401, 404, 418, 429, 500, 503])
async def test_each_status_is_the_callers_to_judge(gateway, auth, status):
    """With its headers and its body, whatever that is."""
    body = [] if status in (204, 304) else [b"<html>why</html>"]
    app = gateway((status, body, {"content-type": "text/html", "location": "/there", "retry-after": "7"}))

    answer = await request(app, "GET", "/proxy-api/speech/west/x", headers=auth)

    assert (answer.status, answer.body, len(app.network.requests)) == (status, b"".join(body), 1)
    assert (answer.headers["location"], answer.headers["retry-after"]) == ("/there", "7")
    assert answer.headers.get("content-type") == ("text/html" if body else None)


@pytest.mark.parametrize(
    ("replies", "hosts", "status"),
    [
        ([(503, [b"busy"]), (200, [b"ok"])], ["west.test", "east.test"], 200),
        ([Unreachable("no"), (200, [b"ok"])], ["west.test", "east.test"], 200),
        ([(404, [b"no such voice"])], ["west.test"], 404),
        ([(503, [b"1"]), (503, [b"2"]), (503, [b"3"])], ["west.test", "east.test", "open.test"], 503),
    ],
    ids=["falls back", "is not there", "is the caller's fault", "nobody"],
)
async def test_one_of_several_answers(gateway, auth, replies, hosts, status):
    app = gateway(*replies)

    answer = await request(app, "POST", "/proxy-api/speech/any/x", b"small", headers=auth)

    assert answer.status == status
    assert [asked.endpoint.host for asked in app.network.requests] == hosts
    assert all(asked.body == b"small" for asked in app.network.requests)


def test_a_set_leads_nobody_to_what_they_may_not_use(gateway):
    """`east` is for somebody else."""
    models = gateway((200, [b""]), more=COLLABORATORS).models

    choice = models.find("speech/any", Caller("user:ana@example.com"), {}, "custom-endpoint")
    everybody = models.find("speech/any", None, {}, "custom-endpoint")

    assert [candidate.name for candidate in choice.route.candidates] == ["speech/west", "speech/open"]
    assert [candidate.name for candidate in everybody.route.candidates] == [
        "speech/west",
        "speech/east",
        "speech/open",
    ]


async def test_is_no_model(gateway, auth):
    """It is not listed, and cannot be asked to chat; nor is a model an endpoint."""
    app = gateway((200, [b"{}"]), more=CHAT_MODEL)

    listed = await request(app, "GET", "/v1/models", headers=auth)
    chat = await request(app, "POST", "/v1/chat/completions", {"model": "speech/west", "messages": []}, headers=auth)
    endpoint = await request(app, "POST", "/proxy-api/oa/chat/x", headers=auth)

    assert [model["id"] for model in listed.json()["data"]] == ["oa/chat"]
    assert (chat.status, chat.json()["message"]) == (400, "speech/west is not declared as chat (model_types)")
    assert (endpoint.status, endpoint.json()["message"]) == (
        400,
        "oa/chat is not declared as custom-endpoint (model_types)",
    )
    assert app.network.requests == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/proxy-api/speech/west/../../secret", {}, 400),
        ("GET", "/proxy-api/speech/west/%2e%2e/secret", {}, 400),
        ("GET", "/proxy-api/speech/west/%252e%252e/secret", {}, 400),
        ("GET", "/proxy-api/speech/west/..;/secret", {}, 400),
        ("GET", "/proxy-api/speech/west/..%3bx=1/secret", {}, 400),
        ("GET", "/proxy-api/speech/west/a%5c..%5csecret", {}, 400),
        ("GET", "/proxy-api/speech/west/x", {"x-y": "caf\u00e9"}, 400),
        ("HEAD", "/proxy-api/speech/west/x", {}, 405),
        ("OPTIONS", "/proxy-api/speech/west/x", {}, 405),
        ("GET", "/proxy-api/speech/none/x", {}, 404),
        ("GET", "/proxy-api/none/west/x", {}, 404),
        ("GET", "/proxy-api/speech", {}, 404),
        ("GET", "/proxy-api/speech/west/x", {"authorization": "Bearer no"}, 401),
    ],
)
async def test_what_is_refused(gateway, auth, method, path, headers, status):
    app = gateway((200, [b"{}"]))

    answer = await request(app, method, path, headers={**auth, **headers})

    assert (answer.status, app.network.requests) == (status, [])


async def test_its_requests_are_limited_and_recorded(gateway, auth, sink, until):
    app = gateway((200, [b"{}"]), more=LIMITS)

    statuses = [(await request(app, "GET", "/proxy-api/speech/open/x?secret=1", headers=auth)).status for _ in range(2)]
    await until(lambda: len(sink.records) == 2)

    assert statuses == [200, 429]
    assert [(record.request_type, record.model, record.path, record.outcome) for record in sink.records] == [
        ("proxy-api", "speech/open", "/proxy-api/speech/open/x", "complete"),
        ("proxy-api", "speech/open", "/proxy-api/speech/open/x", "refused"),
    ]


class SlowUpstream(FakeUpstream):
    """Tells of each piece of a body when it comes."""

    def __init__(self, *replies):
        super().__init__(*replies)
        self.pieces = asyncio.Queue()

    async def call(self, asked):
        if not isinstance(asked.body, bytes):
            async for piece in asked.body:
                self.pieces.put_nowait(piece)
            asked = msgspec.structs.replace(asked, body=b"")
        return await super().call(asked)


@pytest.fixture
def upload(app_with, manifest, auth):
    """Sends what is put into a queue as one body in chunks, to `speech/any` behind a `SlowUpstream`."""
    manifest.write_text(MANIFEST)

    def start(network, messages):
        sent = []

        async def send(message):
            sent.append(message)

        headers = {**auth, "transfer-encoding": "chunked"}
        scope = http_scope("POST", "/proxy-api/speech/any/x", headers, 0)
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"content-length"]
        return asyncio.create_task(app_with(network)(scope, messages.get, send)), sent

    return start


async def test_a_body_goes_on_while_it_comes(upload):
    network, messages = SlowUpstream((200, [b"ok"])), asyncio.Queue()
    serving, sent = upload(network, messages)

    for piece in (b"one", b"two"):
        messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})
        assert await network.pieces.get() == piece
    messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    await serving

    assert sent[0]["status"] == 200
    assert network.requests[0].length is None


@pytest.mark.parametrize(
    ("reply", "asked", "status"),
    [((503, [b"busy"]), 1, 503), (BrokeOff("cut"), 0, 502)],
    ids=["refused", "cut"],
)
async def test_a_body_that_has_gone_is_not_sent_twice(upload, reply, asked, status):
    """Another endpoint would get only what is left of it."""
    network, messages = SlowUpstream(reply), asyncio.Queue()
    serving, sent = upload(network, messages)

    messages.put_nowait({"type": "http.request", "body": b"all", "more_body": False})
    await serving

    assert (sent[0]["status"], network.pieces.qsize()) == (status, 1)


async def test_a_client_that_leaves_in_the_middle(upload, sink, until):
    network, messages = SlowUpstream((200, [b"ok"])), asyncio.Queue()
    serving, sent = upload(network, messages)

    messages.put_nowait({"type": "http.request", "body": b"one", "more_body": True})
    messages.put_nowait({"type": "http.disconnect"})
    await serving
    await until(lambda: sink.records)

    assert (sent, sink.records[0].outcome) == ([], "client_left")


async def test_an_event_stream_is_passed_on_as_it_comes(gateway, auth):
    pause = asyncio.Event()
    app = gateway((200, [b"data: 1\n\n", pause, b"data: 2\n\n"]))
    sent = asyncio.Queue()

    async def nothing_more():
        await asyncio.Event().wait()

    scope = http_scope("GET", "/proxy-api/speech/open/events", auth, 0)
    serving = asyncio.create_task(app(scope, nothing_more, sent.put))
    start, first = await sent.get(), await sent.get()
    assert sent.empty()
    pause.set()
    await serving

    assert (dict(start["headers"])[b"content-type"], first["body"]) == (b"text/event-stream", b"data: 1\n\n")
    assert (await sent.get())["body"] == b"data: 2\n\n"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("slug: x", "slug and routing_type belong together"),
        ("routing_type: weight", "slug and routing_type belong together"),
        ("routing_type: weight, slug: a", "slug: a is an endpoint already"),
        ("auth_data: {type: header, headers: {Host: other}}", "Host cannot be set"),
    ],
)
def test_what_an_account_must_not_say(manifest, fields, problem):
    manifest.write_text(
        f"{{type: provider-account/custom-endpoint, name: s, {fields}, "
        "integrations: [{name: a, base_url: 'https://a.test'}]}"
    )

    with pytest.raises(ConfigError, match=problem):
        build_app(manifest, environ={})
