"""Conversations that are made short for models which only chat."""

import msgspec
import pytest

from gateway.contract import Call, Head, JsonBody, Request
from gateway.contract.usage import Usage
from gateway.dialects import COMPACT
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.responses import ToOpenAI
from gateway.translators.responses.compaction import CompactToHub, CompactToOpenAI
from gateway.wire.response_items import closed, for_provider, summary_in

HEX = "0" * 32
JSON = Head(200, {"content-type": "application/json"})


def call_of(**fields):
    data = msgspec.json.encode({"model": "a/m", **fields})
    request = Request(
        "POST", "/responses/compact", {}, b"", JsonBody(msgspec.json.decode(data, type=dict[str, msgspec.Raw]), data)
    )
    return Call(COMPACT, COMPACT.parse(request), request)


def asked(translator, **fields):
    body = translator.request(call_of(**fields), "real")
    return {name: msgspec.json.decode(value) for name, value in body.fields.items()}, body.dropped_params


def text(text):
    return {"type": "text", "text": text}


def answered(message):
    reading = CompactToHub(new_id=lambda: HEX, clock=lambda: 5.0).reading(call_of(input="a"), JSON)
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    reading.feed(msgspec.json.encode({"choices": [choice], "usage": usage}))
    return msgspec.json.decode(reading.end()), reading.usage()


def test_the_model_is_asked_for_a_summary():
    """Calls and results are told as text: no tools are sent, without which some providers refuse them."""
    items = [
        {"role": "user", "content": "read a.txt"},
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"path":"a.txt"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "hello"},
        {"role": "assistant", "content": "It says hello."},
    ]

    fields, dropped = asked(CompactToOpenAI(), input=items, instructions="Be brief.", prompt_cache_key="k")

    *messages, last = fields["messages"]
    assert messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "read a.txt"},
        {"role": "assistant", "content": 'Call c1: read({"path":"a.txt"})'},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Result of the call c1:"}, {"type": "text", "text": "hello"}],
        },
        {"role": "assistant", "content": "It says hello."},
    ]
    assert (last["role"], last["content"][:27]) == ("user", "Sum up the conversation abo")
    assert (fields["model"], fields["prompt_cache_key"], "stream" in fields, dropped) == ("real", "k", False, ())


def test_its_answer_stands_for_the_conversation():
    said, usage = answered({"content": "They said hello."})

    [item] = said.pop("output")
    assert said == {
        "id": f"resp_gw{HEX}",
        "object": "response.compaction",
        "created_at": 5,
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10,
        },
    }
    assert (item["type"], item["id"], summary_in(item["encrypted_content"])) == (
        "compaction",
        f"cmp_gw{HEX}_0",
        "They said hello.",
    )
    assert usage == Usage(input=7, output=3)


def test_without_a_summary_there_is_no_answer():
    with pytest.raises(BrokeOff):
        answered({"content": None})


ITEM = {"type": "compaction", "id": f"cmp_gw{HEX}_0", "encrypted_content": closed("They said hello.")}
SHOWN = "Summary of the conversation up to here:\n\nThey said hello."


def test_any_model_goes_on_from_it():
    body = ToOpenAI().request(call_of(input=[ITEM, {"role": "user", "content": "and?"}]), "real")

    said = [message["content"] for message in msgspec.json.decode(body.fields["messages"])]
    assert said == [SHOWN, "and?"]


def test_so_does_a_provider_of_the_api_itself():
    fields = {"input": msgspec.Raw(msgspec.json.encode([ITEM]))}

    assert for_provider(fields, "oa") == ()
    assert msgspec.json.decode(fields["input"]) == [{"type": "message", "role": "user", "content": SHOWN}]


@pytest.mark.parametrize("encrypted", ["gAAAA", None])
def test_nobody_else_reads_what_a_provider_has_encrypted(encrypted):
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": encrypted}

    with pytest.raises(BadRequest, match="can be read by OpenAI alone"):
        ToOpenAI().request(call_of(input=[item]), "real")


@pytest.mark.parametrize("text", ["gateway:summary:", "gateway:summary:%%%", "gateway:summary:/w=="])
def test_a_summary_that_is_damaged_is_empty(text):
    assert summary_in(text) == ""
