"""Accounts of Google: where their models are called, in whose API, and what their refusals say."""

import msgspec
import pytest
from gateway_google.accounts import GeminiAccount, VertexAccount
from gateway_google.addresses import gemini, vertex
from gateway_google.provider import Google

from gateway.contract import Head, JsonBody
from gateway.errors import BadRequest, ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.manifests.secret_fields import change_secrets
from gateway.translators.reading import DocumentReading

VERTEX = """\
type: provider-account/google-vertex
name: vertex
project_id: acme-ai
region: europe-west4
integrations:
"""
GEMINI = """\
type: provider-account/google-gemini
name: gemini
auth_data: {type: api-key, apiKey: canary-0123456789}
integrations:
"""
AT = "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/acme-ai/locations/europe-west4"


class NoTokens:
    """A `Signer` that needs none."""

    def __init__(self, url, auth):
        self.url = url

    async def sign(self, request, network):
        return request


class ToMessages:
    """What a plugin for Anthropic's API brings along."""

    dialect, format = "chat", "anthropic-vertex"

    def request(self, call, model):
        fields = {"anthropic_version": "vertex-2023-10-16", "messages": [], "stream": call.ask.stream}
        return JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}, b"", ("n",))

    def reading(self, call, head):
        return DocumentReading()


def accounts(text, struct):
    (manifest,) = loads(text, "a.yaml")
    return read(manifest, struct, Secrets({}))[0]


@pytest.fixture
def target():
    """`target("gemini-2.5-pro")`: a model on Vertex AI, or of another account."""

    def make(model_id, text=VERTEX, struct=VertexAccount, installed=None, **fields):
        installed = installed or {}
        provider = Google(translators=lambda *pair: installed.get(pair), tokens=NoTokens)
        more = "".join(f", {name}: {value}" for name, value in fields.items())
        kind = "gemini" if struct is GeminiAccount else "vertex"
        text += f'  - {{type: integration/model/{kind}, name: m, model_id: "{model_id}", model_types: [chat]{more}}}\n'
        (found,) = provider.targets(accounts(text, struct))
        return found

    return make


def asked(target, call):
    request = target.provider.request(call, target)
    return request.endpoint.url, msgspec.json.decode(request.body)


@pytest.mark.parametrize(("stream", "method"), [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")])
def test_the_gemini_api(target, chat, stream, method):
    """The key is a header: as a query it stood in logs and tracebacks (LL#6963, #8075, #15799)."""
    found = target("gemini-2.5-flash", GEMINI, GeminiAccount)

    url, body = asked(found, chat(stream=stream))

    assert url == f"https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:{method}"
    assert body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert b"x-goog-api-key: canary-0123456789\r\n" in found.settings.endpoints["generate"].head
    assert (found.name, found.model, found.signer) == ("gemini/m", "gemini-2.5-flash", None)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
    ],
)
def test_regions(target, chat, region, host):
    """That of a model goes before that of its account."""
    url, _ = asked(target("gemini-2.5-pro", region=region), chat())

    path = f"v1beta1/projects/acme-ai/locations/{region}/publishers/google/models/gemini-2.5-pro:generateContent"
    assert url == f"https://{host}/{path}"


