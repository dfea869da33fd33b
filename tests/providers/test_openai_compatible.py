"""What goes to a provider, what is cut out of its streams, and what its errors become."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import Call, Endpoint, Target
from gateway.dialects import CHAT
from gateway.errors import BadRequest, BrokeOff, Unauthorized
from gateway.providers.catalog import Vendor
from gateway.providers.openai_compatible import OpenAICompatible, Settings, UsageCut
from gateway.secret import Secret
from gateway.testing import FakeUpstream, post
from gateway.wire.sse import MAX_EVENT

PROVIDER = OpenAICompatible()
ENDPOINTS = {"chat": Endpoint("https://vendor.example/v1/chat/completions")}


def target(**vendor):
    return Target(
        name="a/m",
        model="real-m",
        model_types=frozenset({"chat"}),
        provider=PROVIDER,
        settings=Settings(ENDPOINTS, Vendor(**vendor)),
    )


def call(body):
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return Call(CHAT, CHAT.parse(fields), fields)


CALL = call(b'{"model":"a/m"}')
STREAM = call(b'{"model":"a/m","stream":true}')


def sent(body, **vendor):
    return PROVIDER.request(call(body), target(**vendor)).body


# --- requests ----------------------------------------------------------------

space = st.sampled_from(["", " ", "\n  ", "\t"])
scalar = st.sampled_from(
    [
        "null", "true", "0", "-0", "1.0", "1e2", "1E+2", "0.10", "-1.5e-10", "12345678901234567890123", "1e400",
        '""', '"\\u00e9\\ud83d\\ude00"', '"é\\/\\n"', '"\\u0000"', '"a \\"b\\" }"', '"\u2028"', "[]", "{}",
    ]
)  # fmt: skip


def container(inner):
    spaced = st.tuples(space, inner, space).map("".join)
    pair = st.tuples(space, st.sampled_from(['"a"', '"\\u0062"', '"a"', '"é"']), space, spaced).map(
        lambda parts: f"{parts[0]}{parts[1]}{parts[2]}:{parts[3]}"
    )
    return st.lists(spaced, min_size=1, max_size=3).map(lambda items: f"[{','.join(items)}]") | st.lists(
        pair, min_size=1, max_size=3
    ).map(lambda pairs: f"{{{','.join(pairs)}}}")


value = st.recursive(scalar, container, max_leaves=8)
names = st.sampled_from(["messages", "temperature", "tools", "metadata", "x-unknown", "top_k", "logit_bias", "name"])


@settings(deadline=None)
@given(st.dictionaries(names, value, max_size=6), st.booleans())
def test_every_other_field_is_sent_as_the_client_wrote_it(others, stream):
    """Numbers, escapes and spaces survive: a prompt cache, a signature or an id beyond 2**53 depends on them."""
    fields = [f'"{name}": {text}' for name, text in others.items()]
    body = "{" + ", ".join(['"model": "a/m"', f'"stream": {json.dumps(stream)}', *fields]) + " }"

    found = msgspec.json.decode(sent(body.encode()), type=dict[str, msgspec.Raw])

    raw = {name: bytes(part).decode() for name, part in found.items()}
    asked = {"stream_options": '{"include_usage":true}'} if stream else {}
    assert raw == {"model": '"real-m"', "stream": json.dumps(stream), **others, **asked}


def test_fields_keep_their_order():
    """Recorded requests stay comparable."""
    assert sent(b'{"temperature":1,"model":"a/m","messages":[]}') == b'{"temperature":1,"model":"real-m","messages":[]}'


def test_asks_for_usage_in_a_stream():
    assert sent(b'{"model":"a/m","stream":true}') == (
        b'{"model":"real-m","stream":true,"stream_options":{"include_usage":true}}'
    )


@pytest.mark.parametrize(
    ("options", "sent_options"),
    [
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage":false}', b'{"include_usage":true}'),
        (b'{"include_usage":null,"x":[1.0]}', b'{"include_usage":true,"x":[1.0]}'),
        (b'{"include_obfuscation":false}', b'{"include_obfuscation":false,"include_usage":true}'),
        (b'{"include_usage": true,"x":1}', b'{"include_usage": true,"x":1}'),
    ],
)
def test_keeps_the_other_options_of_the_caller(options, sent_options):
    body = b'{"model":"a/m","stream":true,"stream_options":%b}'

    assert sent(body % options) == b'{"model":"real-m","stream":true,"stream_options":%b}' % sent_options


@pytest.mark.parametrize(
    "body", [b'{"model":"a/m"}', b'{"model":"a/m","stream":false}', b'{"model":"a/m","stream":null}']
)
def test_adds_nothing_without_a_stream(body):
    """Omitted is not null: a vendor once answered 400 to `"encoding_format": null`."""
    assert sent(body) == body.replace(b"a/m", b"real-m")


def test_a_null_of_the_caller_stays():
    assert sent(b'{"model":"a/m","stop":null}') == b'{"model":"real-m","stop":null}'


def test_reports_what_it_left_out_in_the_order_it_came():
    request = PROVIDER.request(
        call(b'{"user":"u","model":"a/m","logprobs":true,"seed":1}'), target(rejects=frozenset({"logprobs", "user"}))
    )

    assert request.body == b'{"model":"real-m","seed":1}'
    assert request.dropped_params == ("user", "logprobs")


def test_uses_the_vendors_own_names():
    body = b'{"model":"a/m","max_completion_tokens": 5,"top_p":1}'

    assert sent(body, renames={"max_completion_tokens": "max_tokens"}) == b'{"model":"real-m","top_p":1,"max_tokens":5}'


def test_refuses_an_api_the_vendor_does_not_have():
    other = Target(
        name="a/m", model="m", model_types=frozenset({"chat"}), provider=PROVIDER, settings=Settings({}, Vendor())
    )

    with pytest.raises(BadRequest, match="the provider of a/m has no API for chat"):
        PROVIDER.request(CALL, other)


def test_refuses_options_that_are_nested_too_deeply():
    """How deep is too deep depends on where it is read: the parser may have let it pass, and the gateway failed."""
    options = msgspec.Raw(b'{"x":' + 5_000 * b"[" + 5_000 * b"]" + b"}")

    with pytest.raises(BadRequest, match="nested too deeply"):
        PROVIDER.request(Call(CHAT, STREAM.ask, {"stream_options": options}), target())


# --- the caller's own key ----------------------------------------------------


def with_key(text):
    """A call whose Authorization is for the provider, to an account without a key."""
    asked = msgspec.structs.replace(CALL, provider_key=Secret(text) if text is not None else None)
    passing = msgspec.structs.replace(target(), settings=Settings(ENDPOINTS, Vendor(), passes_key_on=True))
    return PROVIDER.request(asked, passing).endpoint


@pytest.mark.parametrize("key", ["Bearer sk-caller", "Basic dTpw", "sk-caller"])
def test_the_callers_key_is_passed_on_as_it_came(key):
    endpoint = with_key(key)

    assert endpoint.head.decode().count("authorization") == 1
    assert endpoint.head.decode().endswith(f"\r\nauthorization: {key}\r\n")
    assert endpoint.origin == ENDPOINTS["chat"].origin
    assert "sk-caller" not in repr(endpoint)


def test_a_key_is_for_one_call_alone():
    """The endpoint is shared by all callers of the model."""
    before = ENDPOINTS["chat"].head

    with_key("Bearer sk-caller")

    assert ENDPOINTS["chat"].head is before
    with pytest.raises(Unauthorized):
        with_key(None)


def test_without_a_key_the_caller_is_told_how_to_send_one():
    with pytest.raises(Unauthorized) as refused:
        with_key(None)

    assert refused.value.code == "provider_key_missing"
    assert refused.value.message == (
        "the account a has no key: send your own as 'Authorization: Bearer <key>', and the gateway's token as "
        "x-tfy-api-key"
    )


@pytest.mark.parametrize(
    "key", ["Bearer a\r\nx: y", "Bearer a\nb", "Bearer \x00", "Bearer é", "Bearer a\tb", "Bearer \x7f"]
)
def test_a_key_that_cannot_be_a_header_is_refused(key):
    """It would end the header, and begin whatever the caller likes."""
    with pytest.raises(BadRequest) as refused:
        with_key(key)

    assert refused.value.message == "the Authorization header holds characters that are not allowed"


def test_an_account_with_a_key_gets_none_of_the_callers():
    asked = msgspec.structs.replace(CALL, provider_key=Secret("Bearer sk-caller"))

    assert PROVIDER.request(asked, target()).endpoint is ENDPOINTS["chat"]


ACCOUNTS = """\
type: provider-account/openai
name: open
integrations: [{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}]
---
type: provider-account/openai
name: keyed
auth_data: {type: api-key, api_key: key-of-the-account}
integrations: [{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}]
---
type: provider-account/self-hosted-model
name: own
integrations:
  - {type: integration/model/self-hosted-model, name: m, hosted_model_name: m, url: "http://h",
     model_server: vllm-openai, model_types: [chat]}
