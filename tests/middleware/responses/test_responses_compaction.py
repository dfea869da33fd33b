"""Conversations that are made shorter, and reasoning that only one account can read."""

import msgspec

from gateway.testing import get, post

COMPACTED = {
    "id": "cmp_1",
    "object": "response.compaction",
    "output": [{"type": "compaction", "id": "cmp_2", "encrypted_content": "sealed"}],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


async def test_a_conversation_is_made_shorter_by_its_provider(app_of, ana, sink, ask, body):
    """`POST /responses/compact`, which Codex uses, was taken for a response of that name: 405, use DELETE or GET."""
    app, upstream = app_of(body(COMPACTED))

    answer = await post(app, "/v1/responses/compact", ask(model="one/m", stream=True, input="long"), headers=ana)

    await app.close()
    assert (answer.status, answer.json()) == (200, COMPACTED)
    assert upstream.requests[-1].endpoint.url == "http://one.example/v1/responses/compact"
    assert upstream.asked()["model"] == "real-one"
    assert [(record.request_type, record.cost_nanousd) for record in sink.records] == [("compaction", 7_000_000)]


async def test_a_conversation_is_made_shorter_where_it_is(app_of, ana, ask, body, native):
    app, upstream = app_of(body(native()), body(COMPACTED))
    await post(app, "/v1/responses", ask(model="v/natives"), headers=ana)
    shorter = {"model": "one/m", "previous_response_id": "resp_1"}

    elsewhere = await post(app, "/v1/responses/compact", shorter, headers=ana)
    there = await post(app, "/v1/responses/compact", {**shorter, "model": "v/natives"}, headers=ana)

    assert (elsewhere.status, there.status) == (400, 200)
    assert upstream.requests[-1].endpoint.url == "http://two.example/v1/responses/compact"
    assert upstream.asked()["previous_response_id"] == "resp_1"


async def test_a_model_that_chats_makes_it_shorter_by_a_summary(app_of, ana, sink, ask, said):
    """And any model goes on from that; it is one bill."""
    app, upstream = app_of(said("They said hi."), said("yes"))

    shorter = (await post(app, "/v1/responses/compact", ask(), headers=ana)).json()
    await post(app, "/v1/responses", ask(input=[*shorter["output"], {"role": "user", "content": "so?"}]), headers=ana)

    await app.close()
    summary = "Summary of the conversation up to here:\n\nThey said hi."
    assert [message["content"] for message in upstream.asked()["messages"]] == [summary, "so?"]
    compaction, response = sink.records
    assert (compaction.request_type, response.request_type) == ("compaction", "responses")
    assert (compaction.cost_nanousd, response.cost_nanousd) == (10_000_000, 10_000_000)


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


async def test_reasoning_leads_back_to_the_account_that_can_read_it(app_of, ana, ask, body, native):
    """Whatever order its targets have. Met as invalid_encrypted_content, whenever another organisation was drawn."""
    down = (403, [b"{}"])
    app, upstream = app_of(down, body(native("resp_1", output=[THOUGHT])), body(native("resp_2")))

    first = (await post(app, "/v1/responses", ask(model="v/natives", store=False), headers=ana)).json()
    await post(app, "/v1/responses", ask(model="v/natives", store=False, input=first["output"]), headers=ana)

    hosts = [request.endpoint.url.split("/")[2] for request in upstream.requests]
    assert hosts == ["two.example", "one.example", "one.example"]
    assert upstream.asked()["input"] == [THOUGHT]


async def test_where_that_account_is_down_another_goes_on_without_it(app_of, ana, ask, body, native):
    """And the caller is told what was left out."""
    down = (403, [b"{}"])
    app, upstream = app_of(body(native("resp_1", output=[THOUGHT])), down, body(native("resp_2")))

    first = (await post(app, "/v1/responses", ask(model="v/natives", store=False), headers=ana)).json()
    again = [*first["output"], {"role": "user", "content": "so?"}]
    answer = await post(app, "/v1/responses", ask(model="v/natives", store=False, input=again), headers=ana)

    hosts = [request.endpoint.url.split("/")[2] for request in upstream.requests]
    assert hosts == ["two.example", "two.example", "one.example"]
    assert upstream.asked()["input"] == [{"role": "user", "content": "so?"}]
    assert answer.headers["x-gateway-dropped-params"] == "input.reasoning.encrypted_content"


async def test_what_stands_for_a_conversation_is_sent_nowhere_else(app_of, ana, ask, body):
    down = (503, [b'{"error":{"message":"busy"}}'])
    app, upstream = app_of(body(COMPACTED), down)

    shorter = (await post(app, "/v1/responses/compact", ask(model="v/natives"), headers=ana)).json()
    answer = await post(app, "/v1/responses", ask(model="v/natives", input=shorter["output"]), headers=ana)

    assert answer.status == 503
    assert {request.endpoint.url.split("/")[2] for request in upstream.requests} == {"two.example"}


async def test_a_model_named_directly_answers_to_the_byte(app_of, ana, ask, body, native):
    """There is nobody else to whom it could have to lead."""
    app, _ = app_of(body(native("resp_1", output=[THOUGHT])))

    answer = await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    assert answer.body == msgspec.json.encode(native("resp_1", output=[THOUGHT]))


async def test_what_is_no_compaction_is_an_error(app_of, ana, ask, body, native):
    app, _ = app_of(body(native()))

    assert (await post(app, "/v1/responses/compact", ask(model="one/m"), headers=ana)).status == 502


async def test_a_response_that_is_asked_for_is_not_nothing(app_of, ana, ask, body, native):
    app, _ = app_of(body(native()), (200, []))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 502
