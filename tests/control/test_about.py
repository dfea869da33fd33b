"""What the gateway says of itself."""

import json
import re

import jsonschema
import pytest

from gateway._version import __version__
from gateway.control.routes import BASE, ROUTES
from gateway.testing import FakeUpstream, get, request

REPLY = (200, [b'{"choices":[]}'])


@pytest.fixture
def with_database(tmp_path, token):
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    return {"GATEWAY_ADMIN_TOKEN": token, "GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}


async def document(app):
    answer = await get(app, "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


async def test_the_root_says_where_things_are(app_with, sink):
    """`{"status": "ok"}` told nobody what it was; probes that look for that still find it, and fill no log."""
    app = app_with(FakeUpstream(REPLY))

    answer = await get(app, "/")
    found = answer.json()

    assert (answer.status, found["status"], found["version"]) == (200, "ok", __version__)
    assert found["links"] == {
        "chat": "/v1/chat/completions",
        "models": "/v1/models",
        "health": "/healthz",
        "api": "/openapi.json",
    }
    assert [(await get(app, path)).status for path in found["links"].values()] == [401, 401, 200, 200]
    assert "/" not in [record.path for record in sink.records]


async def test_links_are_below_the_mount(app_with, call):
    sent = await call(app_with(FakeUpstream(REPLY)), method="GET", path="/llm/", root_path="/llm")

    assert b'"models":"/llm/v1/models"' in sent[1]["body"]


async def test_what_is_not_there_is_told_where_things_are(app_with):
    answer = await get(app_with(FakeUpstream(REPLY)), "/v1/no/such")

    assert answer.status == 404
    assert answer.json()["message"] == (
        "nothing is at /v1/no/such; chat is at /v1/chat/completions, models are at /v1/models, and all else is in "
        "/openapi.json"
    )


async def test_without_a_database_there_is_no_control_api(app_with):
    """It would answer 404."""
    assert list((await document(app_with(FakeUpstream(REPLY))))["paths"]) == [
        "/v1/chat/completions",
        "/openai/deployments/{deployment}/chat/completions",
        "/v1/completions",
        "/openai/deployments/{deployment}/completions",
        "/v1/embeddings",
        "/openai/deployments/{deployment}/embeddings",
        "/v1/images/generations",
        "/openai/deployments/{deployment}/images/generations",
        "/v1/images/edits",
        "/openai/deployments/{deployment}/images/edits",
        "/v1/images/variations",
        "/v1/audio/transcriptions",
        "/openai/deployments/{deployment}/audio/transcriptions",
        "/v1/audio/translations",
        "/openai/deployments/{deployment}/audio/translations",
        "/v1/audio/speech",
        "/openai/deployments/{deployment}/audio/speech",
        "/v1/rerank",
        "/v2/rerank",
        "/v1/moderations",
        "/v1/ocr",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/{version}/models/{model}:generateContent",
        "/{version}/models/{model}:streamGenerateContent",
        "/{version}/models/{model}:countTokens",
        "/{version}/models/{model}:embedContent",
        "/{version}/models/{model}:batchEmbedContents",
        "/v1/responses",
        "/v1/responses/input_tokens",
        "/v1/responses/compact",
        "/v1/responses/{id}",
        "/v1/responses/{id}/cancel",
        "/v1/responses/{id}/input_items",
        "/v1/chat/completions/{id}",
        "/v1/chat/completions/{id}/messages",
        "/v1/realtime/client_secrets",
        "/v1/realtime/sessions",
        "/v1/realtime/transcription_sessions",
        "/v1/realtime/calls",
        "/v1/realtime/calls/{id}/accept",
        "/v1/files",
        "/v1/files/{id}",
        "/v1/files/{id}/content",
        "/v1/uploads",
        "/v1/uploads/{id}/complete",
        "/v1/uploads/{id}/parts",
        "/v1/uploads/{id}/cancel",
        "/v1/batches",
        "/openai/deployments/{deployment}/batches",
        "/v1/batches/{id}",
        "/v1/batches/{id}/output",
        "/v1/batches/{id}/cancel",
        "/v1/realtime/calls/{id}/reject",
        "/v1/realtime/calls/{id}/refer",
        "/v1/realtime/calls/{id}/hangup",
        "/v1/fine_tuning/jobs",
        "/v1/fine_tuning/jobs/{id}",
        "/v1/fine_tuning/jobs/{id}/events",
        "/v1/fine_tuning/jobs/{id}/checkpoints",
        "/v1/fine_tuning/jobs/{id}/cancel",
        "/v1/fine_tuning/jobs/{id}/pause",
        "/v1/fine_tuning/jobs/{id}/resume",
        "/v1/models/{id}",
        "/v1/models",
        "/v1/realtime",
        "/gemini/{account}/proxy/{rest}",
        "/anthropic/{account}/proxy/{rest}",
        "/bedrock/proxy/{rest}",
        "/sagemaker/proxy/{rest}",
        "/tts/{account}/{rest}",
        "/stt/{account}/{rest}",
        "/openai/{account}/proxy/{rest}",
        "/proxy-api/{account}/{endpoint}",
        "/proxy-api/{account}/{endpoint}/{rest}",
        "/healthz",
        "/readyz",
        "/metrics",
    ]


async def test_all_routes_are_in_the_document(app_with, with_database):
    found = await document(app_with(FakeUpstream(REPLY), environ=with_database))

    listed = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert {(route.method, BASE + route.path) for route in ROUTES} <= listed
    assert found["paths"]["/api/svc/v1/users/{email}"]["delete"]["description"] == "Needs user:ManageUsers on tenant."
    for path, methods in found["paths"].items():
        for operation in methods.values():
            assert [part["name"] for part in operation.get("parameters", [])] == re.findall(r"\{(\w+)\}", path)


async def test_what_is_in_the_document_is_there(app_with, with_database):
    """No method of it is answered with 405, and none needs less than it says."""
    app = app_with(FakeUpstream(REPLY), environ=with_database)
    paths = (await document(app))["paths"]

    for path, methods in paths.items():
        for method, operation in methods.items():
            answer = await request(app, method.upper(), path.replace("{", "").replace("}", ""))
            assert (path, method, answer.status) == (path, method, 401 if operation["security"] else 200)


async def test_answers_have_the_structs_they_are_written_from(app_with, with_database):
    found = await document(app_with(FakeUpstream(REPLY), environ=with_database))

    def answer(path, method, status="200"):
        return found["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]

    assert answer("/v1/models", "get") == {"$ref": "#/components/schemas/ModelList"}
    assert answer("/v1/chat/completions", "post", "default") == {"$ref": "#/components/schemas/ErrorBody"}
    assert answer("/api/svc/v1/personal-access-tokens", "post") == {"$ref": "#/components/schemas/NewToken"}
    assert "101" in found["paths"]["/v1/realtime"]["get"]["responses"]


async def test_each_schema_is_one(app_with, with_database):
    found = await document(app_with(FakeUpstream(REPLY), environ=with_database))

    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("with_token", [True, False])
async def test_errors_are_as_the_document_says(app_with, with_database, auth, with_token):
    """Those of Anthropic's, Google's and AWS's APIs were said to be OpenAI's."""
    app = app_with(FakeUpstream(REPLY), environ=with_database)
    found = await document(app)

    refused = set()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if with_token and path.endswith("/requests/stream"):
                continue  # it has no end
            headers = auth if with_token else {}
            answer = await request(app, method.upper(), path.replace("{", "").replace("}", ""), b"[]", headers=headers)
            if answer.status >= 400:
                told = operation["responses"].get(str(answer.status)) or operation["responses"]["default"]
                schema = told["content"]["application/json"]["schema"]
                jsonschema.Draft202012Validator({**schema, "components": found["components"]}).validate(answer.json())
                refused.add(schema.get("anyOf", [schema])[0]["$ref"].rpartition("/")[2])
    assert refused == {"ErrorBody", "AnthropicError", "GoogleError", "AwsError", "SpeechError"}


@pytest.mark.parametrize("path", ["/v1/messages", "/bedrock/proxy/{rest}", "/tts/{account}/{rest}"])
async def test_what_is_refused_before_the_api_is_known_is_in_the_document(app_with, call, path):
    """At `/bedrock/proxy/%00`, the error was not AWS's."""
    app = app_with(FakeUpstream(REPLY))
    found = await document(app)

    sent = await call(app, method="POST", path=f"{path}\x00")

    schema = found["paths"][path]["post"]["responses"]["default"]["content"]["application/json"]["schema"]
    error = json.loads(sent[1]["body"])
    assert (sent[0]["status"], error["message"]) == (400, "the path holds a control character")
    jsonschema.Draft202012Validator({**schema, "components": found["components"]}).validate(error)


async def test_each_reference_leads_somewhere(app_with, with_database):
    found = await document(app_with(FakeUpstream(REPLY), environ=with_database))

    used = set(re.findall(r"#/components/schemas/(\w+)", str(found)))
    assert used
    assert used <= set(found["components"]["schemas"])
