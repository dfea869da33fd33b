"""Usage, events, errors and the end, read from replies as vendors send them."""

import json

import pytest

from gateway.contract.usage import Usage
from gateway.errors import Refused
from gateway.wire.openai import BodyReading, StreamReading, read_body
from gateway.wire.openai_usage import UsageCut, find_usage


def chunk(choices, **more):
    extra = "".join(f',"{name}":{value}' for name, value in more.items())
    return (
        f'data: {{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{choices}]{extra}}}\n\n'
    )


def said(text, finish="null"):
    return f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'


STOP = '"stop"'
COUNTS = '{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}'
COUNTED = Usage(input=9, output=4)
DONE = "data: [DONE]\n\n"

OPENAI = (
    chunk(said("Hé"), usage="null")
    + chunk(said("llo"), usage="null")
    + chunk(said("", '"stop"'), usage="null")
    + chunk(
        "",
        usage='{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,'
        '"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},'
        '"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":0,"accepted_prediction_tokens":0}}',
    )
    + DONE
)
GROQ = (
    chunk(said("Hello"), x_groq='{"id":"req_1"}')
    + chunk(
        said("", '"stop"'),
        x_groq='{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}',
    )
    + DONE
)
MISTRAL = chunk(said("Hello")) + chunk(said("", '"stop"'), usage=COUNTS) + DONE
DEEPSEEK = (
    chunk(said("Hello"), usage="null")
    + chunk(
        said("", '"stop"'),
        usage='{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":6},'
        '"completion_tokens_details":{"reasoning_tokens":2},"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}',
    )
    + DONE
)
CITATIONS = "[" + ",".join(f'"https://example.com/{"long-path-" * 20}{n}"' for n in range(60)) + "]"
# Usage in each chunk, growing; then more citations than the meter keeps, and no [DONE].
PERPLEXITY = (
    chunk(said("Hello"), usage='{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}')
    + 'data: {"id":"c1","usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"search_context_size":"low",'
    + f'"cost":{{"total_cost":0.006}}}},"citations":{CITATIONS},"choices":[{said("", STOP)}]}}\r\n\r\n'
)
# Spaces after colons, a comment, and an event name.
VLLM = (
    "event: message\n"
    'data: {"id": "c1", "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}]}\n\n'
    ": ping\n\n"
    'data: {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\n'
    'data: {"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "total_tokens": 13, "completion_tokens": 4}}\n\n'
    "data: [DONE]\n\n"
)
XAI = chunk(
    said("Hello", '"stop"'),
    usage='{"prompt_tokens":9,"completion_tokens":4,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":7}}',
)
NO_USAGE = chunk(said("Hello")) + chunk(said("", '"stop"'))
NO_DONE = chunk(said("Hello")) + chunk(said("", '"stop"')) + chunk("", usage=COUNTS)
TWICE = chunk(said("", '"stop"'), usage='{"prompt_tokens":9,"completion_tokens":1}') + chunk("", usage=COUNTS) + DONE
CUT_SHORT = chunk(said("Hello"), usage='{"prompt_tokens":9,"completion_tokens":1}') + chunk(said("wor"))
CRLF = OPENAI.replace("\n", "\r\n")

STREAMS = {
    "OpenAI": (OPENAI, Usage(input=6, cache_read=3, output=3, reasoning=1), True, 5),
    "with CR LF": (CRLF, Usage(input=6, cache_read=3, output=3, reasoning=1), True, 5),
    "Groq": (GROQ, COUNTED, True, 3),
    "Mistral": (MISTRAL, COUNTED, True, 3),
    "DeepSeek": (DEEPSEEK, Usage(input=3, cache_read=6, output=2, reasoning=2), True, 3),
    "Perplexity": (PERPLEXITY, Usage(input=9, output=4, stated_cost=6_000_000), True, 2),
    "vLLM": (VLLM, COUNTED, True, 4),
    "xAI": (XAI, Usage(input=9, output=4, reasoning=7), True, 1),
    "no usage": (NO_USAGE, None, True, 2),
    "no [DONE]": (NO_DONE, COUNTED, True, 3),
    "usage twice": (TWICE, COUNTED, True, 3),
    "cut short": (CUT_SHORT, Usage(input=9, output=1), False, 2),
    "nothing": ("", None, False, 0),
}


def metered(chunks):
    reading = StreamReading()
    for data in chunks:
        reading.feed(data)
        if reading.is_over:
            break
    return reading.usage(), reading.is_complete(), reading.events


def kept_by(reading):
    return len(reading._tail())


