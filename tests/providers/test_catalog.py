"""Where each vendor is called, with which header, and what is particular about it."""

import msgspec
import pytest

from gateway.contract import Call, JsonBody, Request, Tls
from gateway.dialects import (
    ACCOUNT_APIS,
    ALL,
    CHAT,
    COMPACT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    GEMINI,
    GEMINI_COUNT,
    GEMINI_EMBEDDINGS,
    KEPT_COMPLETIONS,
    KEPT_RESPONSES,
    MAKE_RESPONSE,
    MESSAGES,
    REALTIME_CALLS,
    REALTIME_KEYS,
    RESPONSE_TOKENS,
)
from gateway.errors import BadRequest, ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.providers.catalog import VENDORS
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.testing import FakeUpstream
from gateway.wire.account_apis import ROOTS

PROVIDER = OpenAICompatible()
KEY = "auth_data: {type: api-key, api_key: k-123}"
MODEL = "integrations: [{type: integration/model/x, name: m, model_id: real-m, model_types: [chat]}]"
CHAT_BODY = b'{"model":"a/m","messages":[]}'
EMBEDDING_BODY = b'{"model":"a/m","input":"x"}'

ANSWERED_AT = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "mistral-ai": "https://api.mistral.ai/v1/chat/completions",
    "together-ai": "https://api.together.ai/v1/chat/completions",
    "deepinfra": "https://api.deepinfra.com/v1/openai/chat/completions",
    "perplexity-ai": "https://api.perplexity.ai/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "cerebras": "https://api.cerebras.ai/v1/chat/completions",
    "sambanova": "https://api.sambanova.ai/v1/chat/completions",
    "ai21": "https://api.ai21.com/studio/v1/chat/completions",
    "baseten": "https://inference.baseten.co/v1/chat/completions",
    "wafer": "https://pass.wafer.ai/v1/chat/completions",
}

OWN_ADDRESS = {
    f"openai, base_url: https://eu.api.openai.com/v1/, {KEY}": "https://eu.api.openai.com/v1/chat/completions",
    f"wafer, base_url: https://eu.wafer.ai/v1, {KEY}": "https://eu.wafer.ai/v1/chat/completions",
    "ollama, auth_data: {custom_host: 'http://localhost:11434'}": "http://localhost:11434/v1/chat/completions",
    "ollama, auth_data: {custom_host: 'http://localhost:11434/v1/'}": "http://localhost:11434/v1/chat/completions",
    f"databricks, base_url: https://dbc-1.cloud.databricks.com, {KEY}": (
        "https://dbc-1.cloud.databricks.com/serving-endpoints/chat/completions"
    ),
    f"databricks, base_url: https://dbc-1.cloud.databricks.com/serving-endpoints/, {KEY}": (
        "https://dbc-1.cloud.databricks.com/serving-endpoints/chat/completions"
    ),
    "snowflake-cortex, account_identifier: acme-eu.1, auth_data: {type: pat-token, pat_token: k-123}": (
        "https://acme-eu.1.snowflakecomputing.com/api/v2/cortex/v1/chat/completions"
    ),
}


def account_of(text):
    (manifest,) = loads(text)
    account, warnings = read(manifest, PROVIDER.accounts[manifest.type], Secrets({}))
    assert warnings == []
    return account


def target_of(text):
    (target,) = PROVIDER.targets(account_of(text))
    return target


def vendor_target(rest):
    return target_of("{type: provider-account/" + rest + ", name: a, " + MODEL + "}")


def self_hosted(rest):
    return target_of(
        "{type: provider-account/self-hosted-model, name: a, integrations: [{type: integration/model/self-hosted-model,"
        " name: m, hosted_model_name: real-m, model_types: [chat], " + rest + "}]}"
    )


def call(body, dialect=CHAT):
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    request = Request(body=JsonBody(fields, body))
    return Call(dialect, dialect.parse(request), request)


def ask(target, body=CHAT_BODY, dialect=CHAT):
    return PROVIDER.request(call(body, dialect), target)


def header(request, name):
    lines = request.endpoint.head.decode().split("\r\n")
    return next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), None)


@pytest.mark.parametrize("vendor", ANSWERED_AT)
def test_a_vendor_with_a_key_is_called_at_its_address(vendor):
    request = ask(vendor_target(f"{vendor}, {KEY}"))

    assert request.endpoint.url == ANSWERED_AT[vendor]
    assert header(request, "authorization") == "Bearer k-123"
    assert header(request, "content-type") == "application/json"
    assert request.body == b'{"model":"real-m","messages":[]}'
    assert request.dropped_params == ()


