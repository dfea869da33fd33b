"""What the models on Bedrock can do, by their ids.

Of a Claude whose version is not known yet, the newest is assumed, so that what the newest refuse is not sent to it; of
a model behind an ARN that does not name it, that it can do what most can.

Source: docs.aws.amazon.com/bedrock/latest/userguide: conversation-inference-supported-models-features.html,
prompt-caching.html, structured-output.html, model-parameters-*.html; docs.aws.amazon.com/nova/latest/nova2-userguide;
for Claude platform.claude.com/docs/en: build-with-claude/thinking, /effort and /structured-outputs; read 2026-11.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import msgspec

_CLAUDE = re.compile(
    r"claude-(?:(?P<old>\d)(?:[-.](?P<old_minor>\d))?-)?(?P<family>[a-z]+)"
    r"(?:-(?P<major>\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?(?!\d))?"
)
_NEWEST = (9, 9)
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
        takes_budget: also of those that think as they see fit.
        efforts: those that `outputConfig.effort` may have.
        thinks_unasked: until told otherwise, by `off`: the type of its `thinking`; None: nothing stops it.
        shows_thinking: in words, unless `display` says otherwise.
        samplers: how many of temperature, top_p and top_k it takes: 3, 1 (not temperature and top_p together) or 0.
        forces_tools: `toolChoice` may demand a call.
        has_schemas: answers by a JSON schema, and strict tools.
        caches: prompts may have cache points.
        own: field of the caller -> its name in `additionalModelRequestFields`, a dot for each object around it.
    """

    family: str = ""
    thinks: frozenset[Thinks] = frozenset()
    efforts: tuple[str, ...] = ()
    thinks_unasked: bool = False
    off: str | None = "disabled"
    shows_thinking: bool = True
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
    if (claude := _CLAUDE.search(model)) is not None:
        return _of_claude(claude)
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


def _of_claude(found: "re.Match[str]") -> Traits:
    family, version = found["family"], _version(found)
    is_always_on = family in ("fable", "mythos") or (family == "opus" and version >= (5, 5))
    thinks: set[Thinks] = set()
    if (3, 7) <= version < (4, 7):
        thinks.add("budget")
    if version >= (4, 6):
        thinks.add("adaptive")
    off: str | None = None if is_always_on else "disabled"
    if family == "sonnet" and version >= (5, 5):
        off = "between_tools"
    return Traits(
        "anthropic",
        thinks=frozenset(thinks),
        efforts=_efforts(family, version),
        thinks_unasked=is_always_on or version >= (5, 0),
        off=off,
        shows_thinking=version < (4, 7),
        samplers=3 if version < (4, 1) else 1 if version < (4, 7) else 0,
        forces_tools=(3, 0) <= version < (5, 1),
        has_schemas=version >= (4, 5),
        own={"top_k": "top_k"},
    )


def _version(found: "re.Match[str]") -> tuple[int, int]:
    if found["old"]:
        return int(found["old"]), int(found["old_minor"] or 0)
    if found["major"]:
        return int(found["major"]), int(found["minor"] or 0)
    return (2, 0) if found["family"] in ("instant", "v") else _NEWEST


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if family == "opus" and version >= (4, 5) else ()
