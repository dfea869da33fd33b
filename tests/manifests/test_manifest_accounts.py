"""Provider accounts, as the samples have them."""

import msgspec
import pytest

from gateway.errors import ConfigError
from gateway.manifests import Secrets, load, loads, read
from gateway.manifests.accounts import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    Collaborator,
    DatabricksAccount,
    Integration,
    KeyOnlyAccount,
    OllamaAccount,
    OllamaHost,
    OpenAIAccount,
    Owner,
    SelfHostedAccount,
    SelfHostedModel,
    ServicePrincipalAuth,
    TlsSettings,
    VendorAccount,
    WaferAccount,
)
from gateway.manifests.costs import (
    AudioCost,
    CharacterCost,
    EmbeddingCost,
    InputPrice,
    PageCost,
    PagePrices,
    PublicCost,
    Tier,
    TokenCost,
    TokenPrices,
)
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.secrecy.secret import Secret

CANARY = "canary-0123456789"
ENVIRON = {f"LLM_KEYS_{name}": CANARY for name in ("OPENAI", "MISTRAL", "DBX", "VLLM", "TEI")} | {
    "LLM_KEYS_GPU": CANARY
}

NVIDIA = """\
# gateway.yaml — External hosted API (e.g. NVIDIA Cloud)
- name: nvidia-external
  type: provider-account/self-hosted-model
  integrations:
    - name: nemotron-nano
      type: integration/model/self-hosted-model
      hosted_model_name: nvidia/nemotron-3-nano-30b-a3b
      url: "https://integrate.api.nvidia.com/v1"
      model_server: "openai-compatible"
      model_types: ["chat"]
      auth_data:
        type: bearer-auth
        bearer_token: "tfy-secret://acme:llm-keys:gpu"
"""

OPENAI = """\
type: provider-account/openai
name: openai-main
base_url: https://api.openai.com/v1
discount_percent: 12.5
auth_data:
  type: api-key
  api_key: tfy-secret://acme:llm-keys:openai
integrations:
  - type: integration/model/openai
    name: gpt-4o
    model_id: gpt-4o
    model_types: [chat, responses]
    cost: {metric: public_cost}
    authorized_subjects: ["team:research"]
  - type: integration/model/openai
    name: gpt-custom-price
    model_id: gpt-4.1
    model_types: [chat]
    cost:
      metric: per_1000_tokens
      value:
        input: 0.002
        output: 0.008
        cache_read: 0.0005
        cache_write: 0.0025
        input_tiers: [{from: 200000, cost_per_token: 0.004}]
        output_tiers: [{from: 200000, cost_per_token: 0.012}]
        cache_read_tiers: [{from: 200000, cost_per_token: 0.001}]
        cache_write_tiers: [{from: 200000, cost_per_token: 0.005}]
  - type: integration/model/openai
    name: text-embedding-3-small
    model_id: text-embedding-3-small
    model_types: [embedding]
    cost: {metric: per_1000_embedding_tokens, value: 0.00002}
  - type: integration/model/openai
    name: tts-1
    model_id: tts-1
    model_types: [text_to_speech]
    cost: {metric: per_million_characters, value: {input: 15}}
  - type: integration/model/openai
    name: whisper-1
    model_id: whisper-1
    model_types: [audio_transcription, audio_translation]
    cost: {metric: per_minute_of_audio, value: {input: 0.006}}
collaborators:
  - {subject: "user:ana@example.com", role_id: provider-account-manager}
  - {subject: "team:everyone", role_id: provider-account-access}
ownedBy: {account: acme}
"""

OTHERS = """\
type: provider-account/mistral-ai
name: mistral
auth_data: {type: api-key, api_key: tfy-secret://acme:llm-keys:mistral}
integrations:
  - type: integration/model/mistral-ai
    name: mistral-ocr
    model_id: mistral-ocr-latest
    model_types: [ocr]
    cost: {metric: per_1000_pages, value: {pages: 1.0, annotated_pages: 3.0}}
---
type: provider-account/databricks
name: dbx
base_url: https://adb-1.2.azuredatabricks.net
auth_data: {type: service-principal, client_id: c, oauth_secret: tfy-secret://acme:llm-keys:dbx}
integrations:
  - {type: integration/model/databricks, name: llama, model_id: databricks-llama-4, model_types: [chat]}
---
type: provider-account/ollama
name: local-ollama
auth_data: {custom_host: "http://ollama.internal:11434"}
integrations:
  - {type: integration/model/ollama, name: llama3, model_id: llama3.1, model_types: [chat]}
"""

