"""Accounts of Azure: where their models are called, as whom, with which fields, and what a refusal says."""

import msgspec
import pytest
from gateway_azure.provider import Azure

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MAKE_RESPONSE, MESSAGES, REALTIME
from gateway.errors import BadRequest, ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.providers.credentials import BearerTokens

KEY = "auth_data: {type: api-key, api_key: k-123}"
SECRET = "auth_data: {type: client-secret, tenant_id: t, client_id: c, client_secret: s}"
RESOURCE = "https://acme.openai.azure.com"
FOUNDRY = "https://acme.services.ai.azure.com"
CHAT_BODY = b'{"model":"a/m","messages":[]}'

OPENAI = (
    "{{type: provider-account/azure-openai, name: a, azure_endpoint: '" + RESOURCE + "', {auth}, integrations: [{{"
    "type: integration/model/azure-openai, name: m, model_id: prod, api_version: {version}, model_types: [chat]{more}"
    "}}]}}"
)
AZURE_FOUNDRY = (
    "{{type: provider-account/azure-foundry, name: a, integrations: [{{type: integration/model/azure-foundry, name: m,"
    " model_id: prod, azure_endpoint: '{endpoint}', model_types: [chat], {auth}}}]}}"
)
MICROSOFT = (
    "{{type: provider-account/microsoft-foundry, name: a, {auth}, {endpoints}, integrations: [{{type: "
    "integration/model/microsoft-foundry, name: m, model_id: {model}, publisher: {publisher}, model_types: [chat]}}]}}"
)


def targets_of(text, provider):
    (manifest,) = loads(text)
    account, warnings = read(manifest, provider.accounts[manifest.type], Secrets({}))
    assert warnings == []
    return list(provider.targets(account))


def azure_openai(auth=KEY, version="2024-10-21", more="", provider=None):
    (target,) = targets_of(OPENAI.format(auth=auth, version=version, more=more), provider or Azure(environ={}))
    return target


def azure_foundry(endpoint, auth=KEY, provider=None):
    (target,) = targets_of(AZURE_FOUNDRY.format(endpoint=endpoint, auth=auth), provider or Azure(environ={}))
    return target


def microsoft(endpoints=f"openai_endpoint: '{RESOURCE}'", model="prod", publisher="OpenAI", auth=KEY, provider=None):
    text = MICROSOFT.format(auth=auth, endpoints=endpoints, model=model, publisher=publisher)
    (target,) = targets_of(text, provider or Azure(environ={}))
    return target


def call(body=CHAT_BODY, dialect=CHAT):
    request = Request(body=JsonBody(msgspec.json.decode(body, type=dict[str, msgspec.Raw]), body))
    return Call(dialect, dialect.parse(request), request)


def ask(target, body=CHAT_BODY, dialect=CHAT):
    return target.provider.request(call(body, dialect), target)


def credentials(request):
    """Headers that say who asks."""
    lines = [line.partition(": ") for line in request.endpoint.head.decode().split("\r\n")[1:-1]]
    return {name: value for name, _, value in lines if name in ("api-key", "x-api-key", "authorization")}


# --- where, and as whom ------------------------------------------------------


def test_a_deployment_is_called_with_the_key():
    request = ask(azure_openai())

    assert request.endpoint.url == f"{RESOURCE}/openai/deployments/prod/chat/completions?api-version=2024-10-21"
    assert credentials(request) == {"api-key": "k-123"}
    assert request.body == b'{"model":"prod","messages":[]}'


@pytest.mark.parametrize("version", ["2024-10-21", "'2024-10-21'"])
def test_a_version_without_quotes_is_a_date_to_yaml(version):
    assert ask(azure_openai(version=version)).endpoint.url.endswith("?api-version=2024-10-21")


def test_the_other_apis_are_there_too():
    target = azure_openai(version="v1")

    assert ask(target, b'{"model":"a/m"}', COMPLETIONS).endpoint.url == f"{RESOURCE}/openai/v1/completions"
    assert ask(target, b'{"model":"a/m","input":"x"}', EMBEDDINGS).endpoint.url == f"{RESOURCE}/openai/v1/embeddings"


def test_an_identity_is_given_tokens():
    target = azure_openai(SECRET)

    assert credentials(ask(target)) == {}
    assert isinstance(target.signer, BearerTokens)


