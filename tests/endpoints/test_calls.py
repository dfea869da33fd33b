"""Calls by WebRTC and SIP: their sound passes the gateway by, and what is said is heard all the same."""

import asyncio
import json

import pytest

from gateway.contract.request import FormPart
from gateway.errors import BrokeOff
from gateway.proxy.calls import MAX_HEARD, SHARE_OF_ONE
from gateway.proxy.session import SessionTiming
from gateway.testing import FakeReply, FakeSocket, request
from gateway.wire.form import form_of

ANA, BO = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo"))
ENVIRON = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_TOKENS": "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef",
}
MANIFEST = """\
type: provider-account/openai
name: oa
base_url: https://provider.test/v1
auth_data: {type: api-key, api_key: key-of-the-provider}
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
integrations:
  - type: integration/model/openai
    name: talk
    model_id: gpt-realtime
    model_types: [realtime]
    cost: {metric: per_1000_tokens, value: {input: 1, output: 2}}
    authorized_subjects: ["user:ana@example.com"]
  - {type: integration/model/openai, name: chat, model_id: gpt-4o, model_types: [chat]}
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: tokens, when: {}, limit_to: 700, unit: tokens_per_day}
"""
OFFER, ANSWER = b"v=0\r\noffer", b"v=0\r\nanswer"
SDP, JSON = {"content-type": "application/sdp"}, {"content-type": "application/json"}
SESSION = {"type": "realtime", "model": "oa/talk", "instructions": "be brief"}
DONE = json.dumps({"type": "response.done", "response": {"usage": {"input_tokens": 100, "output_tokens": 20}}})
SECRET = json.dumps({"value": "ek_of_the_provider", "expires_at": 4_000_000_000}).encode()


class Provider:
    """Begins calls, lets them be heard, and notes what it was asked for."""

    def __init__(self, *sockets, location="/v1/realtime/calls/rtc_1"):
        self.sockets = list(sockets)
        self.location = location
        self.asked = []
        self.heads = []
        self.bodies = []
        self.was_hung_up = asyncio.Event()

    async def call(self, asked):
        line = asked.endpoint.head.decode().split(" HTTP")[0]
        self.asked.append(line)
        self.heads.append(asked.endpoint.head)
        self.bodies.append(asked.body)
        if asked.opens_socket:
            socket = self.sockets.pop(0)
            if isinstance(socket, Exception):
                raise socket
            return socket
        if line.endswith("/hangup"):
            self.was_hung_up.set()
        if line.endswith("/client_secrets"):
            return FakeReply(200, [SECRET], {"content-type": "application/json"})
        if line.endswith("/calls"):
            return FakeReply(201, [ANSWER], {"content-type": "application/sdp", "location": self.location})
        return FakeReply(200, [b""], {})


@pytest.fixture
def gateway(app_with, manifest):
    def make(*sockets, timing=None, text=MANIFEST, **options):
        manifest.write_text(text)
        network = Provider(*sockets, **options)
        app = app_with(network, environ=ENVIRON, session_timing=timing)
        app.network = network
        return app

    return make


def offer(session=SESSION):
    kind, form = form_of([FormPart("sdp", OFFER), FormPart("session", json.dumps(session).encode())], "b")
    return form, {"content-type": kind}


async def begin(app, who=ANA, session=SESSION):
    form, kind = offer(session)
    return await request(app, "POST", "/v1/realtime/calls", form, headers={**who, **kind})


async def test_a_call_is_heard_and_billed(gateway, sink, until):
    """With the account's own key, over a WebSocket beside it; one record of the call, and one of what was said."""
    app = gateway(FakeSocket(DONE, closes=(1000, "")))

    answer = await begin(app)

    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, ANSWER, "application/sdp")
    assert answer.headers["location"] == "/v1/realtime/calls/rtc_1"
    await until(lambda: len(sink.records) == 2)
    network = app.network
    assert network.asked == ["POST /v1/realtime/calls", "GET /v1/realtime?call_id=rtc_1"]
    assert b'"model":"gpt-realtime"' in network.bodies[0]
    assert b'"instructions":"be brief"' in network.bodies[0]
    assert OFFER in network.bodies[0]
    assert b"authorization: Bearer key-of-the-provider" in network.heads[1]
    by_type = {record.request_type: record for record in sink.records}
    assert (by_type["realtime_calls"].cost_nanousd, by_type["realtime"].cost_nanousd) == (0, 140_000_000)
    assert (by_type["realtime"].subject, by_type["realtime"].model) == ("user:ana@example.com", "oa/talk")


