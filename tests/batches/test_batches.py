"""Batches that the gateway runs itself, through its own pipeline."""

import asyncio
import json

import pytest

from gateway.contract import FormPart
from gateway.testing import FakeUpstream, request
from gateway.wire.form import form_of

ANA, BO = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo"))
CHAT = "/v1/chat/completions"
ANSWER = (
    200,
    [
        b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
    ],
)


def account(users=("user:ana@example.com",), **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": "real-m",
        "url": "http://main.internal/v1",
        "model_server": "vllm-openai",
        "model_types": ["chat"],
        "cost": {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.002}},
        **fields,
    }
    grants = [{"subject": user, "role_id": "provider-account-access"} for user in users]
    return {
        "type": "provider-account/self-hosted-model", "name": "main", "integrations": [model], "collaborators": grants,
    }  # fmt: skip


def lines(*bodies):
    return b"".join(
        json.dumps({"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body}).encode() + b"\n"
        for number, body in enumerate(bodies, 1)
    )


def ask(model="m"):
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]}


class Client:
    """One caller of a gateway."""

    def __init__(self, app, who):
        self.app = app
        self.who = who

    async def get(self, path):
        return await request(self.app, "GET", path, headers=self.who)

    async def post(self, path, body=b""):
        return await request(self.app, "POST", path, body, headers=self.who)

    async def upload(self, data, purpose=b"batch"):
        kind, form = form_of([FormPart("purpose", purpose), FormPart("file", data, "in.jsonl", "text/plain")], "b")
        return await request(self.app, "POST", "/v1/files", form, headers={**self.who, "content-type": kind})

    async def batch(self, data, **fields):
        file = (await self.upload(data)).json()["id"]
        asked = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h", **fields}
        return (await self.post("/v1/batches", asked)).json()

    async def status(self, batch, *statuses):
        """The batch, once it has one of these."""
        async with asyncio.timeout(20):
            while (told := (await self.get(f"/v1/batches/{batch['id']}")).json())["status"] not in statuses:
                await asyncio.sleep(0.005)
        return told

    async def content(self, id_):
        return [json.loads(line) for line in (await self.get(f"/v1/files/{id_}/content")).body.splitlines()]


@pytest.fixture
def start(app_with, tmp_path):
    """`await start(upstream, *manifests)`: Ana's client of a gateway that runs."""

    async def start(upstream, *manifests, **environ):
        path = tmp_path / "batches.yaml"
        path.write_text(json.dumps([*manifests]))
        tokens = "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef"
        environ = {"GATEWAY_TOKENS": tokens, "GATEWAY_FILES_DIR": str(tmp_path / "kept"), **environ}
        environ["GATEWAY_ADMIN_TOKEN"] = "gw-admin-0123456789abcdef"
        app = app_with(upstream, path, environ=environ)
        await app.open()
        return Client(app, ANA)

    return start


