"""What the lines of a batch name is looked at before its provider gets them."""

import json

import pytest

from gateway.batches.check import Lines
from gateway.contract import FormPart
from gateway.errors import BadRequest, Forbidden
from gateway.testing import FakeUpstream, request
from gateway.wire.form import form_of

ANA, BO = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo"))
TOKENS = "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef"
CHAT = "/v1/chat/completions"
BATCH = 200, [b'{"id":"batch-1","status":"in_progress"}']


def account():
    """All may use `cheap`, and Ana alone `dear`."""
    model = {"type": "integration/model/openai", "model_types": ["chat"]}
    own = {"authorized_subjects": ["user:ana@example.com"]}
    return {
        "type": "provider-account/openai",
        "name": "a",
        "auth_data": {"type": "api-key", "api_key": "provider-key"},
        "integrations": [
            {**model, "name": "cheap", "model_id": "gpt-5-mini"},
            {**model, "name": "dear", "model_id": "gpt-5-pro", **own},
            {**model, "name": "gpt-5-pro-not", "model_id": "gpt-5-mini"},
        ],
        "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
    }


def lines(*bodies, **fields):
    told = [{"custom_id": str(n), "method": "POST", "url": CHAT, "body": b, **fields} for n, b in enumerate(bodies)]
    return b"\n".join(json.dumps(each).encode() for each in told)


@pytest.fixture
def make(app_with, tmp_path):
    """`await make(content, who)`: uploads it, and makes a batch of it; the provider gives `content` back."""

    async def make(content, who=BO, *before):
        path = tmp_path / "accounts.yaml"
        path.write_text(json.dumps([account()]))
        replies = [(200, [b'{"id":"file-%d"}' % number]) for number in range(len(before) + 1)]
        make.upstream = FakeUpstream(*replies, (200, [content]), BATCH)
        app = app_with(make.upstream, path, environ={"GATEWAY_TOKENS": TOKENS})
        kind, form = form_of([FormPart("purpose", b"batch"), FormPart("file", b"{}", "a.jsonl", "text/plain")], "b")
        for each in (*before, who):
            await request(app, "POST", "/v1/files", form, headers={**each, "content-type": kind})
        asked = {"input_file_id": f"file-{len(before)}", "endpoint": CHAT, "completion_window": "24h"}
        return await request(app, "POST", "/v1/batches", asked, headers=who)

    return make


def urls(upstream):
    return [each.endpoint.url.removeprefix("https://api.openai.com/v1") for each in upstream.requests]


@pytest.mark.parametrize(
    ("who", "model", "status"),
    [
        (BO, "gpt-5-mini", 200),
        (ANA, "gpt-5-pro", 200),
        (BO, "gpt-5-pro", 403),
        (ANA, "gpt-6", 403),
        (ANA, "cheap", 403),
    ],
)
async def test_only_models_that_the_caller_may_use(make, who, model, status):
    """They went to the provider as they were, and whoever may use one model of an account could use all of them."""
    answer = await make(lines({"model": "gpt-5-mini"}, {"model": model}), who)

    assert answer.status == status
    assert urls(make.upstream) == ["/files", "/files/file-0/content", *(["/batches"] if status == 200 else [])]
    if status == 403:
        assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (
            "model_not_allowed",
            "input_file_id",
        )
        assert answer.json()["message"].startswith("line 2 of the input file: a has no model that its provider calls")


async def test_who_may_use_all_models_of_an_account_may_name_any(app_with, tmp_path):
    """But not one that is declared for somebody else."""
    manifest = account()
    manifest["integrations"].append(
        {"type": "integration/model/openai", "name": "*", "model_id": "*", "model_types": ["chat"]}
    )
    path = tmp_path / "accounts.yaml"
    path.write_text(json.dumps([manifest]))
    config = app_with(FakeUpstream(BATCH), path, environ={"GATEWAY_TOKENS": TOKENS}).config
    bo = config.callers.of_subject("user:bo@example.com")

    assert [config.allows(bo, "a", model) for model in ("gpt-6", "gpt-5-mini", "gpt-5-pro")] == [True, True, False]
    assert not config.allows(bo, "b", "gpt-6")


async def test_files_that_lines_name_are_the_callers_own(make):
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": [{"file": {"file_id": "file-0"}}]}]}

    theirs = await make(lines(body), BO, ANA)
    own = await make(lines(body), ANA, ANA)

    assert (theirs.status, own.status) == (404, 200)


async def test_responses_that_lines_continue_are_the_callers_own(make):
    answer = await make(lines({"model": "gpt-5-mini", "previous_response_id": "resp_1"}))

    assert (answer.status, urls(make.upstream)[-1]) == (404, "/files/file-0/content")


async def test_a_batch_without_a_file_is_none(app_with, tmp_path):
    """Some providers take lines from elsewhere, where nobody could look at them."""
    path = tmp_path / "accounts.yaml"
    path.write_text(json.dumps([account()]))
    upstream = FakeUpstream(BATCH)
    app = app_with(upstream, path, environ={"GATEWAY_TOKENS": TOKENS})
    asked = {"input_blob": "https://x.example/in.jsonl", "endpoint": CHAT, "completion_window": "24h"}

    answer = await request(app, "POST", "/v1/batches", asked, headers=BO)

    assert (answer.status, answer.json()["error"]["param"], upstream.requests) == (400, "input_file_id", [])


GOOD = b'{"custom_id":"1","url":"/v1/chat/completions","body":{"model":"m"}}'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no json", "this is no request as JSON"),
        (b"[]", "this is no request as JSON"),
        (b'{"body":[]}', "this is no request as JSON"),
        (b'{"body":{"model":"m"},"body":{"model":"x"}}', "two fields of one name"),
        (b'{"body":{"model":"x","model":"m"}}', "two fields of one name"),
        (b'{"body":{"model":"m","mod\\u0065l":"x"}}', "two fields of one name"),
        (b'{"body":{"model":"m","Model":"x"}}', "written in lower case"),
        (b'{"body":{}}', "it names no model"),
        (b'{"body":{"model":7}}', "it names no model"),
        (b'{"body":{"model":"m","conversation":"conv_1"}}', "conversations are not served"),
        (b'{"body":{"model":"m","previous_response_id":7}}', "is no text"),
        (b'{"body":{"model":"m","x":' + b"[" * 100_000, "this is no request as JSON"),
        (b'{"body":{"model":"m","x":"\\u0041","y":' + b"9" * 10_000 + b"}}", "two fields of one name"),
        (b" " * (20 * 1024 * 1024) + b"x", "it has over 20,971,520 bytes"),
    ],
)
def test_lines_that_nobody_can_judge_are_refused(data, says):
    lines = Lines(lambda model: model == "m", account="a")

    with pytest.raises(BadRequest, match=says) as refused:
        lines.look([GOOD, data])

    assert refused.value.message.startswith("line 2 of the input file: ")


def test_text_that_only_looks_like_a_field_is_none():
    lines = Lines(lambda model: model == "m", account="a")
    schema = {"properties": {"model": {"enum": ["x"]}, "body": {}}}

    lines.look([line_of({"model": "m", "text": '"model":"x" \u0041', "schema": schema})])
    with pytest.raises(Forbidden):
        lines.look([line_of({"model": "x"})])


def test_who_needs_no_model_need_not_name_one():
    Lines(lambda model: False, account="a").look([b'{"url":"/v1/moderations","body":{"input":"x"}}'])


def line_of(body):
    return json.dumps({"custom_id": "1", "body": body}).encode()