@pytest.mark.parametrize("name", STREAMS)
def test_reads_a_stream_as_it_comes(name):
    text, *expected = STREAMS[name]

    assert metered([text.encode()]) == tuple(expected)
    assert metered(text.encode().splitlines(keepends=True)) == tuple(expected)


@pytest.mark.parametrize("name", STREAMS)
def test_reads_the_same_wherever_a_stream_is_cut(name):
    """Where the network cuts is chance, and the bill must not depend on it."""
    text, *expected = STREAMS[name]
    stream = text.encode()

    found = {metered([stream[:cut], stream[cut:]]) for cut in range(len(stream) + 1)}

    assert found == {tuple(expected)}


@pytest.mark.parametrize("name", STREAMS)
def test_reads_the_same_in_chunks_of_one_byte(name):
    text, *expected = STREAMS[name]

    assert metered(bytes([byte]) for byte in text.encode()) == tuple(expected)


@pytest.mark.parametrize(
    "text",
    [
        r"\"usage\": {\"prompt_tokens\": 99999, \"completion_tokens\": 99999}",
        r"\"usage\":{\"prompt_tokens\":99999}",
        r"data: [DONE]",
        r"\n\ndata: [DONE]\n\n",
        r"\"finish_reason\": \"stop\"",
        r"\"finish_reason\":\"stop\"",
        r"data: {} data: {}",
    ],
)
def test_takes_no_text_of_the_model_for_the_real_thing(text):
    """A caller could ask the model to write its own bill, or to look finished."""
    stream = chunk(said("a")) + chunk(said(text)) + chunk(said("b"))

    assert metered([stream.encode()]) == (None, False, 3)
    assert metered(bytes([byte]) for byte in stream.encode()) == (None, False, 3)


def test_takes_no_empty_finish_reason_for_an_end():
    """Some servers write `""` where others write null."""
    assert metered([chunk(said("a", '""')).encode()]) == (None, False, 1)


@pytest.mark.parametrize("size", [1000, 100_000])
def test_remembers_usage_and_end_however_much_follows(size):
    """A trailing comment or event longer than what is kept must not make an answer look broken, or free."""
    last = chunk(said("", '"stop"'), usage=COUNTS).encode()
    filler = b": " + b"x" * size + b"\n\n"

    assert metered([last, filler, filler]) == (COUNTED, True, 1)
    assert metered([last, *(filler[n : n + 100] for n in range(0, len(filler), 100))]) == (COUNTED, True, 1)


def test_keeps_a_few_kib_of_a_long_stream():
    reading = StreamReading()
    event = chunk(said("x" * 1000)).encode()

    for _ in range(1000):
        reading.feed(event)

    assert kept_by(reading) < 40 * 1024
    assert reading.events == 1000


def test_falls_back_to_usage_that_is_whole():
    """The stream broke inside its last usage; the one before is nearer to the truth than nothing."""
    stream = chunk(said("a"), usage=COUNTS) + 'data: {"choices":[],"usage":{"prompt_tokens":9,"comp'

    assert metered([stream.encode()]) == (COUNTED, False, 2)


def read_stream(chunks):
    """What goes to the client, until it is over."""
    reading = StreamReading()
    passed = []
    for data in chunks:
        passed.append(reading.feed(data))
        if reading.is_over:
            break
    return b"".join(passed), reading


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n: bye\n\n", "\n: torn"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CR LF", "CR"])
def test_done_is_the_end_wherever_it_is_cut(end, line_end):
    """The client gets the event whole, with a blank line, and nothing of what may stand behind it."""
    first = chunk(said("a")).replace("\n", line_end).encode()
    stream = first + f"data: [DONE]{end}".replace("\n", line_end).encode()
    expected = first + f"data: [DONE]{2 * line_end}".encode()

    for cut in range(len(stream) + 1):
        passed, reading = read_stream([stream[:cut], stream[cut:]])
        assert (passed, reading.is_over) == (expected, True)
    assert read_stream(bytes([byte]) for byte in stream)[0] == expected


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_done_may_stand_behind_two_blanks(line_end):
    """Its text was told to the client as an error of the provider."""
    stream = (chunk(said("a")) + "data:  [DONE]\n\n").replace("\n", line_end).encode()

    for cut in range(len(stream) + 1):
        passed, reading = read_stream([stream[:cut], stream[cut:]])
        assert (passed, reading.is_over, reading.told_error()) == (stream, True, None)