@pytest.mark.parametrize(
    ("model", "format_", "name", "base"),
    [
        ("gemini-2.5-pro", "gemini", "gemini-2.5-pro", f"{AT}/publishers/google/models/gemini-2.5-pro"),
        ("google/gemini-2.5-pro", "gemini", "gemini-2.5-pro", f"{AT}/publishers/google/models/gemini-2.5-pro"),
        ("publishers/google/models/g", "gemini", "g", f"{AT}/publishers/google/models/g"),
        ("1234567890", "gemini", "1234567890", f"{AT}/endpoints/1234567890"),
        (
            "projects/p/locations/l/endpoints/1",
            "gemini",
            "projects/p/locations/l/endpoints/1",
            "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/l/endpoints/1",
        ),
        (
            "anthropic/claude-sonnet-4-5@20250929",
            "anthropic",
            "claude-sonnet-4-5@20250929",
            f"{AT.replace('v1beta1', 'v1')}/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        ),
        (
            "claude-opus-4-8",
            "anthropic",
            "claude-opus-4-8",
            f"{AT.replace('v1beta1', 'v1')}/publishers/anthropic/models/claude-opus-4-8",
        ),
        (
            "mistralai/mistral-medium-3@001",
            "mistral",
            "mistral-medium-3",
            f"{AT.replace('v1beta1', 'v1')}/publishers/mistralai/models/mistral-medium-3@001",
        ),
        (
            "meta/llama-4-maverick-17b-128e-instruct-maas",
            "openai",
            "meta/llama-4-maverick-17b-128e-instruct-maas",
            f"{AT.replace('v1beta1', 'v1')}/endpoints/openapi",
        ),
    ],
)
def test_publishers(model, format_, name, base):
    address = vertex(model, "acme-ai", "europe-west4", None)

    assert (address.format, address.model, address.base) == (format_, name, base)


def test_a_private_endpoint():
    address = vertex("gemini-2.5-pro", "p", "us-central1", "https://psc.p.googleapis.com/")

    assert address.base.startswith("https://psc.p.googleapis.com/v1beta1/projects/p/locations/us-central1/")


@pytest.mark.parametrize("model", ["a/b/c", "google/"])
def test_no_model(model):
    with pytest.raises(ValueError, match="names no model"):
        vertex(model, "p", "global", None)


def test_tuned_models_of_the_gemini_api():
    assert gemini("https://h/v1beta/", "tunedModels/a").base == "https://h/v1beta/tunedModels/a"
    assert gemini("https://h/v1beta", "models/a").base == "https://h/v1beta/models/a"


@pytest.mark.parametrize(("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_claude_by_the_plugin_that_speaks_its_api(target, chat, stream, method):
    """The model is in the URL, and the version in the body."""
    found = target("anthropic/claude-opus-4-8", installed={("chat", "anthropic-vertex"): ToMessages()})

    request = found.provider.request(chat(stream=stream), found)

    assert request.endpoint.url.endswith(f"/publishers/anthropic/models/claude-opus-4-8:{method}")
    assert msgspec.json.decode(request.body) == {
        "messages": [],
        "stream": stream,
        "anthropic_version": "vertex-2023-10-16",
    }
    assert request.dropped_params == ("n",)
    assert isinstance(found.provider.reading(chat(), found, Head(200, {})), DocumentReading)


def test_claude_without_it_is_refused(target, chat):
    found = target("anthropic/claude-opus-4-8")

    with pytest.raises(BadRequest, match="vertex/m speaks the API of anthropic, and no plugin that is installed"):
        found.provider.request(chat(), found)


@pytest.mark.parametrize(("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_mistral(target, chat, stream, method):
    """What it refuses is left out, as for accounts at Mistral itself."""
    found = target("mistralai/mistral-medium-3")

    request = found.provider.request(chat(stream=stream, seed=7, max_completion_tokens=9, user="u"), found)

    assert request.endpoint.url.endswith(f"/publishers/mistralai/models/mistral-medium-3:{method}")
    assert msgspec.json.decode(request.body) == {
        "model": "mistral-medium-3",
        "messages": [{"role": "user", "content": "hi"}],
        **({"stream": True} if stream else {"stream": False}),
        "random_seed": 7,
        "max_tokens": 9,
    }
    assert request.dropped_params == ("user",)
    assert found.provider.reading(chat(), found, Head(200, {})) is None


def test_open_models_speak_openais_api(target, chat):
    found = target("meta/llama-4-scout-maas")

    url, body = asked(found, chat(stream=True))

    assert url.endswith("/v1/projects/acme-ai/locations/europe-west4/endpoints/openapi/chat/completions")
    assert (body["model"], body["stream_options"]) == ("meta/llama-4-scout-maas", {"include_usage": True})


@pytest.mark.parametrize(
    ("model", "fields", "method"),
    [
        ("text-embedding-005", {"input": ["a", "b"]}, "predict"),
        ("gemini-embedding-001", {"input": "a"}, "embedContent"),
        ("gemini-embedding-001", {"input": ["a", "b"]}, "batchEmbedContents"),
    ],
)
def test_embeddings(target, embedding, model, fields, method):
    url, _ = asked(target(model), embedding(**fields))

    assert url == f"{AT}/publishers/google/models/{model}:{method}"


def test_embeddings_of_the_gemini_api(target, embedding):
    url, body = asked(target("gemini-embedding-001", GEMINI, GeminiAccount), embedding())

    assert url.endswith("/models/gemini-embedding-001:batchEmbedContents")
    assert body["requests"][0]["model"] == "models/gemini-embedding-001"


def test_another_api_comes_through_chat_where_there_is_a_way(target, chat):
    other = msgspec.structs.replace(chat(), dialect=type("Completions", (), {"name": "completions"})())
    found = target("gemini-2.5-pro")

    with pytest.raises(BadRequest, match="speaks the API of gemini"):
        found.provider.request(other, found)


# --- refusals ----------------------------------------------------------------


def error(code, status, message="why", details=None):
    return msgspec.json.encode(
        {"error": {"code": code, "message": message, "status": status, **({"details": details} if details else {})}}
    )


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31.2s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (400, error(400, "INVALID_ARGUMENT"), {}, (400, "why", "INVALID_ARGUMENT", {})),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", details=[RETRY]),
            {},
            (429, "why", "RESOURCE_EXHAUSTED", {"retry-after": "32"}),
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", details=[RETRY]),
            {"Retry-After": "5"},
            (429, "why", "RESOURCE_EXHAUSTED", {"Retry-After": "5"}),
        ),
        (503, b"[" + error(503, "UNAVAILABLE") + b"]", {}, (503, "why", "UNAVAILABLE", {})),
        (404, b"<html><title>Error 404</title>", {}, (404, "a page with the title 'Error 404'", "upstream_error", {})),
        (
            400,
            error(400, "INVALID_ARGUMENT", "API key not valid: canary-0123456789", [BAD_KEY]),
            {},
            (
                401,
                "the provider does not accept the gateway's credentials; tell whoever runs the gateway",
                "upstream_authentication_error",
                {},
            ),
        ),
    ],
)
def test_refusals(target, chat, status, body, headers, told):
    """In Google's words, but for the key, which is the gateway's own affair; and when to ask again."""
    found = target("gemini-2.5-flash", GEMINI, GeminiAccount)

    refused = found.provider.refusal(chat(), found, Head(status, headers), body)

    assert (refused.status, refused.message, refused.code, refused.headers) == told
    assert refused.body is None


# --- manifests ---------------------------------------------------------------


def faults(text, struct):
    with pytest.raises(ConfigError) as raised:
        accounts(text, struct)
    return [(fault.path, fault.message) for fault in raised.value.faults]


def test_the_key_is_written_in_camel_case():
    """As in TrueFoundry's manifests, of this provider alone."""
    text = GEMINI.replace("apiKey", "api_key") + "  []\n"

    assert ("auth_data", "missing required field `apiKey`") in faults(text, GeminiAccount)


def test_an_account_needs_its_project_and_its_region():
    text = VERTEX.replace("project_id: acme-ai\n", "").replace("europe-west4", '"../x"') + "  []\n"

    assert faults(text, VertexAccount) == [
        ("", "missing required field `project_id`"),
        ("region", "must be a region, such as europe-west4, or global, eu, us"),
    ]


def test_all_models_of_an_account_share_their_tokens():
    models = "".join(
        f"  - {{type: integration/model/vertex, name: m{number}, model_id: gemini-2.5-pro, model_types: [chat]}}\n"
        for number in range(3)
    )

    targets = list(Google(tokens=NoTokens).targets(accounts(VERTEX + models, VertexAccount)))

    assert len({id(target.signer) for target in targets}) == 1


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("anthropic/claude-sonnet-4-5@20250929", "claude-sonnet-4-5@20250929"),
    ],
)
def test_prices_are_looked_up_without_the_publisher(model_id, name):
    model = f"  - {{type: integration/model/vertex, name: m, model_id: {model_id}, model_types: [chat]}}\n"

    assert accounts(VERTEX + model, VertexAccount).integrations[0].listed_as == name


