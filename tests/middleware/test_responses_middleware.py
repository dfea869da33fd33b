"""The Responses API, and stored chat completions, through the whole app: what is kept where, for whom, and what
continues it."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Unreachable
from gateway.proxy.kept import KEPT_DAYS
from gateway.testing import FakeUpstream, ResponseGrammar, get, post, request

ANA, BOB = "gw-ana-0123456789abcdef", "gw-bob-0123456789abcdef"
EVERYONE = "collaborators: [{subject: 'team:everyone', role_id: provider-account-access}]"
MANIFEST = "\n---\n".join(
    f"""\
type: provider-account/self-hosted-model
name: {name}
{EVERYONE}
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: real-{name}
    url: http://{name}.example/v1
    model_server: openai-compatible
    model_types: [{types}]
    auth_data: {{type: bearer-auth, bearer_token: key-of-{name}-0123}}
    cost: {{metric: per_1000_tokens, value: {{input: 1, output: 1}}}}
"""
    for name, types in (("mock", "chat"), ("one", "chat, responses"), ("two", "responses"), ("old", "completion"))
)
ROUTES = f"""
---
type: provider-account/virtual-model
name: v
{EVERYONE}
integrations:
  - type: integration/model/virtual
    name: natives
    model_types: [responses]
    routing_config:
      type: priority-based-routing
      load_balance_targets: [{{target: two/m, priority: 0}}, {{target: one/m, priority: 1}}]
  - type: integration/model/virtual
    name: mixed
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets: [{{target: mock/m, priority: 0}}, {{target: one/m, priority: 1}}]
"""
USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def said(text="hello", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return (200, [msgspec.json.encode({"id": "c1", "object": "chat.completion", "choices": [choice], "usage": USAGE})])


def chunk(delta, finish=None):
    return b"data: %b\n\n" % msgspec.json.encode({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def native(id_="resp_1", **fields):
    usage = {"input_tokens": 5, "output_tokens": 2}
    return {
        "id": id_,
        "object": "response",
        "status": "completed",
        "output": [],
        "error": None,
        "usage": usage,
        **fields,
    }


def events(id_="resp_1"):
    begun = {**native(id_), "status": "in_progress", "usage": None}
    told = [
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {"id": "msg_1"}},
        {"type": "response.completed", "sequence_number": 2, "response": native(id_)},
    ]
    return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in told]


def body(value):
    return (200, [msgspec.json.encode(value)])


@pytest.fixture
def app_of(app_with, tmp_path):
    path = tmp_path / "responses.yaml"
    path.write_text(MANIFEST + ROUTES)

    def make(*replies, **options):
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": "gw-admin-0123456789abcdef"}
        environ["GATEWAY_TOKENS"] = f"user:ana@example.com={ANA},user:bob@example.com={BOB}"
        return app_with(upstream, path, environ=environ | options.pop("environ", {}), **options), upstream

    return make


@pytest.fixture
def ana():
    return {"authorization": f"Bearer {ANA}"}


@pytest.fixture
def bob():
    return {"authorization": f"Bearer {BOB}"}


@pytest.fixture
def admin():
    return {"authorization": "Bearer gw-admin-0123456789abcdef"}


def ask(**fields):
    return {"model": "mock/m", "input": "hi", **fields}


async def test_what_was_said_before_is_put_in_front(app_of, ana, sink):
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


async def test_results_of_calls_follow_the_calls(app_of, ana):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    app, upstream = app_of(said(None, tool_calls=[call]), said("done"))
    tools = [{"type": "function", "name": "f"}]

    first = (await post(app, "/v1/responses", ask(tools=tools), headers=ana)).json()
    result = [{"type": "function_call_output", "call_id": "c1", "output": "21"}]
    await post(app, "/v1/responses", ask(input=result, previous_response_id=first["id"]), headers=ana)

    assert [message["role"] for message in upstream.asked()["messages"]] == ["user", "assistant", "tool"]


async def test_items_are_found_by_their_ids(app_of, ana):
    """As Vercel's SDK refers to them."""
    app, upstream = app_of(said("one"), said("two"))

    first = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    answer = await post(app, "/v1/responses", ask(input=[{"role": "user", "content": "hi"}, reference]), headers=ana)

    assert answer.status == 200
    assert upstream.asked()["messages"][1] == {"role": "assistant", "content": "one"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_only_its_owner_finds_a_response(app_of, ana, bob, admin, method):
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


async def test_a_response_is_kept_until_it_is_deleted(app_of, ana):
    app, upstream = app_of(said())
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()
    path = f"/v1/responses/{made['id']}"

    gone = await request(app, "DELETE", path, headers=ana)

    assert gone.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert (await get(app, path, headers=ana)).status == 404
    assert len(upstream.requests) == 1


async def test_what_shall_not_be_stored_is_not(app_of, ana):
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(store=False), headers=ana)).json()

    assert made["store"] is False
    assert (await get(app, f"/v1/responses/{made['id']}", headers=ana)).status == 404


