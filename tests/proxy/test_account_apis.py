"""What belongs to an account: which one is asked, by which names, and what is told when something is wrong."""

import json

import pytest
from structlog.testing import capture_logs

from gateway.contract import FormPart
from gateway.errors import BrokeOff
from gateway.testing import FakeUpstream, request
from gateway.wire.form import form_of

ANA, BO = ({"authorization": f"Bearer gw-{name}-0123456789abcdef"} for name in ("ana", "bo"))
ENVIRON = {
    "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
    "GATEWAY_TOKENS": "user:ana@example.com=gw-ana-0123456789abcdef,user:bo@example.com=gw-bo-0123456789abcdef",
}
TYPE, FORM = form_of([FormPart("purpose", b"batch"), FormPart("file", b"{}", "a.jsonl", "text/plain")], "b")
WITH_FORM = {"content-type": TYPE}
BATCH = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


def account(name, server="openai-compatible", users=("team:everyone",)):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": f"real-{name}",
        "url": f"http://{name}.internal/v1?team=a",
        "model_server": server,
        "model_types": ["chat"],
        "auth_data": {"type": "bearer-auth", "bearer_token": "provider-key"},
    }
    return {
        "type": "provider-account/self-hosted-model",
        "name": name,
        "integrations": [model],
        "collaborators": [{"subject": user, "role_id": "provider-account-access"} for user in users],
    }


def told(**fields):
    """A provider's answer."""
    return 200, [json.dumps(fields).encode()], {"content-type": "application/json"}


def lines(model):
    """The content of the input file of a batch, as a provider gives it."""
    return 200, [json.dumps({"custom_id": "1", "body": {"model": model}}).encode()]


@pytest.fixture
def app(app_with, tmp_path):
    """`app(upstream, *accounts)`"""

    def make(upstream, *accounts):
        path = tmp_path / "accounts.yaml"
        path.write_text(json.dumps([*accounts]))
        return app_with(upstream, path, environ=ENVIRON)

    return make


def at(account):
    return {"x-tfy-provider-name": account}


async def upload(app, who=ANA, **headers):
    return await request(app, "POST", "/v1/files", FORM, headers={**who, **WITH_FORM, **headers})


async def test_one_account_need_not_be_named(app):
    upstream = FakeUpstream(told(id="file-1"))
    gateway = app(upstream, account("a"), account("b", server="vllm-openai"), account("c", users=["user:bo@x.org"]))

    answer = await upload(gateway)

    assert (answer.status, answer.json()) == (200, {"id": "file-1"})
    assert answer.headers["x-tfy-resolved-model"] == "a/files"
    assert upstream.requests[0].endpoint.url == "http://a.internal/v1/files?team=a"
    assert b"authorization: Bearer provider-key\r\n" in upstream.requests[0].endpoint.head


@pytest.mark.parametrize(
    ("accounts", "headers", "says"),
    [
        ([account("a"), account("b")], {}, "say which account is meant, in the header x-tfy-provider-name: a, b"),
        (
            [account("a"), account("b")],
            at("c"),
            "no account named 'c' that has files and that you may use; there is: a",
        ),
        ([account("a"), account("b", users=[])], at("b"), "no account named 'b' that has files"),
        ([account("a", server="vllm-openai")], {}, "none of the accounts that you may use has an API for files"),
        ([account("a", server="vllm-openai")], at("a"), "that you may use; there is: none"),
    ],
)
async def test_which_account_is_meant_has_to_be_clear(app, accounts, headers, says):
    upstream = FakeUpstream(told(id="file-1"))

    answer = await upload(app(upstream, *accounts), **headers)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "account_needed")
    assert says in answer.json()["message"]
    assert upstream.requests == []


