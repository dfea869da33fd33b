"""Types of manifests that nobody here reads, and what to tell whoever writes one.

Source: types of truefoundry-sdk 0.6.0 and of its command line, as restated in section 1 of the project's compatibility
notes.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from gateway.manifests.kinds import KINDS
from gateway.manifests.spelling import did_you_mean

_ACCOUNTS = "provider-account/"

NOT_YET = frozenset(
    {
        *(
            _ACCOUNTS + name
            for name in (
                "aws",
                "azure",
                "gcp",
                "mcp-server-group",
                "palm",
            )
        ),
        *(type_ for type_, struct in KINDS.items() if struct is None),
    }
)
"""Types of TrueFoundry that are not carried out yet."""

IN_PLUGINS: Mapping[str, str] = MappingProxyType(
    {
        _ACCOUNTS + "anthropic": "llm-asgi-gateway-anthropic",
        _ACCOUNTS + "aws-bedrock": "llm-asgi-gateway-aws",
        _ACCOUNTS + "aws-bedrock-mantle": "llm-asgi-gateway-aws",
        _ACCOUNTS + "aws-claude-platform": "llm-asgi-gateway-aws",
        _ACCOUNTS + "aws-sagemaker": "llm-asgi-gateway-aws",
        _ACCOUNTS + "azure-foundry": "llm-asgi-gateway-azure",
        _ACCOUNTS + "azure-openai": "llm-asgi-gateway-azure",
        _ACCOUNTS + "cartesia": "llm-asgi-gateway-speech",
        _ACCOUNTS + "cloudera": "llm-asgi-gateway-cloudera",
        _ACCOUNTS + "cohere": "llm-asgi-gateway-cohere",
        _ACCOUNTS + "deepgram": "llm-asgi-gateway-speech",
        _ACCOUNTS + "elevenlabs": "llm-asgi-gateway-speech",
        _ACCOUNTS + "google-gemini": "llm-asgi-gateway-google",
        _ACCOUNTS + "google-vertex": "llm-asgi-gateway-google",
        _ACCOUNTS + "microsoft-foundry": "llm-asgi-gateway-azure",
        _ACCOUNTS + "nomic": "llm-asgi-gateway-nomic",
        _ACCOUNTS + "smallest-ai": "llm-asgi-gateway-speech",
    }
)
"""Types that plugins of this project read, and the distributions these come in."""


def why_unread(type_: str, known: Collection[str]) -> str:
    """`provider-account/anthropic is not supported yet`; `known` are the types that somebody reads."""
    if type_ in NOT_YET:
        return f"{type_} is not supported yet"
    if type_ in IN_PLUGINS:
        return f"{type_} is read by the plugin {IN_PLUGINS[type_]}, which is not installed"
    account = _ACCOUNTS + type_.removeprefix(_ACCOUNTS)
    if account in known or account in IN_PLUGINS:  # and so it is not what was written
        return f"no plugin reads {type_}; did you mean `{account}`?"
    if named := sorted(name for name in IN_PLUGINS if account in _shortened(name)):
        return f"no plugin reads {type_}; did you mean {' or '.join(f'`{name}`' for name in named)}?"
    # `google` may be either of two, `custom-endpoint` lacks its family.
    meant = sorted(name for name in NOT_YET if account in (name, *_shortened(name)))
    if meant:
        return f"no plugin reads {type_}; not supported yet: {', '.join(meant)}"
    hint = did_you_mean(type_, [*known, *NOT_YET, *IN_PLUGINS])
    if not hint and type_.startswith(_ACCOUNTS):
        hint = f"; whoever has an API like OpenAI's can be a {_ACCOUNTS}self-hosted-model"
    return f"no plugin reads {type_}{hint}"


def _shortened(type_: str) -> list[str]:
    """`provider-account/google-gemini` by one of its words: `provider-account/google`, `provider-account/gemini`."""
    family, _, name = type_.partition("/")
    return [f"{family}/{word}" for word in name.split("-")]