def test_nothing_of_a_key_file_is_shown():
    """Not even names and addresses: nobody can say which of its texts is the key."""
    document = {"type": "service_account", "private_key": "canary", "inner": {"more": ["canary"]}}
    manifest = {
        "type": "provider-account/google-vertex",
        "auth_data": {"type": "key-file", "key_file_content": document},
    }

    masked = change_secrets(VertexAccount, manifest, lambda text, path: "***")

    assert masked["auth_data"] == {
        "type": "key-file",
        "key_file_content": {"type": "***", "private_key": "***", "inner": {"more": ["***"]}},
    }


def any_model():
    text = f'{GEMINI}  - {{type: integration/model/gemini, name: "*", model_id: "*", model_types: [chat]}}\n'
    (target,) = Google(tokens=NoTokens).targets(accounts(text, GeminiAccount))
    return target


def test_an_account_that_offers_any_model_lists_and_calls_them(chat):
    target = any_model()

    listing = target.provider.listing(target).endpoint
    listed = target.provider.listed(target, b'{"models":[{"name":"models/gemini-2.5-pro"},{"name":"tunedModels/x"}]}')
    called = msgspec.structs.replace(target, name="gemini/gemini-2.5-pro", model="gemini-2.5-pro")

    assert listing.url == "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000"
    assert listing.head.startswith(b"GET /v1beta/models?pageSize=1000 HTTP/1.1\r\n")
    assert b"x-goog-api-key: canary-0123456789\r\n" in listing.head
    assert [*listed] == ["gemini-2.5-pro", "tunedModels/x"]
    url, _ = asked(called, chat(stream=True))
    assert url == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    )


@pytest.mark.parametrize("model", ["../../v1/files/x", "a/./b"])
def test_a_name_does_not_lead_out_of_the_models(chat, model):
    """It is the account's key that goes there."""
    target = msgspec.structs.replace(any_model(), model=model)

    with pytest.raises(BadRequest, match=r"is no name of a model: the path must not lead out of itself"):
        asked(target, chat())