async def test_a_batch_from_its_file_to_its_output(start, sink):
    upstream = FakeUpstream(ANSWER)
    client = await start(upstream, account())

    made = await client.batch(lines(ask("main/m"), ask("real-m"), ask()), metadata={"a": "b"})
    done = await client.status(made, "completed")

    assert (made["status"], made["metadata"]) == ("validating", {"a": "b"})
    assert done["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert done["error_file_id"] is None
    output = await client.content(done["output_file_id"])
    assert sorted((line["custom_id"], line["response"]["status_code"], line["error"]) for line in output) == [
        ("r1", 200, None),
        ("r2", 200, None),
        ("r3", 200, None),
    ]
    assert {line["response"]["body"]["choices"][0]["message"]["content"] for line in output} == {"hi"}
    assert [upstream.asked(number)["model"] for number in range(3)] == 3 * ["real-m"]
    await client.app.close()
    records = [record for record in sink.records if record.request_type == "chat"]
    assert [(each.subject, each.model, each.cost_nanousd) for each in records] == 3 * [
        ("user:ana@example.com", "main/m", 13_000)
    ]
    assert {line["response"]["request_id"] for line in output} == {record.request_id for record in records}


async def test_what_is_refused_is_in_the_error_file(start):
    upstream = FakeUpstream(ANSWER)
    client = await start(upstream, account())

    made = await client.batch(lines(ask(), ask("no-such"), {"model": 7}))
    done = await client.status(made, "completed")

    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    errors = await client.content(done["error_file_id"])
    assert sorted((each["custom_id"], each["response"]["status_code"]) for each in errors) == [("r2", 404), ("r3", 400)]
    assert errors[0]["response"]["body"]["error"]["message"]


async def test_others_see_nothing_of_it(start):
    client = await start(FakeUpstream(ANSWER), account(users=["team:everyone"]))
    made = await client.batch(lines(ask()))
    done = await client.status(made, "completed")
    bo = Client(client.app, BO)

    for path in (f"batches/{made['id']}", f"files/{made['input_file_id']}", f"files/{done['output_file_id']}/content"):
        assert (await bo.get(f"/v1/{path}")).status == 404
    assert [(await bo.get(path)).json()["data"] for path in ("/v1/files", "/v1/batches")] == [[], []]
    assert [each["id"] for each in (await client.get("/v1/batches")).json()["data"]] == [made["id"]]
    assert len((await client.get("/v1/files")).json()["data"]) == 2


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [(b"no json\n", "invalid_json_line", 1), (b"", "empty_file", None), (lines(ask()) * 2, "duplicate_custom_id", 2)],
)
async def test_a_bad_file_fails_the_batch_before_anything_is_asked(start, data, code, line):
    upstream = FakeUpstream(ANSWER)
    client = await start(upstream, account())

    told = await client.status(await client.batch(data), "failed")

    assert [(each["code"], each["line"]) for each in told["errors"]["data"]] == [(code, line)]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"endpoint": "/v1/audio/speech"}, "the endpoint of a batch is one of /v1/chat/completions"),
        ({"completion_window": "1h"}, "the completion window has to be 24h"),
        ({"metadata": {"a": 1}}, "the batch is not valid"),
        ({"metadata": {str(number): "" for number in range(17)}}, "at most 16 pairs"),
        ({"metadata": {"a": 513 * "x"}}, "a value 512"),
        ({"metadata": {65 * "x": ""}}, "at most 64 characters"),
        ({"endpoint": None}, "the batch is not valid"),
    ],
)
async def test_a_batch_that_cannot_be(start, fields, says):
    client = await start(FakeUpstream(ANSWER), account())

    answer = await client.batch(lines(ask()), **fields)

    assert says in answer["message"]
    assert answer["statusCode"] == 400


async def test_files_are_for_batches_and_have_an_end(start):
    client = await start(FakeUpstream(ANSWER), account(), GATEWAY_FILES_DISK="1000")

    other, large = await client.upload(b"x", b"fine-tune"), await client.upload(bytes(1001))

    assert (other.status, other.json()["error"]["param"]) == (400, "purpose")
    assert (large.status, large.json()["error"]["code"]) == (503, "files_disk_full")
    assert (await client.get("/v1/files")).json()["data"] == []


async def test_a_provider_that_is_busy_is_asked_again(start):
    """As nothing was answered, nothing is answered twice."""
    upstream = FakeUpstream((429, [b'{"error":{"message":"slow down"}}'], {"retry-after": "0"}), ANSWER)
    client = await start(upstream, account())

    done = await client.status(await client.batch(lines(ask())), "completed")

    assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert len(upstream.requests) == 2


async def test_a_budget_that_is_used_up_ends_each_line(start):
    budget = {
        "type": "tenant-budget-config",
        "name": "money",
        "limits": {"cost_per_month": 0.00000001},
        "applies_to": {"type": "aggregate"},
        "mode": "enforce",
    }
    upstream = FakeUpstream(ANSWER)
    client = await start(upstream, account(), budget)

    done = await client.status(await client.batch(lines(ask())), "completed")

    (error,) = await client.content(done["error_file_id"])
    assert error["response"]["status_code"] == 429
    assert upstream.requests == []


