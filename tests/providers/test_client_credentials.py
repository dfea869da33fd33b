"""Tokens for the gateway itself: fetched once, renewed in time, and told of when there are none."""

import asyncio
from base64 import b64decode

import msgspec
import pytest

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import BrokeOff, Refused, TimedOut, Unreachable
from gateway.providers.client_credentials import ClientCredentials
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream, post
from gateway.upstream.client import HttpUpstream

ASK = UpstreamRequest(Endpoint("https://vendor.example/v1/chat/completions", {"x-kept": "yes"}), b"{}", ("dropped",))
CHAT = "/v1/chat/completions"


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def token(value="t-1", **fields):
    return (200, [msgspec.json.encode({"access_token": value, "token_type": "Bearer", "expires_in": 3600} | fields)])


def credentials(clock=None, client_id="client", secret="canary-secret"):
    url = "https://vendor.example/token"
    return ClientCredentials(url, Secret(client_id), Secret(secret), scope="all-apis more", clock=clock or Clock())


def header(request, name):
    lines = request.endpoint.head.decode().split("\r\n")
    return next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), None)


async def bearer(signer, upstream):
    return header(await signer.sign(ASK, upstream), "authorization")


class Gate(FakeUpstream):
    """Answers when `opened` is set."""

    def __init__(self, *replies):
        super().__init__(*replies)
        self.opened = asyncio.Event()

    async def call(self, request):
        reply = await super().call(request)
        await self.opened.wait()
        return reply


async def waiting(signer, upstream, count):
    """So many requests at once, up to where they wait."""
    tasks = [asyncio.create_task(bearer(signer, upstream)) for _ in range(count)]
    while not upstream.requests:
        await asyncio.sleep(0)
    return tasks


# --- a token -----------------------------------------------------------------


async def test_asks_for_a_token_as_the_standard_says():
    upstream = FakeUpstream(token())

    await credentials(client_id="a:b", secret="p c%").sign(ASK, upstream)

    (request,) = upstream.requests
    kind, _, pair = header(request, "authorization").partition(" ")
    assert (request.endpoint.url, kind, b64decode(pair)) == ("https://vendor.example/token", "Basic", b"a%3Ab:p+c%25")
    assert request.endpoint.head.startswith(b"POST /token HTTP/1.1\r\n")
    assert header(request, "content-type") == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=client_credentials&scope=all-apis+more"


async def test_signs_and_changes_nothing_else():
    signed = await credentials().sign(ASK, FakeUpstream(token()))

    assert (header(signed, "authorization"), header(signed, "x-kept")) == ("Bearer t-1", "yes")
    assert (signed.endpoint.url, signed.body, signed.dropped_params) == (ASK.endpoint.url, b"{}", ("dropped",))
    assert header(ASK, "authorization") is None


@pytest.mark.parametrize(("expires_in", "kept_s"), [(3600, 3540), ("3600", 3540), (90, 45)])
async def test_a_token_is_kept_until_shortly_before_its_end(expires_in, kept_s):
    """One that ends on its way would be refused."""
    clock = Clock()
    signer, upstream = credentials(clock), FakeUpstream(token("t-1", expires_in=expires_in), token("t-2"))

    values = [await bearer(signer, upstream)]
    clock.now_s += kept_s - 1
    values.append(await bearer(signer, upstream))
    clock.now_s += 1
    values.append(await bearer(signer, upstream))

    assert values == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]
    assert len(upstream.requests) == 2


async def test_its_life_counts_from_when_it_was_asked_for():
    """Since then, at the latest, it exists."""
    clock = Clock()
    signer, upstream = credentials(clock), Gate(token("t-1"), token("t-2"))
    (first,) = await waiting(signer, upstream, 1)
    clock.now_s += 3540
    upstream.opened.set()

    assert await first == "Bearer t-1"
    assert await bearer(signer, upstream) == "Bearer t-2"


async def test_without_a_word_on_its_life_it_is_kept_for_minutes():
    clock = Clock()
    signer, upstream = credentials(clock), FakeUpstream((200, [b'{"access_token":"t-1"}']), token("t-2"))

    values = [await bearer(signer, upstream)]
    clock.now_s += 239
    values.append(await bearer(signer, upstream))
    clock.now_s += 1
    values.append(await bearer(signer, upstream))

    assert values == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


# --- many at once ------------------------------------------------------------


async def test_many_requests_share_one_fetch():
    signer, upstream = credentials(), Gate(token())
    tasks = await waiting(signer, upstream, 50)
    upstream.opened.set()

    assert await asyncio.gather(*tasks) == 50 * ["Bearer t-1"]
    assert len(upstream.requests) == 1
    assert upstream.replies[0].is_closed