"""
OK = (200, [b'{"choices":[]}'])


@pytest.mark.parametrize(
    ("account", "headers", "status", "sent"),
    [
        ("open", {"x-tfy-api-key": "TOKEN", "authorization": "Bearer sk-caller"}, 200, "Bearer sk-caller"),
        ("keyed", {"x-tfy-api-key": "TOKEN", "authorization": "Bearer sk-caller"}, 200, "Bearer key-of-the-account"),
        ("own", {"x-tfy-api-key": "TOKEN", "authorization": "Bearer sk-caller"}, 200, None),
        ("open", {"authorization": "Bearer TOKEN"}, 401, None),
        ("open", {"x-api-key": "TOKEN"}, 401, None),
        ("open", {"authorization": "Bearer TOKEN", "x-api-key": "sk-caller"}, 401, None),
        ("open", {"x-tfy-api-key": "TOKEN", "authorization": "Bearer TOKEN"}, 401, None),
        ("open", {"x-tfy-api-key": "TOKEN", "x-api-key": "sk-caller"}, 401, None),
        ("keyed", {"authorization": "Bearer TOKEN"}, 200, "Bearer key-of-the-account"),
        ("keyed", {"x-api-key": "TOKEN"}, 200, "Bearer key-of-the-account"),
    ],
)
async def test_the_gateways_token_never_leaves_the_house(app_with, tmp_path, token, account, headers, status, sent):
    """Through the whole gateway, wherever it came; and nobody's own key goes to an account that has one."""
    path = tmp_path / "accounts.yaml"
    path.write_text(ACCOUNTS)
    upstream = FakeUpstream(OK)
    app = app_with(upstream, path)
    headers = {name: value.replace("TOKEN", token) for name, value in headers.items()}

    answer = await post(app, "/v1/chat/completions", {"model": f"{account}/m", "messages": []}, headers=headers)

    heads = [request.endpoint.head.decode() for request in upstream.requests]
    assert answer.status == status
    assert token not in "".join(heads) + answer.body.decode()
    assert [line.partition(": ")[2] for head in heads for line in head.split("\r\n") if "authorization" in line] == (
        [] if sent is None else [sent]
    )


