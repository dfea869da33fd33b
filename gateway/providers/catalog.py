"""Vendors that speak OpenAI's API: one row each, and nothing else to do to add one."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.manifests.accounts import (
    DatabricksAccount,
    KeyOnlyAccount,
    OllamaAccount,
    OpenAIAccount,
    ProviderAccount,
    SelfHostedAccount,
    SnowflakeAccount,
    VendorAccount,
    WaferAccount,
)
from gateway.wire.account_apis import ROOTS
from gateway.wire.responses import COMPACTION, COMPLETION, RESPONSE, RESPONSES, TOKENS
from gateway.wire.session_config import CALL, CALLS, KEYS

ALL = MappingProxyType(
    {
        "chat": "/chat/completions",
        "completions": "/completions",
        "embeddings": "/embeddings",
        "images": "/images/generations",
        "image_edits": "/images/edits",
        "image_variations": "/images/variations",
        "transcriptions": "/audio/transcriptions",
        "translations": "/audio/translations",
        "speech": "/audio/speech",
        "rerank": "/rerank",
        "moderations": "/moderations",
        "ocr": "/ocr",
        "realtime": "/realtime",
        KEYS: "/realtime",
        CALL: CALLS,
        **ROOTS,
    }
)
_RESPONSES = MappingProxyType(
    {
        RESPONSES: "/responses",
        TOKENS: "/responses/input_tokens",
        COMPACTION: "/responses/compact",
        RESPONSE: "/responses",
        COMPLETION: "/chat/completions",
    }
)
"""Dialects -> paths of those who have the Responses API, and keep what was made."""
_NO_PATHS: Mapping[str, str] = MappingProxyType({})


def with_responses(paths: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({**paths, **_RESPONSES})


def _only(*dialects: str) -> Mapping[str, str]:
    return MappingProxyType({dialect: ALL[dialect] for dialect in dialects})


TEXT = ("chat", "completions", "embeddings")
AUDIO = ("transcriptions", "translations", "speech")
PATHS = _only(*TEXT)
"""Of most; what else a vendor has is in its row."""


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular about one vendor. What is not known is left at its default: offered, and not taken out.

    base_url: None when the account names its own.
    suffix: goes behind the address an account names, unless it is there already.
    key_variable: the environment variable its own SDK reads; an account is made of it when there is no configuration.
    paths: dialect -> path below the base URL; a dialect that is not there is not offered.
    rejects: fields of the request it answers with an error; they are left out, and the caller is told.
    renames: OpenAI's name of a field -> the vendor's own. Without it the limit on the output would be lost.
    asks_for_usage: it reports usage in streams if `stream_options.include_usage` is set. The others do so anyway.
    format: what callers of other APIs than OpenAI's are translated into: `openai`, or `openai-extended` if it takes the
        reasoning of earlier turns, too.
    lists_models: it tells by `GET /models` which there are.
    states_cost: its usage says what the call costs, and that is what it charges.
    has_responses: at its own address, each of its models that chats is asked in the Responses API, too. Others are if
        they are declared as `responses`; callers of that API are translated for the rest.
    """

    account: type[ProviderAccount] = VendorAccount
    base_url: str | None = None
    suffix: str = ""
    key_variable: str | None = None
    paths: Mapping[str, str] = PATHS
    rejects: frozenset[str] = frozenset()
    renames: Mapping[str, str] = MappingProxyType({})
    asks_for_usage: bool = True
    format: str = "openai"
    lists_models: bool = True
    states_cost: bool = False
    has_responses: bool = False