def test_text_that_says_done_is_no_end():
    passed, reading = read_stream([chunk(said("data: [DONE]")).encode(), chunk(said(r"\n\ndata: [DONE]")).encode()])

    assert not reading.is_over
    assert passed.count(b"[DONE]") == 2


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_an_error_is_told_once_its_event_is_whole(cut):
    error = b'data: {"error":{"message":"overloaded, try again"}}\n\n'
    reading = StreamReading()
    reading.feed(chunk(said("a")).encode())

    reading.feed(error[:cut])
    told_early = reading.told_error()
    reading.feed(error[cut:])

    assert told_early is None or cut >= len(error)
    assert reading.told_error().message == "overloaded, try again"


@pytest.mark.parametrize("name", ["usage", "error"])
def test_hostile_streams_cost_no_more_than_they_are_long(name):
    """Names that begin objects which never end: each was looked at to the end of what is kept."""
    reading = StreamReading(cuts_usage=True)
    reading.feed(chunk(said("a")).encode())
    hostile = b'data: {"choices":[]' + b',"%b":{' % name.encode() * 20_000

    for start in range(0, len(hostile), 1400):
        reading.feed(hostile[start : start + 1400])
    reading.end()

    assert (reading.usage(), reading.told_error(), reading.is_complete()) == (None, None, False)


def test_a_torn_event_is_not_looked_at_again_with_every_piece():
    """64 KiB in pieces of one byte held everybody up for 17 s."""
    reading = StreamReading()
    reading.feed(chunk(said("a")).encode())
    looks = []
    shorten, reading._shorten = reading._shorten, lambda keep: looks.append(keep) or shorten(keep)

    for _ in range(64 * 1024):
        reading.feed(b"x")

    assert len(looks) < 10


def test_a_first_event_without_end_is_not_kept():
    reading = StreamReading()

    reading.feed(b'data: {"a":"')
    for _ in range(100):
        reading.feed(64 * 1024 * b"x")

    assert reading.has_begun
    assert kept_by(reading) < 100 * 1024


WHOLE = '{"id":"c1","choices":[{"message":{"content":"Hé"},"finish_reason":"stop"}],"usage":' + COUNTS + "}\n"
USAGE_FIRST = '{"id":"c1","usage":' + COUNTS + ',"citations":' + CITATIONS + ',"choices":[]}'
LONG_VECTORS = '{"data":[{"embedding":[' + "0.1," * 3000 + '0]}],"usage":{"prompt_tokens":9,"total_tokens":9}}'
BODIES = {
    "usage last": (WHOLE, COUNTED, True),
    "usage first": (USAGE_FIRST, COUNTED, True),
    "embeddings": (LONG_VECTORS, Usage(input=9), True),
    "no usage": ('{"choices":[]}', None, True),
    "usage null": ('{"choices":[],"usage":null}', None, True),
    "usage of another shape": ('{"usage":{"prompt_tokens":"many"}}', None, True),
    "model writes usage": (r'{"choices":[{"message":{"content":"\"usage\": {\"prompt_tokens\": 7}"}}]}', None, True),
}


def read(chunks):
    reading = BodyReading()
    for data in chunks:
        reading.feed(data)
    reading.end()
    return reading.usage(), reading.is_complete()


@pytest.mark.parametrize("name", BODIES)
def test_reads_a_body_wherever_it_is_cut(name):
    text, *expected = BODIES[name]
    body = text.encode()

    assert read([body]) == tuple(expected)
    assert read(bytes([byte]) for byte in body) == tuple(expected)
    assert {read([body[:cut], body[cut:]]) for cut in range(1, len(body), 7)} == {tuple(expected)}


def test_counts_a_body_as_one_event():
    """It tells the watch that the provider has begun to answer."""
    reading = BodyReading()

    reading.feed(b'{"id":')
    reading.feed(b"1}")

    assert reading.events == 1


def test_finds_the_last_usage():
    assert find_usage(b'{"usage": {"prompt_tokens": 1}} {"usage": {"prompt_tokens": 2}}') == Usage(
        input=2, untold="output"
    )


# --- usage that the gateway asked for ------------------------------------------

HELLO = (
    'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hé"},"finish_reason":null}],"usage":null}\n\n'.encode()
)
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
SPACED = b'data: {"choices": [ ], "usage": {"prompt_tokens": 9}}\n\n'
FILTER = b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
NULL_USAGE = b'data: {"choices":[],"usage":null,"warning":"x"}\n\n'
QUOTED = b'data: {"choices":[{"delta":{"content":"\\"choices\\":[], \\"usage\\":{}"}}]}\n\n'
INNER = b'data: {"choices":[{"delta":{"x":{"choices":[]}}}],"usage":{"prompt_tokens":9}}\n\n'
PING = b": ping\n\n"
THE_END = b"data: [DONE]\n\n"