# --- streams -----------------------------------------------------------------

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
DONE = b"data: [DONE]\n\n"

CUT_OUT = [
    ([HELLO, STOP, USAGE, DONE], [HELLO, STOP, DONE]),
    ([HELLO, USAGE, STOP, DONE], [HELLO, STOP, DONE]),
    ([USAGE, HELLO], [HELLO]),
    ([HELLO, DONE, USAGE], [HELLO, DONE]),
    ([PING, SPACED, PING, DONE], [PING, PING, DONE]),
    ([FILTER, HELLO, STOP, USAGE, DONE], [FILTER, HELLO, STOP, DONE]),
    ([NULL_USAGE, QUOTED, INNER, DONE], [NULL_USAGE, QUOTED, INNER, DONE]),
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


@pytest.mark.parametrize("chunk", [HELLO, HELLO + STOP, DONE, PING, HELLO.replace(b"\n", b"\r\n")])
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


def test_an_event_without_end_is_a_broken_answer():
    """Else a provider could fill the memory."""
    cut = UsageCut()
    for _ in range(MAX_EVENT // 65536):
        cut.feed(b"x" * 65536)

    with pytest.raises(BrokeOff, match="an event of more than 4194304 bytes"):
        cut.feed(b"x")


@pytest.mark.parametrize(
    ("asked", "vendor", "is_read"),
    [
        (STREAM, {}, True),
        (CALL, {}, False),
        (call(b'{"model":"a/m","stream":true,"stream_options":{"include_usage":true}}'), {}, False),
        (STREAM, {"asks_for_usage": False}, False),
    ],
)
def test_a_stream_is_relayed_verbatim_unless_usage_was_asked_for_by_the_gateway(asked, vendor, is_read):
    assert (PROVIDER.reader(asked, target(**vendor)) is not None) is is_read


# --- errors ------------------------------------------------------------------


def refusal(status, body, headers=None):
    return PROVIDER.refusal(CALL, status, headers or {}, body)


OPENAI_ERROR = (
    b'{ "error": {"message": "no such model \xc3\xa9", "type": "invalid_request_error", "code": "x", "n": 1.0} }'
)


def test_an_error_in_openais_shape_is_passed_on_as_it_came():
    refused = refusal(404, OPENAI_ERROR)

    assert (refused.status, refused.message, refused.body) == (404, "no such model é", OPENAI_ERROR)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}', "too long"),
        (b'{"error":"Input validation error","error_type":"validation"}', "Input validation error"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (
            b'{"detail":[{"type":"missing","loc":["body","input"],"msg":"Field required","input":{"secret":1}},'
            b'{"type":"int","loc":["body","n"],"msg":"not an int"}]}',
            "body.input: Field required; body.n: not an int",
        ),
        (
            b'{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","user"],'
            b'"msg":"Extra inputs are not permitted","input":"u"}]},"type":"invalid_request_error"}',
            "body.user: Extra inputs are not permitted",
        ),
        (b'{"code":"Client specified an invalid argument","error":"not supported: stop"}', "not supported: stop"),
        (b'{"error":{"code":7}}', "the provider answered with status 400"),
        (b'{"detail":[]}', "the provider answered with status 400"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "the provider answered with status 400"),
        (b"[1]", "the provider answered with status 400"),
        (b'"oops"', "the provider answered with status 400"),
        (b"\xff\xfe", "the provider answered with status 400"),
        (b"[" * 100_000, "the provider answered with status 400"),
        (b"", "the provider answered with status 400"),
    ],
    ids=[
        "vLLM", "TGI", "FastAPI", "FastAPI's list", "Mistral", "xAI", "no message", "empty list", "HTML", "list",
        "text", "binary", "deep", "empty",
    ],
)  # fmt: skip
def test_an_error_in_another_shape_is_put_into_the_callers(body, message):
    """`body` is None: the dialect writes the error, with this message."""
    refused = refusal(400, body)

    assert (refused.status, refused.message, refused.body) == (400, message, None)