async def test_cancelling_keeps_what_is_there(start, until):
    gate = asyncio.Event()
    upstream = FakeUpstream((200, [gate, *ANSWER[1]], {"content-type": "application/json"}))
    client = await start(upstream, account())
    made = await client.batch(lines(*[ask()] * 30))
    await until(lambda: len(upstream.requests) == 8)

    told = (await client.post(f"/v1/batches/{made['id']}/cancel")).json()
    gate.set()
    over = await client.status(made, "cancelled")

    assert (told["status"], over["request_counts"]) == ("cancelling", {"total": 30, "completed": 8, "failed": 0})
    assert len(await client.content(over["output_file_id"])) == 8
    assert len(upstream.requests) == 8


async def test_who_may_not_any_more_asks_nobody(start, tmp_path, until):
    """The grant is taken away while the batch is under way."""
    gate = asyncio.Event()
    upstream = FakeUpstream((200, [gate, *ANSWER[1]], {"content-type": "application/json"}))
    client = await start(upstream, account())
    made = await client.batch(lines(*[ask()] * 10))
    await until(lambda: len(upstream.requests) == 8)
    (tmp_path / "batches.yaml").write_text(json.dumps([account(users=["user:bo@example.com"])]))
    await client.app.config.reload()
    gate.set()

    admin = {"authorization": "Bearer gw-admin-0123456789abcdef"}
    done = await Client(client.app, admin).status(made, "completed")

    assert done["request_counts"] == {"total": 10, "completed": 8, "failed": 2}
    assert len(upstream.requests) == 8


async def test_an_account_is_for_those_who_may_use_it(start):
    """And of two, one has to be named; one that has batches of its own is meant without that."""
    other = {**account(users=["team:everyone"]), "name": "other"}
    native = {**account(users=["team:everyone"], model_server="openai-compatible"), "name": "native"}
    client = await start(FakeUpstream(ANSWER), account(), other)
    bo = Client(client.app, BO)

    unclear, mine = await client.upload(lines(ask())), await bo.upload(lines(ask()))
    named = Client(client.app, {**ANA, "x-tfy-provider-name": "main"})
    done = await named.status(await named.batch(lines(ask())), "completed")

    assert (unclear.status, mine.status) == (400, 200)
    assert unclear.json()["message"].endswith("in the header x-tfy-provider-name: main, other")
    assert done["request_counts"]["completed"] == 1
    upstream = FakeUpstream((200, [b'{"id":"file-1"}']))
    assert (await (await start(upstream, other, native)).upload(b"x")).json() == {"id": "file-1"}


async def test_an_empty_file_is_empty(start):
    client = await start(FakeUpstream(ANSWER), account())

    id_ = (await client.upload(b"")).json()["id"]
    content = await client.get(f"/v1/files/{id_}/content")
    deleted = await request(client.app, "DELETE", f"/v1/files/{id_}", headers=ANA)

    assert (content.status, content.body) == (200, b"")
    assert deleted.json() == {"id": id_, "object": "file", "deleted": True}
    assert (await client.get(f"/v1/files/{id_}")).status == 404


async def test_without_a_directory_there_are_none(app_with, tmp_path):
    path = tmp_path / "batches.yaml"
    path.write_text(json.dumps([account(users=["team:everyone"])]))
    tokens = "user:ana@example.com=gw-ana-0123456789abcdef"
    client = Client(app_with(FakeUpstream(ANSWER), path, environ={"GATEWAY_TOKENS": tokens}), ANA)

    answer = await client.upload(b"x")

    assert (answer.status, answer.json()["error"]["code"]) == (400, "account_needed")


async def test_lines_of_responses_continue_only_what_is_the_callers(start):
    """They go the way of all responses: a provider is never asked for what somebody else may have there."""
    upstream = FakeUpstream(ANSWER)
    client = await start(upstream, account())
    bodies = [{"model": "main/m", "input": "hi"}, {"model": "main/m", "input": "hi", "previous_response_id": "resp_1"}]
    data = lines(*bodies).replace(CHAT.encode(), b"/v1/responses")

    done = await client.status(await client.batch(data, endpoint="/v1/responses"), "completed")

    [made] = await client.content(done["output_file_id"])
    [refused] = await client.content(done["error_file_id"])
    assert made["response"]["body"]["output"][0]["content"][0]["text"] == "hi"
    assert refused["response"]["body"]["error"]["code"] == "previous_response_not_found"
    assert len(upstream.requests) == 1
