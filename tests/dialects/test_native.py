"""The vendors' own APIs: which calls are passed on, which model they mean, and how they are refused."""

import json

import msgspec
import pytest

from gateway.contract import Ask, Endpoint, Head, Outcome, Target, UpstreamRequest
from gateway.contract.request import Request
from gateway.contract.usage import Usage
from gateway.dialects import NATIVE
from gateway.endpoints.router import BASES
from gateway.errors import BadRequest, BrokeOff, NotServed
from gateway.manifests.accounts import KeyAccount
from gateway.middleware.parse import json_body
from gateway.testing import FakeUpstream, request
from gateway.wire.native import body_of, native_path, path_in, with_query
from gateway.wire.passing import PassingReading

GEMINI, ANTHROPIC, BEDROCK, SAGEMAKER = NATIVE
GENERATE = "/gemini/g/proxy/v1beta/models/flash:generateContent"
MESSAGES = "/anthropic/a/proxy/v1/messages"
NOT_SERVED = (
    "this call of the vendor's own API is not passed on: only those are that ask one model for an answer, or count "
    "tokens for it"
)


def asked(dialect, path, body=b"{}", query=b"", method="POST"):
    return Request(method, "", {}, query, json_body(body) if method == "POST" else None, path)


@pytest.mark.parametrize(
    ("dialect", "path", "body", "ask"),
    [
        (
            GEMINI,
            GENERATE,
            b'{"contents":[],"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}',
            Ask("g/flash", max_output_tokens=9, choices=2),
        ),
        (GEMINI, GENERATE.replace("generate", "streamGenerate"), b"{}", Ask("g/flash")),
        (GEMINI, GENERATE.replace("generate", "embed"), b"{}", Ask("g/flash", has_output=False)),
        (GEMINI, "/gemini/g/proxy/v1/models/flash:countTokens", b"{}", Ask("g/flash", has_output=False)),
        (
            GEMINI,
            "/gemini/g/proxy/v1beta1/projects/p/locations/l/publishers/google/models/flash:generateContent",
            b"{}",
            Ask("g/flash"),
        ),
        (ANTHROPIC, MESSAGES, b'{"model":"opus","max_tokens":5}', Ask("a/opus", max_output_tokens=5)),
        (ANTHROPIC, MESSAGES, b'{"model":"a/opus"}', Ask("a/opus")),
        (
            ANTHROPIC,
            "/anthropic/a/proxy/v1/messages/count_tokens",
            b'{"model":"opus","max_tokens":5}',
            Ask("a/opus", has_output=False),
        ),
        (
            BEDROCK,
            "/bedrock/proxy/model/b%2Fsonnet/converse",
            b'{"inferenceConfig":{"maxTokens":7}}',
            Ask("b/sonnet", max_output_tokens=7),
        ),
        (BEDROCK, "/bedrock/proxy/model/b%2Fsonnet/invoke-with-response-stream", b"{}", Ask("b/sonnet")),
        (SAGEMAKER, "/sagemaker/proxy/endpoints/s%2Fllama/invocations", b'{"max_tokens":7}',
         Ask("s/llama", max_output_tokens=7)),
        (SAGEMAKER, "/sagemaker/proxy/endpoints/s%2Fllama/invocations-response-stream", b"{}", Ask("s/llama")),
        (GEMINI, "/gemini/g/proxy/v1beta1/publishers/google/models/flash:computeTokens", b"{}",
         Ask("g/flash", has_output=False)),
        (GEMINI, GENERATE.replace("generateContent", "predict"), b'{"instances":[{"content":"a"}]}',
         Ask("g/flash", has_output=False)),
        (GEMINI, GENERATE.replace("generateContent", "predict"),
         b'{"instances":[{"prompt":"a","referenceImages":[{},{}]}],"parameters":{"sampleCount":2}}',
         Ask("g/flash", has_output=False, expected=(
             Usage(input=1, image_input=2000, image_output=2 * 6240), Usage(images=2)))),
        (GEMINI, GENERATE.replace("generateContent", "predict"), b'{"instances":[{"prompt":"a"}],"parameters":7}',
         Ask("g/flash", has_output=False)),
        (GEMINI, GENERATE.replace("generateContent", "predict"), b'{"instances":[{"prompt":"a"}]}',
         Ask("g/flash", has_output=False, expected=(Usage(input=1, image_output=4 * 6240), Usage(images=4)))),
        (BEDROCK, "/bedrock/proxy/model/b%2Fcanvas/invoke",
         b'{"imageGenerationConfig":{"numberOfImages":3,"width":2048,"height":1024,"quality":"premium"}}',
         Ask("b/canvas", has_output=False, expected=(
             Usage(image_output=3 * 6240), Usage(images=3, image_size="2048x1024", image_quality="premium")))),
        (BEDROCK, "/bedrock/proxy/model/b%2Fcanvas/invoke", b'{"imageGenerationConfig":{"width":"?"}}',
         Ask("b/canvas", has_output=False, expected=(
             Usage(image_output=1056), Usage(images=1, image_size="1024x1024", image_quality="standard")))),
    ],
)  # fmt: skip
def test_a_call_means_one_model(dialect, path, body, ask):
    for base in ("", "/api/llm/v1"):
        found = dialect.parse(asked(dialect, base + path, body))
        assert msgspec.structs.replace(found, input_tokens=0) == ask
    assert found.input_tokens - sum(usage.image_input for usage in ask.expected) < 40