@pytest.mark.parametrize("leaves", [0, 1], ids=["the first", "another"])
async def test_who_leaves_takes_nothing_from_the_others(leaves):
    signer, upstream = credentials(), Gate(token())
    tasks = await waiting(signer, upstream, 2)
    tasks[leaves].cancel()
    await asyncio.wait([tasks[leaves]])
    upstream.opened.set()

    assert await tasks[1 - leaves] == "Bearer t-1"
    assert tasks[leaves].cancelled()
    assert len(upstream.requests) == 1


async def test_a_fetch_outlives_those_in_a_hurry():
    """Else a token endpoint that takes longer than callers wait would never get to give one."""
    signer, upstream = credentials(), Gate(token())
    (task,) = await waiting(signer, upstream, 1)
    task.cancel()
    await asyncio.wait([task])
    upstream.opened.set()

    assert await bearer(signer, upstream) == "Bearer t-1"
    assert len(upstream.requests) == 1


async def test_a_failure_is_told_to_all_who_wait_and_then_forgotten():
    signer, upstream = credentials(), Gate((503, [b""]), token())
    tasks = await waiting(signer, upstream, 3)
    upstream.opened.set()

    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [error.status for error in told] == [503, 503, 503]
    assert await bearer(signer, upstream) == "Bearer t-1"
    assert len(upstream.requests) == 2


# --- no token ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            (401, [b'{"error":"invalid_client","error_description":"canary-secret is wrong"}']),
            "the provider gives no access token for the account's client id and secret (invalid_client); "
            "tell whoever runs the gateway",
        ),
        (
            (400, [b'{"error":"canary-secret"}']),
            "the provider gives no access token for the account's client id and secret; tell whoever runs the gateway",
        ),
        (
            (403, [b"<html>canary-secret</html>"]),
            "the provider gives no access token for the account's client id and secret; tell whoever runs the gateway",
        ),
    ],
)
async def test_a_refusal_is_for_the_operator(reply, message):
    """And never holds what was sent, though a provider may repeat it."""
    with pytest.raises(Refused) as refused:
        await bearer(credentials(), FakeUpstream(reply))

    error = refused.value
    assert (error.message, error.status, error.code) == (message, 401, "upstream_authentication_error")
    assert error.body is None


@pytest.mark.parametrize(("status", "told"), [(429, 429), (503, 503), (404, 502), (302, 502)])
async def test_another_answer_is_the_providers_failure(status, told):
    """One that is busy is left alone for as long as it wants; what is not there is no missing model."""
    with pytest.raises(Refused) as refused:
        await bearer(credentials(), FakeUpstream((status, [b"canary-secret"], {"Retry-After": "7", "x-other": "1"})))

    error = refused.value
    assert (error.status, error.headers) == (told, {"Retry-After": "7"})
    assert error.message == f"the provider was asked for an access token and answered with status {status}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"access_token":""}',
        b'{"access_token":"a\\r\\nx-admin: 1"}',
        b'{"access_token":7}',
        b'{"access_token":"canary","token_type":"mac"}',
        b'{"access_token":"canary","expires_in":"soon"}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_token_broke_off(body):
    with pytest.raises(BrokeOff) as raised:
        await bearer(credentials(), FakeUpstream((200, [body] if body else [])))

    assert "canary" not in raised.value.message


async def test_what_has_no_end_is_not_read_to_its_end():
    upstream = FakeUpstream((200, [b" " * 1024] * 1000))

    with pytest.raises(BrokeOff):
        await bearer(credentials(), upstream)

    assert upstream.replies[0].is_closed
    assert await upstream.replies[0].read() == b" " * 1024


@pytest.mark.parametrize("error", [Unreachable("no connection to h:443: refused"), TimedOut("h took too long")])
async def test_out_of_reach_is_told_as_of_the_provider_itself(error):
    with pytest.raises(type(error), match=error.message):
        await bearer(credentials(), FakeUpstream(error))


async def test_nothing_secret_is_shown():
    signer = credentials()
    await bearer(signer, FakeUpstream(token("canary-token")))

    assert "canary" not in repr(signer) + repr(vars(signer))


# --- a token that is refused -------------------------------------------------


async def test_a_token_that_was_dropped_is_fetched_anew():
    signer, upstream = credentials(), FakeUpstream(token("t-1"), token("t-2"))
    await bearer(signer, upstream)

    signer.drop()

    assert await bearer(signer, upstream) == "Bearer t-2"


async def test_late_refusals_do_not_drop_its_successor():
    """Fifty requests that went out with the old one would each have had a token fetched."""
    clock = Clock()
    signer, upstream = credentials(clock), FakeUpstream(token("t-1"), token("t-2"), token("t-3"))
    await bearer(signer, upstream)
    signer.drop()

    values = [await bearer(signer, upstream)]
    clock.now_s += 9
    signer.drop()
    values.append(await bearer(signer, upstream))
    clock.now_s += 1
    signer.drop()
    values.append(await bearer(signer, upstream))

    assert values == ["Bearer t-2", "Bearer t-2", "Bearer t-3"]


# --- from end to end ---------------------------------------------------------