async def test_items_of_the_input_by_pages(app_of, ana):
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


async def test_it_is_kept_before_the_stream_ends(app_of, ana):
    """A client that follows at once finds it."""
    app, _ = app_of(
        (200, [chunk({"content": "hel"}), chunk({"content": "lo"}), chunk({}, "stop"), b"data: [DONE]\n\n"])
    )

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    grammar = ResponseGrammar.of(answer.body)
    found = await get(app, f"/v1/responses/{grammar.response['id']}", headers=ana)
    assert found.json() == grammar.response
    assert (await request(app, "GET", f"/v1/responses/{grammar.response['id']}?stream=true", headers=ana)).status == 400


async def test_a_stream_that_breaks_off_fails_and_is_not_kept(app_of, ana, sink):
    app, _ = app_of((200, [chunk({"content": "hel"}), BrokeOff("cut")]))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    grammar = ResponseGrammar.of(answer.body)
    assert (answer.is_complete, grammar.events[-1]["type"]) == (True, "response.failed")
    assert grammar.response["error"] == {"code": "server_error", "message": "cut"}
    assert (await get(app, f"/v1/responses/{grammar.response['id']}", headers=ana)).status == 404
    await app.close()
    assert sink.records[0].outcome == "upstream_broke"


async def test_an_end_without_a_finish_is_a_failure(app_of, ana):
    app, _ = app_of((200, [chunk({"content": "hel"})]))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    assert ResponseGrammar.of(answer.body).events[-1]["type"] == "response.failed"


async def test_errors_before_the_first_content_are_answers(app_of, ana):
    app, _ = app_of((429, [b'{"error":{"message":"slow down"}}']))

    answer = await post(app, "/v1/responses", ask(stream=True), headers=ana)

    assert (answer.status, answer.json()["error"]["message"]) == (429, "slow down")


async def test_what_is_left_out_is_told(app_of, ana):
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
async def test_what_cannot_be_done_is_refused(app_of, ana, fields, param):
    app, upstream = app_of(said())

    answer = await post(app, "/v1/responses", ask(**fields), headers=ana)

    assert (answer.status in (400, 404), answer.json()["error"]["param"], upstream.requests) == (True, param, [])


async def test_tokens_are_counted_by_size_where_no_provider_does(app_of, ana):
    app, upstream = app_of((404, [b'{"error":{"message":"no such path"}}']))

    estimated = await post(app, "/v1/responses/input_tokens", ask(input="x" * 400), headers=ana)
    unknown_there = await post(app, "/v1/responses/input_tokens", ask(model="one/m", input="x" * 400), headers=ana)

    assert estimated.json() == unknown_there.json() == {"object": "response.input_tokens", "input_tokens": 100}
    assert [asked.endpoint.url for asked in upstream.requests] == ["http://one.example/v1/responses/input_tokens"]


# --- where a provider has the API itself ------------------------------------------------------------------------------


async def test_a_native_response_passes_verbatim(app_of, ana, sink):
    """Hosted tools, items of all kinds, and fields that are not known here."""
    app, upstream = app_of(body(native(strange=[1])))
    asked = ask(model="one/m", tools=[{"type": "web_search"}], strange={"a": 1}, include=["x"])

    answer = await post(app, "/v1/responses", asked, headers=ana)

    assert (answer.status, answer.json()) == (200, native(strange=[1]))
    assert upstream.asked() == {**asked, "model": "real-one"}
    assert upstream.requests[0].endpoint.url == "http://one.example/v1/responses"
    await app.close()
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(input=5, output=2), 7_000_000)


MADE = native(output=[{"type": "reasoning", "id": "rs_1"}, {"type": "message", "id": "msg_1"}, {"type": "other"}])
REFERENCES = [
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"type": None, "id": "msg_1"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]},
    {"type": "reasoning", "id": "rs_1", "content": None, "encrypted_content": ""},
    {"type": "image_generation_call", "id": "msg_1", "result": None},
]
"""Whatever a provider takes for one, by its id alone."""