@pytest.mark.parametrize(
    ("dialect", "method", "path"),
    [
        (GEMINI, "GET", "/gemini/g/proxy/v1beta/files"),
        (GEMINI, "POST", "/gemini/g/proxy/v1beta/cachedContents"),
        (GEMINI, "GET", "/gemini/g/proxy/v1beta/models/flash"),
        (GEMINI, "POST", "/gemini/g/proxy/v1beta/models/flash:batchGenerateContent"),
        (GEMINI, "POST", "/gemini/g/proxy/v1beta/models/../files:generateContent"),
        (GEMINI, "POST", "/gemini/g/proxy/v1beta/tunedModels/x:generateContent"),
        (GEMINI, "POST", "/gemini/g/v1beta/models/flash:generateContent"),
        (ANTHROPIC, "POST", "/anthropic/a/proxy/v1/messages/batches"),
        (ANTHROPIC, "DELETE", "/anthropic/a/proxy/v1/files/f"),
        (ANTHROPIC, "POST", "/anthropic/a/proxy/v1/messages/"),
        (BEDROCK, "POST", "/bedrock/proxy/model/b%2Fsonnet/apply"),
        (BEDROCK, "POST", "/bedrock/proxy/guardrail/g/version/1/apply"),
        (GEMINI, "POST", "/gemini/g/proxy/v1beta/models/flash:predictLongRunning"),
        (SAGEMAKER, "POST", "/sagemaker/proxy/endpoints/s%2Fllama/async-invocations"),
    ],
)
def test_what_belongs_to_the_whole_account_is_not_passed_on(dialect, method, path):
    """Who may use one model could read, or delete, what others have left there."""
    with pytest.raises(NotServed, match=r"only those are that ask one model for an answer"):
        dialect.parse(asked(dialect, path, b'{"model":"m"}', method=method))


@pytest.mark.parametrize("body", [b"{}", b'{"model":5}', b'{"model":"%s"}' % (b"x" * 600)])
def test_a_model_has_to_be_named(body):
    with pytest.raises(BadRequest) as refused:
        ANTHROPIC.parse(asked(ANTHROPIC, "/anthropic/a/proxy/v1/messages", body))
    assert refused.value.param == "model"


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        (b"alt=sse", "?alt=sse"),
        (b"key=token&alt=sse", "?alt=sse"),
        (b"k%65y=token", ""),
        (b"access_token=x", ""),
        (b"", ""),
        (b"beta=true&a=b%20c\r\nd", "?beta=true&a=b%20c%0D%0Ad"),
    ],
)
def test_a_key_in_the_query_stays_here(query, passed):
    assert with_query("/v1", asked(GEMINI, GENERATE, query=query)) == f"/v1{passed}"


class Vendor:
    """Speaks the Gemini API to one host."""

    class Account(KeyAccount, frozen=True, kw_only=True):
        pass

    accounts = {"provider-account/vendor": Account}  # noqa: RUF012

    def targets(self, account):
        endpoint = Endpoint("https://vendor.example/", {"x-goog-api-key": account.auth_data.api_key.reveal()})
        for model in account.integrations:
            types = frozenset(model.model_types)
            name = f"{account.name}/{model.name}"
            yield Target(name=name, model=model.model_id, model_types=types, provider=self, settings=endpoint)

    def request(self, call, target):
        path = native_path(call)
        sent = with_query(f"{path.before}{target.model}{path.after}", call.request)
        return UpstreamRequest(target.settings.at(sent).with_headers(call.request.headers), body_of(call))

    def reading(self, call, target, head):
        return Counted(head)

    refusal = None


class Counted(PassingReading):
    def look(self, data):
        if b"used" in data:
            self.told_usage = Usage(input=json.loads(data)["used"])


MANIFEST = """\
type: provider-account/vendor
name: g
auth_data: {type: api-key, api_key: key-of-the-account}
collaborators: [{subject: "user:ana@example.com", role_id: provider-account-access}]
integrations:
  - {type: integration/model/vendor, name: flash, model_id: real-flash, model_types: [embedding], cost: COST}
---
type: gateway-rate-limiting-config
name: few
rules: [{id: few, when: {models: [g/flash]}, limit_to: 2, unit: requests_per_minute}]
""".replace("COST", "{metric: per_1000_tokens, value: {input: 1, output: 1}}")


@pytest.fixture
def native_app(app_with, tmp_path):
    def make(upstream):
        path = tmp_path / "vendor.yaml"
        path.write_text(MANIFEST)
        return app_with(upstream, path, providers=[Vendor()])

    return make


