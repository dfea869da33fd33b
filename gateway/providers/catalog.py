"""Vendors that speak OpenAI's API: one row each, and nothing else to do to add one."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.manifests.accounts import (
    DatabricksAccount,
    KeyAccount,
    KeyOnlyAccount,
    OllamaAccount,
    OpenAIAccount,
    ProviderAccount,
    SelfHostedAccount,
    WaferAccount,
)

PATHS = MappingProxyType({"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"})


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular about one vendor.

    base_url: None when the account names its own.
    suffix: goes behind the address an account names.
    key_variable: the environment variable its own SDK reads; an account is made of it when there is no configuration.
    paths: dialect -> path below the base URL; a dialect that is not there is not offered.
    rejects: fields of the request it answers with an error; they are left out, and the caller is told.
    asks_for_usage: it reports usage in streams if `stream_options.include_usage` is set. The others do so anyway.
    """

    account: type[ProviderAccount] = KeyAccount
    base_url: str | None = None
    suffix: str = ""
    key_variable: str | None = None
    paths: Mapping[str, str] = PATHS
    rejects: frozenset[str] = frozenset()
    asks_for_usage: bool = True


VENDORS: Mapping[str, Vendor] = {
    "provider-account/openai": Vendor(
        account=OpenAIAccount, base_url="https://api.openai.com/v1", key_variable="OPENAI_API_KEY"
    ),
    "provider-account/groq": Vendor(base_url="https://api.groq.com/openai/v1", key_variable="GROQ_API_KEY"),
    "provider-account/mistral-ai": Vendor(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        rejects=frozenset({"stream_options", "user"}),
        asks_for_usage=False,
    ),
    "provider-account/together-ai": Vendor(base_url="https://api.together.xyz/v1", key_variable="TOGETHER_API_KEY"),
    "provider-account/deepinfra": Vendor(
        account=KeyOnlyAccount, base_url="https://api.deepinfra.com/v1/openai", key_variable="DEEPINFRA_API_KEY"
    ),
    "provider-account/perplexity-ai": Vendor(
        base_url="https://api.perplexity.ai",
        key_variable="PERPLEXITY_API_KEY",
        rejects=frozenset({"stream_options"}),
        asks_for_usage=False,
    ),
    "provider-account/openrouter": Vendor(base_url="https://openrouter.ai/api/v1", key_variable="OPENROUTER_API_KEY"),
    "provider-account/xai": Vendor(account=KeyOnlyAccount, base_url="https://api.x.ai/v1", key_variable="XAI_API_KEY"),
    "provider-account/cerebras": Vendor(
        account=KeyOnlyAccount, base_url="https://api.cerebras.ai/v1", key_variable="CEREBRAS_API_KEY"
    ),
    "provider-account/sambanova": Vendor(base_url="https://api.sambanova.ai/v1", key_variable="SAMBANOVA_API_KEY"),
    "provider-account/ai21": Vendor(
        account=KeyOnlyAccount, base_url="https://api.ai21.com/studio/v1", key_variable="AI21_API_KEY"
    ),
    "provider-account/nomic": Vendor(base_url="https://api-atlas.nomic.ai/v1", key_variable="NOMIC_API_KEY"),
    "provider-account/baseten": Vendor(
        account=KeyOnlyAccount, base_url="https://inference.baseten.co/v1", key_variable="BASETEN_API_KEY"
    ),
    "provider-account/wafer": Vendor(
        account=WaferAccount, base_url="https://pass.wafer.ai/v1", key_variable="WAFER_API_KEY"
    ),
    "provider-account/ollama": Vendor(account=OllamaAccount, suffix="/v1"),
    "provider-account/databricks": Vendor(account=DatabricksAccount, suffix="/serving-endpoints"),
    "provider-account/self-hosted-model": Vendor(account=SelfHostedAccount),
}