async def test_what_is_at_an_account_leads_there(app, until):
    """The second server has counted to the same number: its file has another id here, and its own one there."""
    upstream = FakeUpstream(
        told(id="file-1"),
        told(id="file-1"),
        lines("real-b"),
        told(id="batch-1", input_file_id="file-1", status="in_progress"),
        told(id="batch-1", input_file_id="file-1", status="completed", output_file_id="file-2"),
        lines("no usage"),  # as it has ended
        told(id="file-1", deleted=True),
    )
    gateway = app(upstream, account("a"), account("b"))
    first = (await upload(gateway, **at("a"))).json()["id"]
    second = (await upload(gateway, **at("b"))).json()["id"]

    made = await request(gateway, "POST", "/v1/batches", {"input_file_id": second, **BATCH}, headers=ANA)
    read = await request(gateway, "GET", "/v1/batches/batch-1", headers=ANA)
    await until(lambda: len(upstream.requests) == 6)
    deleted = await request(gateway, "DELETE", f"/v1/files/{second}", headers=ANA)
    gone = await request(gateway, "GET", f"/v1/files/{second}", headers=ANA)

    assert first == "file-1"
    assert second.startswith("file-1-")
    assert made.json() == {"id": "batch-1", "input_file_id": second, "status": "in_progress"}
    assert read.json() == {
        "id": "batch-1",
        "input_file_id": second,
        "status": "completed",
        "output_file_id": "file-2",
    }
    assert (deleted.json(), gone.status) == ({"id": second, "deleted": True}, 404)
    assert [each.endpoint.url for each in upstream.requests] == [
        "http://a.internal/v1/files?team=a",
        "http://b.internal/v1/files?team=a",
        "http://b.internal/v1/files/file-1/content?team=a",
        "http://b.internal/v1/batches?team=a",
        "http://b.internal/v1/batches/batch-1?team=a",
        "http://b.internal/v1/files/file-2/content?team=a",
        "http://b.internal/v1/files/file-1?team=a",
    ]
    assert upstream.asked(3) == {"input_file_id": "file-1", **BATCH}


async def test_files_of_two_accounts_are_not_for_one_job(app):
    upstream = FakeUpstream(told(id="file-1"), told(id="file-2"))
    gateway = app(upstream, account("a"), account("b"))
    await upload(gateway, **at("a"))
    await upload(gateway, **at("b"))

    job = {"model": "m", "training_file": "file-1", "validation_file": "file-2"}
    answer = await request(gateway, "POST", "/v1/fine_tuning/jobs", job, headers=ANA)

    assert answer.status == 400
    assert "these are at different places: 'file-1' at a, 'file-2' at b" in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"input_file_id":"file-1","input_file_id":"file-of-ana"}',
        b'{"input_file_id":"file-of-ana","input_file_id":"file-1"}',
        b'{"Input_File_Id":"file-of-ana","input_file_id":"file-1"}',
        b'{"input_\\u0066ile_id":"file-of-ana","input_file_id":"file-1"}',
    ],
)
async def test_nobody_gets_at_the_file_of_another_by_writing_a_field_twice(app, body):
    upstream = FakeUpstream(told(id="file-of-ana"), told(id="file-1"), lines("real-a"), told(id="batch-1"))
    gateway = app(upstream, account("a"))
    await upload(gateway)
    await upload(gateway, BO)

    answer = await request(gateway, "POST", "/v1/batches", body, headers={**BO, "content-type": "application/json"})

    assert answer.status in (200, 400, 404)
    assert all(b"file-of-ana" not in each.body for each in upstream.requests[2:])


async def test_nobody_gets_at_the_file_of_another_by_what_a_server_repeats(app):
    """Bo sends `output_file_id` himself, and the server gives back all that it got."""
    repeated = {"id": "batch-1", "input_file_id": "file-1", "output_file_id": "file-of-ana", "status": "completed"}
    upstream = FakeUpstream(told(id="file-of-ana"), told(id="file-1"), lines("real-a"), told(**repeated))
    gateway = app(upstream, account("a"))
    await upload(gateway)
    await upload(gateway, BO)

    asked = {"input_file_id": "file-1", "output_file_id": "file-of-ana", **BATCH}
    made = await request(gateway, "POST", "/v1/batches", asked, headers=BO)
    got = await request(gateway, "GET", f"/v1/files/{made.json()['output_file_id']}/content", headers=BO)

    output = await request(gateway, "GET", "/v1/batches/batch-1/output", headers=BO)

    assert (made.status, got.status, output.status) == (200, 404, 404)
    assert len((await request(gateway, "GET", "/v1/files", headers=BO)).json()["data"]) == 1
    assert not [each for each in upstream.requests if "file-of-ana" in each.endpoint.url]  # nor does Bo pay for it


