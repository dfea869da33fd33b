"""Responses of providers that have the API themselves: passed verbatim, asked for where they were made."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Unreachable
from gateway.testing import get, post, request


async def test_a_native_response_passes_verbatim(app_of, ana, sink, ask, body, native):
    """Hosted tools, items of all kinds, and fields that are not known here."""
    app, upstream = app_of(body(native(strange=[1])))
    asked = ask(model="one/m", tools=[{"type": "web_search"}], strange={"a": 1}, include=["x"])

    answer = await post(app, "/v1/responses", asked, headers=ana)

    assert (answer.status, answer.json()) == (200, native(strange=[1]))
    assert upstream.asked() == {**asked, "model": "real-one"}
    assert upstream.requests[0].endpoint.url == "http://one.example/v1/responses"
    await app.close()
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(input=5, output=2), 7_000_000)


async def test_a_native_stream_passes_verbatim(app_of, ana, sink, ask, events):
    app, _ = app_of((200, events()))

    answer = await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    assert answer.body == b"".join(events())
    await app.close()
    assert sink.records[0].usage == Usage(input=5, output=2)


async def test_a_native_stream_that_breaks_off_fails(app_of, ana, ask, events):
    app, _ = app_of((200, [*events()[:2], BrokeOff("cut")]))

    answer = await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    last = msgspec.json.decode(answer.body.rpartition(b"data: ")[2])
    assert answer.body.startswith(b"".join(events()[:2]))
    assert (last["type"], last["sequence_number"], last["response"]["id"]) == ("response.failed", 2, "resp_1")


async def test_an_error_of_the_provider_in_a_stream_is_told_once(app_of, ana, ask, events, native):
    failed = {"type": "response.failed", "response": native(status="failed", error={"code": "x", "message": "no"})}
    event = b"event: response.failed\ndata: %b\n\n" % msgspec.json.encode(failed)
    app, _ = app_of((200, [*events()[:2], event]))

    answer = await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    assert answer.body == b"".join([*events()[:2], event])


@pytest.mark.parametrize(
    ("method", "path", "there"),
    [
        ("GET", "", "/responses/resp_1"),
        ("GET", "?include=a", "/responses/resp_1?include=a"),
        ("GET", "?api-version=preview&include=a", "/responses/resp_1?include=a"),
        ("DELETE", "", "/responses/resp_1"),
        ("POST", "/cancel", "/responses/resp_1/cancel"),
        ("GET", "/input_items?limit=2", "/responses/resp_1/input_items?limit=2"),
    ],
)
async def test_a_native_response_is_asked_for_where_it_was_made(
    app_of, ana, bob, sink, method, path, there, ask, body, native
):
    """By the key of the account, for nobody but who made it; and it is not billed again."""
    app, upstream = app_of(body(native()))
    await post(app, "/v1/responses", ask(model="v/natives"), headers=ana)

    theirs = await request(app, method, f"/v1/responses/resp_1{path}", headers=bob)
    own = await request(app, method, f"/v1/responses/resp_1{path}", headers=ana)

    head = upstream.requests[-1].endpoint.head.decode()
    assert (theirs.status, own.status, own.json()) == (404, 200, native())
    assert head.startswith(f"{method} /v1{there} HTTP/1.1\r\nhost: two.example\r\n")
    assert "authorization: Bearer key-of-two-0123" in head
    assert len(upstream.requests) == 2
    await app.close()
    assert [record.cost_nanousd for record in sink.records] == [7_000_000, None, 0]


async def test_a_native_response_that_is_deleted_is_forgotten(app_of, ana, ask, body, native):
    app, upstream = app_of(body(native()), body({"id": "resp_1", "deleted": True}))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    await request(app, "DELETE", "/v1/responses/resp_1", headers=ana)

    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 404
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("status", [200, 204])
async def test_a_provider_may_say_nothing_of_what_it_has_deleted(app_of, ana, status, ask, body, native):
    """OpenAI's specification has no answer to this: a server that kept to it was a 502, and its response found on."""
    app, _ = app_of(body(native()), (status, []), (200, []))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    gone = await request(app, "DELETE", "/v1/responses/resp_1", headers=ana)

    assert (gone.status, gone.body) == (status, b"")
    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 404


async def test_a_stream_can_be_taken_up_again(app_of, ana, sink, ask, events):
    app, upstream = app_of((200, events()))
    await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    again = await request(app, "GET", "/v1/responses/resp_1?stream=true&starting_after=1", headers=ana)

    assert again.body == b"".join(events())
    assert b"GET /v1/responses/resp_1?stream=true&starting_after=1 " in upstream.requests[-1].endpoint.head


async def test_a_chain_stays_where_it_began(app_of, ana, ask, body, native):
    """Through a virtual model, although another target would be asked first."""
    down = (Unreachable("down"), Unreachable("down"))
    app, upstream = app_of(*down, body(native("resp_1")), body(native("resp_2")))
    first = await post(app, "/v1/responses", ask(model="v/natives"), headers=ana)
    assert first.headers["x-tfy-resolved-model"] == "one/m"

    answer = await post(app, "/v1/responses", ask(model="v/natives", previous_response_id="resp_1"), headers=ana)
    elsewhere = await post(app, "/v1/responses", ask(model="two/m", previous_response_id="resp_1"), headers=ana)

    assert answer.headers["x-tfy-resolved-model"] == "one/m"
    assert upstream.asked()["previous_response_id"] == "resp_1"
    assert (elsewhere.status, elsewhere.json()["error"]["param"]) == (400, "previous_response_id")
    assert "is kept by the account one" in elsewhere.json()["error"]["message"]


async def test_a_chain_that_the_gateway_keeps_can_go_on_anywhere(app_of, ana, ask, body, native, said):
    """To a provider that has the API itself, the whole conversation goes as input, without ids of ours."""
    app, upstream = app_of(said("one"), Unreachable("down"), body(native()))
    made = (await post(app, "/v1/responses", ask(model="v/mixed"), headers=ana)).json()

    answer = await post(
        app, "/v1/responses", ask(model="v/mixed", input="and?", previous_response_id=made["id"]), headers=ana
    )

    assert answer.headers["x-tfy-resolved-model"] == "one/m"
    assert "previous_response_id" not in upstream.asked()
    assert [(item["role"], "id" in item) for item in upstream.asked()["input"]] == [
        ("user", False),
        ("assistant", False),
        ("user", False),
    ]
