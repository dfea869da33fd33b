"""Streams of Azure, in whatever pieces they come: judgements stand where OpenAI's clients can live with them."""

from itertools import pairwise

import msgspec
import pytest
from gateway_azure.reading import MAX_HELD, AzureReading
from hypothesis import given
from hypothesis import strategies as st

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
JUDGEMENT = [{"prompt_index": 0, "content_filter_results": SAFE}]
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
DONE = b"data: [DONE]\n\n"


def event(**fields):
    return b"data: %b\n\n" % msgspec.json.encode(fields)


def chunk(content, finish=None, **more):
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return event(id="1", object="chat.completion.chunk", choices=[choice], **more)


FIRST = event(choices=[], created=0, id="", model="", object="", prompt_filter_results=JUDGEMENT)
HELLO = event(id="1", object="chat.completion.chunk", choices=[{"index": 0, "delta": {"role": "assistant"}}])
OFFSETS = {"check_offset": 44, "start_offset": 44, "end_offset": 198}
LATE = {"index": 0, "finish_reason": None, "content_filter_results": SAFE, "content_filter_offsets": OFFSETS}
STREAM = b"".join([FIRST, HELLO, chunk("hi"), event(id="", choices=[LATE]), chunk(None, "stop"), DONE])


def read(pieces, **options):
    reading = AzureReading(**options)
    out = b"".join([*map(reading.feed, pieces), reading.end()])
    return out, reading


def told(stream):
    """The data of its events, decoded."""
    data = [line.removeprefix("data: ") for line in stream.decode().split("\n\n") if line]
    return [each if each == "[DONE]" else msgspec.json.decode(each) for each in data]


def test_a_judgement_of_the_prompt_goes_into_the_first_event_with_choices():
    """`chunk.choices[0]` is what every example writes."""
    out, reading = read([FIRST, HELLO, chunk("hi"), chunk(None, "stop"), DONE])

    first, *others = told(out)
    assert first == {
        "prompt_filter_results": JUDGEMENT,
        "id": "1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"role": "assistant"}}],
    }
    assert others == told(chunk("hi") + chunk(None, "stop") + DONE)
    assert reading.is_complete()


def test_a_judgement_of_the_answer_has_a_delta():
    out, _ = read([HELLO, event(id="", choices=[LATE]), chunk(None, "stop"), DONE])

    assert told(out)[1] == {"id": "", "choices": [{**LATE, "delta": {}}]}


def test_what_has_no_judgement_passes_as_the_same_bytes():
    reading = AzureReading()
    pieces = [HELLO, chunk("hi"), chunk(None, "stop"), DONE]

    assert [reading.feed(piece) is piece for piece in pieces] == [True, True, True, True]


def test_a_judgement_inside_an_event_with_words_passes_as_it_is():
    """As the filter writes it by default."""
    choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": None, "content_filter_results": SAFE}
    words = event(id="1", choices=[choice])

    assert read([HELLO, words, chunk(None, "stop"), DONE])[0] == HELLO + words + chunk(None, "stop") + DONE


@pytest.mark.parametrize("cuts_usage", [False, True])
def test_is_the_same_wherever_it_is_cut(cuts_usage):
    stream = STREAM.replace(DONE, event(id="1", choices=[], usage=USAGE) + DONE)
    whole, _ = read([stream], cuts_usage=cuts_usage)

    for at in range(len(stream) + 1):
        out, reading = read([piece for piece in (stream[:at], stream[at:]) if piece], cuts_usage=cuts_usage)
        assert (out, reading.is_complete(), reading.usage().input_tokens) == (whole, True, 7)
    assert (b"usage" in whole) is not cuts_usage


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=20))
def test_is_the_same_in_any_pieces(cuts):
    marks = sorted({0, *cuts, len(STREAM)})
    pieces = [STREAM[start:end] for start, end in pairwise(marks)]

    assert read(pieces)[0] == read([STREAM])[0]


def test_one_byte_at_a_time():
    assert read([bytes([byte]) for byte in STREAM])[0] == read([STREAM])[0]


def test_completions_get_no_delta():
    first = event(id="1", choices=[{"index": 0, "text": "hi", "finish_reason": None}])
    end = event(id="1", choices=[{"index": 0, "text": "", "finish_reason": "stop"}])

    out, _ = read([FIRST, first, end, DONE], is_chat=False)

    assert told(out)[0] == {
        "prompt_filter_results": JUDGEMENT,
        "id": "1",
        "choices": [{"index": 0, "text": "hi", "finish_reason": None}],
    }


def test_a_judgement_without_an_answer_is_not_lost():
    usage = event(id="1", choices=[], usage=USAGE)

    assert read([FIRST, usage, DONE])[0] == FIRST + usage + DONE


def test_keep_alive_comments_do_not_wait_for_it():
    reading = AzureReading()
    reading.feed(FIRST)

    assert reading.feed(b": keep-alive\n\n") == b": keep-alive\n\n"


@pytest.mark.parametrize("word", ["content_filter_offsets", "prompt_filter_results"])
def test_a_model_may_speak_of_judgements(word):
    stream = HELLO + chunk(f'"{word}": [') + chunk(None, "stop") + DONE

    assert read([stream])[0] == stream


def test_an_event_without_an_end_is_not_held_for_ever():
    """Nor lost."""
    reading = AzureReading()
    pieces = [HELLO + b'data: {"choices":[{"index":0,"delta":{"content":"', b"x" * MAX_HELD, b"y" * 10, b'"}}]}\n\n']

    out = [reading.feed(piece) for piece in pieces]

    assert b"".join(out) == b"".join(pieces)
    assert out[2] == b"y" * 10
    assert reading.feed(FIRST + chunk("hi")) != FIRST + chunk("hi")