async def test_the_account_of_a_model_is_meant_and_only_models_that_the_caller_may_use(app):
    upstream = FakeUpstream(told(id="ftjob-1"))
    gateway = app(upstream, account("a"), account("b"))
    job = {"training_file": None, "method": {"type": "supervised"}}

    made = await request(gateway, "POST", "/v1/fine_tuning/jobs", {"model": "b/m", **job}, headers=ANA)
    unknown = await request(gateway, "POST", "/v1/fine_tuning/jobs", {"model": "b/x", **job}, headers=ANA)

    assert (made.status, made.headers["x-tfy-resolved-model"]) == (200, "b/fine_tuning")
    assert upstream.asked(0) == {"model": "real-b", **job}
    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_an_admin_sees_what_others_have_made(app, auth):
    gateway = app(FakeUpstream(told(id="file-1", filename="a")), account("a"))
    await upload(gateway)

    listed = await request(gateway, "GET", "/v1/files", headers=auth)

    assert listed.json() == {
        "object": "list",
        "data": [{"id": "file-1", "filename": "a"}],
        "first_id": "file-1",
        "last_id": "file-1",
        "has_more": False,
    }
    assert (await request(gateway, "GET", "/v1/files", headers=BO)).json()["data"] == []


async def test_what_is_gone_at_the_provider_is_forgotten(app):
    upstream = FakeUpstream(told(id="file-1"), (404, [b'{"error":{"message":"no such file"}}']))
    gateway = app(upstream, account("a"))
    await upload(gateway)

    answers = [await request(gateway, "GET", "/v1/files/file-1", headers=ANA) for _ in range(2)]

    assert [answer.status for answer in answers] == [404, 404]
    assert len(upstream.requests) == 2


async def test_a_list_shows_what_was_last_known_while_the_provider_is_away(app):
    begun = told(id="batch-1", status="in_progress")
    gateway = app(FakeUpstream(told(id="file-1"), lines("real-a"), begun, BrokeOff("cut")), account("a"))
    await upload(gateway)
    await request(gateway, "POST", "/v1/batches", {"input_file_id": "file-1", **BATCH}, headers=ANA)

    listed = await request(gateway, "GET", "/v1/batches", headers=ANA)

    assert listed.json()["data"] == [{"id": "batch-1", "status": "in_progress", "input_file_id": "file-1"}]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, [b"no json"]), "did not answer with an object"),
        ((200, [b"[1]"]), "did not answer with an object"),
        ((200, [b'{"object":"file"}']), "has no id"),
        ((200, [b'{"id":7}']), "has no id"),
        ((200, [b'{"id":"\xff"}']), "has no id"),
        ((200, [b'{"id":"a\\nb"}']), "is no ASCII text"),
        ((200, [json.dumps({"id": "x" * 201}).encode()]), "is no ASCII text"),
        ((200, [b'{"id":"1"', b" " * 70_000, b"}"]), "larger than"),
        ((200, [b'data: {"id":"1"}\n\n']), "did not answer with an object"),
        ((200, [b'{"id":']), "did not answer with an object"),
        ((200, [b'{"id":"1"', BrokeOff("cut")]), "cut"),
    ],
)
async def test_what_is_no_answer_is_not_believed(app, reply, says):
    """And a clear 502, whatever it is."""
    answer = await upload(app(FakeUpstream(reply), account("a")))

    assert answer.status == 502
    assert says in answer.json()["message"]


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "order=up", "limit=%00"])
async def test_a_list_that_nobody_can_make(app, query):
    answer = await request(app(FakeUpstream(told(id="1")), account("a")), "GET", f"/v1/files?{query}", headers=ANA)

    assert answer.status == 400