async def test_references_to_what_a_provider_keeps_pass_verbatim(app_of, ana):
    """To those who have made it, once all of the answer in which it was has been told."""
    app, upstream = app_of(body(MADE), body(native("resp_2")))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    asked = b'{"model":"one/m","input":[ {"type": "item_reference","id":"msg_1"}, {"type":"reasoning","id":"rs_1"} ]}'

    answer = await post(app, "/v1/responses", asked, headers=ana)

    assert answer.status == 200
    assert upstream.requests[1].body == asked.replace(b"one/m", b"real-one")


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"])
async def test_what_others_have_made_cannot_be_referred_to(app_of, ana, bob, admin, reference, path):
    """The provider has one key for all, and puts into the conversation whatever it finds by an id."""
    app, upstream = app_of(body(MADE))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)
    asked = ask(model="one/m", input=[{"role": "user", "content": "what is this?"}, reference])

    theirs = await post(app, path, asked, headers=bob)
    hers = await post(app, path, asked, headers=ana)
    any_ones = await post(app, path, asked, headers=admin)

    assert (theirs.status, theirs.json()["error"]["code"]) == (404, "object_not_found")
    assert reference["id"] in theirs.json()["error"]["message"]
    assert (hers.status == 404, any_ones.status == 404, len(upstream.requests)) == (False, False, 3)


async def test_a_reference_cannot_be_hidden_by_escapes(app_of, bob):
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


async def test_items_that_say_all_there_is_are_nobodys(app_of, ana):
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


async def test_items_of_a_stream_and_of_what_was_read_can_be_referred_to(app_of, ana, bob):
    """What is made in the background has none when it is begun."""
    streamed = [*events()[:2], b'data: {"type":"response.completed","response":%b}\n\n' % msgspec.json.encode(MADE)]
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


async def test_references_have_an_end(app_of, ana):
    app, upstream = app_of(body(native()))

    answer = await post(
        app, "/v1/responses", ask(model="one/m", input=[{"id": f"m_{n}"} for n in range(501)]), headers=ana
    )

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, "input", [])


async def test_whose_items_are_matters_to_those_who_look_them_up(app_of, ana):
    """A translation leaves reasoning out that it cannot read, whoever has made it."""
    app, upstream = app_of(said())
    items = [{"role": "user", "content": "hi"}, {"type": "reasoning", "id": "rs_elsewhere", "summary": []}]

    answer = await post(app, "/v1/responses", ask(input=items), headers=ana)

    assert (answer.status, upstream.asked()["messages"]) == (200, [{"role": "user", "content": "hi"}])


async def test_a_native_stream_passes_verbatim(app_of, ana, sink):
    app, _ = app_of((200, events()))

    answer = await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    assert answer.body == b"".join(events())
    await app.close()
    assert sink.records[0].usage == Usage(input=5, output=2)


async def test_a_native_stream_that_breaks_off_fails(app_of, ana):
    app, _ = app_of((200, [*events()[:2], BrokeOff("cut")]))

    answer = await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    last = msgspec.json.decode(answer.body.rpartition(b"data: ")[2])
    assert answer.body.startswith(b"".join(events()[:2]))
    assert (last["type"], last["sequence_number"], last["response"]["id"]) == ("response.failed", 2, "resp_1")


async def test_an_error_of_the_provider_in_a_stream_is_told_once(app_of, ana):
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
async def test_a_native_response_is_asked_for_where_it_was_made(app_of, ana, bob, sink, method, path, there):
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


async def test_a_native_response_that_is_deleted_is_forgotten(app_of, ana):
    app, upstream = app_of(body(native()), body({"id": "resp_1", "deleted": True}))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    await request(app, "DELETE", "/v1/responses/resp_1", headers=ana)

    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 404
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("status", [200, 204])
async def test_a_provider_may_say_nothing_of_what_it_has_deleted(app_of, ana, status):
    """OpenAI's specification has no answer to this: a server that kept to it was a 502, and its response found on."""
    app, _ = app_of(body(native()), (status, []), (200, []))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    gone = await request(app, "DELETE", "/v1/responses/resp_1", headers=ana)

    assert (gone.status, gone.body) == (status, b"")
    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 404


