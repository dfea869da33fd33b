"""What is said over a WebSocket of the Responses API."""

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.wire.response_sockets import (
    body_of,
    create_of,
    error_message,
    in_stream,
    items_in,
    last_in,
    message_of,
    replayed,
)

HEX = "0" * 32


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


def fields(**values):
    return {name: raw(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "an event with no type is not known here: send response.create"),
        ({"type": "response.steer"}, "an event with the type 'response.steer' is not known here: send response.create"),
        ({"type": "response.create", "stream_id": "s" * 201}, "a stream_id has at most 200 characters"),
        ({"type": "response.create", "store": "no"}, "the event cannot be read: Expected `bool | null`, got `str`"),
    ],
)
def test_what_cannot_be_done_is_said(given, message):
    with pytest.raises(BadRequest) as raised:
        create_of(fields(**given))

    assert raised.value.message.startswith(message)


def test_the_request_that_asks_for_the_same():
    given = fields(type="response.create", stream_id="a", generate=True, stream=False, background=False, model="m")

    assert body_of(given) == fields(model="m", stream=True)


@pytest.mark.parametrize(
    ("given", "items"),
    [
        (None, []),
        (raw(None), []),
        (raw("hi"), [{"type": "message", "role": "user", "content": "hi"}]),
        (raw([{"a": 1}, {"b": 2}]), [{"a": 1}, {"b": 2}]),
    ],
)
def test_reads_items(given, items):
    assert [msgspec.json.decode(item) for item in items_in(given)] == items


@pytest.mark.parametrize("given", [b"{}", b"7", b"[" + b"0," * 10_000 + b"0]"])
def test_what_are_no_items_is_refused(given):
    with pytest.raises(BadRequest):
        items_in(msgspec.Raw(given))


def test_what_was_said_is_input_for_who_has_not_stored_it():
    """OpenAI refuses the id of an item that it has not stored, and reasoning that it cannot read."""
    own = {"type": "message", "id": f"msg_gw{HEX}_0", "role": "assistant"}
    sealed = {"type": "reasoning", "id": "rs_2", "encrypted_content": "gAAA", "summary": []}
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
        sealed,
        {"type": "function_call", "id": "fc_1", "call_id": "c"},
        own,
    ]

    said = replayed([raw(each) for each in output])

    assert [msgspec.json.decode(each) for each in said] == [sealed, {"type": "function_call", "call_id": "c"}, own]


@pytest.mark.parametrize(
    ("event", "is_good"),
    [("completed", True), ("incomplete", True), ("failed", False), ("cancelled", False)],
)
def test_the_last_event(event, is_good):
    response = {"id": "resp_1", "output": [{"type": "message"}]}

    last = last_in(msgspec.json.encode({"type": f"response.{event}", "response": response}))

    assert (last.id, [msgspec.json.decode(each) for each in last.output]) == ("resp_1", [{"type": "message"}])
    assert last.is_good is is_good


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"response.created","response":{"id":"r","output":[]}}',
        b'{"type":"response.output_text.delta","delta":"\\"response\\": {}"}',
        b'{"response"',
        b'{"type":"response.completed","response":null}',
    ],
)
def test_what_is_no_last_event(data):
    assert last_in(data) is None


def test_an_error_in_a_stream_has_the_shape_of_a_socket():
    flat = b'event: error\ndata: {"type":"error","sequence_number":3,"code":"c","message":"m","param":null}\n\n'

    assert msgspec.json.decode(message_of(flat)) == {
        "type": "error",
        "sequence_number": 3,
        "status": 500,
        "error": {"type": "server_error", "code": "c", "message": "m", "param": None},
    }


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b": keep-alive\n\n", b""),
        (b'event: a\ndata: {"type":"a"}\n\n', b'{"type":"a"}'),
        (b'data: {"type":"error","error":{"code":"c"}}\n\n', b'{"type":"error","error":{"code":"c"}}'),
        (b'data: {"type":"error"\n\n', b'{"type":"error"'),
    ],
)
def test_all_else_stays_as_it_is(event, message):
    assert message_of(event) == message


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":"text"}', b'{"error":{"code":"x"}}'])
def test_a_refusal_of_another_shape_is_an_error_as_well(body):
    """Clients look for a code, and Open Responses demands one."""
    said = msgspec.json.decode(error_message(502, body, {}))

    assert (said["status"], said["error"]["code"], said["error"]["type"]) == (502, "api_error", "api_error")


def test_events_name_the_stream_of_their_client():
    assert in_stream(b'{"type":"a"}', 'lane "1"') == b'{"stream_id":"lane \\"1\\"","type":"a"}'
    assert in_stream(b'{"type":"a"}', None) == b'{"type":"a"}'
