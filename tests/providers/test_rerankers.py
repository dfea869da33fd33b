"""Reranking servers with words of their own: what they are sent, and what callers of Cohere's and Jina's APIs get."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import build_app
from gateway.contract import Call, Head, JsonBody, Request
from gateway.contract.usage import Usage
from gateway.dialects import RERANK
from gateway.errors import BadRequest, BrokeOff, UpstreamError
from gateway.manifests.accounts import SelfHostedAccount
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.providers.rerankers import ToNemo, ToTei
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {TOKEN}"}
DOCUMENTS = ["a", {"text": "b"}, "c"]
TEI = b'[{"index":2,"score":0.75},{"index":0,"score":0.5},{"index":1,"score":0.125}]'
NEMO = b'{"rankings":[{"index":1,"logit":-2.0},{"index":0,"logit":0.0}],"usage":{"prompt_tokens":9,"total_tokens":9}}'


def call_of(**fields):
    fields = {"model": "a/m", "query": "q", "documents": DOCUMENTS} | fields
    body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    request = Request(body=body)
    return Call(RERANK, RERANK.parse(request), request)


@pytest.mark.parametrize(
    ("translator", "fields", "body", "dropped"),
    [
        (ToTei(), {}, {"query": "q", "texts": ["a", "b", "c"], "truncate": True}, ()),
        (
            ToTei(),
            {
                "top_n": 1,
                "raw_scores": True,
                "truncate": False,
                "truncation_direction": "left",
                "return_documents": True,
            },
            {
                "query": "q",
                "texts": ["a", "b", "c"],
                "truncate": False,
                "raw_scores": True,
                "truncation_direction": "left",
            },
            (),
        ),
        (
            ToTei(),
            {"max_tokens_per_doc": 9, "rank_fields": ["x"]},
            {"query": "q", "texts": ["a", "b", "c"], "truncate": True},
            ("max_tokens_per_doc", "rank_fields"),
        ),
        (
            ToNemo(),
            {"raw_scores": True},
            {
                "model": "real",
                "query": {"text": "q"},
                "passages": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
                "truncate": "END",
            },
            (),
        ),
        (
            ToNemo(),
            {"documents": ["a"], "truncate": "NONE"},
            {"model": "real", "query": {"text": "q"}, "passages": [{"text": "a"}], "truncate": "NONE"},
            (),
        ),
    ],
)
def test_requests(translator, fields, body, dropped):
    """What is too long is cut, as at Cohere and Jina; TEI and NeMo would refuse all of it."""
    asked = translator.request(call_of(**fields), "real")

    assert (json.loads(msgspec.json.encode(asked.fields)), asked.dropped_params) == (body, dropped)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": " "}, "query"),
        ({"query": ["q"]}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": [1]}, "documents"),
        ({"documents": [{"image": "https://x"}]}, "documents"),
        ({"top_n": 0}, "top_n"),
    ],
)
@pytest.mark.parametrize("translator", [ToTei(), ToNemo()])
def test_refused(translator, fields, param):
    with pytest.raises(BadRequest) as refused:
        translator.request(call_of(**fields), "real")

    assert refused.value.param == param


def answered(translator, body, headers=(), **fields):
    reading = translator.reading(call_of(**fields), Head(200, dict(headers)))
    for at in range(len(body)):
        assert reading.feed(body[at : at + 1]) == b""
    answer = json.loads(reading.end())
    assert answer.pop("id")
    return answer, reading.usage()


def test_what_tei_says():
    """It says in a header how much it has read."""
    answer, usage = answered(ToTei(), TEI, {"x-compute-tokens": "21"}, top_n=2, return_documents=True)

    assert answer == {
        "model": "a/m",
        "results": [
            {"index": 2, "relevance_score": 0.75, "document": {"text": "c"}},
            {"index": 0, "relevance_score": 0.5, "document": {"text": "a"}},
        ],
        "usage": {"prompt_tokens": 21, "total_tokens": 21},
    }
    assert usage == Usage(input=21)
    assert answered(ToTei(), TEI)[1] is None


def test_what_nemo_says():
    """Logits become probabilities, by which callers set their thresholds, unless they want the scores as they are."""
    answer, usage = answered(ToNemo(), NEMO)

    assert answer["results"] == [
        {"index": 0, "relevance_score": 0.5},
        {"index": 1, "relevance_score": pytest.approx(0.119203, abs=1e-6)},
    ]
    assert usage == Usage(input=9)
    assert [each["relevance_score"] for each in answered(ToNemo(), NEMO, raw_scores=True)[0]["results"]] == [0.0, -2.0]
    assert answered(ToNemo(), b'{"rankings":[{"index":0,"logit":-9000.0}]}')[0]["results"][0]["relevance_score"] == 0.0


@pytest.mark.parametrize(
    ("translator", "body", "why"),
    [
        (ToTei(), b'{"error":"x"}', "no ranks"),
        (ToTei(), b'[{"index":0,"score":NaN}]', "no ranks"),
        (ToTei(), b'[{"index":3,"score":1}]', "that it was not sent"),
        (ToNemo(), b'{"rankings":[{"index":-1,"logit":1}]}', "that it was not sent"),
        (ToNemo(), b"[]", "no ranks"),
        (ToNemo(), b"[" * 100_000, "no ranks"),
    ],
)
def test_what_holds_no_ranks(translator, body, why):
    reading = translator.reading(call_of(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(BrokeOff, match=why):
        reading.end()


# --- through the app ---------------------------------------------------------


@pytest.fixture
async def ask(tmp_path):
    """`await ask(server, url, reply, path)`: the answer, what the server was asked, and the record."""
    apps = []

    async def ask(server, url, reply, path="/v1/rerank"):
        model = {
            "type": "integration/model/self-hosted-model",
            "name": "m",
            "hosted_model_name": "real",
            "url": url,
            "model_server": server,
            "model_types": ["rerank"],
        }
        account = {"type": "provider-account/self-hosted-model", "name": "a", "integrations": [model]}
        (tmp_path / "a.yaml").write_text(json.dumps(account))
        upstream, sink = FakeUpstream(reply), ListSink()
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        app = build_app(tmp_path / "a.yaml", environ=environ, network=upstream, sinks=[sink])
        apps.append(app)
        answer = await post(app, path, {"model": "a/m", "query": "q", "documents": ["a", "b", "c"]}, headers=AUTH)
        await app.close()
        return answer, upstream.requests[0], sink.records[0]

    yield ask
    for app in apps:
        await app.close()


@pytest.mark.parametrize(
    ("server", "url", "called"),
    [
        ("tei", "http://tei:8080", "http://tei:8080/rerank"),
        ("tei", "http://tei:8080/v1/", "http://tei:8080/rerank"),
        ("nemo-retriever", "http://nim:8000/v1", "http://nim:8000/v1/ranking"),
        ("infinity", "http://inf:7997", "http://inf:7997/rerank"),
        ("cohere-rerank-v2", "http://co:8080", "http://co:8080/v2/rerank"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/rerank", "/v1/v2/rerank", "/v2/rerank"])
async def test_each_server_is_called_where_it_reranks(ask, server, url, called, path):
    """TEI has /v1 for what is OpenAI's, and nothing else below it."""
    said = {"tei": TEI, "nemo-retriever": NEMO}.get(server, b'{"results":[{"index":2,"relevance_score":0.75}]}')

    answer, sent, record = await ask(server, url, (200, [said]), path)

    assert (answer.status, sent.endpoint.url, record.outcome) == (200, called, "complete")
    assert answer.json()["results"][0]["index"] == (0 if server == "nemo-retriever" else 2)