COMPACTED = {
    "id": "cmp_1",
    "object": "response.compaction",
    "output": [{"type": "compaction", "id": "cmp_2", "encrypted_content": "sealed"}],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


async def test_a_conversation_is_made_shorter_by_its_provider(app_of, ana, sink):
    """`POST /responses/compact`, which Codex uses, was taken for a response of that name: 405, use DELETE or GET."""
    app, upstream = app_of(body(COMPACTED))

    answer = await post(app, "/v1/responses/compact", ask(model="one/m", stream=True, input="long"), headers=ana)

    await app.close()
    assert (answer.status, answer.json()) == (200, COMPACTED)
    assert upstream.requests[-1].endpoint.url == "http://one.example/v1/responses/compact"
    assert upstream.asked()["model"] == "real-one"
    assert [(record.request_type, record.cost_nanousd) for record in sink.records] == [("compaction", 7_000_000)]


async def test_a_conversation_is_made_shorter_where_it_is(app_of, ana):
    app, upstream = app_of(body(native()), body(COMPACTED))
    await post(app, "/v1/responses", ask(model="v/natives"), headers=ana)
    shorter = {"model": "one/m", "previous_response_id": "resp_1"}

    elsewhere = await post(app, "/v1/responses/compact", shorter, headers=ana)
    there = await post(app, "/v1/responses/compact", {**shorter, "model": "v/natives"}, headers=ana)

    assert (elsewhere.status, there.status) == (400, 200)
    assert upstream.requests[-1].endpoint.url == "http://two.example/v1/responses/compact"
    assert upstream.asked()["previous_response_id"] == "resp_1"


async def test_a_model_that_chats_makes_it_shorter_by_a_summary(app_of, ana, sink):
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


async def test_reasoning_leads_back_to_the_account_that_can_read_it(app_of, ana):
    """Whatever order its targets have. Met as invalid_encrypted_content, whenever another organisation was drawn."""
    down = (403, [b"{}"])
    app, upstream = app_of(down, body(native("resp_1", output=[THOUGHT])), body(native("resp_2")))

    first = (await post(app, "/v1/responses", ask(model="v/natives", store=False), headers=ana)).json()
    await post(app, "/v1/responses", ask(model="v/natives", store=False, input=first["output"]), headers=ana)

    hosts = [request.endpoint.url.split("/")[2] for request in upstream.requests]
    assert hosts == ["two.example", "one.example", "one.example"]
    assert upstream.asked()["input"] == [THOUGHT]


async def test_where_that_account_is_down_another_goes_on_without_it(app_of, ana):
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


async def test_what_stands_for_a_conversation_is_sent_nowhere_else(app_of, ana):
    down = (503, [b'{"error":{"message":"busy"}}'])
    app, upstream = app_of(body(COMPACTED), down)

    shorter = (await post(app, "/v1/responses/compact", ask(model="v/natives"), headers=ana)).json()
    answer = await post(app, "/v1/responses", ask(model="v/natives", input=shorter["output"]), headers=ana)

    assert answer.status == 503
    assert {request.endpoint.url.split("/")[2] for request in upstream.requests} == {"two.example"}


async def test_a_model_named_directly_answers_to_the_byte(app_of, ana):
    """There is nobody else to whom it could have to lead."""
    app, _ = app_of(body(native("resp_1", output=[THOUGHT])))

    answer = await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    assert answer.body == msgspec.json.encode(native("resp_1", output=[THOUGHT]))


async def test_what_is_no_compaction_is_an_error(app_of, ana):
    app, _ = app_of(body(native()))

    assert (await post(app, "/v1/responses/compact", ask(model="one/m"), headers=ana)).status == 502


async def test_a_response_that_is_asked_for_is_not_nothing(app_of, ana):
    app, _ = app_of(body(native()), (200, []))
    await post(app, "/v1/responses", ask(model="one/m"), headers=ana)

    assert (await get(app, "/v1/responses/resp_1", headers=ana)).status == 502


async def test_a_stream_can_be_taken_up_again(app_of, ana, sink):
    app, upstream = app_of((200, events()))
    await post(app, "/v1/responses", ask(model="one/m", stream=True), headers=ana)

    again = await request(app, "GET", "/v1/responses/resp_1?stream=true&starting_after=1", headers=ana)

    assert again.body == b"".join(events())
    assert b"GET /v1/responses/resp_1?stream=true&starting_after=1 " in upstream.requests[-1].endpoint.head


async def test_a_chain_stays_where_it_began(app_of, ana):
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


async def test_a_chain_that_the_gateway_keeps_can_go_on_anywhere(app_of, ana):
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


async def test_what_was_remembered_outlives_a_restart(app_of, ana, tmp_path, migrated_file):
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


def is_idle(app):
    """Nothing is made in the background."""
    [figure] = next(part for part in app.parts if part.name == "background responses").figures()
    return figure.values == {(): 0}


# --- in the background ------------------------------------------------------------------------------------------------


async def test_a_response_in_the_background(app_of, ana, until, sink):
    """Told at once, found when it is done; one bill, and the same item ids wherever it is asked for."""
    go = asyncio.Event()
    app, upstream = app_of((200, [go, *said()[1]], {"content-type": "application/json"}))

    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}"
    running = (await get(app, path, headers=ana)).json()
    too_early = await post(app, "/v1/responses", ask(previous_response_id=queued["id"]), headers=ana)
    go.set()
    await until(lambda: is_idle(app))
    done = (await get(app, path, headers=ana)).json()

    assert (queued["status"], running["status"], done["status"]) == ("queued", "in_progress", "completed")
    assert (too_early.status, done["id"], done["background"]) == (400, queued["id"], True)
    assert done["output"][0]["id"] == f"msg_{queued['id'].removeprefix('resp_')}_0"
    assert "background" not in upstream.asked()
    follow = await post(app, "/v1/responses", ask(previous_response_id=queued["id"], store=False), headers=ana)
    assert follow.status == 200
    await app.close()
    assert [record.usage for record in sink.records if record.usage] == [Usage(input=7, output=3)] * 2


