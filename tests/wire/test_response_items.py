"""What is the gateway's own means nothing to providers, and what one account has encrypted leads the next turn back to
it (pitfall: reasoning that another organisation cannot decrypt)."""

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.wire.response_items import accounts_in, for_provider, is_own, mark_of, marked, response_of
from gateway.wire.responses import MarkedReading, MarkedStreamReading

HEX = "0123456789abcdef" * 2
US, THEM = mark_of("us"), mark_of("them")
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


def of(account, **item):
    return {**THOUGHT, **item, "encrypted_content": f"gateway:account:{mark_of(account)}:gAAA"}


def sent(items, account="us"):
    fields = {"input": raw(items)}
    dropped = for_provider(fields, account)
    return msgspec.json.decode(fields["input"]), dropped


def test_names_of_accounts_are_not_told():
    assert (len(US), US == THEM) == (12, False)
    assert b"us" not in marked(msgspec.json.encode(THOUGHT), "us").partition(b"gateway:account:")[2][:13]


@pytest.mark.parametrize(
    ("data", "is_marked"),
    [
        (b'{"encrypted_content":"gAAA"}', True),
        (b'{"encrypted_content" : "gAAA"}', True),
        (b'{"encrypted_content":""}', False),
        (b'{"encrypted_content":null}', False),
        (b'{"text":"\\"encrypted_content\\":\\"x\\""}', False),
    ],
)
def test_marks_what_only_one_account_can_read(data, is_marked):
    assert (marked(data, "us") != data) is is_marked


def test_its_account_gets_it_as_it_was():
    assert sent([of("us"), {"role": "user", "content": "a", "id": "m1"}]) == (
        [THOUGHT, {"role": "user", "content": "a", "id": "m1"}],
        (),
    )


def test_another_goes_on_without_it():
    """And without the ids of what is left, as it would look for the reasoning that belonged to them."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    reference = {"type": "item_reference", "id": "msg_1"}

    items, dropped = sent([of("them"), call, of("us"), reference])

    del call["id"]
    assert (items, dropped) == ([call, THOUGHT, reference], ("input.reasoning.encrypted_content",))


def test_what_stands_for_a_conversation_is_not_left_out():
    with pytest.raises(BadRequest, match="send the conversation itself"):
        sent([of("them", type="compaction")])

    assert sent([of("us", type="compaction")]) == ([{**THOUGHT, "type": "compaction"}], ())


def test_a_summary_with_escapes_is_one_text_to_all_who_read_it():
    """A guardrail that is walked around: base64 skips the backslash, and takes the rest of an escape for letters."""
    hidden = rb'{"type":"compaction","encrypted_content":"gateway:summary:\u0061GVsbG8="}'
    fields = {"input": msgspec.Raw(b"[%b]" % hidden)}

    for_provider(fields, "us")

    [item] = msgspec.json.decode(fields["input"])
    assert item["content"] == "Summary of the conversation up to here:\n\nhello"


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([THOUGHT], (None, False)),
        ([of("us")], ("us", False)),
        ([of("us"), of("them")], ("them", False)),
        ([of("us", type="compaction"), of("them")], ("us", True)),
        ([of("gone")], (None, False)),
        ([of("gone", type="compaction")], (None, False)),
        ([{"role": "user", "content": f'"gateway:account:{US}:'}], ("us", False)),
        ("text", (None, False)),
    ],
)
def test_who_is_to_be_asked_first(items, found):
    """The last to have thought; before that, who alone can read what stands for the conversation."""
    assert accounts_in(raw(items), ["us", "them"]) == found


def test_a_stream_is_marked_wherever_it_is_cut():
    done = b'data: {"type":"response.output_item.done","item":{"type":"reasoning","encrypted_content":"gAAA"}}\n\n'
    last = b'data: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":5}}}\n\n'
    stream = done + last
    expected = stream.replace(b"gAAA", b"gateway:account:%b:gAAA" % US.encode())

    for cut in range(1, len(stream)):
        reading = MarkedStreamReading("us")
        assert reading.feed(stream[:cut]) + reading.feed(stream[cut:]) + reading.end() == expected
        assert (reading.is_complete(), reading.usage().input) == (True, 5)


def test_so_is_a_whole_answer():
    reading = MarkedReading("us")
    reading.feed(msgspec.json.encode({"id": "r", "object": "response", "output": [THOUGHT]}))

    assert msgspec.json.decode(reading.end())["output"] == [of("us")]


def test_items_of_ours_mean_nothing_to_a_provider():
    """OpenAI refuses ids that it does not know, and reasoning that it has not encrypted."""
    own = {"type": "message", "id": f"msg_gw{HEX}_0", "role": "assistant", "content": "so"}
    theirs = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA", "summary": []}
    fields = {
        "input": raw(
            [
                {"type": "reasoning", "id": f"rs_gw{HEX}_0", "summary": []},
                {"type": "reasoning", "id": "rs_2", "encrypted_content": "gateway:reasoning:e30="},
                own,
                theirs,
            ]
        ),
        "previous_response_id": raw(f"resp_gw{HEX}"),
    }

    for_provider(fields, "oa")

    del own["id"]
    assert (list(fields), msgspec.json.decode(fields["input"])) == (["input"], [own, theirs])


@pytest.mark.parametrize("value", ["a _gw text", [{"role": "user", "content": "hi", "id": "msg_1"}]])
def test_what_has_nothing_of_ours_stays_as_it_is(value):
    given = raw(value)
    fields = {"input": given, "previous_response_id": raw("resp_1")}

    for_provider(fields, "oa")

    assert fields["input"] is given
    assert "previous_response_id" in fields


def test_an_item_tells_its_response():
    assert response_of(f"fc_gw{HEX}_12") == f"resp_gw{HEX}"
    assert [is_own(id_) for id_ in (f"fc_gw{HEX}_12", f"resp_gw{HEX}", "resp_1", f"fc_gw{HEX}_1;x", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