@pytest.mark.parametrize("account", OWN_ADDRESS)
def test_an_account_may_name_its_own_address(account):
    """With or without a trailing slash, and with what people paste from the vendor's documentation."""
    request = ask(vendor_target(account))

    assert request.endpoint.url == OWN_ADDRESS[account]
    assert header(request, "authorization") == (None if account.startswith("ollama") else "Bearer k-123")


def test_every_vendor_has_a_test_of_its_address():
    tested = {f"provider-account/{name.partition(',')[0]}" for name in [*ANSWERED_AT, *OWN_ADDRESS]}

    assert set(VENDORS) - tested == {"provider-account/self-hosted-model"}


@pytest.mark.parametrize(
    ("vendor", "completions", "embeddings"),
    [
        ("openai", True, True),
        ("groq", False, True),
        ("mistral-ai", False, True),
        ("together-ai", True, True),
        ("deepinfra", True, True),
        ("perplexity-ai", False, False),
        ("openrouter", True, True),
        ("xai", True, True),
        ("cerebras", True, False),
        ("sambanova", True, True),
        ("ai21", False, False),
        ("baseten", True, True),
        ("wafer", True, True),
    ],
)
def test_offers_what_the_vendor_has(vendor, completions, embeddings):
    """A path that is not there would answer 404, which a client takes for an unknown model."""
    offered = vendor_target(f"{vendor}, {KEY}").settings.endpoints

    assert ("completions" in offered, "embeddings" in offered) == (completions, embeddings)


def test_a_model_is_called_at_the_path_of_the_dialect():
    target = vendor_target(f"openai, {KEY}")

    assert ask(target, b'{"model":"a/m"}', COMPLETIONS).endpoint.url == "https://api.openai.com/v1/completions"
    assert ask(target, b'{"model":"a/m"}', EMBEDDINGS).endpoint.url == "https://api.openai.com/v1/embeddings"


def test_says_when_a_vendor_has_no_such_api():
    with pytest.raises(BadRequest) as refused:
        ask(vendor_target(f"cerebras, {KEY}"), EMBEDDING_BODY, EMBEDDINGS)

    assert refused.value.message == "the provider of a/m has no API for embeddings"


@pytest.mark.parametrize(
    ("vendor", "body", "sent", "dropped"),
    [
        (
            "groq",
            b'{"model":"a/m","logprobs":true,"top_logprobs":2,"logit_bias":{},"prompt_cache_key":"k","user":"u"}',
            b'{"model":"real-m","user":"u"}',
            ("logprobs", "top_logprobs", "logit_bias", "prompt_cache_key"),
        ),
        (
            "mistral-ai",
            b'{"model":"a/m","user":"u","store":false,"stream":true,"stream_options":{"include_usage":true}}',
            b'{"model":"real-m","stream":true}',
            ("user", "store", "stream_options"),
        ),
        (
            "perplexity-ai",
            b'{"model":"a/m","stream":true,"stream_options":{"include_usage":true},"search_mode":"web"}',
            b'{"model":"real-m","stream":true,"search_mode":"web"}',
            ("stream_options",),
        ),
        (
            "xai",
            b'{"model":"a/m","presence_penalty":0,"stop":"x"}',
            b'{"model":"real-m","stop":"x"}',
            ("presence_penalty",),
        ),
        ("openai", b'{"model":"a/m","unheard_of":[1]}', b'{"model":"real-m","unheard_of":[1]}', ()),
    ],
)
def test_leaves_out_what_the_vendor_rejects_and_says_so(vendor, body, sent, dropped):
    request = ask(vendor_target(f"{vendor}, {KEY}"), body)

    assert request.body == sent
    assert request.dropped_params == dropped


def test_mistral_gets_its_own_names():
    """It answers 422 to `max_completion_tokens`; left out instead, the caller's limit on the cost would be gone."""
    request = ask(
        vendor_target(f"mistral-ai, {KEY}"), b'{"model":"a/m","max_completion_tokens": 5,"seed":7,"max_tokens":9}'
    )

    assert msgspec.json.decode(request.body) == {"model": "real-m", "max_tokens": 5, "random_seed": 7}
    assert request.dropped_params == ()


def test_snowflake_keeps_the_callers_limit():
    """It goes by `max_completion_tokens`, and would stop at 4096 tokens without a word on the other."""
    account = "snowflake-cortex, account_identifier: a, auth_data: {type: pat-token, pat_token: k}"

    assert ask(vendor_target(account), b'{"model":"a/m","max_tokens":9000}').body == (
        b'{"model":"real-m","max_completion_tokens":9000}'
    )


