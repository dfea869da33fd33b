"""Keys for realtime sessions: made by a server, used by a page, and good for nothing else; on the whole gateway."""

import json

import pytest

from gateway.contract import Caller
from gateway.contract.caller import Credential
from gateway.proxy.exchange import Exchange
from gateway.proxy.session_keys import PREFIX, SessionKey, SessionKeys
from gateway.secrecy.secret import Secret
from gateway.testing import FakeSocket, FakeUpstream, request

ANA, BO = "gw-ana-0123456789abcdef", "gw-bo-0123456789abcdef"
ENVIRON = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_PEPPER": "pepper-0123456789abcdef-0123456789abcdef",
    "GATEWAY_TOKENS": f"user:ana@example.com={ANA},user:bo@example.com={BO}",
}
MANIFEST = """\
type: provider-account/openai
name: oa
base_url: https://provider.test/v1
auth_data: {type: api-key, api_key: key-of-the-provider}
collaborators: [{subject: "user:ana@example.com", role_id: provider-account-access}]
integrations:
  - type: integration/model/openai
    name: talk
    model_id: gpt-realtime
    model_types: [realtime]
    cost: {metric: per_1000_tokens, value: {input: 1, output: 2}}
  - {type: integration/model/openai, name: other, model_id: gpt-other, model_types: [realtime]}
  - {type: integration/model/openai, name: chat, model_id: gpt-4o, model_types: [chat]}
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: tokens, when: {}, limit_to: 700, unit: tokens_per_day}
"""
CONNECT, LEAVE = {"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}
SECRET = "ek_of_the_provider_0123"
TOLD = {"value": SECRET, "expires_at": 4_000_000_000, "session": {"client_secret": {"value": SECRET}, "model": "x"}}
DONE = json.dumps({"type": "response.done", "response": {"usage": {"input_tokens": 100, "output_tokens": 20}}})
JSON = {"content-type": "application/json"}


def by(token, **headers):
    return {"authorization": f"Bearer {token}", **headers}


@pytest.fixture
def gateway(app_with, manifest):
    def make(*replies, text=MANIFEST, **options):
        manifest.write_text(text)
        app = app_with(network := FakeUpstream(*replies), environ=ENVIRON, **options)
        app.network = network
        return app

    return make


def told(**fields):
    return 200, [json.dumps(fields or TOLD).encode()], {"content-type": "application/json"}


async def make(app, path="/v1/realtime/client_secrets", body=None, token=ANA):
    body = body or {"session": {"type": "realtime", "model": "oa/talk"}}
    return await request(app, "POST", path, body, headers=by(token, **JSON))


@pytest.fixture
def talk(call):
    async def run(app, key, *messages, query=b"model=oa/talk", path="/v1/realtime", **scope):
        scope = {"headers": by(key), "extensions": {"websocket.http.response": {}}, **scope}
        return await call(app, CONNECT, *messages, type="websocket", path=path, query_string=query, **scope)

    return run


def status(sent):
    return sent[0].get("status", sent[0]["type"])


@pytest.mark.parametrize(
    ("path", "body", "answer", "asked"),
    [
        (
            "/realtime/client_secrets",
            {"expires_after": {"seconds": 60}, "session": {"type": "realtime", "model": "oa/talk", "tools": []}},
            TOLD,
            {"expires_after": {"seconds": 60}, "session": {"type": "realtime", "model": "gpt-realtime", "tools": []}},
        ),
        (
            "/realtime/client_secrets",
            {"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "oa/talk"}}}}},
            TOLD,
            {"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-realtime"}}}}},
        ),
        (
            "/realtime/sessions",
            {"model": "oa/talk", "voice": "alloy"},
            {"id": "sess_1", "client_secret": {"value": SECRET, "expires_at": 4_000_000_000}},
            {"model": "gpt-realtime", "voice": "alloy"},
        ),
        (
            "/realtime/transcription_sessions",
            {"input_audio_transcription": {"model": "oa/talk", "language": "en"}},
            {"client_secret": {"value": SECRET}},
            {"input_audio_transcription": {"model": "gpt-realtime", "language": "en"}},
        ),
    ],
)
async def test_a_key_is_made_at_the_provider_and_stays_here(gateway, sink, until, path, body, answer, asked):
    """Whoever had the provider's could talk to it past all limits."""
    app = gateway(told(**answer))

    made = await make(app, f"/v1{path}", body)

    assert made.status == 200
    assert SECRET.encode() not in made.body
    ours = made.json().get("value") or made.json()["client_secret"]["value"]
    assert ours.startswith("ek_gw")
    assert made.body.decode().replace(ours, SECRET) == json.dumps(answer)
    assert app.network.asked() == asked
    assert app.network.requests[0].endpoint.url == f"https://provider.test/v1{path}"
    await until(lambda: sink.records)
    [record] = sink.records
    assert (record.request_type, record.resolved_model, record.cost_nanousd) == ("realtime_keys", "oa/talk", 0)