@pytest.mark.parametrize("body", [OPENAI_ERROR, b'{"error":"bad key abc"}', b"bad key abc"])
def test_a_401_shows_nothing_of_the_providers_text(body):
    """It is about the gateway's key, which is not the caller's business; some providers repeat half of it."""
    refused = refusal(401, body, {"retry-after": "1"})

    assert (refused.status, refused.code, refused.body) == (401, "upstream_authentication_error", None)
    assert refused.message == "the provider does not accept the gateway's credentials; tell whoever runs the gateway"


def test_a_401_may_be_about_the_callers_own_key():
    asked = msgspec.structs.replace(CALL, provider_key=Secret("Bearer sk-caller"))

    refused = PROVIDER.refusal(asked, 401, {}, b"bad key sk-caller")

    assert refused.message == "the provider does not accept the key: yours, if the account has none of its own"
    assert refused.body is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    """The key would go to another address."""
    refused = refusal(status, b"", {"location": "https://elsewhere.example"})

    assert (refused.status, refused.headers) == (502, {})
    assert "name that one in the account" in refused.message


def test_passes_on_when_to_try_again_and_nothing_else():
    headers = {
        "Retry-After": "3",
        "retry-after-ms": "300",
        "x-should-retry": "true",
        "x-ratelimit-remaining-requests": "0",
        "Set-Cookie": "session=1",
        "www-authenticate": "Bearer",
        "x-request-id": "req_1",
        "content-length": "9",
    }

    assert refusal(429, b"{}", headers).headers == {
        "Retry-After": "3",
        "retry-after-ms": "300",
        "x-should-retry": "true",
        "x-ratelimit-remaining-requests": "0",
    }


@pytest.mark.parametrize(
    "text",
    [
        'Incorrect API key provided: "sk-abcdefghijklmnop".',
        'header "Bearer 0123456789" is malformed',
        "see https://ana:hunter2@host/x",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_masks_keys_and_leaves_json_behind(text):
    """A mask that swallows a quotation mark makes the error unreadable for the client."""
    refused = refusal(403, msgspec.json.encode({"error": {"message": text, "code": 1}, "more": ["x"]}))

    assert "***" in refused.message
    assert json.loads(refused.body) == {"error": {"message": refused.message, "code": 1}, "more": ["x"]}


def test_masks_keys_that_are_written_with_escapes():
    refused = refusal(403, b'{"error":{"message":"sk-\\u0061bcdefghijklmnop"}}')

    assert refused.body == b'{"error":{"message":"***"}}'