async def test_a_call_that_uses_a_limit_up_is_hung_up(gateway, sink, until):
    app = gateway(FakeSocket(DONE, DONE, asyncio.Event()))

    assert (await begin(app)).status == 201

    await app.network.was_hung_up.wait()
    assert app.network.asked[-1] == "POST /v1/realtime/calls/rtc_1/hangup"
    await until(lambda: len(sink.records) == 2)
    assert {record.error_code for record in sink.records} == {None, "rate_limit_exceeded"}


@pytest.mark.parametrize("socket", [BrokeOff("no such path"), FakeSocket(BrokeOff("the provider dropped it"))])
async def test_a_call_that_cannot_be_heard_does_not_go_on(gateway, socket):
    app = gateway(socket)

    answer = await begin(app)

    await app.network.was_hung_up.wait()
    assert answer.status == (502 if isinstance(socket, Exception) else 201)


async def test_a_call_that_there_is_no_room_for_is_hung_up_and_refused(gateway):
    """500 of 700 tokens are kept for what comes in the first."""
    app = gateway(FakeSocket(asyncio.Event()))

    answers = [await begin(app) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 429]
    assert app.network.asked[-2:] == ["POST /v1/realtime/calls", "POST /v1/realtime/calls/rtc_1/hangup"]


async def test_one_caller_cannot_take_all_the_calls_there_can_be(gateway):
    """Nobody has to be there for one to last; and many that begin at once are as many."""
    most = MAX_HEARD // SHARE_OF_ONE
    app = gateway(*[FakeSocket(asyncio.Event()) for _ in range(most + 2)], text=MANIFEST.partition("---")[0])
    admin = {"authorization": "Bearer gw-test-0123456789abcdef"}

    answers = await asyncio.gather(*[begin(app) for _ in range(most + 1)])

    assert sorted(answer.status for answer in answers) == [*[201] * most, 503]
    assert app.network.asked.count("POST /v1/realtime/calls") == most
    assert (await begin(app, admin)).status == 201
    await app.close()


async def test_a_call_that_is_over_or_never_was_leaves_its_place(gateway, until):
    most = MAX_HEARD // SHARE_OF_ONE
    over = [FakeSocket(closes=(1000, "")), BrokeOff("no such path")]
    app = gateway(*over * most, text=MANIFEST.partition("---")[0])

    statuses = {(await begin(app)).status for _ in range(2 * most)}

    assert statuses == {201, 502}


async def test_calls_that_begin_at_once_are_counted(gateway):
    """Each was let in while the others were still being begun, which made more than there may be."""
    app = gateway(FakeSocket(asyncio.Event()), FakeSocket(asyncio.Event()))
    next(part for part in app.parts if part.name == "realtime calls").max_heard = 1

    answers = await asyncio.gather(begin(app), begin(app))

    assert sorted(answer.status for answer in answers) == [201, 503]
    assert app.network.asked.count("POST /v1/realtime/calls") == 1


async def test_a_call_ends_with_a_gateway_that_stops(gateway):
    app = gateway(FakeSocket(asyncio.Event()))
    await begin(app)

    app.drain.begin()
    app.drain.cut()

    await app.network.was_hung_up.wait()

    assert app.network.asked[-1].endswith("/hangup")


async def test_a_gateway_that_is_closed_hangs_up(gateway):
    app = gateway(FakeSocket(asyncio.Event()))
    await begin(app)

    await app.close()

    assert app.network.asked[-1].endswith("/hangup")


async def test_a_silent_call_is_hung_up(gateway):
    app = gateway(FakeSocket(asyncio.Event()), timing=SessionTiming(look_s=0.01, idle_s=0.02))

    await begin(app)

    await app.network.was_hung_up.wait()

    assert app.network.asked[-1].endswith("/hangup")


async def test_a_page_begins_a_call_with_a_key(gateway):
    app = gateway(FakeSocket(closes=(1000, "")))
    body = {"session": {"type": "realtime", "model": "oa/talk"}}
    made = await request(app, "POST", "/v1/realtime/client_secrets", body, headers={**ANA, **JSON})
    key = {"authorization": f"Bearer {made.json()['value']}"}

    answer = await request(app, "POST", "/v1/realtime/calls", OFFER, headers={**key, **SDP})

    assert answer.status == 201
    network = app.network
    assert network.asked[1:] == ["POST /v1/realtime/calls", "GET /v1/realtime?call_id=rtc_1"]
    assert (network.bodies[1], b"authorization: Bearer ek_of_the_provider\r\n" in network.heads[1]) == (OFFER, True)
    assert b"content-type: application/sdp" in network.heads[1]
    assert b"authorization: Bearer key-of-the-provider" in network.heads[2]
    hangup = await request(app, "POST", "/v1/realtime/calls/rtc_1/hangup", headers=key)
    assert hangup.status == 401


