"""What goes to a provider, what is cut out of its streams, and what its errors become."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Call, Endpoint, Head, JsonBody, Request, Target
from gateway.dialects import CHAT, MESSAGES
from gateway.errors import BadRequest, Unauthorized
from gateway.providers.catalog import Vendor
from gateway.providers.openai_compatible import OpenAICompatible, Settings
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream, post

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
    request = Request(body=JsonBody(fields, body))
    return Call(CHAT, CHAT.parse(request), request)


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
    options = msgspec.Raw(b'{"x":' + 100_000 * b"[" + 100_000 * b"]" + b"}")

    with pytest.raises(BadRequest, match="nested too deeply"):
        PROVIDER.request(STREAM.with_fields({"stream_options": options}), target())


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
        "the account a has no key: send your own in the Authorization header, after the word Bearer, "
        "and the gateway's token as x-tfy-api-key"
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
    assert (PROVIDER.reading(asked, target(**vendor), Head(200, {}, asked.ask.stream)) is not None) is is_read


def test_an_account_may_say_that_usage_is_not_to_be_asked_for():
    """Some servers refuse `stream_options`, and until they are asked nobody knows."""
    silent = msgspec.structs.replace(target(), settings=Settings(ENDPOINTS, Vendor(), asks_for_usage=False))

    assert json.loads(PROVIDER.request(STREAM, silent).body) == {"model": "real-m", "stream": True}
    assert PROVIDER.reading(STREAM, silent, Head(200, {}, is_stream=True)) is None


@pytest.mark.parametrize(
    ("status", "body", "is_worth_it"),
    [
        (400, b'{"error":{"message":"Unrecognized request argument: stream_options","param":"stream_options"}}', True),
        (422, b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}', True),
        (400, b"unknown field include_usage", True),
        (400, b'{"error":{"message":"messages must not be empty"}}', False),
        (429, b'{"error":{"message":"stream_options"}}', False),
    ],
)
def test_remembers_who_refuses_to_be_asked_for_usage(status, body, is_worth_it):
    """Every stream was refused, for a field that the caller had never sent."""
    stubborn = target()

    refused = PROVIDER.refusal(STREAM, stubborn, Head(status, {}), body)

    assert refused.is_worth_asking_again is is_worth_it
    assert (b"stream_options" in PROVIDER.request(STREAM, stubborn).body) is not is_worth_it
    assert not PROVIDER.refusal(STREAM, stubborn, Head(status, {}), body).is_worth_asking_again or not is_worth_it


def test_what_the_caller_asks_for_is_for_the_provider_to_refuse():
    asked = call(b'{"model":"a/m","stream":true,"stream_options":{"include_usage":true}}')

    assert not PROVIDER.refusal(asked, target(), Head(400, {}), b"stream_options").is_worth_asking_again


# --- errors ------------------------------------------------------------------


def refusal(status, body, headers=None):
    return PROVIDER.refusal(CALL, target(), Head(status, headers or {}), body)


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
        (b'"oops"', "oops"),
        (b"model is busy\n", "model is busy"),
        (b'[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]', "API key not valid"),
        (b'{"success":false,"errors":[{"code":5007,"message":"No such model"}]}', "No such model"),
        (b'{"message":"no such route"}', "no such route"),
        (b'{"statusCode":400,"error":"Bad Request","message":"model is required"}', "model is required"),
        (b'{"title":"Bad Request","status":400,"detail":"n is too large"}', "n is too large"),
        (b'{"error":"invalid_request","error_description":"no scope"}', "no scope"),
        (b'{"fault":{"faultstring":"quota exceeded"}}', "quota exceeded"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "a page with the title '502 Bad Gateway'"),
        (b'\xef\xbb\xbf{"message":"no \\ud83d", "score": NaN}', "no \ufffd"),
        (b'{"message":"key sk-abcdefghijklmnop is bad"}', "key *** is bad"),
        (b"key sk-abcdefghijklmnop is bad", "key *** is bad"),
        (b"x" * 501, "the provider answered with status 400"),
        (b"\xff\xfe", "the provider answered with status 400"),
        (b"[" * 100_000, "the provider answered with status 400"),
        (b"", "the provider answered with status 400"),
    ],
    ids=[
        "vLLM", "TGI", "FastAPI", "FastAPI's list", "Mistral", "xAI", "no message", "empty list", "HTML", "list",
        "JSON text", "text", "Google", "Cloudflare", "Mistral's gateway", "NestJS", "RFC 9457", "OAuth", "Apigee",
        "page", "half a pair", "key", "key in text", "long text", "binary", "deep", "empty",
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
    assert refused.headers == {"retry-after": "1"}
    assert refused.message == "the provider does not accept the gateway's credentials; tell whoever runs the gateway"


def test_a_401_may_be_about_the_callers_own_key():
    asked = msgspec.structs.replace(CALL, provider_key=Secret("Bearer sk-caller"))

    refused = PROVIDER.refusal(asked, target(), Head(401, {}), b"bad key sk-caller")

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
        "anthropic-ratelimit-unified-5h-reset": "1",
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
        "anthropic-ratelimit-unified-5h-reset": "1",
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


@pytest.mark.parametrize("text", ["-eyJ", '\\"', "{", "sk-abcdefghijklmnop ", "://a:b"])
def test_a_very_large_error_is_told_in_part(text):
    """64 kB of "-eyJ" took 3 s to look through for tokens."""
    body = b'{"error":{"message":"no: ' + (250_000 // len(text)) * text.encode() + b'","type":"t"}}'

    refused = refusal(400, body)

    assert refused.message.startswith("no: ")
    assert len(refused.message) < 33_000
    assert msgspec.json.decode(refused.body)["error"]["message"] == refused.message
    assert "sk-" not in refused.message


def test_an_error_of_very_many_parts_is_told_in_part():
    refused = refusal(400, b'{"error":{"message":"no","details":[' + 80_000 * b"{}," + b"{}]}}")

    assert refused.message == "no"
    assert len(refused.body) < 33_000


# --- callers of other APIs ---------------------------------------------------


def messages(**fields):
    fields = {"model": "a/m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(each)) for name, each in fields.items()}))
    return Call(MESSAGES, MESSAGES.parse(request), request)


def test_other_apis_are_translated_into_chat():
    """Then the vendor's own rules hold, as for everybody."""
    asked = messages(stream=True, temperature=0.5, top_k=3)
    mistral = target(rejects=frozenset({"temperature"}), renames={"max_tokens": "most"}, asks_for_usage=False)

    request = PROVIDER.request(asked, target())
    adapted = PROVIDER.request(asked, mistral)

    body = {"model": "real-m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    usage = {"stream_options": {"include_usage": True}}
    assert request.endpoint is ENDPOINTS["chat"]
    assert json.loads(request.body) == {**body, "max_tokens": 9, "temperature": 0.5, **usage}
    assert request.dropped_params == ("top_k",)
    assert json.loads(adapted.body) == {**body, "most": 9}
    assert adapted.dropped_params == ("top_k", "temperature")


def test_their_usage_is_asked_for_until_the_vendor_refuses_that():
    stubborn, asked = target(), messages(stream=True)

    refused = PROVIDER.refusal(asked, stubborn, Head(400, {}), b"unknown field stream_options")

    assert refused.is_worth_asking_again
    assert b"stream_options" not in PROVIDER.request(asked, stubborn).body


def test_their_errors_are_worded_in_their_own_api():
    refused = PROVIDER.refusal(messages(), target(), Head(404, {}), OPENAI_ERROR)

    assert (refused.status, refused.message, refused.body) == (404, "no such model é", None)


def test_servers_of_open_models_are_given_back_what_they_thought():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "gateway:unsigned"}
    asked = messages(messages=[{"role": "assistant", "content": [thinking, {"type": "text", "text": "so"}]}])

    request = PROVIDER.request(asked, target(format="openai-extended"))

    assert json.loads(request.body)["messages"] == [{"role": "assistant", "content": "so", "reasoning_content": "hm"}]


def test_a_vendor_without_chat_is_asked_nothing():
    vectors = msgspec.structs.replace(
        target(), settings=Settings({"embeddings": Endpoint("https://vendor.example/v1/embeddings")}, Vendor())
    )

    with pytest.raises(BadRequest, match="has no API for messages"):
        PROVIDER.request(messages(), vectors)
