"""OpenAI's APIs, as their clients speak them."""

import json

import msgspec
import pytest

from gateway.contract import Ask, Head, JsonBody, Request
from gateway.contract.usage import Usage
from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.errors import BadRequest, BrokeOff, RateLimited, Refused, UpstreamError

STREAMED = Head(200, {}, is_stream=True)
fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def parse(dialect, body):
    return dialect.parse(Request(body=JsonBody(fields(body), body)))


@pytest.mark.parametrize(
    ("body", "ask"),
    [
        (b'{"model":"a/m"}', Ask("a/m")),
        (b'{"model":"a/m","stream":null,"stream_options":null,"max_tokens":null}', Ask("a/m")),
        (b'{"model":"a/m","stream":true}', Ask("a/m", stream=True)),
        (b'{"model":"a/m","stream":true,"stream_options":{"include_usage":true}}', Ask("a/m", True, wants_usage=True)),
        (b'{"model":"a/m","stream":true,"stream_options":{"include_usage":null,"x":1}}', Ask("a/m", stream=True)),
        (b'{"model":"a/m","max_tokens":5}', Ask("a/m", max_output_tokens=5)),
        (b'{"model":"a/m","max_completion_tokens":null,"max_tokens":5}', Ask("a/m", max_output_tokens=5)),
        (b'{"model":"a/m","messages":[{"role":"user","content":"0123456789"}]}', Ask("a/m", input_tokens=10)),
        (b'{"model":"a/m","n":3}', Ask("a/m", choices=3)),
        (b'{"model":"a/m","n":null}', Ask("a/m")),
        (b'{"model":"\\u00e9/m","unknown":[1,2]}', Ask("é/m")),
    ],
)
def test_reads_what_a_chat_request_asks(body, ask):
    assert parse(CHAT, body) == ask


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (b'"max_tokens":5,"max_completion_tokens":7', 7),
        (b'"max_tokens":3000,"max_completion_tokens":1', 3000),
        (b'"max_tokens":500,"max_completion_tokens":-1', 500),
        (b'"max_tokens":0,"max_completion_tokens":7', 7),
        (b'"max_tokens":0', None),
        (b'"max_tokens":-2', None),
        (b'"max_tokens":0.5', None),
        (b'"max_tokens":5.0', 5),
        (b'"max_tokens":5.5', 6),
        (b'"max_tokens":"3000","max_completion_tokens":1', 3000),
        (b'"max_tokens":1e3', 1000),
        (b'"max_tokens":"nan"', None),
        (b'"max_tokens":"inf"', 10**9),
        (b'"max_tokens":1000000000000000000000000000000', 10**9),
        (b'"max_tokens":5,"max_tokens":0', None),
    ],
)
def test_the_largest_limit_counts_and_below_one_none_is_meant(limits, most):
    """Whichever field a provider believes, so much was reserved: 1 was, and the answer had 3,000 tokens. With 0 or -1,
    which some take for "no limit", nothing was reserved at all."""
    assert parse(CHAT, b'{"model":"m",' + limits + b"}").max_output_tokens == most


@pytest.mark.parametrize(
    ("body", "choices"),
    [
        (b'"n":4', 4),
        (b'"n":0', 1),
        (b'"n":-3', 1),
        (b'"n":2.0', 2),
        (b'"n":"2"', 2),
        (b'"n":1,"best_of":20', 20),
        (b'"n":4,"best_of":null', 4),
        (b'"n":1000000000000000000000', 10**9),
        (b'"prompt":"one, [two] and \\"three\\""', 1),
        (b'"prompt":["one"]', 1),
        (b'"prompt":["one", "two, \\"too\\"", "three"]', 3),
        (b'"prompt":[1, 2, 3]', 1),
        (b'"prompt":[[1,2] , [3]],"n":2', 4),
        (b'"prompt":[]', 1),
        (b'"prompt":null', 1),
        (b'"prompt":[' + 30_000 * b'"",' + b'""]', 30_001),
        (b'"prompt":[' + 30_000 * b"[1]," + b"[1]]", 30_001),
        (b'"prompt":[' + 90_000 * b"1," + b"1]", 1),
        (b'"prompt":"' + 90_000 * b'\\"' + b'"', 1),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_each_answer_to_each_prompt_takes_as_much_as_one(body, choices):
    """`best_of` answers are written and billed, one is sent; and of several prompts each is answered."""
    assert parse(COMPLETIONS, b'{"model":"m",' + body + b"}").choices == choices


@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS])
@pytest.mark.parametrize(
    "field",
    [
        "messages",
        "prompt",
        "input",
        "tools",
        "functions",
        "response_format",
        "prediction",
        "suffix",
        "guided_json",
        "x",
    ],
)
def test_all_that_goes_to_the_provider_is_estimated(dialect, field):
    """A hundred tools beside a message of one word were taken for two tokens, and 46,547 were billed."""
    schemas = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(100)]
    body = json.dumps({"model": "m", field: schemas}).encode()

    assert parse(dialect, body).input_tokens == pytest.approx(len(body) / 4, rel=0.01)