MANIFEST = """\
type: provider-account/databricks
name: dbx
base_url: {url}
auth_data: {{type: service-principal, client_id: client, oauth_secret: canary-secret}}
integrations:
  - {{type: integration/model/databricks, name: m, model_id: real-m, model_types: [chat]}}
"""
ASK_CHAT = {"model": "dbx/m", "messages": [{"role": "user", "content": "hi"}]}
REPLY = b'{"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'


class Workspace:
    """A server with a token endpoint and a model. `valid`: the token the model takes; each fetch gives a new one."""

    def __init__(self):
        self.asked = []
        self.given = 0
        self.valid = None
        self.takes_tokens = True
        self.knows_the_principal = True

    async def talk(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            await reader.readexactly(length)
            status, body = self._answer(head.split(" ")[1], head.partition("authorization: ")[2].split("\r\n")[0])
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    def _answer(self, path, authorization):
        self.asked.append((path, authorization))
        if path == "/serving-endpoints/chat/completions":
            is_valid = self.takes_tokens and authorization == f"Bearer {self.valid}"
            return (200, REPLY) if is_valid else (401, b'{"message":"token %b"}' % authorization.encode())
        if not self.knows_the_principal:
            return 401, b'{"error":"invalid_client"}'
        self.given += 1
        self.valid = f"token-{self.given}"
        return 200, msgspec.json.encode({"access_token": self.valid, "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture
async def workspace():
    return Workspace()


@pytest.fixture
async def dbx(workspace, tcp_server, app_with, tmp_path):
    """An app that calls the workspace over HTTP."""
    path = tmp_path / "dbx.yaml"
    async with tcp_server(workspace.talk) as port:
        path.write_text(MANIFEST.format(url=f"http://127.0.0.1:{port}"))
        app = app_with(None, path)
        yield app
        await app.close()


BASIC = ("/oidc/v1/token", "Basic Y2xpZW50OmNhbmFyeS1zZWNyZXQ=")


def asked_with(value):
    return ("/serving-endpoints/chat/completions", f"Bearer {value}")


async def test_a_service_principal_fetches_a_token_and_keeps_it(dbx, workspace, auth):
    answers = [await post(dbx, CHAT, ASK_CHAT, headers=auth) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, REPLY), (200, REPLY)]
    assert workspace.asked == [BASIC, asked_with("token-1"), asked_with("token-1")]


async def test_a_token_that_was_withdrawn_is_replaced_within_the_request(dbx, workspace, auth):
    await post(dbx, CHAT, ASK_CHAT, headers=auth)
    workspace.valid = "another"

    answer = await post(dbx, CHAT, ASK_CHAT, headers=auth)

    assert (answer.status, answer.body) == (200, REPLY)
    assert workspace.asked[2:] == [asked_with("token-1"), BASIC, asked_with("token-2")]


async def test_who_is_refused_with_a_new_token_too_is_told_so(dbx, workspace, auth):
    """Once more, and no oftener."""
    workspace.takes_tokens = False

    answer = await post(dbx, CHAT, ASK_CHAT, headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (401, "upstream_authentication_error")
    assert workspace.asked == [BASIC, asked_with("token-1"), BASIC, asked_with("token-2")]
    assert b"token-" not in answer.body


async def test_a_wrong_secret_is_told_without_it(dbx, workspace, auth, sink):
    workspace.knows_the_principal = False

    answer = await post(dbx, CHAT, ASK_CHAT, headers=auth)
    await dbx.close()

    assert (answer.status, answer.json()["error"]["code"]) == (401, "upstream_authentication_error")
    assert answer.json()["error"]["message"].endswith("(invalid_client); tell whoever runs the gateway")
    assert b"canary" not in answer.body + msgspec.json.encode(sink.records)
    assert workspace.asked == [BASIC]


async def test_a_token_that_the_provider_repeats_is_hidden(app_with, tmp_path, auth):
    path = tmp_path / "dbx.yaml"
    path.write_text(MANIFEST.format(url="https://vendor.example"))
    said = b'{"error":{"message":"bad request, signed by canary-token"}}'

    answer = await post(
        app_with(FakeUpstream(token("canary-token"), (400, [said])), path), CHAT, ASK_CHAT, headers=auth
    )

    assert (answer.status, answer.json()["error"]["message"]) == (400, "bad request, signed by ***")


async def test_a_network_that_may_not_call_the_provider_fetches_no_token_either(workspace, tcp_server):
    """What somebody who is no admin wrote leads nowhere inside."""
    guarded = HttpUpstream(is_trusted=False)
    async with tcp_server(workspace.talk) as port:
        signer = ClientCredentials(
            f"http://127.0.0.1:{port}/oidc/v1/token", Secret("client"), Secret("canary-secret"), scope="all-apis"
        )
        with pytest.raises(Unreachable):
            await signer.sign(ASK, guarded)
    await guarded.close()

    assert workspace.asked == []