SELF_HOSTED = """\
type: provider-account/self-hosted-model
name: gpu-farm
discount_percent: 0
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
integrations:
  - type: integration/model/self-hosted-model
    name: llama-70b
    hosted_model_name: meta-llama/Llama-3.3-70B-Instruct
    url: http://llama.models.svc.cluster.local:8000/v1
    model_server: vllm-openai
    model_types: [chat, completion]
    auth_data: {type: bearer-auth, bearer_token: tfy-secret://acme:llm-keys:vllm}
    headers: {X-Cluster: blue}
    tls_settings: {reject_unauthorized: true, ca_cert: "-----BEGIN CERTIFICATE-----\\n...\\n-----END CERTIFICATE-----"}
    cost: {metric: per_1000_tokens, value: {input: 0.0002, output: 0.0004}}
  - type: integration/model/self-hosted-model
    name: bge-rerank
    hosted_model_name: BAAI/bge-reranker-v2-m3
    url: http://tei.models:8080
    model_server: tei
    model_types: [rerank]
    auth_data: {type: basic-auth, username: u, password: tfy-secret://acme:llm-keys:tei}
"""


def accounts(text):
    read_all = [read(m, OpenAICompatible.accounts[m.type], Secrets(ENVIRON)) for m in loads(text, "a.yaml")]
    assert [warnings for _, warnings in read_all if warnings] == []
    return [account for account, _ in read_all]


def faults(text):
    with pytest.raises(ConfigError) as caught:
        accounts(text)
    assert CANARY not in str(caught.value)
    return [(fault.line, fault.path, fault.message) for fault in caught.value.faults]


def test_reads_a_hosted_api_in_list_form(tmp_path):
    """The document this gateway began with, as it stands."""
    file = tmp_path / "gateway.yaml"
    file.write_text(NVIDIA)

    (manifest,) = load(file)
    account, warnings = read(manifest, SelfHostedAccount, Secrets(ENVIRON))

    assert warnings == []
    assert account == SelfHostedAccount(
        type="provider-account/self-hosted-model",
        name="nvidia-external",
        integrations=(
            SelfHostedModel(
                type="integration/model/self-hosted-model",
                name="nemotron-nano",
                hosted_model_name="nvidia/nemotron-3-nano-30b-a3b",
                url="https://integrate.api.nvidia.com/v1",
                model_server="openai-compatible",
                model_types=("chat",),
                auth_data=BearerAuth(bearer_token=Secret(CANARY)),
            ),
        ),
    )


def test_reads_openai():
    kind = "integration/model/openai"

    assert accounts(OPENAI) == [
        OpenAIAccount(
            type="provider-account/openai",
            name="openai-main",
            base_url="https://api.openai.com/v1",
            discount_percent=12.5,
            auth_data=ApiKeyAuth(api_key=Secret(CANARY)),
            integrations=(
                Integration(
                    type=kind,
                    name="gpt-4o",
                    model_id="gpt-4o",
                    model_types=("chat", "responses"),
                    cost=PublicCost(),
                    authorized_subjects=("team:research",),
                ),
                Integration(
                    type=kind,
                    name="gpt-custom-price",
                    model_id="gpt-4.1",
                    model_types=("chat",),
                    cost=TokenCost(
                        value=TokenPrices(
                            input=0.002,
                            output=0.008,
                            cache_read=0.0005,
                            cache_write=0.0025,
                            input_tiers=(Tier(start=200000, cost_per_token=0.004),),
                            output_tiers=(Tier(start=200000, cost_per_token=0.012),),
                            cache_read_tiers=(Tier(start=200000, cost_per_token=0.001),),
                            cache_write_tiers=(Tier(start=200000, cost_per_token=0.005),),
                        )
                    ),
                ),
                Integration(
                    type=kind,
                    name="text-embedding-3-small",
                    model_id="text-embedding-3-small",
                    model_types=("embedding",),
                    cost=EmbeddingCost(value=0.00002),
                ),
                Integration(
                    type=kind,
                    name="tts-1",
                    model_id="tts-1",
                    model_types=("text_to_speech",),
                    cost=CharacterCost(value=InputPrice(input=15)),
                ),
                Integration(
                    type=kind,
                    name="whisper-1",
                    model_id="whisper-1",
                    model_types=("audio_transcription", "audio_translation"),
                    cost=AudioCost(value=InputPrice(input=0.006)),
                ),
            ),
            collaborators=(
                Collaborator(subject="user:ana@example.com", role_id="provider-account-manager"),
                Collaborator(subject="team:everyone", role_id="provider-account-access"),
            ),
            owned_by=Owner(account="acme"),
        )
    ]