PICTURE = 200_000 * "iVBORw0KGgoAAAANS"


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}, 1000 + 30),
        ({"type": "image_url", "image_url": "data:image/png;base64," + PICTURE}, 1000 + 28),
        ({"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}}, 1000 + 27),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64," + PICTURE, "filename": "a"}}, 1000 + 33),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}, 1000 + 32),
        ({"image": PICTURE}, 1000 + 15),
        ({"type": "text", "text": PICTURE}, 850_000 + 19),
        ({"type": "text", "text": "data:image/png;base64," + PICTURE}, 850_000 + 25),
        ({"type": "text", "text": '"url":"data:image/png;base64,' + PICTURE}, 850_000 + 28),
    ],
)
def test_a_file_counts_as_a_picture_and_text_as_text(part, tokens):
    """Base64 is read letter by letter where it stands in a text, so it must not pass as a file there."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [part]}]}).encode()

    assert parse(CHAT, body).input_tokens == pytest.approx(tokens, abs=8)


def event(**fields):
    return b"data: %b\n\n" % json.dumps(fields).encode()


def delta(**fields):
    return event(id="1", choices=[{"index": 0, "delta": fields, "finish_reason": None}])


PREPARING = [
    delta(role="assistant", content="", refusal=None),
    delta(role="assistant", content=None),
    delta(),
    event(id="", choices=[], prompt_filter_results=[{"prompt_index": 0}]),
    event(id="1", choices=None),
    event(id="1", choices=[{"index": 0, "text": "", "finish_reason": None}]),
    b": ping\n\n",
    b"event: message\n\n",
    b"data: [DONE]\n\n",
]
BEGINNING = [
    delta(content="h"),
    delta(content=[{"type": "text", "text": "h"}]),
    delta(reasoning_content="h"),
    delta(reasoning="h"),
    delta(thinking="h"),
    delta(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]),
    event(id="1", error=None, choices=[{"index": 0, "delta": {"content": "h"}}]),
    event(id="1", choices=[{"index": 0, "text": "h"}]),
    event(id="1", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    event(id="1", choices="of another shape"),
]


def begun(stream):
    reading = CHAT.reading(None, STREAMED)
    reading.feed(stream)
    return reading.has_begun


def read(body):
    """The usage of an answer that is not streamed."""
    reading = CHAT.reading(None, Head(200, {}))
    reading.feed(body)
    assert reading.end() is body
    return reading.usage()


def refusal_of(body):
    with pytest.raises(UpstreamError) as refused:
        read(body)
    return refused.value


@pytest.mark.parametrize("first", BEGINNING)
def test_an_answer_begins_with_its_first_content(first):
    """Until then another provider may answer instead, so an event that says nothing must not count."""
    reading = CHAT.reading(None, STREAMED)

    assert [(reading.feed(each), reading.has_begun) for each in PREPARING] == [(each, False) for each in PREPARING]
    assert (reading.feed(first), reading.has_begun) == (first, True)


@pytest.mark.parametrize("first", BEGINNING)
def test_an_answer_never_begins_too_early(first):
    """Wherever the stream is cut, what has arrived has no content before its first text, or its event is whole."""
    cuts = [cut for cut in range(len(first)) if begun(first[:cut])]

    assert all(b'"h' in first[:cut] or first[:cut].endswith(b"}\n\n") for cut in cuts)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b'data: {"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (PREPARING[0] + b'data: {"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (b'data: {"error":{"message":"overloaded"}}\n\n' + BEGINNING[0], "overloaded"),
        (b"data: <html>\n\n", "the provider's answer is not a JSON object"),
    ],
)
def test_an_error_before_the_first_content_is_raised(stream, message):
    with pytest.raises((BrokeOff, Refused), match=message):
        begun(stream)


def test_an_error_after_the_first_content_is_not():
    assert begun(BEGINNING[0] + b'data: {"error":{"message":"overloaded"}}\n\n')


def test_the_last_event_counts_without_its_blank_line():
    error = b'data: {"error":{"message":"overloaded"}}'

    reading = CHAT.reading(None, STREAMED)

    assert (reading.feed(error), reading.has_begun) == (error, False)
    with pytest.raises(Refused, match="overloaded"):
        reading.end()


def test_completions_and_embeddings_estimate_by_their_own_field():
    assert parse(COMPLETIONS, b'{"model":"m","prompt":"0123456789","max_tokens":3}') == Ask(
        "m", max_output_tokens=3, input_tokens=3
    )
    assert parse(EMBEDDINGS, b'{"model":"m","input":"0123456789"}') == Ask("m", input_tokens=3, has_output=False)


def test_embeddings_take_lists_of_token_ids():
    """LangChain sends what it has tokenised itself."""
    assert parse(EMBEDDINGS, b'{"model":"m","input":[[100257,198],[9906]]}').input_tokens == 5


def test_usage_is_not_asked_for_without_a_stream():
    """OpenAI refuses `stream_options` then; that is for the provider to say."""
    assert parse(CHAT, b'{"model":"m","stream_options":{"include_usage":true}}') == Ask("m")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model":null}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":["a/m"]}', "model"),
        (b'{"model":"m","stream":"true"}', "stream"),
        (b'{"model":"m","stream":1}', "stream"),
        (b'{"model":"m","stream":true,"stream_options":true}', "stream_options"),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}', "stream_options"),
        (b'{"model":"m","stream":true,"stream_options":{"x":"' + 5000 * b"x" + b'"}}', "stream_options"),
        (b'{"model":"m","max_tokens":"five"}', "max_tokens"),
        (b'{"model":"m","max_tokens":true}', "max_tokens"),
        (b'{"model":"m","max_tokens":1e999}', "max_tokens"),
        (b'{"model":"m","max_completion_tokens":[]}', "max_completion_tokens"),
        (b'{"model":"m","n":{}}', "n"),
    ],
)
def test_refuses_wrong_types_and_names_the_field(body, param):
    with pytest.raises(BadRequest) as refused:
        parse(CHAT, body)

    assert refused.value.param == param
    assert f'"{param}"' in refused.value.message


def test_a_name_that_no_model_has_is_not_read_further():
    """19 MB of one held all others up while it was looked for, and stood in the log."""
    with pytest.raises(BadRequest, match="at most 512 characters") as refused:
        parse(CHAT, b'{"model":"' + 513 * b"m" + b'"}')

    assert refused.value.param == "model"
    assert parse(CHAT, b'{"model":"' + 512 * b"m" + b'"}').model == 512 * "m"


def test_an_error_has_the_shape_of_openai_and_of_truefoundry():
    """OpenAI's clients read `error.message`, those of the TrueFoundry gateway and its SDK the others."""
    error = RateLimited("slow down", param="model", code="tokens_per_day")

    assert json.loads(CHAT.error(error)) == {
        "error": {"message": "slow down", "type": "rate_limit_error", "param": "model", "code": "tokens_per_day"},
        "status": "failure",
        "statusCode": 429,
        "message": "slow down",
    }


