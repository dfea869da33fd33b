"""What the gateway keeps of responses that no provider keeps, for whom, and what continues them."""

import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.testing import ResponseGrammar, get, post, request


async def test_what_was_said_before_is_put_in_front(app_of, ana, sink, ask, said):
    """By id, over several turns; each is one bill."""
    app, upstream = app_of(said("one"), said("two"), said("three"))

    first = (await post(app, "/v1/responses", ask(instructions="Be short."), headers=ana)).json()
    second = (await post(app, "/responses", ask(input="and?", previous_response_id=first["id"]), headers=ana)).json()
    third = await post(app, "/v1/responses", ask(input="so?", previous_response_id=second["id"]), headers=ana)

    assert upstream.asked()["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "so?"},
    ]
    assert (second["previous_response_id"], third.json()["output"][0]["content"][0]["text"]) == (first["id"], "three")
    await app.close()
    assert [record.usage for record in sink.records] == [Usage(input=7, output=3)] * 3


async def test_results_of_calls_follow_the_calls(app_of, ana, ask, said):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    app, upstream = app_of(said(None, tool_calls=[call]), said("done"))
    tools = [{"type": "function", "name": "f"}]

    first = (await post(app, "/v1/responses", ask(tools=tools), headers=ana)).json()
    result = [{"type": "function_call_output", "call_id": "c1", "output": "21"}]
    await post(app, "/v1/responses", ask(input=result, previous_response_id=first["id"]), headers=ana)

    assert [message["role"] for message in upstream.asked()["messages"]] == ["user", "assistant", "tool"]


async def test_items_are_found_by_their_ids(app_of, ana, ask, said):
    """As Vercel's SDK refers to them."""
    app, upstream = app_of(said("one"), said("two"))

    first = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    answer = await post(app, "/v1/responses", ask(input=[{"role": "user", "content": "hi"}, reference]), headers=ana)

    assert answer.status == 200
    assert upstream.asked()["messages"][1] == {"role": "assistant", "content": "one"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_only_its_owner_finds_a_response(app_of, ana, bob, admin, method, ask, said):
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    path = f"/v1/responses/{made['id']}"

    theirs = await request(app, method, path, headers=bob)
    unknown = await request(app, method, "/v1/responses/resp_gw" + "0" * 32, headers=bob)
    follow = await post(app, "/v1/responses", ask(previous_response_id=made["id"]), headers=bob)
    own = await request(app, "GET", path, headers=ana)

    assert (theirs.status, unknown.status, own.json()) == (404, 404, made)
    assert theirs.json()["error"]["code"] == unknown.json()["error"]["code"] == "object_not_found"
    assert (follow.status, follow.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert (await request(app, "GET", path, headers=admin)).status == 200


async def test_a_response_is_kept_until_it_is_deleted(app_of, ana, ask, said):
    app, upstream = app_of(said())
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    path = f"/v1/responses/{made['id']}"

    gone = await request(app, "DELETE", path, headers=ana)

    assert gone.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert (await get(app, path, headers=ana)).status == 404
    assert len(upstream.requests) == 1


async def test_what_shall_not_be_stored_is_not(app_of, ana, ask, said):
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(store=False), headers=ana)).json()

    assert made["store"] is False
    assert (await get(app, f"/v1/responses/{made['id']}", headers=ana)).status == 404


async def test_items_of_the_input_by_pages(app_of, ana, ask, said):
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(input=items), headers=ana)).json()
    path = f"/v1/responses/{made['id']}/input_items"

    page = (await request(app, "GET", f"{path}?order=asc&limit=2", headers=ana)).json()
    next_ = (await request(app, "GET", f"{path}?order=asc&limit=3&after={page['last_id']}", headers=ana)).json()
    newest = (await request(app, "GET", path, headers=ana)).json()

    assert ([item["content"] for item in page["data"]], page["has_more"]) == (["0", "1"], True)
    assert ([item["content"] for item in next_["data"]], next_["has_more"]) == (["2", "3", "4"], False)
    assert [item["content"] for item in newest["data"]] == ["4", "3", "2", "1", "0"]
    for wrong in ("limit=0", "limit=x", "order=up", "after=nobody"):
        assert (await request(app, "GET", f"{path}?{wrong}", headers=ana)).status == 400


async def test_it_is_kept_before_the_stream_ends(app_of, ana, ask, chunk):
    """A client that follows at once finds it."""
    app, _ = app_of(
        (200, [chunk({"content": "hel"}), chunk({"content": "lo"}), chunk({}, "stop"), b"data: [DONE]\n\n"])
    )

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    grammar = ResponseGrammar.of(answer.body)
    found = await get(app, f"/v1/responses/{grammar.response['id']}", headers=ana)
    assert found.json() == grammar.response
    assert (await request(app, "GET", f"/v1/responses/{grammar.response['id']}?stream=true", headers=ana)).status == 400