@pytest.mark.parametrize("id_", ["..", "%2e%2e", "a%2Fb", "a%00b", "x" * 3000, "%F0%9F%98%80"])
async def test_ids_lead_nowhere_else(app, id_):
    upstream = FakeUpstream(told(id="1"))

    answer = await request(app(upstream, account("a")), "GET", f"/v1/files/{id_}", headers=ANA)

    assert answer.status in (400, 404)
    assert upstream.requests == []


@pytest.mark.parametrize(("id_", "asked"), [("a/b?c=1#d", "/a%2Fb%3Fc%3D1%23d"), ("a/../../b", None)])
async def test_a_provider_cannot_lead_elsewhere_by_an_id(app, id_, asked):
    upstream = FakeUpstream(told(id="file-1"), lines("real-a"), told(id=id_, status="in_progress"))
    gateway = app(upstream, account("a"))
    await upload(gateway)
    await request(gateway, "POST", "/v1/batches", {"input_file_id": "file-1", **BATCH}, headers=ANA)

    listed = await request(gateway, "GET", "/v1/batches", headers=ANA)

    assert listed.json()["data"] == [{"id": id_, "status": "in_progress", "input_file_id": "file-1"}]
    urls = [each.endpoint.url for each in upstream.requests[3:]]
    assert urls == ([] if asked is None else [f"http://a.internal/v1/batches{asked}?team=a"])


async def test_the_query_goes_along_without_keys(app):
    upstream = FakeUpstream(told(id="ftjob-1"), told(object="list", data=[]))
    gateway = app(upstream, account("a"))
    await request(gateway, "POST", "/v1/fine_tuning/jobs", {"model": "m"}, headers=ANA)

    path = "/v1/fine_tuning/jobs/ftjob-1/events?limit=5&after=ev%201&key=secret"
    answer = await request(gateway, "GET", path, headers=ANA)

    assert (answer.status, answer.json()) == (200, {"object": "list", "data": []})
    assert upstream.requests[1].endpoint.url == (
        "http://a.internal/v1/fine_tuning/jobs/ftjob-1/events?limit=5&after=ev%201&team=a"
    )


async def test_the_version_that_azures_clients_ask_for_stays_back(app):
    """AzureOpenAI puts it into every query. An account at Azure has its own: there it was sent twice."""
    upstream = FakeUpstream(told(id="ftjob-1"))
    path = "/openai/fine_tuning/jobs?api-version=2024-10-21"

    answer = await request(app(upstream, account("a")), "POST", path, {"model": "m"}, headers=ANA)

    assert answer.status == 200
    assert upstream.requests[0].endpoint.url == "http://a.internal/v1/fine_tuning/jobs?team=a"


async def test_when_the_account_is_gone_it_says_so(app, tmp_path):
    gateway = app(FakeUpstream(told(id="file-1")), account("a"), account("b"))
    await upload(gateway, **at("a"))
    (tmp_path / "accounts.yaml").write_text(json.dumps([account("b")]))
    await gateway.config.reload()

    answer = await request(gateway, "GET", "/v1/files/file-1", headers=ANA)

    assert (answer.status, answer.json()["error"]["code"]) == (404, "account_not_found")
    assert "file 'file-1' is at the account a, which you may not use any more" in answer.json()["message"]


async def test_an_answer_that_cannot_be_written_down_is_none(app_with, tmp_path, until):
    """Its id would be of no use, and the operator has to know of what is left at the provider."""
    path = tmp_path / "accounts.yaml"
    path.write_text(json.dumps([account("a")]))
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    environ = {**ENVIRON, "GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}
    gateway = app_with(FakeUpstream(told(id="file-1")), path, environ=environ)
    assert (await upload(gateway)).status == 200
    (tmp_path / "gateway.db").rename(tmp_path / "gone.db")

    with capture_logs() as logs:
        answer = await upload(gateway)

    assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "the file 'file-1' is there, but the gateway could not write down whose it is" in answer.json()["message"]
    assert [line for line in logs if line["event"] == "object not remembered"] == [
        {"event": "object not remembered", "log_level": "error", "kind": "file", "id": "file-1", "account": "a"}
    ]
    (tmp_path / "gone.db").rename(tmp_path / "gateway.db")


async def test_limits_count_them_under_a_name_of_their_own(app):
    rule = {
        "id": "few",
        "when": {"models": ["a/files"]},
        "limit_to": 1,
        "unit": "requests_per_minute",
        "rate_limit_applies_per": ["user"],
    }
    limits = {"type": "gateway-rate-limiting-config", "name": "l", "rules": [rule]}
    gateway = app(FakeUpstream(told(id="file-1")), account("a"), limits)

    answers = [await upload(gateway), await upload(gateway), await upload(gateway, BO)]

    assert [answer.status for answer in answers] == [200, 429, 200]


NAMED = [
    (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]}]},
    ),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f1"}]}]}),
]