@pytest.mark.parametrize("identifier", ["evil.example/x", "evil.example#", "a@evil.example", "evil.example:80"])
def test_a_snowflake_account_is_part_of_a_host(identifier):
    with pytest.raises(ConfigError, match="must be an identifier such as orgname-accountname"):
        vendor_target(
            f"snowflake-cortex, account_identifier: '{identifier}', auth_data: {{type: pat-token, pat_token: k}}"
        )


@pytest.mark.parametrize(
    ("vendor", "asks"),
    [
        ("openai", True), ("groq", True), ("mistral-ai", False), ("together-ai", True), ("deepinfra", True),
        ("perplexity-ai", False), ("openrouter", True), ("xai", True), ("cerebras", True), ("sambanova", True),
        ("ai21", False), ("baseten", True), ("wafer", True),
    ],
)  # fmt: skip
def test_asks_for_usage_where_it_would_not_come_by_itself(vendor, asks):
    """Without usage a stream would be free."""
    request = ask(vendor_target(f"{vendor}, {KEY}"), b'{"model":"a/m","stream":true}')

    assert (b'"stream_options":{"include_usage":true}' in request.body) is asks


def test_wafer_is_asked_to_keep_nothing_unless_told_otherwise():
    assert header(ask(vendor_target(f"wafer, {KEY}")), "wafer-zdr") == "required"
    assert header(ask(vendor_target(f"wafer, zero_data_retention: false, {KEY}")), "wafer-zdr") is None


def test_an_account_that_cannot_be_used_says_why():
    with pytest.raises(ValueError, match=r"^the URL must not hold credentials: they belong in auth_data$"):
        vendor_target(f"openai, base_url: 'https://u:p@host/v1', {KEY}")


@pytest.mark.parametrize(
    "base_url", ["https://dbc-1.example", "https://dbc-1.example/serving-endpoints/", "https://dbc-1.example?o=1"]
)
async def test_a_service_principal_is_given_tokens_by_its_workspace(base_url):
    """Whatever stands behind the host, which is where the models are."""
    upstream = FakeUpstream((200, [b'{"access_token":"t-1","token_type":"Bearer","expires_in":3600}']))
    principal = "auth_data: {type: service-principal, client_id: c, oauth_secret: s}"
    target = vendor_target(f"databricks, base_url: '{base_url}', {principal}")
    request = ask(target)

    signed = await target.signer.sign(request, upstream)

    assert header(request, "authorization") is None
    assert header(signed, "authorization") == "Bearer t-1"
    assert upstream.requests[0].endpoint.url == "https://dbc-1.example/oidc/v1/token"
    assert upstream.requests[0].body == b"grant_type=client_credentials&scope=all-apis"


def test_who_has_a_key_needs_no_tokens():
    assert vendor_target(f"databricks, base_url: https://dbc-1.example, {KEY}").signer is None


def test_an_openai_account_without_a_key_passes_the_callers_on():
    """And only an OpenAI account: whoever leaves the key out elsewhere has forgotten it, or needs none."""
    passes_key_on = {
        "openai": vendor_target("openai").settings.passes_key_on,
        "openai with a key": vendor_target(f"openai, {KEY}").settings.passes_key_on,
        "groq": vendor_target(f"groq, {KEY}").settings.passes_key_on,
        "ollama": vendor_target("ollama, auth_data: {custom_host: 'http://localhost:11434'}").settings.passes_key_on,
        "self-hosted": self_hosted("url: 'http://h', model_server: tei").settings.passes_key_on,
    }

    assert passes_key_on == {
        "openai": True,
        "openai with a key": False,
        "groq": False,
        "ollama": False,
        "self-hosted": False,
    }
    assert b"authorization" not in vendor_target("openai").settings.endpoints["chat"].head
    with pytest.raises(ConfigError, match="missing required field `auth_data`"):
        vendor_target("groq")


@pytest.mark.parametrize("url", ["http://gpu:8000/v1", "http://gpu:8000/v1/"])
def test_a_self_hosted_model_is_called_below_its_url(url):
    request = ask(self_hosted(f"url: '{url}', model_server: vllm-openai"))

    assert request.endpoint.url == "http://gpu:8000/v1/chat/completions"
    assert header(request, "authorization") is None
    assert request.body == b'{"model":"real-m","messages":[]}'