def test_reads_other_vendors():
    assert accounts(OTHERS) == [
        VendorAccount(
            type="provider-account/mistral-ai",
            name="mistral",
            auth_data=ApiKeyAuth(api_key=Secret(CANARY)),
            integrations=(
                Integration(
                    type="integration/model/mistral-ai",
                    name="mistral-ocr",
                    model_id="mistral-ocr-latest",
                    model_types=("ocr",),
                    cost=PageCost(value=PagePrices(pages=1.0, annotated_pages=3.0)),
                ),
            ),
        ),
        DatabricksAccount(
            type="provider-account/databricks",
            name="dbx",
            base_url="https://adb-1.2.azuredatabricks.net",
            auth_data=ServicePrincipalAuth(client_id=Secret("c"), oauth_secret=Secret(CANARY)),
            integrations=(
                Integration(
                    type="integration/model/databricks",
                    name="llama",
                    model_id="databricks-llama-4",
                    model_types=("chat",),
                ),
            ),
        ),
        OllamaAccount(
            type="provider-account/ollama",
            name="local-ollama",
            auth_data=OllamaHost(custom_host="http://ollama.internal:11434"),
            integrations=(
                Integration(type="integration/model/ollama", name="llama3", model_id="llama3.1", model_types=("chat",)),
            ),
        ),
    ]


def test_reads_self_hosted_models():
    kind = "integration/model/self-hosted-model"

    assert accounts(SELF_HOSTED) == [
        SelfHostedAccount(
            type="provider-account/self-hosted-model",
            name="gpu-farm",
            discount_percent=0.0,
            collaborators=(Collaborator(subject="team:everyone", role_id="provider-account-access"),),
            integrations=(
                SelfHostedModel(
                    type=kind,
                    name="llama-70b",
                    hosted_model_name="meta-llama/Llama-3.3-70B-Instruct",
                    url="http://llama.models.svc.cluster.local:8000/v1",
                    model_server="vllm-openai",
                    model_types=("chat", "completion"),
                    auth_data=BearerAuth(bearer_token=Secret(CANARY)),
                    headers={"X-Cluster": Secret("blue")},
                    tls_settings=TlsSettings(
                        ca_cert="-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----",
                    ),
                    cost=TokenCost(value=TokenPrices(input=0.0002, output=0.0004)),
                ),
                SelfHostedModel(
                    type=kind,
                    name="bge-rerank",
                    hosted_model_name="BAAI/bge-reranker-v2-m3",
                    url="http://tei.models:8080",
                    model_server="tei",
                    model_types=("rerank",),
                    auth_data=BasicAuth(username=Secret("u"), password=Secret(CANARY)),
                ),
            ),
        )
    ]


def test_wafer_keeps_nothing_unless_told_to():
    (account,) = accounts("{type: provider-account/wafer, name: w, auth_data: {type: api-key, api_key: k}}")

    assert account == WaferAccount(
        type="provider-account/wafer",
        name="w",
        auth_data=ApiKeyAuth(api_key=Secret("k")),
        integrations=(),
        base_url="https://pass.wafer.ai/v1",
        zero_data_retention=True,
    )