def test_models_of_an_account_share_its_tokens():
    model = "{type: integration/model/azure-openai, name: %s, model_id: x, api_version: v1, model_types: [chat]}"
    one, two = targets_of(
        f"{{type: provider-account/azure-openai, name: a, azure_endpoint: '{RESOURCE}', {SECRET},"
        f" integrations: [{model % 'm'}, {model % 'n'}]}}",
        Azure(environ={}),
    )

    assert one.signer is two.signer


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        (RESOURCE, {"api-key": "k-123"}),
        (f"{FOUNDRY}/openai/v1", {"api-key": "k-123"}),
        (f"{FOUNDRY}/models", {"api-key": "k-123", "authorization": "Bearer k-123"}),
        ("https://m.eastus2.models.ai.azure.com", {"api-key": "k-123", "authorization": "Bearer k-123"}),
        (f"{FOUNDRY}/anthropic", {"x-api-key": "k-123"}),
    ],
)
def test_each_api_wants_the_key_elsewhere(endpoint, sent):
    """The model inference API in both places, as its SDK sends it."""
    (found,) = azure_foundry(endpoint).settings.endpoints.values() if "anthropic" in endpoint else (None,)
    request = ask(azure_foundry(endpoint)) if found is None else msgspec.structs.replace(REQUEST, endpoint=found)

    assert credentials(request) == sent


REQUEST = ask(azure_openai())


def test_the_model_inference_api_passes_on_what_it_does_not_know():
    """By itself it answers 400 to fields that are not in its specification."""
    assert b"extra-parameters: pass-through\r\n" in ask(azure_foundry(f"{FOUNDRY}/models")).endpoint.head
    assert b"extra-parameters" not in ask(azure_foundry(RESOURCE)).endpoint.head


def test_microsoft_foundry_is_called_by_the_v1_api():
    assert ask(microsoft()).endpoint.url == f"{RESOURCE}/openai/v1/chat/completions"
    assert ask(microsoft(publisher="Other", model="DeepSeek-V3.2")).body == b'{"model":"DeepSeek-V3.2","messages":[]}'


def test_microsoft_foundry_needs_an_endpoint():
    with pytest.raises(ConfigError, match="give openai_endpoint or project_endpoint, or both"):
        microsoft(endpoints="discount_percent: 0")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (OPENAI.format(auth="discount_percent: 0", version="v1", more=""), "missing required field `auth_data`"),
        (OPENAI.format(auth=KEY, version="''", more=""), "a version of the API, such as 2024-10-21 or v1"),
        (OPENAI.format(auth=KEY, version="'v1&x=1'", more=""), "a version of the API, such as 2024-10-21 or v1"),
        (
            OPENAI.format(auth=SECRET.replace("id: t", "id: a/b"), version="v1", more=""),
            "a domain of a Microsoft Entra tenant",
        ),
        (
            OPENAI.format(auth=KEY, version="v1", more=", deployment_type: cheap"),
            "must be one of: standard, datazone_us",
        ),
    ],
)
def test_says_what_is_wrong_with_an_account(text, fault):
    with pytest.raises(ConfigError, match=fault):
        targets_of(text, Azure(environ={}))


def test_no_repr_shows_a_secret():
    text = OPENAI.format(auth=SECRET.replace("client_secret: s", "client_secret: canary"), version="v1", more="")
    (manifest,) = loads(text)
    account, _ = read(manifest, Azure.accounts[manifest.type], Secrets({}))

    assert "canary" not in repr(account)


# --- usage -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "sent", "dropped"),
    [
        ("2024-10-21", {"include_usage": True}, ()),
        ("v1", {"include_usage": True}, ()),
        ("2024-06-01", None, ("stream_options",)),
    ],
)
def test_usage_is_asked_for_where_the_version_knows_how(version, sent, dropped):
    target = azure_openai(version=version)
    asked = b'{"model":"a/m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'

    by_gateway = msgspec.json.decode(ask(target, b'{"model":"a/m","messages":[],"stream":true}').body)
    by_caller = ask(target, asked)

    assert by_gateway.get("stream_options") == sent
    assert (msgspec.json.decode(by_caller.body).get("stream_options"), by_caller.dropped_params) == (sent, dropped)


# --- refusals ----------------------------------------------------------------

FILTERED = msgspec.json.encode(
    {
        "error": {
            "message": "The response was filtered due to the prompt triggering the content management policy.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
        }
    }
)


def refusal(status, body, headers=None, target=None):
    target = target or azure_openai()
    return target.provider.refusal(call(), target, Head(status, headers or {}), body)


def test_a_filtered_prompt_has_a_code_of_its_own():
    refused = refusal(400, FILTERED)

    assert (refused.status, refused.code, refused.body) == (400, "content_filter", FILTERED)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":"content_filter"}', b'{"error":{"code":"x","message":"m"}}'])
def test_other_refusals_have_not(body):
    assert refusal(400, body).code == "upstream_error"