async def test_a_response_in_the_background_that_fails(app_of, ana, until):
    app, _ = app_of((500, [b'{"error":{"message":"broken"}}']))

    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    await until(lambda: is_idle(app))
    found = (await get(app, f"/v1/responses/{queued['id']}", headers=ana)).json()

    assert found["status"] == "failed"
    assert found["error"] == {"code": "server_error", "message": "broken"}


async def test_a_response_in_the_background_can_be_cancelled(app_of, ana, bob):
    app, _ = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}/cancel"

    theirs = await request(app, "POST", path, headers=bob)
    own = await request(app, "POST", path, headers=ana)
    again = await request(app, "POST", path, headers=ana)

    assert (theirs.status, own.json()["status"], again.json()["status"]) == (404, "cancelled", "cancelled")
    assert (await get(app, f"/v1/responses/{queued['id']}", headers=ana)).json()["status"] == "cancelled"


async def test_a_response_in_the_background_is_cancelled_once(app_of, ana):
    """The second broke off what the first wrote down, and the response was in progress for an hour."""
    app, _ = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}/cancel"

    answers = await asyncio.gather(*[request(app, "POST", path, headers=ana) for _ in range(3)])

    assert [answer.json()["status"] for answer in answers] == ["cancelled"] * 3


async def test_a_response_in_the_background_that_is_deleted_stays_so(app_of, ana, bob):
    """It was made, and kept, after all."""
    app, upstream = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    queued = (await post(app, "/v1/responses", ask(background=True), headers=ana)).json()
    path = f"/v1/responses/{queued['id']}"

    theirs = await request(app, "DELETE", path, headers=bob)
    was_running = not is_idle(app)
    own = await request(app, "DELETE", path, headers=ana)

    assert (theirs.status, was_running, own.json()["deleted"], is_idle(app)) == (404, True, True, True)
    assert (await get(app, path, headers=ana)).status == 404
    assert all(reply.is_closed for reply in upstream.replies)


async def test_nobody_takes_all_places_in_the_background(app_of, ana, bob):
    app, _ = app_of(*26 * [(200, [asyncio.Event()], {"content-type": "application/json"})])
    for _ in range(25):
        await post(app, "/v1/responses", ask(background=True), headers=ana)

    refused = await post(app, "/v1/responses", ask(background=True), headers=ana)
    other = await post(app, "/v1/responses", ask(background=True), headers=bob)
    await app.close()

    assert (refused.status, other.status) == (503, 200)
    assert "25 responses of yours" in refused.json()["message"]


async def test_more_items_than_anybody_says_are_refused(app_of, ana):
    """Decoding them took all of the process, and 1 GB."""
    app, upstream = app_of()

    answer = await post(app, "/v1/responses", ask(input=[{}] * 100_000), headers=ana)

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, "input", [])


async def test_what_is_done_cannot_be_cancelled(app_of, ana):
    app, _ = app_of(said())
    made = (await post(app, "/v1/responses", ask(), headers=ana)).json()

    assert (await request(app, "POST", f"/v1/responses/{made['id']}/cancel", headers=ana)).status == 400