async def test_an_offer_alone_names_its_model_in_the_query(gateway):
    app = gateway(FakeSocket(closes=(1000, "")))

    named = await request(app, "POST", "/v1/realtime/calls?model=oa/talk", OFFER, headers={**ANA, **SDP})
    unnamed = await request(app, "POST", "/v1/realtime/calls", OFFER, headers={**ANA, **SDP})

    assert (named.status, unnamed.status) == (201, 400)
    assert b'{"type":"realtime","model":"gpt-realtime"}' in app.network.bodies[0]


@pytest.mark.parametrize(("query", "session"), [("", SESSION), ("?model=oa/talk", None)])
async def test_an_sdk_sends_its_offer_as_json(gateway, query, session):
    app = gateway(FakeSocket(closes=(1000, "")))
    body = {"sdp": "v=0", **({"session": session} if session else {})}

    answer = await request(app, "POST", f"/v1/realtime/calls{query}", body, headers={**ANA, **JSON})

    given = session or {"type": "realtime"}
    assert answer.status == 201
    assert json.loads(app.network.bodies[0]) == {"sdp": "v=0", "session": {**given, "model": "gpt-realtime"}}


@pytest.mark.parametrize(
    ("who", "session", "status"),
    [
        (BO, SESSION, 403),
        (ANA, {"type": "realtime", "model": "oa/chat"}, 400),
        (ANA, {"type": "realtime"}, 400),
        (ANA, "x", 400),
        (ANA, {"type": "realtime", "model": "gpt-realtime"}, 404),
    ],
)
async def test_a_call_is_with_a_model_that_the_caller_may_use(gateway, who, session, status):
    app = gateway()

    assert ((await begin(app, who, session)).status, app.network.asked) == (status, [])


@pytest.mark.parametrize("location", ["", "/v1/realtime/calls/", "/v1/realtime/calls/../files", "https://x/other"])
async def test_a_call_without_an_id_is_no_call(gateway, location):
    assert (await begin(gateway(location=location))).status == 502


async def test_what_is_done_with_a_call_is_its_owners(gateway):
    app = gateway(FakeSocket(asyncio.Event()))
    await begin(app)
    app.network.asked.clear()
    refer = {"target_uri": "tel:+14155550123"}

    theirs = [
        (await request(app, "POST", f"/v1/realtime/calls/rtc_1/{what}", body, headers={**BO, **JSON})).status
        for what, body in (("refer", refer), ("hangup", b""), ("reject", {}), ("accept", SESSION))
    ]
    unknown = await request(app, "POST", "/v1/realtime/calls/rtc_2/hangup", headers=ANA)
    assert (theirs, unknown.status, app.network.asked) == ([404, 404, 404, 403], 404, [])

    hers = await request(app, "POST", "/v1/realtime/calls/rtc_1/refer", refer, headers={**ANA, **JSON})
    ended = await request(app, "POST", "/v1/realtime/calls/rtc_1/hangup", headers=ANA)

    assert (hers.status, ended.status) == (200, 200)
    assert app.network.asked == ["POST /v1/realtime/calls/rtc_1/refer", "POST /v1/realtime/calls/rtc_1/hangup"]
    assert json.loads(app.network.bodies[-2]) == refer


async def test_a_call_by_sip_is_whose_who_takes_it_first(gateway, sink, until):
    """It is told of by a webhook, and so unknown here."""
    app = gateway(FakeSocket(DONE, closes=(1000, "")), FakeSocket())

    taken = await request(app, "POST", "/v1/realtime/calls/rtc_9/accept", SESSION, headers={**ANA, **JSON})
    again = await request(app, "POST", "/v1/realtime/calls/rtc_9/reject", {}, headers={**BO, **JSON})
    rejected = await request(
        app, "POST", "/v1/realtime/calls/rtc_8/reject", {"status_code": 486}, headers={**BO, **JSON}
    )

    assert (taken.status, again.status, rejected.status) == (200, 404, 200)
    assert app.network.asked == [
        "POST /v1/realtime/calls/rtc_9/accept",
        "GET /v1/realtime?call_id=rtc_9",
        "POST /v1/realtime/calls/rtc_8/reject",
    ]
    assert json.loads(app.network.bodies[0]) == {**SESSION, "model": "gpt-realtime"}
    await until(lambda: len(sink.records) >= 2)
    assert sum(record.cost_nanousd or 0 for record in sink.records) == 140_000_000


@pytest.mark.parametrize("id_", ["..", "a%2fb", "%2e%2e", "a.b", "a b"])
async def test_an_id_leads_nowhere_else(gateway, id_):
    app = gateway()

    for what in ("accept", "refer"):
        answer = await request(app, "POST", f"/v1/realtime/calls/{id_}/{what}", SESSION, headers={**ANA, **JSON})
        assert (answer.status, app.network.asked) == (404, [])