def test_an_error_in_a_stream_is_one_event():
    """OpenAI's clients raise on `data: {"error": ...}`, and need no other end."""
    assert CHAT.stream_error(BrokeOff('cut at "é"\n')) == (
        b'data: {"error":{"message":"cut at \\"\xc3\xa9\\"\\n","type":"upstream_error","param":null,'
        b'"code":"stream_interrupted"}}\n\n'
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"1","choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1}}',
        b'{"error":null,"choices":[]}',
        b'{"error":{},"choices":[]}',
        b'{"error":"","choices":[]}',
        b'{"choices":[{"message":{"content":"{\\"error\\":{\\"message\\":\\"x\\"}}"}}]}',
        b'{"usage":{"prompt_tokens":"many"}}',
        b"{}",
    ],
)
def test_sees_nothing_wrong_with_an_answer(body):
    read(body)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}', Usage(input=9, output=2)),
        (b'{"usage":{"prompt_tokens":9},"choices":[]}', Usage(input=9, untold="output")),
        (b'{"choices":[],"usage":null}', None),
        (b'{"choices":[],"usage":{"prompt_tokens":"many"}}', None),
        (b'{"choices":[],"usage":[]}', None),
        (b"{}", None),
    ],
)
def test_reads_the_usage_of_a_body(body, usage):
    """Usage in a shape nobody knows does not turn a good answer into an error."""
    assert read(body) == usage


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"id":', b"[]", b'"error"', b"[" * 100_000, b"\xff{}"])
def test_a_200_that_is_no_json_object_is_a_broken_answer(body):
    """A proxy in between says 200 to its own error page; and deep nesting must not take the process down."""
    error = refusal_of(body)

    assert isinstance(error, BrokeOff)
    assert error.message == "the provider's answer is not a JSON object"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"error":{"message":"busy","code":503}}', 503, "busy"),
        (b'{"error":{"message":"busy","status":429,"code":"rate_limited"}}', 429, "busy"),
        (b'{"error":{"message":"busy","status":"UNAVAILABLE","code":503}}', 503, "busy"),
        (b'{"error":{"message":"busy","code":"server_error"}}', 502, "busy"),
        (b'{"error":{"message":"busy","code":200}}', 502, "busy"),
        (b'{"error":{"message":"busy","code":true}}', 502, "busy"),
        (b'{"error":{"code":500}}', 500, "the provider answered with an error"),
        (b'{"error":"busy","choices":[]}', 502, "busy"),
        (b'{"error":["busy"]}', 502, "busy"),
        (b'{"error":{"message":"busy","code":"429"}}', 429, "busy"),
    ],
)
def test_an_error_inside_a_200_becomes_one(body, status, message):
    """OpenRouter and others answer 200 first and fail later."""
    error = refusal_of(body)

    assert isinstance(error, Refused)
    assert (error.status, error.message, error.body) == (status, message, body)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"code":429,"message":"slow down"}', 429, "slow down"),
        (b'[{"error":{"code":503,"message":"busy"}}]', 503, "busy"),
        (b'{"errors":[{"code":7003,"message":"no route"}]}', 502, "no route"),
        (b'{"object":"error","message":"too long","code":400}', 400, "too long"),
        (b'{"status":404,"title":"Not Found","detail":"no such model"}', 404, "no such model"),
    ],
)
def test_an_error_of_another_shape_inside_a_200_becomes_one_too(body, status, message):
    """`body` is None: the dialect writes the error, with this message."""
    error = refusal_of(body)

    assert (error.status, error.message, error.body) == (status, message, None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":9,"total_tokens":9}}',
        b'{"choices":[{"message":{"content":"a"},"logprobs":[-Infinity,NaN]}],"usage":{"prompt_tokens":9,"total_tokens":9}}',
        b'\xef\xbb\xbf{"choices":[],"usage":{"prompt_tokens":9,"total_tokens":9}}',
        b'{"choices":[{"message":{"content":"\xff"}}],"usage":{"prompt_tokens":9,"total_tokens":9}}',
        b'{"data":[{"embedding":[NaN]}],"usage":{"prompt_tokens":9,"total_tokens":9}}',
    ],
    ids=["half a pair", "NaN", "BOM", "not UTF-8", "embedding"],
)
def test_json_is_not_judged(body):
    """Clients read all this; the gateway answered 502, and asked the next provider."""
    assert read(body) == Usage(input=9)


def test_a_stream_instead_of_a_document_is_said_to_be_one():
    assert refusal_of(b'data: {"choices":[]}\n\n').message == (
        "the provider answered with a stream, which was not asked for"
    )


def test_a_key_in_an_error_inside_a_200_is_masked():
    error = refusal_of(b'{"error":{"message":"bad key \\"sk-abcdefghijklmno\\"","code":401}}')

    assert error.message == 'bad key "***"'
    assert json.loads(error.body) == {"error": {"message": 'bad key "***"', "code": 401}}


def test_has_the_paths_clients_call():
    assert [(d.name, d.routes, d.model_type) for d in (CHAT, COMPLETIONS, EMBEDDINGS)] == [
        ("chat", (("POST", "/chat/completions"),), "chat"),
        ("completions", (("POST", "/completions"),), "completion"),
        ("embeddings", (("POST", "/embeddings"),), "embedding"),
    ]