async def test_a_provider_with_a_background_of_its_own_is_left_to_it(app_of, ana):
    app, upstream = app_of(body(native(status="queued", usage=None)))

    answer = await post(app, "/v1/responses", ask(model="one/m", background=True), headers=ana)

    assert (answer.json()["status"], upstream.asked()["background"]) == ("queued", True)


async def test_closing_ends_what_is_made_in_the_background(app_of, ana):
    app, upstream = app_of((200, [asyncio.Event()], {"content-type": "application/json"}))
    await post(app, "/v1/responses", ask(background=True), headers=ana)
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await app.close()

    assert all(reply.is_closed for reply in upstream.replies)


# --- stored chat completions ------------------------------------------------------------------------------------------


def completion(id_, **fields):
    return {"id": id_, "object": "chat.completion", "model": "real-one", "choices": [], "metadata": {}, **fields}


def chat(**fields):
    return {"model": "one/m", "messages": [{"role": "user", "content": "hi"}], "store": True, **fields}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "", b""),
        ("POST", "", b'{"metadata":{"a":"b"}}'),
        ("DELETE", "", b""),
        ("GET", "/messages?order=asc", b""),
    ],
)
async def test_a_stored_completion_is_asked_for_where_it_was_made(app_of, ana, bob, method, path, sent):
    app, upstream = app_of(body(completion("chatcmpl-1")))
    await post(app, "/v1/chat/completions", chat(), headers=ana)

    theirs = await request(app, method, f"/v1/chat/completions/chatcmpl-1{path}", sent, headers=bob)
    own = await request(app, method, f"/v1/chat/completions/chatcmpl-1{path}", sent, headers=ana)

    asked = upstream.requests[-1]
    assert (theirs.status, own.status, len(upstream.requests)) == (404, 200, 2)
    assert asked.endpoint.head.startswith(f"{method} /v1/chat/completions/chatcmpl-1{path} ".encode())
    assert asked.body == sent


async def test_a_streamed_completion_is_remembered_by_its_first_event(app_of, ana):
    first = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    app, _ = app_of((200, [first, chunk({}, "stop"), b"data: [DONE]\n\n"]), body(completion("chatcmpl-1")))

    await post(app, "/v1/chat/completions", chat(stream=True), headers=ana)

    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 200


async def test_lists_show_only_the_callers_own(app_of, ana, bob):
    """The account's own list would show everybody's."""
    made = [body(completion(f"chatcmpl-{number}", metadata={"n": str(number)})) for number in range(3)]
    app, upstream = app_of(*made, *made)
    for who in (ana, bob, ana):
        await post(app, "/v1/chat/completions", chat(), headers=who)

    listed = (await request(app, "GET", "/v1/chat/completions?limit=1", headers=ana)).json()
    next_ = (await request(app, "GET", f"/v1/chat/completions?after={listed['last_id']}", headers=ana)).json()

    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == (["chatcmpl-0"], True)
    assert ([each["id"] for each in next_["data"]], next_["has_more"]) == (["chatcmpl-2"], False)
    assert [asked.endpoint.url.rpartition("/")[2] for asked in upstream.requests[3:]] == ["chatcmpl-0", "chatcmpl-2"]


async def test_a_completion_that_is_gone_at_its_account_is_left_out(app_of, ana):
    app, _ = app_of(body(completion("chatcmpl-1")), (404, [b'{"error":{"message":"no"}}']))
    await post(app, "/v1/chat/completions", chat(), headers=ana)

    assert (await get(app, "/v1/chat/completions", headers=ana)).json()["data"] == []
    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 404


async def test_a_completion_that_is_not_to_be_stored_is_not_remembered(app_of, ana):
    app, _ = app_of(body(completion("chatcmpl-1")))

    for store in (False, None):
        await post(app, "/v1/chat/completions", chat(store=store), headers=ana)

    assert (await get(app, "/v1/chat/completions/chatcmpl-1", headers=ana)).status == 404


def test_what_is_kept_is_kept_as_long_as_openai_does():
    assert timedelta(days=KEPT_DAYS) == datetime(2026, 1, 31, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_gateway_that_keeps_nothing(app_of, ana):
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
async def test_lists_without_end_are_not_decoded(app_of, ana, path, field):
    """The loop held for a second by a million small values: in tools as in input."""
    app, upstream = app_of(said())

    answer = await post(app, path, {**ask(), field: [{"type": "function", "name": "f"}] * 10_001}, headers=ana)

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, field, [])