@pytest.mark.parametrize("vendor", ["xai", "cerebras", "ai21", "deepinfra", "baseten"])
def test_some_vendors_may_list_no_models(vendor):
    (account,) = accounts(f"{{type: provider-account/{vendor}, name: v, auth_data: {{type: api-key, api_key: k}}}}")

    assert account == KeyOnlyAccount(
        type=f"provider-account/{vendor}", name="v", auth_data=ApiKeyAuth(api_key=Secret("k"))
    )


@pytest.mark.parametrize("vendor", ["groq", "mistral-ai", "together-ai", "perplexity-ai", "openrouter", "sambanova"])
def test_most_vendors_need_a_key_and_models(vendor):
    assert faults(f"{{type: provider-account/{vendor}, name: v}}") == [
        (1, "", "missing required field `integrations`"),
        (1, "", "missing required field `auth_data`"),
    ]


@pytest.mark.parametrize("text", [NVIDIA, OPENAI, OTHERS, SELF_HOSTED])
def test_no_repr_shows_a_key(text):
    found = accounts(text)

    assert CANARY not in repr(found)
    assert CANARY not in repr([msgspec.structs.asdict(account) for account in found])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: openai-main", "name: open ai", (2, "name", "must be a name without whitespace and /")),
        ("name: openai-main", "name: open/ai", (2, "name", "must be a name without whitespace and /")),
        ("name: openai-main", 'name: "a\\n"', (2, "name", "must be a name without whitespace and /")),
        ("name: gpt-4o", "name: ' '", (10, "integrations[0].name", "must be a name without whitespace")),
        ("model_id: gpt-4o", "model_id: ''", (11, "integrations[0].model_id", "must be text, and not empty")),
        ("model_id: gpt-4o", "model_id: 4", (11, "integrations[0].model_id", "must be text; put it in quotes")),
        ("    model_id: gpt-4o\n", "", (9, "integrations[0]", "missing required field `model_id`")),
        ("name: gpt-custom-price", "name: gpt-4o", (1, "", "integrations with the same name: gpt-4o")),
        ("https://api.openai.com/v1", "api.openai.com", (3, "base_url", "must be an http or https URL")),
        ("percent: 12.5", "percent: 120", (4, "discount_percent", "Expected `float` <= 100.0")),
        ("from: 200000", "from: -1", (26, "integrations[1].cost.value.input_tiers[0].from", "Expected `int` >= 0")),
        ("input: 0.002", "input: -1", (22, "integrations[1].cost.value.input", "Expected `float` >= 0.0")),
        ("input: 0.002", "input: .nan", (22, "integrations[1].cost.value.input", "must be a number")),
        ("integration/model/openai", "openai", (9, "integrations[0].type", "must be integration/model/...")),
        ("[chat, responses]", "[]", (12, "integrations[0].model_types", "Expected `array` of length >= 1")),
        (
            "api_key: tfy-secret://acme:llm-keys:openai",
            "api_key:",
            (7, "auth_data.api_key", "must not be empty"),
        ),
        ("type: api-key", "type: api_key", (6, "auth_data.type", "must be one of: api-key; did you mean `api-key`?")),
        (
            "llm-keys:openai",
            "llm-keys:other",
            (7, "auth_data.api_key", "secret is missing or empty: no environment variable LLM_KEYS_OTHER"),
        ),
        (
            "[chat, responses]",
            "[chat, embeddings]",
            (
                12,
                "integrations[0].model_types[1]",
                "must be one of: chat, completion, embedding, realtime, rerank, audio_transcription, "
                "audio_translation, text_to_speech, moderation, image, responses, ocr; did you mean `embedding`?",
            ),
        ),
        (
            "metric: public_cost",
            "metric: per_token",
            (
                13,
                "integrations[0].cost.metric",
                "must be one of: public_cost, per_1000_tokens, per_1000_embedding_tokens, per_million_characters, "
                "per_minute_of_audio, per_1000_pages, per_1000_searches, per_image",
            ),
        ),
    ],
)
def test_says_what_is_wrong_with_an_account(old, new, fault):
    assert faults(OPENAI.replace(old, new, 1)) == [fault]
