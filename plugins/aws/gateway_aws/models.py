"""What the models on Bedrock can do, by their ids.

What Claude can do is the same everywhere: see `gateway.translators.claude`. Of a model behind an ARN that does not name
it, it is assumed that it can do what most can.

Source: docs.aws.amazon.com/bedrock/latest/userguide: conversation-inference-supported-models-features.html,
prompt-caching.html, structured-output.html, model-parameters-*.html; docs.aws.amazon.com/nova/latest/nova2-userguide;
read 2026-11.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from gateway.translators.claude import Claude, claude_of

_WITH_SCHEMAS = (
    "deepseek.v3",
    "google.gemma-3",
    "minimax.",
    "mistral.magistral",
    "mistral.ministral-3",
    "mistral.mistral-large-3",
    "moonshot.",
    "moonshotai.",
    "nvidia.nemotron",
    "openai.gpt-oss",
    "qwen.qwen3",
)
_FORCED = ("amazon.nova", "mistral.mistral-large", "mistral.pixtral-large")
_VENDORS = ("ai21", "amazon", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshot", "moonshotai",
            "nvidia", "openai", "qwen", "writer", "zai")  # fmt: skip
_VENDOR = re.compile(rf"(?:^|[./])(?P<id>(?P<vendor>{'|'.join(_VENDORS)})\.[\w.:-]+)")

Thinks = Literal["budget", "adaptive", "nova", "effort"]


class Traits(msgspec.Struct, frozen=True):
    """
    Args:
        family: whose model it is, as its id says; empty: not known.
        thinks: how it is told to: by a budget of tokens, as it sees fit, in Nova's way or by OpenAI's field; none: not.
        claude: more of what it can do, if it is one.
        samplers: how many of temperature, top_p and top_k it takes: 3, 1 (not temperature and top_p together) or 0.
        forces_tools: `toolChoice` may demand a call.
        has_schemas: answers by a JSON schema, and strict tools.
        caches: prompts may have cache points.
        own: field of the caller -> its name in `additionalModelRequestFields`, a dot for each object around it.
    """

    family: str = ""
    thinks: frozenset[Thinks] = frozenset()
    claude: Claude | None = None
    samplers: int = 3
    forces_tools: bool = True
    has_schemas: bool = False
    caches: bool = True
    own: Mapping[str, str] = {}


_OPAQUE = Traits()
_OWN: Mapping[str, Mapping[str, str]] = {
    "ai21": {"frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty"},
    "cohere": {
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
        "seed": "seed",
        "top_k": "k",
    },
    "mistral": {"top_k": "top_k"},
    "qwen": {"top_k": "top_k"},
}


@lru_cache(maxsize=1024)
def traits_of(model: str) -> Traits:
    """Of a model's id, inference profile or ARN: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`."""
    if "claude-" in model:
        return _of_claude(claude_of(model))
    if "anthropic." in model:
        return Traits("anthropic", own={"top_k": "top_k"})
    found = _VENDOR.search(model)
    if found is None:
        return _OPAQUE
    name, vendor = found["id"], found["vendor"]
    is_nova = name.startswith("amazon.nova")
    thinks: frozenset[Thinks] = frozenset()
    if name.startswith("amazon.nova-2"):
        thinks = frozenset({"nova"})
    elif vendor == "openai":
        thinks = frozenset({"effort"})
    return Traits(
        "nova" if is_nova else vendor,
        thinks=thinks,
        forces_tools=name.startswith(_FORCED),
        has_schemas=name.startswith(_WITH_SCHEMAS),
        caches=is_nova,
        own={"top_k": "inferenceConfig.topK"} if is_nova else _OWN.get(vendor, {}),
    )


def _of_claude(claude: Claude) -> Traits:
    thinks: dict[Thinks, bool] = {"budget": claude.takes_budget, "adaptive": claude.is_adaptive}
    return Traits(
        "anthropic",
        thinks=frozenset(way for way, is_its in thinks.items() if is_its),
        claude=claude,
        samplers=claude.samplers,
        forces_tools=claude.forces_tools,
        has_schemas=claude.has_schemas,
        own={"top_k": "top_k"},
    )