VENDORS: Mapping[str, Vendor] = {
    "provider-account/openai": Vendor(
        account=OpenAIAccount,
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        paths=_only(*(dialect for dialect in ALL if dialect not in ("rerank", "ocr"))),
        has_responses=True,
    ),
    # Fields it does not know are a 400 as well ("property ... is unsupported"); prompt_cache_key is sent by SDKs.
    # Source: console.groq.com/docs/openai; api.md of groq-python of 2026-08; read 2026-11.
    "provider-account/groq": Vendor(
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        paths=_only("chat", "embeddings", *AUDIO, "files", "batches"),
        rejects=frozenset({"logit_bias", "logprobs", "prompt_cache_key", "top_logprobs"}),
    ),
    # Any field that is not its own is a 422 ("extra_forbidden"), `stream_options.include_usage` among them. Usage comes
    # with the last chunk. Source: docs.mistral.ai/api; types of mistralai/client-python of 2026-06, 422s in public
    # issues; read 2026-11.
    "provider-account/mistral-ai": Vendor(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        paths=_only("chat", "embeddings", "transcriptions", "moderations", "ocr"),
        rejects=frozenset(
            {"logit_bias", "logprobs", "service_tier", "store", "stream_options", "top_logprobs", "user", "verbosity"}
        ),
        renames=MappingProxyType(
            {"max_completion_tokens": "max_tokens", "seed": "random_seed", "dimensions": "output_dimension"}
        ),
        asks_for_usage=False,
    ),
    # Source: docs.together.ai/docs/inference/openai-compatibility (api.together.xyz is the older name); api.md of
    # together-py of 2026-10; read 2026-11.
    "provider-account/together-ai": Vendor(
        base_url="https://api.together.ai/v1",
        key_variable="TOGETHER_API_KEY",
        paths=_only(*TEXT, *AUDIO, "images", "rerank"),
    ),
    "provider-account/deepinfra": Vendor(
        account=KeyOnlyAccount, base_url="https://api.deepinfra.com/v1/openai", key_variable="DEEPINFRA_API_KEY"
    ),
    # Retired on 2026-09-27 for the Agent API, which is not a chat API; its refusal says so, and is passed on. Its
    # embeddings are int8 in base64, which OpenAI's clients would read as floats, so they are not offered.
    # Source: change log of @ai-sdk/perplexity 3.1.0; docs.perplexity.ai/docs/embeddings/best-practices; read 2026-11.
    "provider-account/perplexity-ai": Vendor(
        base_url="https://api.perplexity.ai",
        key_variable="PERPLEXITY_API_KEY",
        paths=_only("chat"),
        rejects=frozenset({"stream_options"}),
        asks_for_usage=False,
        lists_models=False,
        states_cost=True,
    ),
    # It reports usage whether asked or not, in an event without choices, which is cut out for those who did not ask.
    # Source: openrouter.ai/docs, ChatStreamOptions and use-cases/usage-accounting, read 2026-11.
    "provider-account/openrouter": Vendor(
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        format="openai-extended",
        states_cost=True,
        has_responses=True,
    ),
    # Its reasoning models refuse `stop`, `frequency_penalty` and `reasoning_effort` too, others take them: those stay.
    # Source: docs.x.ai, reasoning; answers of api.x.ai for grok-3 to grok-4.6 in public issues; read 2026-11.
    "provider-account/xai": Vendor(
        account=KeyOnlyAccount,
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
        rejects=frozenset({"presence_penalty"}),
        has_responses=True,
    ),
    # Source: api.md of cerebras-cloud-sdk-python of 2026-01, read 2026-11.
    "provider-account/cerebras": Vendor(
        account=KeyOnlyAccount,
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        paths=_only("chat", "completions"),
    ),
    "provider-account/sambanova": Vendor(base_url="https://api.sambanova.ai/v1", key_variable="SAMBANOVA_API_KEY"),
    # The last message of a stream has the usage. Source: docs.ai21.com/reference/jamba-api-response, ai21-python of
    # 2025-09, which knows no stream_options; read 2026-11.
    "provider-account/ai21": Vendor(
        account=KeyOnlyAccount,
        base_url="https://api.ai21.com/studio/v1",
        key_variable="AI21_API_KEY",
        paths=_only("chat"),
        asks_for_usage=False,
    ),
    "provider-account/baseten": Vendor(
        account=KeyOnlyAccount, base_url="https://inference.baseten.co/v1", key_variable="BASETEN_API_KEY"
    ),
    "provider-account/wafer": Vendor(
        account=WaferAccount, base_url="https://pass.wafer.ai/v1", key_variable="WAFER_API_KEY"
    ),
    "provider-account/ollama": Vendor(account=OllamaAccount, suffix="/v1", format="openai-extended"),
    "provider-account/databricks": Vendor(account=DatabricksAccount, suffix="/serving-endpoints", lists_models=False),
    # It caps answers at 4096 tokens unless told by `max_completion_tokens`, and knows no `max_tokens`.
    # Source: docs.snowflake.com/user-guide/snowflake-cortex/cortex-rest-api; langchain-ai/langchain-snowflake#132;
    # anomalyco/opencode#29900; read 2026-11.
    "provider-account/snowflake-cortex": Vendor(
        account=SnowflakeAccount,
        paths=_only("chat"),
        renames=MappingProxyType({"max_tokens": "max_completion_tokens"}),
        lists_models=False,
    ),
    "provider-account/self-hosted-model": Vendor(account=SelfHostedAccount, format="openai-extended"),
}

# TEI answers below / and below /v1, Infinity below its `--url-prefix`, NeMo Retriever below /v1: as the url says.
# Source: router/src/http/server.rs of text-embeddings-inference, infinity_server.py, docs.nvidia.com/nim; read 2026-11.
SERVERS: Mapping[str, Mapping[str, str]] = {
    "openai-compatible": ALL,
    "vllm-openai": _only(*(dialect for dialect in ALL if dialect not in (*ROOTS, "ocr", KEYS, CALL))),
    "tei": _only("embeddings", "rerank"),
    "infinity": _only("embeddings", "rerank"),
    "nemo-retriever": MappingProxyType({"embeddings": ALL["embeddings"], "rerank": "/ranking"}),
    "cohere-rerank-v2": MappingProxyType({"rerank": "/v2/rerank"}),
}
"""`model_server` of a self-hosted model -> paths."""
OUTSIDE_V1 = frozenset({("tei", "rerank")})
"""(`model_server`, dialect), where a url that ends in /v1 has one path too many."""