async def test_a_key_opens_a_session_with_the_providers_key(gateway, talk, sink, until):
    """From a page, among the subprotocols; without a model, with the one of the key."""
    app = gateway(told(), FakeSocket(DONE, closes=(1000, "")))
    key = (await make(app)).json()["value"]

    offered = ["realtime", f"openai-insecure-api-key.{key}"]
    sent = await talk(app, key, headers={}, subprotocols=offered, query=b"")

    assert (sent[0]["type"], sent[0]["subprotocol"]) == ("websocket.accept", "realtime")
    asked = app.network.requests[1].endpoint
    assert asked.url == "https://provider.test/v1/realtime?model=gpt-realtime"
    assert b"authorization: Bearer ek_of_the_provider_0123\r\n" in asked.head
    assert b"key-of-the-provider" not in asked.head
    await until(lambda: len(sink.records) == 2)
    record = sink.records[1]
    assert (record.subject, record.model, record.usage.input, record.cost_nanousd) == (
        "user:ana@example.com",
        "oa/talk",
        100,
        140_000_000,
    )


async def test_nobody_who_looks_at_answers_is_shown_the_providers_key(gateway):
    """What is kept of bodies would hold it."""
    seen = []

    class Looks:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            exchange = Exchange.of(scope)
            exchange.observers = [*exchange.observers, self]
            await self.app(scope, receive, send)

        def chunk(self, data):
            seen.append(data)

    app = gateway(told(), middlewares=[Looks])

    assert (await make(app)).status == 200
    assert SECRET.encode() not in b"".join(seen)


async def test_a_page_does_not_say_what_its_requests_are_about(gateway, talk, sink, until):
    """Limits and budgets may be for metadata: those of who has made the key count."""
    app = gateway(told(), FakeSocket(closes=(1000, "")))
    body = {"session": {"type": "realtime", "model": "oa/talk"}}
    about = {"x-tfy-metadata": '{"project":"a"}'}
    made = await request(app, "POST", "/v1/realtime/client_secrets", body, headers=by(ANA, **JSON, **about))

    key = made.json()["value"]
    await talk(app, key, headers=by(key, **{"x-tfy-metadata": '{"project":"b","more":"1"}'}))

    await until(lambda: len(sink.records) == 2)
    assert [record.metadata for record in sink.records] == [{"project": "a"}] * 2


async def test_limits_of_who_has_made_the_key_hold(gateway, talk):
    """700 tokens are enough for one session of 120, with 500 kept for the next response; not for a third."""
    app = gateway(told(), *[FakeSocket(DONE, closes=(1000, "")) for _ in range(3)])
    key = (await make(app)).json()["value"]

    statuses = [status(await talk(app, key)) for _ in range(3)]

    assert statuses == ["websocket.accept", "websocket.accept", 429]


async def test_a_key_of_transcripts_bills_them(gateway, talk):
    app = gateway(told(), FakeSocket(closes=(1000, "")))
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "oa/talk"}}}}
    key = (await make(app, body={"session": session})).json()["value"]

    await talk(app, key, query=b"")

    assert app.network.requests[1].endpoint.url.endswith("?model=gpt-realtime&intent=transcription")


async def test_a_key_is_good_for_nothing_else(gateway, talk):
    app = gateway(told())
    key = (await make(app)).json()["value"]

    chat = await request(app, "POST", "/v1/chat/completions", {"model": "oa/chat"}, headers=by(key, **JSON))
    models = await request(app, "GET", "/v1/models", headers=by(key))
    more = await make(app, token=key)
    other = await talk(app, key, query=b"model=oa/other")
    elsewhere = await talk(app, key, path="/live/bo", query=b"")

    assert [chat.status, models.status, more.status] == [401, 401, 401]
    assert (status(other), status(elsewhere)) == (400, 404)
    assert len(app.network.requests) == 1