def google(token):
    return {"x-goog-api-key": token, "x-goog-api-client": "genai/3", "user-agent": "u", "x-evil": "1"}


@pytest.mark.parametrize("base", BASES)
async def test_bytes_go_on_both_ways_with_the_accounts_key(native_app, token, sink, base):
    body, answer = b'{ "contents" : [ ] ,"x":1}', [b'{"a": "b",', b' "used": 3}\n']
    upstream = FakeUpstream((200, answer, {"content-type": "application/json; charset=UTF-8"}))
    app = native_app(upstream)

    got = await request(app, "POST", f"{base}{GENERATE}?%24a=b&key=x", body, headers=google(token))
    await app.close()

    [sent] = upstream.requests
    assert (sent.endpoint.url, sent.body) == (
        "https://vendor.example/v1beta/models/real-flash:generateContent?%24a=b",
        body,
    )
    assert sent.endpoint.head.split(b"\r\n")[2:-1] == [
        b"accept-encoding: identity",
        b"x-goog-api-key: key-of-the-account",
        b"x-goog-api-client: genai/3",
    ]
    assert (got.status, got.headers["content-type"], got.body) == (
        200,
        "application/json; charset=UTF-8",
        b"".join(answer),
    )
    [record] = sink.records
    assert (record.request_type, record.resolved_model, record.usage, record.cost_nanousd) == (
        "gemini-native", "g/flash", Usage(input=3), 3_000_000
    )  # fmt: skip


async def test_a_stream_goes_on_as_it_comes(native_app, token, sink):
    pieces = [b": hi\r\n", b'data: {"used": 1}\r\n\r\nda', b'ta: {"used": 4}\r\n\r', b"\n"]
    app = native_app(FakeUpstream((200, pieces, {"content-type": "text/event-stream"})))

    got = await request(app, "POST", GENERATE + "?alt=sse", b"{}", headers=google(token))
    await app.close()

    assert got.headers["content-type"] == "text/event-stream"
    assert (b"".join(got.chunks), len(got.chunks) > 2) == (b"".join(pieces), True)
    assert sink.records[0].usage == Usage(input=4)


async def test_limits_hold_and_are_told_in_the_vendors_words(native_app, token):
    app = native_app(FakeUpstream((200, [b"{}"])))

    answers = [await request(app, "POST", GENERATE, b"{}", headers=google(token)) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    error = answers[2].json()["error"]
    assert (error["code"], error["status"], "few" in error["message"]) == (429, "RESOURCE_EXHAUSTED", True)


@pytest.mark.parametrize(
    ("path", "headers", "status", "named"),
    [
        (GENERATE, {}, 401, "UNAUTHENTICATED"),
        (GENERATE, {"x-goog-api-key": "guess"}, 401, "UNAUTHENTICATED"),
        (GENERATE.replace("flash", "pro"), None, 404, "NOT_FOUND"),
        (GENERATE.replace("/g/", "/h/"), None, 404, "NOT_FOUND"),
        ("/gemini/g/proxy/v1beta/files", None, 501, "UNIMPLEMENTED"),
    ],
)
async def test_a_refusal_is_in_the_vendors_words(native_app, token, path, headers, status, named):
    upstream = FakeUpstream((200, [b"{}"]))

    answer = await request(
        native_app(upstream), "POST", path, b"{}", headers=google(token) if headers is None else headers
    )

    assert (answer.status, answer.json()["error"]["status"]) == (status, named)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{MESSAGES}/batches", {"type": "error", "error": {"type": "api_error", "message": NOT_SERVED}}),
        ("/bedrock/proxy/model/g%2Fflash/apply", {"__type": "InternalServerException", "message": NOT_SERVED}),
    ],
)
async def test_each_vendor_has_words_of_its_own(native_app, auth, path, told):
    answer = await request(native_app(FakeUpstream((200, [b"{}"]))), "POST", path, b"{}", headers=auth)

    assert (answer.status, answer.json()) == (501, told)


def test_each_piece_is_a_sign_of_life():
    """An answer of some minutes was cut off as if its provider were silent."""
    reading = Counted(Head(200, {}))

    seen = [reading.feed(b" ") and reading.events for _ in range(3)]

    assert seen == [1, 2, 3]


async def test_a_stream_that_breaks_off_is_cut_off_here_too(native_app, token, sink):
    """Nothing of the gateway's own is written into it, so the connection has to tell."""
    app = native_app(FakeUpstream((200, [b'data: {"used": 2}\n\n', BrokeOff("cut")])))

    with pytest.raises(BrokeOff):
        await request(app, "POST", GENERATE, b"{}", headers=google(token))
    await app.close()

    [record] = sink.records
    assert (record.outcome, record.usage) == (Outcome.UPSTREAM_BROKE, Usage(input=2))


def test_a_path_that_only_looks_like_one_is_none():
    assert path_in("gemini-native", asked(GEMINI, "/gemini/g/other/v1beta/models/m:generateContent")) is None