CUT_OUT = [
    ([HELLO, STOP, USAGE, THE_END], [HELLO, STOP, THE_END]),
    ([HELLO, USAGE, STOP, THE_END], [HELLO, STOP, THE_END]),
    ([USAGE, HELLO], [HELLO]),
    ([PING, SPACED, PING, THE_END], [PING, PING, THE_END]),
    ([FILTER, HELLO, STOP, USAGE, THE_END], [FILTER, HELLO, STOP, THE_END]),
    ([NULL_USAGE, QUOTED, INNER, THE_END], [NULL_USAGE, QUOTED, INNER, THE_END]),
    ([HELLO, STOP], [HELLO, STOP]),
]


def passed_on(chunks):
    cut = UsageCut()
    return b"".join([*(cut.feed(chunk) for chunk in chunks), cut.end()])


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(("came", "left"), CUT_OUT)
def test_cuts_usage_out_wherever_the_stream_is_split(came, left, line_end):
    """The event has no choices, and clients that index `choices[0]` fail on it. All else stays to the byte."""
    stream = b"".join(came).replace(b"\n", line_end)
    expected = b"".join(left).replace(b"\n", line_end)

    assert passed_on(came) == b"".join(left)
    assert passed_on(bytes([byte]) for byte in stream) == expected
    for at in range(len(stream) + 1):
        assert passed_on([stream[:at], stream[at:]]) == expected


@pytest.mark.parametrize("chunk", [HELLO, HELLO + STOP, THE_END, PING, HELLO.replace(b"\n", b"\r\n")])
def test_gives_the_same_object_back_when_there_is_nothing_to_do(chunk):
    """Nearly every chunk is one or more whole events, and is not to be copied."""
    cut = UsageCut()

    assert cut.feed(chunk) is chunk


def test_gives_the_same_object_back_again_after_a_torn_event():
    cut = UsageCut()
    torn = [cut.feed(HELLO[:20]), cut.feed(HELLO[20:])]

    assert torn == [b"", HELLO]
    assert cut.feed(STOP) is STOP


def test_what_is_left_at_the_end_is_passed_on():
    assert passed_on([HELLO, b"data: {cut"]) == HELLO + b"data: {cut"


def test_a_long_event_goes_on_as_it_comes():
    """It is no event with usage alone, so nobody has to wait for its end, and nothing fills the memory."""
    cut = UsageCut()
    picture = b'data: {"choices":[],"image":"' + 200_000 * b"x" + b'","usage":{"prompt_tokens":9}}\n\n'
    stream = HELLO + picture + USAGE + STOP

    for size in (7, 1400, 150_000):
        pieces = [cut.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
        assert b"".join([*pieces, cut.end()]) == HELLO + picture + STOP


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (b'data: {"choices":[],"usage":{"prompt_tokens":9},"x":{"ms":1.50}}', b'{"choices":[],"x":{"ms":1.50}}'),
        (b'data: {"choices":null,"usage":{"prompt_tokens":9}}', None),
        (b'data: {"usage":{"prompt_tokens":9}}', None),
        (b'data: {"usage":{"prompt_tokens":9},"citations":["x"]}', b'{"citations":["x"]}'),
        (b'event: chunk\ndata: {"choices":[],"usage":{}}', None),
        (b'data: {"choices":[],\ndata:  "usage": {"prompt_tokens":9}}', None),
    ],
)  # fmt: skip
def test_takes_nothing_but_usage_out(event, left):
    expected = b"data: %b\n\n" % left if left is not None else b""

    assert passed_on([event + b"\n\n"]) == expected
    assert passed_on([event]) == expected


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"usage":{"prompt_tokens":9},"error":{"message":"x"}}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":NaN}}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":9}}\n\n',
        b': "usage":{ in a comment\n\n',
    ],
)
def test_leaves_errors_content_and_what_it_cannot_read(event):
    assert passed_on([event]) == event


@pytest.mark.parametrize("said", [{"detail": "the model is loading"}, {"message": "no such route", "path": "/v1"}])
def test_a_message_and_nothing_else_is_an_error(said):
    """Under 200 it was an answer, billed as one of 500 tokens."""
    with pytest.raises(Refused, match=r"loading|no such route"):
        read_body(json.dumps(said).encode())
