"""Items that a provider keeps, and who may refer to them."""

import msgspec
import pytest

from gateway.testing import get, post


@pytest.fixture
def with_items(native):
    return native(output=[{"type": "reasoning", "id": "rs_1"}, {"type": "message", "id": "msg_1"}, {"type": "other"}])


REFERENCES = [
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"type": None, "id": "msg_1"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]},
    {"type": "reasoning", "id": "rs_1", "content": None, "encrypted_content": ""},
    {"type": "image_generation_call", "id": "msg_1", "result": None},
]
"""Whatever a provider takes for one, by its id alone."""


async def test_references_to_what_a_provider_keeps_pass_verbatim(app_of, ana, ask, body, native, with_items):
    """To those who have made it, once all of the answer in which it was has been told."""
    app, upstream = app_of(body(with_items), body(native("resp_2")))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    asked = b'{"model":"one/m","input":[ {"type": "item_reference","id":"msg_1"}, {"type":"reasoning","id":"rs_1"} ]}'

    answer = await post(app, "/v1/responses", asked, headers=ana)

    assert answer.status == 200
    assert upstream.requests[1].body == asked.replace(b"one/m", b"real-one")


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"])
async def test_what_others_have_made_cannot_be_referred_to(
    app_of, ana, bob, admin, reference, path, ask, body, with_items
):
    """The provider has one key for all, and puts into the conversation whatever it finds by an id."""
    app, upstream = app_of(body(with_items))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    asked = ask(model="one/m", input=[{"role": "user", "content": "what is this?"}, reference])

    theirs = await post(app, path, asked, headers=bob)
    hers = await post(app, path, asked, headers=ana)
    any_ones = await post(app, path, asked, headers=admin)

    assert (theirs.status, theirs.json()["error"]["code"]) == (404, "object_not_found")
    assert reference["id"] in theirs.json()["error"]["message"]
    assert (hers.status == 404, any_ones.status == 404, len(upstream.requests)) == (False, False, 3)


async def test_a_reference_cannot_be_hidden_by_escapes(app_of, bob, body, native):
    """The bytes of a type and of the name of a field say nothing: `\\u0065` is an e."""
    app, upstream = app_of(body(native()))
    hidden = [
        rb'{"type": "it\u0065m_reference", "id": "msg_1"}',
        rb'{"\u0069d": "msg_1"}',
        rb'{"type": "message", "typ\u0065": "item_reference", "\u0069\u0064": "msg_1"}',
    ]

    asked = [b'{"model":"one/m","input":[%b]}' % each for each in hidden]
    answers = [(await post(app, "/v1/responses", each, headers=bob)).status for each in asked]

    assert (answers, upstream.requests) == ([404, 404, 404], [])


async def test_items_that_say_all_there_is_are_nobodys(app_of, ana, ask, body, native):
    app, upstream = app_of(body(native()))
    items = [
        {"id": "msg_9", "role": "user", "content": "hi"},
        {"type": "message", "id": "msg_8", "role": "assistant", "content": []},
        {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "x"},
        {"type": "reasoning", "id": "rs_8", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "function_call", "id": "fc_9", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "image_generation_call", "id": "ig_9", "result": "AAAA"},
    ]

    answer = await post(app, "/v1/responses", ask(model="one/m", input=items), headers=ana)

    assert (answer.status, upstream.asked()["input"]) == (200, items)


async def test_items_of_a_stream_and_of_what_was_read_can_be_referred_to(
    app_of, ana, bob, ask, body, events, native, with_items
):
    """What is made in the background has none when it is begun."""
    streamed = [
        *events()[:2],
        b'data: {"type":"response.completed","response":%b}\n\n' % msgspec.json.encode(with_items),
    ]
    queued = {**native("resp_2"), "status": "queued"}
    read = native("resp_2", output=[{"id": "msg_2"}])
    listed = {"object": "list", "data": [{"id": "msg_3", "type": "message"}]}
    app, _ = app_of((200, streamed), body(queued), body(read), body(listed), body(native("resp_3")))
    await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)
    await post(app, "/v1/responses", ask(model="one/m", background=True), headers=ana)
    await get(app, "/v1/responses/resp_2", headers=ana)
    await get(app, "/v1/responses/resp_2/input_items", headers=ana)

    asked = ask(model="one/m", input=[{"type": "item_reference", "id": f"msg_{number}"} for number in (1, 2, 3)])
    statuses = [(await post(app, "/v1/responses", asked, headers=who)).status for who in (ana, bob)]

    assert statuses == [200, 404]


async def test_references_have_an_end(app_of, ana, ask, body, native):
    app, upstream = app_of(body(native()))

    answer = await post(
        app, "/v1/responses", ask(model="one/m", input=[{"id": f"m_{n}"} for n in range(501)]), headers=ana
    )

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, "input", [])


async def test_whose_items_are_matters_to_those_who_look_them_up(app_of, ana, ask, said):
    """A translation leaves reasoning out that it cannot read, whoever has made it."""
    app, upstream = app_of(said())
    items = [{"role": "user", "content": "hi"}, {"type": "reasoning", "id": "rs_elsewhere", "summary": []}]

    answer = await post(app, "/v1/responses", ask(input=items), headers=ana)

    assert (answer.status, upstream.asked()["messages"]) == (200, [{"role": "user", "content": "hi"}])