@pytest.mark.parametrize(("path", "body"), NAMED)
async def test_a_file_is_named_in_a_call_only_by_its_owner(app, path, body):
    """Providers see one key for all callers, and gave everybody what he could guess or had seen the id of."""
    upstream = FakeUpstream(told(id="f1", object="file"), told(choices=[]), told(choices=[]))
    gateway = app(upstream, account("a"))
    await upload(gateway)

    refused = await request(gateway, "POST", path, {"model": "a/m", **body}, headers=BO)
    sent_by_then = len(upstream.requests)
    await request(gateway, "POST", path, {"model": "a/m", **body}, headers=ANA)

    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (404, "object_not_found")
    assert sent_by_then == 1
    assert len(upstream.requests) == 2 if "chat" in path else 1


async def test_a_file_that_nobody_has_made_here_is_the_operators(app):
    upstream = FakeUpstream(told(choices=[]))

    answer = await request(
        app(upstream, account("a")), "POST", NAMED[0][0], {"model": "a/m", **NAMED[0][1]}, headers=BO
    )

    assert (answer.status, len(upstream.requests)) == (200, 1)


# --- models that came of a job ---------------------------------------------------------------------------------------


TUNED = "ft:gpt-4o-mini:acme::abc"
JOB = {"id": "ftjob-1", "status": "succeeded", "fine_tuned_model": TUNED}


@pytest.mark.parametrize("name", [TUNED, f"a/{TUNED}"])
async def test_a_model_is_deleted_by_whose_job_made_it(app, name):
    upstream = FakeUpstream(told(**JOB), told(id=TUNED, object="model", deleted=True))
    gateway = app(upstream, account("a"), account("b"))
    await request(gateway, "POST", "/v1/fine_tuning/jobs", {"model": "a/m"}, headers={**ANA, **at("a")})

    theirs = await request(gateway, "DELETE", f"/v1/models/{name}", headers=BO)
    hers = await request(gateway, "DELETE", f"/v1/models/{name}", headers=ANA)
    again = await request(gateway, "DELETE", f"/models/{name}", headers=ANA)

    assert (theirs.status, again.status) == (404, 404)
    assert (hers.status, hers.json()) == (200, {"id": TUNED, "object": "model", "deleted": True})
    assert upstream.requests[1].endpoint.head.startswith(
        b"DELETE /v1/models/ft%3Agpt-4o-mini%3Aacme%3A%3Aabc?team=a HTTP/1.1\r\nhost: a.internal\r\n"
    )


async def test_no_other_model_is_deleted(app):
    """Least of all one that is in a manifest."""
    upstream = FakeUpstream(told(id="m", deleted=True))
    gateway = app(upstream, account("a"))

    answers = [
        await request(gateway, "DELETE", f"/v1/models/{name}", headers=ANA)
        for name in ("m", "a/m", "gpt-4o", "a/", "..")
    ]

    assert ([answer.status for answer in answers], upstream.requests) == ([404] * 5, [])


async def test_lists_of_models_are_where_they_were(app):
    gateway = app(FakeUpstream(told()), account("a"))

    answers = [await request(gateway, "GET", f"/v1/models{name}", headers=ANA) for name in ("", "/a/m")]

    assert [answer.status for answer in answers] == [200, 200]
    assert (await request(gateway, "PUT", "/v1/models/a/m", headers=ANA)).status == 405
