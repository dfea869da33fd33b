"""What differs where the same bodies are spoken: at Anthropic, Bedrock, Vertex, Azure, and by imitations of the API.

Source: platform.claude.com/docs/en/build-with-claude/vision, /files and .../api/service-tiers, which name the platforms
that have it, /claude-in-amazon-bedrock, /claude-on-vertex-ai and /claude-in-microsoft-foundry; lib/bedrock/_client.py
and lib/vertex/_client.py of anthropic 2.14; read 2026-11.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

OWN_FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "speed",
    }
)
"""Fields of the Messages API that OpenAI has nothing like; callers may send them as they are.

Source: `MessageCreateParams` of anthropic 2.14, and its beta; read 2026-11.
"""


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        samples: it takes temperature, top_p and top_k, if the model does; version 2026-10-21 does not.
        takes_urls: it fetches pictures and documents itself.
        takes_file_ids: it has a Files API.
        has_later_system: a system message may stand behind a user's, if the model allows it.
        has_tiers: `service_tier` may be chosen.
        own_fields: see `OWN_FIELDS`; those it would refuse are left out, and the caller is told.
        leaves_out: fields that are said elsewhere, as in the path.
        adds: fields of each body.
        betas: how the names of those begin that are known there; they are a field, and so is the version. None: both
            stay in headers.
    """

    samples: bool = True
    takes_urls: bool = True
    takes_file_ids: bool = True
    has_later_system: bool = True
    has_tiers: bool = True
    own_fields: frozenset[str] = OWN_FIELDS
    leaves_out: frozenset[str] = frozenset()
    adds: Mapping[str, str] = MappingProxyType({})
    betas: tuple[str, ...] | None = None


BETAS = (
    "compact-",
    "computer-use-",
    "context-1m-",
    "context-management-",
    "dev-full-thinking-",
    "effort-",
    "fine-grained-tool-streaming-",
    "interleaved-thinking-",
    "output-128k-",
    "token-efficient-tools-",
    "tool-examples-",
    "tool-search-tool-",
)
"""Any other is refused by Bedrock and Vertex AI, with all of the request, such as `claude-code-20250219`.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
and .../claude-messages-*.html; platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai; read 2026-11.
"""
_ON_A_CLOUD = frozenset({"anthropic_beta", "context_management"})

FLAVOURS: Mapping[str, Flavour] = MappingProxyType(
    {
        "anthropic": Flavour(),
        "anthropic-on-aws": Flavour(has_tiers=False),
        "anthropic-mantle": Flavour(
            takes_urls=False,
            takes_file_ids=False,
            has_tiers=False,
            own_fields=frozenset({"context_management"}),
        ),
        "anthropic-bedrock": Flavour(
            takes_urls=False,
            takes_file_ids=False,
            has_tiers=False,
            own_fields=_ON_A_CLOUD,
            leaves_out=frozenset({"model", "stream"}),
            adds=MappingProxyType({"anthropic_version": "bedrock-2023-05-31"}),
            betas=BETAS,
        ),
        "anthropic-vertex": Flavour(
            takes_urls=False,
            takes_file_ids=False,
            has_tiers=False,
            own_fields=_ON_A_CLOUD,
            leaves_out=frozenset({"model"}),
            adds=MappingProxyType({"anthropic_version": "vertex-2023-10-16"}),
            betas=(*BETAS, "web-search-"),
        ),
        "anthropic-foundry": Flavour(has_tiers=False, own_fields=OWN_FIELDS - {"inference_geo", "speed"}),
    }
)
"""Format -> what is spoken there. Betas are a header of the Messages API, and a field on Bedrock and Vertex."""