async def test_servers_of_two_kinds_behind_one_address_are_called_each_in_its_way():
    """Their dialects are the same, so one was called at the paths of the other."""
    model = {
        "type": "integration/model/self-hosted-model",
        "hosted_model_name": "real",
        "url": "http://h/v1",
        "model_types": ["rerank"],
    }
    servers = ("tei", "infinity", "nemo-retriever")
    document = {
        "type": "provider-account/self-hosted-model",
        "name": "a",
        "integrations": [{**model, "name": server, "model_server": server} for server in servers],
    }
    provider = OpenAICompatible()

    targets = [*provider.targets(msgspec.convert(document, SelfHostedAccount))]

    assert [provider.request(call_of(), target).endpoint.url for target in targets] == [
        "http://h/rerank",
        "http://h/v1/rerank",
        "http://h/v1/ranking",
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "score", "rankings", "logit", "usage", "total_tokens"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(anything, st.sampled_from([ToTei(), ToNemo()]))
def test_any_answer_is_read_or_an_error_of_the_providers(said, translator):
    reading = translator.reading(call_of(), Head(200, {"x-compute-tokens": "x"}))
    reading.feed(json.dumps(said).encode())
    try:
        answer = json.loads(reading.end())
    except UpstreamError:
        return
    assert {*answer} <= {"id", "model", "results", "usage"}


async def test_what_it_used_is_billed_as_told_or_estimated(ask):
    told = await ask("tei", "http://tei", (200, [TEI], {"content-type": "application/json", "x-compute-tokens": "21"}))
    untold = await ask("tei", "http://tei", (200, [TEI]))

    assert [told[2].usage, untold[2].usage] == [Usage(input=21), Usage(input=4, estimated=True)]


async def test_a_refusal_is_in_the_callers_words(ask):
    body = b'{"error":"`inputs` must have less than 512 tokens. Given: 600","error_type":"Validation"}'

    answer, _, _ = await ask("tei", "http://tei", (413, [body]))

    assert (answer.status, answer.json()["error"]["message"]) == (
        413,
        "`inputs` must have less than 512 tokens. Given: 600",
    )
