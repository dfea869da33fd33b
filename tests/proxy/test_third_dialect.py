"""An API that is nothing like chat: papers, which are sent as forms, and fetched by an id in the path."""

import json
from urllib.parse import quote

import pytest

from gateway.contract import Ask, Endpoint, FormBody, Outcome, Target, UpstreamRequest
from gateway.dialects import CHAT
from gateway.manifests.accounts import KeyAccount
from gateway.testing import FakeUpstream, request
from gateway.wire.form import FormReader, form_of
from gateway.wire.plain import PlainReading


class Papers:
    """The whole dialect. What belongs to a paper is asked of the account that its id begins with."""

    name, model_type = "papers", "ocr"
    routes = (("POST", "/papers"), ("GET", "/papers/{id}"), ("GET", "/papers/{id}/content"))
    accepts, max_body_bytes = FormBody, 1000
    error, stream_error = CHAT.error, CHAT.stream_error

    def parse(self, asked):
        if asked.body is None:
            return Ask(None, account=asked.path_params["id"].partition("-")[0], has_output=False)
        return Ask(asked.body.text("model"), input_tokens=sum(len(part.data) for part in asked.body.parts) // 4)

    def reading(self, call, head):
        return PlainReading()


class FilesAccount(KeyAccount, frozen=True, kw_only=True):
    """One key."""


class Storage:
    """A provider of such an API, which speaks it itself."""

    def __init__(self):
        self.accounts = {"provider-account/storage": FilesAccount}

    def targets(self, account):
        for model in account.integrations:
            types = frozenset(model.model_types)
            yield Target(name=f"{account.name}/{model.name}", model=model.model_id, model_types=types, provider=self)

    def request(self, call, target):
        asked = call.request
        path = asked.route.replace("{id}", quote(asked.path_params.get("id", "")))
        kind, body = form_of(asked.body.parts, "b0undary") if asked.body is not None else ("text/plain", b"")
        query = f"?{asked.query.decode()}" if asked.query else ""
        headers = {"content-type": kind, "x-key": "k-storage-0123456789"}
        return UpstreamRequest(Endpoint(f"https://storage.example{path}{query}", headers, method=asked.method), body)

    def reading(self, call, target, head):
        return None

    refusal = None


MANIFEST = """\
type: provider-account/storage
name: main
auth_data: {type: api-key, api_key: k-storage-0123456789}
integrations:
  - {type: integration/model/storage, name: disk, model_id: disk, model_types: [ocr]}
"""
FORM = (
    b'--x1\r\nContent-Disposition: form-data; name="model"\r\n\r\nmain/disk\r\n'
    b'--x1\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF\r\n--x1-\r\n\r\n--x1--\r\n"
)
MULTIPART = {"content-type": "multipart/form-data; boundary=x1"}


@pytest.fixture
def files_app(app_with, tmp_path):
    def make(upstream):
        path = tmp_path / "storage.yaml"
        path.write_text(MANIFEST)
        return app_with(upstream, path, providers=[Storage()], dialects=[Papers()])

    return make


async def test_a_form_goes_to_the_model_that_it_names(files_app, auth, sink):
    upstream = FakeUpstream((200, [b'{"id":"main-f1"}']))
    app = files_app(upstream)

    answer = await request(app, "POST", "/v1/papers", FORM, headers={**auth, **MULTIPART})
    await app.close()

    sent = upstream.requests[0]
    reader = FormReader("multipart/form-data; boundary=b0undary")
    reader.feed(sent.body)
    model, file = reader.end().parts
    assert (answer.status, answer.json()) == (200, {"id": "main-f1"})
    assert (model.name, model.data, file.content_type, file.data) == (
        "model",
        b"main/disk",
        "application/pdf",
        b"%PDF\r\n--x1-\r\n",
    )
    assert (sent.endpoint.url, sent.endpoint.head[:5]) == ("https://storage.example/papers", b"POST ")
    record = sink.records[0]
    assert (record.request_type, record.resolved_model, record.outcome) == ("papers", "main/disk", Outcome.COMPLETE)


@pytest.mark.parametrize("base", ["", "/v1", "/api/llm/v1"])
async def test_what_is_in_the_path_and_the_query_goes_along(files_app, auth, base):
    upstream = FakeUpstream((200, [b"%PDF"], {"content-type": "application/pdf"}))

    answer = await request(files_app(upstream), "GET", f"{base}/papers/main-f%201/content?as=pdf", headers=auth)

    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/pdf", b"%PDF")
    assert upstream.requests[0].endpoint.url == "https://storage.example/papers/main-f%201/content?as=pdf"
    assert upstream.requests[0].endpoint.head.startswith(b"GET /papers/main-f%201/content?as=pdf HTTP/1.1\r\n")


async def test_an_account_that_is_none_or_not_the_callers(files_app, auth):
    answer = await request(files_app(FakeUpstream((200, [b""]))), "GET", "/v1/papers/other-f1", headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "says"),
    [
        ("DELETE", "/v1/papers/main-f1", {}, b"", 405, "GET"),
        ("PUT", "/v1/papers", {}, b"", 405, "POST"),
        ("POST", "/v1/papers", {}, FORM, 400, "send multipart/form-data"),
        ("POST", "/v1/papers", {"content-type": "multipart/form-data"}, FORM, 400, "boundary"),
        ("POST", "/v1/papers", MULTIPART, FORM[:-6], 400, "cut short"),
        ("POST", "/v1/papers", MULTIPART, b"{}", 400, "not a form"),
        ("POST", "/v1/papers", MULTIPART, FORM + 1000 * b" ", 413, "1,000"),
    ],
)
async def test_what_is_wrong_is_said_in_its_words(files_app, auth, method, path, headers, body, status, says):
    answer = await request(files_app(FakeUpstream((200, [b""]))), method, path, body, headers={**auth, **headers})

    assert answer.status == status
    assert says in json.dumps(dict(answer.headers)) + answer.json()["error"]["message"]
