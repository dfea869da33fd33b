"""Usage, events and the end, read from replies as vendors send them."""

import pytest

from gateway.usage import Usage
from gateway.wire.openai import BodyMeter, StreamMeter, find_usage


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
LATE = chunk(said("Hello")) + DONE + chunk("", usage=COUNTS)
CUT_SHORT = chunk(said("Hello"), usage='{"prompt_tokens":9,"completion_tokens":1}') + chunk(said("wor"))
CRLF = OPENAI.replace("\n", "\r\n")

STREAMS = {
    "OpenAI": (OPENAI, Usage(input=6, cache_read=3, output=3, reasoning=1), True, 5),
    "with CR LF": (CRLF, Usage(input=6, cache_read=3, output=3, reasoning=1), True, 5),
    "Groq": (GROQ, COUNTED, True, 3),
    "Mistral": (MISTRAL, COUNTED, True, 3),
    "DeepSeek": (DEEPSEEK, Usage(input=3, cache_read=6, output=2, reasoning=2), True, 3),
    "Perplexity": (PERPLEXITY, COUNTED, True, 2),
    "vLLM": (VLLM, COUNTED, True, 4),
    "xAI": (XAI, Usage(input=9, output=4, reasoning=7), True, 1),
    "no usage": (NO_USAGE, None, True, 2),
    "no [DONE]": (NO_DONE, COUNTED, True, 3),
    "usage twice": (TWICE, COUNTED, True, 3),
    "usage after [DONE]": (LATE, COUNTED, True, 3),
    "cut short": (CUT_SHORT, Usage(input=9, output=1), False, 2),
    "nothing": ("", None, False, 0),
}


def metered(chunks):
    meter = StreamMeter()
    for data in chunks:
        meter.chunk(data)
    return meter.usage(), meter.is_complete(), meter.events


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
    meter = StreamMeter()

    for _ in range(1000):
        meter.chunk(b"data: " + b"x" * 1000 + b"\n\n")

    assert len(meter.tail()) < 32 * 1024
    assert meter.events == 1000


def test_falls_back_to_usage_that_is_whole():
    """The stream broke inside its last usage; the one before is nearer to the truth than nothing."""
    stream = chunk(said("a"), usage=COUNTS) + 'data: {"choices":[],"usage":{"prompt_tokens":9,"comp'

    assert metered([stream.encode()]) == (COUNTED, False, 2)


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
    "cut short": (WHOLE[:60], None, False),
    "model writes usage": (r'{"choices":[{"message":{"content":"\"usage\": {\"prompt_tokens\": 7}"}}]}', None, True),
}


def read(chunks):
    meter = BodyMeter()
    for data in chunks:
        meter.chunk(data)
    return meter.usage(), meter.is_complete()


@pytest.mark.parametrize("name", BODIES)
def test_reads_a_body_wherever_it_is_cut(name):
    text, *expected = BODIES[name]
    body = text.encode()

    assert read([body]) == tuple(expected)
    assert read(bytes([byte]) for byte in body) == tuple(expected)
    assert {read([body[:cut], body[cut:]]) for cut in range(1, len(body), 7)} == {tuple(expected)}


def test_counts_a_body_as_one_event():
    """It tells the watch that the provider has begun to answer."""
    meter = BodyMeter()

    meter.chunk(b'{"id":')
    meter.chunk(b"1}")

    assert meter.events == 1


def test_finds_the_last_usage():
    assert find_usage(b'{"usage": {"prompt_tokens": 1}} {"usage": {"prompt_tokens": 2}}') == Usage(input=2)
