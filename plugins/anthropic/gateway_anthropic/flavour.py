"""What differs where the same bodies are spoken: at Anthropic, Bedrock, Vertex, Azure, and by imitations of the API."""

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
        own_fields: see `OWN_FIELDS`; those it would refuse are left out, and the caller is told.
    """

    samples: bool = True
    takes_urls: bool = True
    takes_file_ids: bool = True
    has_later_system: bool = True
    own_fields: frozenset[str] = OWN_FIELDS
