"""The checker of the Responses API's grammar finds what is wrong: else no test that uses it would say anything."""

import msgspec
import pytest

from gateway.testing import ResponseGrammar

ITEM = {"id": "msg_1", "type": "message", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "hi"}
DONE = {**ITEM, "status": "completed", "content": [PART]}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSE = {"id": "resp_1", "status": "in_progress", "output": []}
LAST = {
    "id": "resp_1",
    "status": "completed",
    "output": [DONE],
    "usage": {"total_tokens": 1},
    "incomplete_details": None,
    "error": None,
}
GOOD = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.in_progress", "response": RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
    {"type": "response.content_part.added", **PLACE, "part": {**PART, "text": ""}},
    {"type": "response.output_text.delta", **PLACE, "delta": "h"},
    {"type": "response.output_text.delta", **PLACE, "delta": "i"},
    {"type": "response.output_text.done", **PLACE, "text": "hi"},
    {"type": "response.content_part.done", **PLACE, "part": PART},
    {"type": "response.output_item.done", "output_index": 0, "item": DONE},
    {"type": "response.completed", "response": LAST},
]


def stream(events):
    numbered = ({"sequence_number": number, **event} for number, event in enumerate(events))
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in numbered)


def test_a_good_stream_passes():
    grammar = ResponseGrammar.of(b": keep-alive\n\n" + stream(GOOD))

    assert (len(grammar.events), grammar.response["status"]) == (10, "completed")


@pytest.mark.parametrize("left_out", [*range(10)])
def test_no_event_can_be_left_out(left_out):
    """But `in_progress`."""
    events = GOOD[:left_out] + GOOD[left_out + 1 :]

    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream(events))


@pytest.mark.parametrize("twice", [*range(10)])
def test_no_event_can_come_twice(twice):
    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream([*GOOD[: twice + 1], *GOOD[twice:]]))


@pytest.mark.parametrize("first", [*range(9)])
def test_no_two_events_can_change_places(first):
    events = [*GOOD[:first], GOOD[first + 1], GOOD[first], *GOOD[first + 2 :]]
    if events[first] == events[first + 1] or {event["type"] for event in events[first : first + 2]} == {
        "response.output_text.delta"
    }:
        events[first] = {**events[first], "delta": "x"}

    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream(events))


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (2, {"output_index": 1}),
        (3, {"content_index": 1}),
        (4, {"item_id": "msg_2"}),
        (4, {"sequence_number": 7}),
        (8, {"item": {**DONE, "content": []}}),
        (9, {"response": {**LAST, "output": []}}),
        (9, {"response": {**LAST, "id": "resp_2"}}),
        (9, {"response": {**LAST, "status": "failed"}}),
        (9, {"response": {**LAST, "incomplete_details": {"reason": "x"}}}),
    ],
)
def test_what_is_wrong_inside_is_found(at, change):
    events = [{**event, **change} if number == at else event for number, event in enumerate(GOOD)]

    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream(events))


def test_a_failure_may_leave_items_open_and_is_the_last():
    failed = {"type": "response.failed", "response": {**LAST, "status": "failed", "error": {"message": "no"}}}

    assert ResponseGrammar.of(stream([*GOOD[:5], failed])).response["status"] == "failed"
    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream([*GOOD[:5], failed, failed]))
    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream(GOOD[:5]))
    with pytest.raises(AssertionError):
        ResponseGrammar.of(stream(GOOD) + b"data: [DONE]\n\n")