@pytest.mark.parametrize(
    "change", [lambda k: k[:-2], lambda k: k[:-4] + "AAAA", lambda _: "ek_gw", lambda _: "ek_gw!é"]
)
async def test_a_key_cannot_be_made_up(gateway, talk, change):
    app = gateway(told())
    key = (await make(app)).json()["value"]

    sent = await talk(app, change(key).encode().decode("latin-1"))

    assert (status(sent), len(app.network.requests)) == (401, 1)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"session": {"type": "realtime"}}, 400),
        ({"session": "x"}, 400),
        ({"session": {"model": 1}}, 400),
        ({"session": {"type": "transcription", "model": "oa/talk"}}, 400),
        ({"session": {"model": "oa/chat"}}, 400),
        ({"session": {"model": "gpt-realtime"}}, 404),
        ({"x": 1}, 400),
    ],
)
async def test_a_key_is_made_for_a_model_that_the_caller_may_use(gateway, body, wanted):
    app = gateway(told())

    answer = await make(app, body=body)
    strangers = await make(app, token=BO)

    assert (answer.status, strangers.status, app.network.requests) == (wanted, 404, [])


@pytest.mark.parametrize("answer", [{"id": "x"}, {"value": ""}, {"value": "short"}, {"value": "schlüssel-0123"}])
async def test_an_answer_without_a_key_is_not_passed_on(gateway, answer):
    """It might hold one somewhere else."""
    assert (await make(gateway(told(**answer)))).status == 502


async def test_a_key_dies_with_the_right_to_it(gateway, talk, token):
    class Tokens:
        caller = Caller("user:ana@example.com")

        def find(self, _):
            return self.caller

        async def verify(self, _):
            return None

        def still(self, _):
            return self.caller

    tokens = Tokens()
    app = gateway(told(), FakeSocket(closes=(1000, "")), tokens=tokens)
    key = (await make(app)).json()["value"]

    tokens.caller = None
    revoked = await talk(app, key)
    tokens.caller = Caller("user:bo@example.com")
    taken_away = await talk(app, key)

    assert (status(revoked), status(taken_away)) == (401, 404)


async def test_a_key_that_the_provider_does_not_take_is_no_fault_of_the_account(gateway, talk):
    """Else anybody's stale key would have the model rest for all."""
    app = gateway(told(), (401, [b'{"error":{"message":"expired"}}']))
    key = (await make(app)).json()["value"]

    statuses = [status(await talk(app, key)) for _ in range(10)]

    assert set(statuses) == {401}
    assert len(app.network.requests) == 11


# --- by itself -------------------------------------------------------------------------------------------------------


def key(**fields):
    ana = Caller("user:ana@example.com", frozenset({"t"}), credential=Credential.PERSONAL, token_id="tok_1")
    given = {"caller": ana, "model": "oa/talk", "asked": "oa/talk", "provider_key": Secret("ek_1"), "expires_at": 100.0}
    return SessionKey(**{**given, **fields})


def test_what_is_sealed_is_found_again_in_time():
    now = 99.0
    keys = SessionKeys(b"pepper", clock=lambda: now)

    text = keys.close(key(metadata={"a": "b"}, transcribes=True)).encode()

    found = SessionKeys(b"pepper", clock=lambda: now).open(text)
    assert (found.caller, found.provider_key.reveal(), found.metadata) == (key().caller, "ek_1", {"a": "b"})
    assert (found.transcribes, found.expires_at) == (True, 100.0)
    assert b"ek_1" not in text
    now = 100.0
    assert keys.open(text) is None


def test_no_key_is_good_for_longer_than_the_longest():
    keys = SessionKeys(b"pepper", clock=lambda: 0.0)

    assert keys.open(keys.close(key(expires_at=1e9)).encode()).expires_at == 7200.0


def test_without_a_pepper_nobody_else_can_make_one():
    """A pepper that everybody knows would be as good as none."""
    text = SessionKeys(b"", clock=lambda: 0.0).close(key()).encode()

    assert SessionKeys(b"", clock=lambda: 0.0).open(text) is None
    assert text.startswith(PREFIX)


async def test_an_expired_key_opens_nothing(gateway, talk):
    app = gateway(told(value=SECRET, expires_at=1.0), FakeSocket(closes=(1000, "")))
    made = (await make(app)).json()["value"]

    assert (status(await talk(app, made)), len(app.network.requests)) == (401, 1)