def test_a_busy_deployment_says_when_to_come_again():
    body = b'{"error":{"code":"429","message":"Requests have exceeded the token rate limit. Retry after 2 seconds."}}'

    refused = refusal(429, body, {"retry-after": "2", "retry-after-ms": "1550", "x-ms-region": "West US"})

    assert refused.headers == {"retry-after": "2", "retry-after-ms": "1550"}
    assert (refused.status, refused.body) == (429, body)


def test_a_refused_token_is_dropped():
    target = azure_openai(SECRET)

    assert refusal(401, b"{}", target=target).is_worth_asking_again
    assert not refusal(401, b"{}").is_worth_asking_again


# --- Claude ------------------------------------------------------------------


class Shouting:
    """A translator; what it does is seen in what goes out."""

    dialect = "chat"
    format = "anthropic"

    def request(self, call, model):
        return JsonBody({"model": msgspec.Raw(msgspec.json.encode(model.upper()))})

    def reading(self, call, head):
        return "its reading"


def test_claude_goes_through_a_translator():
    provider = Azure(environ={}, translators=lambda dialect, spoken: Shouting())
    target = microsoft(f"project_endpoint: '{FOUNDRY}/api/projects/p'", "claude-x", "Other", provider=provider)

    request = ask(target)

    assert request.endpoint.url == f"{FOUNDRY}/anthropic/v1/messages"
    assert request.body == b'{"model":"CLAUDE-X"}'
    assert b"anthropic-version: 2023-06-01\r\n" in request.endpoint.head
    assert provider.reading(call(), target, Head(200, {})) == "its reading"
    refused = provider.refusal(call(), target, Head(400, {}), b'{"type":"error","error":{"message":"no"}}')
    assert (refused.message, refused.body) == ("no", None)


def test_what_claude_does_not_have_is_refused_clearly():
    target = azure_foundry(f"{FOUNDRY}/anthropic")

    with pytest.raises(BadRequest) as refused:
        ask(target, b'{"model":"a/m","input":"x"}', EMBEDDINGS)

    assert refused.value.message == (
        "a/m speaks the API of anthropic, and no plugin that is installed translates into it from that for embeddings"
    )


def test_callers_of_messages_are_translated_into_chat():
    """A stream would have come back in OpenAI's words."""
    body = b'{"model":"a/m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    target, asked = azure_openai(), call(body, MESSAGES)

    request = target.provider.request(asked, target)
    reading = target.provider.reading(asked, target, Head(200, {}, is_stream=True))

    assert "/chat/completions" in request.endpoint.url
    assert b"message_start" in reading.feed(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')


@pytest.mark.parametrize(
    ("version", "target"),
    [
        ("v1", "/openai/v1/realtime?model=prod"),
        ("2025-04-01-preview", "/openai/realtime?api-version=2025-04-01-preview&deployment=prod&model=prod"),
    ],
)
def test_a_session_names_its_deployment_in_the_query(version, target):
    request = Request("GET", "/realtime", query=b"model=a/m")

    asked = Azure(environ={}).request(Call(REALTIME, REALTIME.parse(request), request), azure_openai(version=version))

    assert asked.opens_socket
    lines = asked.endpoint.head.decode().split("\r\n")
    assert (lines[0], "api-key: k-123" in lines) == (f"GET {target} HTTP/1.1", True)


ASKED = b'{"model":"a/m","input":"hi"}'


@pytest.mark.parametrize(
    ("version", "url"),
    [
        ("v1", f"{RESOURCE}/openai/v1/responses"),
        ("preview", f"{RESOURCE}/openai/v1/responses?api-version=preview"),
        ("2024-10-21", f"{RESOURCE}/openai/deployments/prod/chat/completions?api-version=2024-10-21"),
    ],
)
def test_responses_are_made_by_the_v1_api(version, url):
    """Where there is none, they are translated into chat."""
    request = ask(azure_openai(version=version), ASKED, MAKE_RESPONSE)

    assert request.endpoint.url == url
    assert msgspec.json.decode(request.body)["model"] == "prod"


def test_responses_of_models_of_others_are_made_in_chat():
    """The v1 API has them for OpenAI's models."""
    assert ask(microsoft(publisher="Other"), ASKED, MAKE_RESPONSE).endpoint.url.endswith("/chat/completions")


def test_a_stream_of_a_response_passes_as_it_is():
    """What is mended in Azure's streams is mended in chat."""
    target = azure_openai(version="v1")

    assert target.provider.reading(call(ASKED, MAKE_RESPONSE), target, Head(200, {}, is_stream=True)) is None