@pytest.mark.parametrize(
    ("auth", "value"),
    [
        ("{type: bearer-auth, bearer_token: t-1}", "Bearer t-1"),
        ("{type: basic-auth, username: ana, password: 'pä:ss'}", "Basic YW5hOnDDpDpzcw=="),
    ],
)
def test_a_self_hosted_model_may_want_a_token_or_a_password(auth, value):
    request = ask(self_hosted(f"url: 'http://h', model_server: tei, auth_data: {auth}"), EMBEDDING_BODY, EMBEDDINGS)

    assert request.endpoint.url == "http://h/embeddings"
    assert header(request, "authorization") == value


def test_a_self_hosted_model_may_want_headers_of_its_own():
    request = ask(self_hosted("url: 'http://h/v1', model_server: vllm-openai, headers: {X-Cluster: blue}"))

    assert header(request, "x-cluster") == "blue"


def test_auth_data_wins_over_a_header_of_the_same_name():
    model = "headers: {Authorization: old}, auth_data: {type: bearer-auth, bearer_token: new}"

    request = ask(self_hosted(f"url: 'http://h/v1', model_server: vllm-openai, {model}"))

    assert request.endpoint.head.count(b"authorization") == 1
    assert header(request, "authorization") == "Bearer new"


@pytest.mark.parametrize(
    ("settings", "tls"),
    [
        ("", Tls()),
        (", tls_settings: {}", Tls()),
        (", tls_settings: {reject_unauthorized: false}", Tls(verify=False)),
        (", tls_settings: {ca_cert: PEM}", Tls(ca_cert="PEM")),
    ],
)
def test_a_self_hosted_model_may_have_a_certificate_of_its_own(settings, tls):
    request = ask(self_hosted(f"url: 'https://h/v1', model_server: vllm-openai{settings}"))

    assert request.endpoint.tls == tls


DECLARED = [MAKE_RESPONSE, RESPONSE_TOKENS, COMPACT, KEPT_RESPONSES, KEPT_COMPLETIONS]
OTHERS = [MESSAGES, COUNT_TOKENS, GEMINI, GEMINI_COUNT, GEMINI_EMBEDDINGS]
PREPARED = [REALTIME_KEYS, REALTIME_CALLS]
OPENAIS = [
    *(dialect.name for dialect in ALL if dialect not in (*OTHERS, *ACCOUNT_APIS, *DECLARED, *PREPARED)),
    "realtime",
]


@pytest.mark.parametrize(
    ("server", "offered"),
    [
        ("openai-compatible", [*OPENAIS, *(dialect.name for dialect in PREPARED), *ROOTS]),
        ("vllm-openai", [each for each in OPENAIS if each != "ocr"]),
        ("tei", ["embeddings", "rerank"]),
        ("infinity", ["embeddings", "rerank"]),
        ("nemo-retriever", ["embeddings", "rerank"]),
        ("cohere-rerank-v2", ["rerank"]),
    ],
)
def test_a_model_server_offers_what_it_speaks(server, offered):
    """The rerank servers are read, so that a configuration that has them is not refused as a whole."""
    assert [*self_hosted(f"url: 'http://h', model_server: {server}").settings.endpoints] == offered


ASKED = b'{"model":"a/m","input":"hi"}'
TYPES = MODEL.replace("[chat]", "[chat, responses]")


@pytest.mark.parametrize(
    ("account", "url"),
    [
        (f"openai, {KEY}, {MODEL}", "https://api.openai.com/v1/responses"),
        (f"openai, base_url: 'https://h/v1', {KEY}, {MODEL}", "https://h/v1/chat/completions"),
        (f"openai, base_url: 'https://h/v1', {KEY}, {TYPES}", "https://h/v1/responses"),
        (f"openrouter, {KEY}, {MODEL}", "https://openrouter.ai/api/v1/responses"),
        (f"xai, {KEY}, {MODEL}", "https://api.x.ai/v1/responses"),
        (f"groq, {KEY}, {MODEL}", "https://api.groq.com/openai/v1/chat/completions"),
        (f"groq, {KEY}, {TYPES}", "https://api.groq.com/openai/v1/responses"),
    ],
)
def test_where_a_response_is_made(account, url):
    """At a vendor that has that API for all its models, and of others by models that are declared so; else in chat."""
    request = ask(target_of("{type: provider-account/" + account + ", name: a}"), ASKED, MAKE_RESPONSE)

    assert request.endpoint.url == url