async def test_a_stream_that_breaks_off_fails_and_is_not_kept(app_of, ana, sink, ask, chunk):
    app, _ = app_of((200, [chunk({"content": "hel"}), BrokeOff("cut")]))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    grammar = ResponseGrammar.of(answer.body)
    assert (answer.is_complete, grammar.events[-1]["type"]) == (True, "response.failed")
    assert grammar.response["error"] == {"code": "server_error", "message": "cut"}
    assert (await get(app, f"/v1/responses/{grammar.response['id']}", headers=ana)).status == 404
    await app.close()
    assert sink.records[0].outcome == "upstream_broke"


async def test_an_end_without_a_finish_is_a_failure(app_of, ana, ask, chunk):
    app, _ = app_of((200, [chunk({"content": "hel"})]))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    assert ResponseGrammar.of(answer.body).events[-1]["type"] == "response.failed"


async def test_errors_before_the_first_content_are_answers(app_of, ana, ask):
    app, _ = app_of((429, [b'{"error":{"message":"slow down"}}']))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    assert (answer.status, answer.json()["error"]["message"]) == (429, "slow down")


async def test_what_is_left_out_is_told(app_of, ana, ask, said):
    app, _ = app_of(said())

    answer = await post(app, "/v1/responses", ask(truncation="auto", tools=[{"type": "web_search"}]), headers=ana)

    assert answer.headers["x-gateway-dropped-params"] == "tools.web_search,truncation"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "old/m"}, "model"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_gw" + "0" * 32 + "_0"}]}, "id"),
        ({"background": "yes"}, "background"),
        ({"background": True, "store": False}, "store"),
        ({"background": True, "stream": True}, "stream"),
    ],
)
async def test_what_cannot_be_done_is_refused(app_of, ana, fields, param, ask, said):
    app, upstream = app_of(said())

    answer = await post(app, "/v1/responses", ask(**fields), headers=ana)

    assert (answer.status in (400, 404), answer.json()["error"]["param"], upstream.requests) == (True, param, [])


async def test_tokens_are_counted_by_size_where_no_provider_does(app_of, ana, ask):
    app, upstream = app_of((404, [b'{"error":{"message":"no such path"}}']))

    estimated = await post(app, "/v1/responses/input_tokens", ask(input="x" * 400), headers=ana)
    unknown_there = await post(app, "/v1/responses/input_tokens", ask(model="one/m", input="x" * 400), headers=ana)

    assert estimated.json() == unknown_there.json() == {"object": "response.input_tokens", "input_tokens": 100}
    assert [asked.endpoint.url for asked in upstream.requests] == ["http://one.example/v1/responses/input_tokens"]


async def test_what_was_remembered_outlives_a_restart(app_of, ana, tmp_path, migrated_file, ask, body, native, said):
    """With a database: what the gateway keeps, sealed, and what it knows of others."""
    url = {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'own.db'}"}
    (tmp_path / "own.db").write_bytes(migrated_file.read_bytes())
    environ = {**url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}
    app, _ = app_of(said("a secret answer"), body(native()), environ=environ)
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    await app.close()

    app, upstream = app_of(body(native()), environ=environ)
    kept = await get(app, f"/v1/responses/{made['id']}", headers=ana)
    theirs = await get(app, "/v1/responses/resp_1", headers=ana)

    assert (kept.json(), theirs.status, len(upstream.requests)) == (made, 200, 1)
    assert b"a secret answer" not in (tmp_path / "own.db").read_bytes()


async def test_more_items_than_anybody_says_are_refused(app_of, ana, ask):
    """Decoding them took all of the process, and 1 GB."""
    app, upstream = app_of()

    answer = await post(app, "/v1/responses", ask(input=[{}] * 100_000), headers=ana)

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, "input", [])


async def test_a_gateway_that_keeps_nothing(app_of, ana, ask, body, native, said):
    """What accounts keep can be found all the same."""
    app, _ = app_of(said(), body(native()), environ={"GATEWAY_RESPONSES_DAYS": "0"})

    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    later = await post(app, "/v1/responses", ask(background=True), headers=ana)

    assert (await get(app, f"/v1/responses/{made['id']}", headers=ana)).status == 404
    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 200
    assert (later.status, later.json()["error"]["param"]) == (400, "background")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"])
@pytest.mark.parametrize("field", ["input", "tools"])
async def test_lists_without_end_are_not_decoded(app_of, ana, path, field, ask, said):
    """The loop held for a second by a million small values: in tools as in input."""
    app, upstream = app_of(said())

    answer = await post(app, path, {**ask(), field: [{"type": "function", "name": "f"}] * 10_001}, headers=ana)

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, field, [])