def test_a_server_of_open_models_makes_responses_if_a_model_is_declared_so():
    declared = self_hosted("url: 'http://h/v1', model_server: vllm-openai").settings.endpoints
    both = target_of(
        "{type: provider-account/self-hosted-model, name: a, integrations: [{type: integration/model/self-hosted-model,"
        " name: m, hosted_model_name: m, model_types: [responses], url: 'http://h/v1', model_server: vllm-openai}]}"
    )

    assert "responses" not in declared
    assert ask(both, ASKED, MAKE_RESPONSE).endpoint.url == "http://h/v1/responses"


def test_fields_of_a_native_response_stay_as_they_came():
    """Also those that the vendor's chat would refuse."""
    body = b'{"model":"a/m","input":[{"role":"user","content":"hi"}],"presence_penalty":1,"new":{"a": 1}}'

    request = ask(vendor_target(f"xai, {KEY}"), body, MAKE_RESPONSE)

    assert request.body == body.replace(b"a/m", b"M").replace(b"M", vendor_target(f"xai, {KEY}").model.encode())
    assert request.dropped_params == ()


@pytest.mark.parametrize("server", ["tei", "infinity", "nemo-retriever", "cohere-rerank-v2"])
def test_a_rerank_server_says_that_it_does_not_chat(server):
    with pytest.raises(BadRequest) as refused:
        ask(self_hosted(f"url: 'http://h', model_server: {server}"))

    assert (refused.value.message, refused.value.param) == ("the provider of a/m has no API for chat", "model")


def test_models_of_one_account_share_an_endpoint():
    """2,000 models with one key need one request head."""
    integration = "{type: integration/model/x, name: %s, model_id: m, model_types: [chat]}"
    models = f"{integration % 'm'}, {integration % 'n'}"

    one, two = PROVIDER.targets(
        account_of("{type: provider-account/openai, name: a, " + KEY + f", integrations: [{models}]}}")
    )

    assert one.settings.endpoints is two.settings.endpoints


def test_models_with_different_headers_share_none():
    """Two headers with the same value once passed for the same headers."""
    integration = (
        "{type: integration/model/self-hosted-model, name: %s, hosted_model_name: m, url: 'http://h/v1',"
        " model_server: vllm-openai, model_types: [chat], headers: {%s: blue}}"
    )
    models = f"{integration % ('m', 'X-A')}, {integration % ('n', 'X-B')}"

    one, two = PROVIDER.targets(
        account_of("{type: provider-account/self-hosted-model, name: a, integrations: [" + models + "]}")
    )

    assert (header(ask(one), "x-a"), header(ask(one), "x-b")) == ("blue", None)
    assert (header(ask(two), "x-a"), header(ask(two), "x-b")) == (None, "blue")


def test_a_target_says_what_it_is():
    target = vendor_target(f"openai, {KEY}")

    assert (target.name, target.model, target.model_types) == ("a/m", "real-m", {"chat"})
    assert target.provider is PROVIDER


def test_two_vendors_are_believed_in_what_they_say_a_call_costs():
    """Others may have a field of that name that means something else."""
    assert {name for name, vendor in VENDORS.items() if vendor.states_cost} == {
        "provider-account/openrouter",
        "provider-account/perplexity-ai",
    }


def test_a_list_of_models_is_read_as_vendors_write_it():
    """Together has no object around it."""
    target = vendor_target(f"openai, {KEY}")

    for body in (b'{"object":"list","data":[{"id":"a","created":1},{"id":"b/c"}]}', b'[{"id":"a"},{"id":"b/c"}]'):
        assert [*PROVIDER.listed(target, body)] == ["a", "b/c"]
    for body in (b"<html>", b'{"data":[{"name":"a"}]}'):
        with pytest.raises(ValueError, match=r"^the provider's list of models cannot be read: "):
            PROVIDER.listed(target, body)


@pytest.mark.parametrize(
    ("account", "url"),
    [
        (f"openai, {KEY}", "https://api.openai.com/v1/models"),
        ("openai", None),  # it has no key
        (f"perplexity-ai, {KEY}", None),
        ("ollama, auth_data: {custom_host: 'http://localhost:11434'}", "http://localhost:11434/v1/models"),
    ],
)
def test_accounts_that_offer_any_model_ask_for_the_list(account, url):
    text = "type: provider-account/" + account.replace(", ", "\n", 1) + "\nname: a\n"
    any_model = account_of(text + MODEL.replace("name: m", 'name: "*"'))
    one_model = account_of(text + MODEL)

    (of_any,), (of_one,) = PROVIDER.targets(any_model), PROVIDER.targets(one_model)

    asked = PROVIDER.listing(of_any)
    assert (asked.endpoint.url if asked is not None else None) == url
    assert PROVIDER.listing(of_one) is None
