"""Files that belong to something else, known by their keys: somebody brought one along, or named the wrong one."""

from typing import Any

_VENDORS = "write a provider-account for each vendor, with its key as auth_data and its models as integrations"

_FORMS: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"model_list"}), "a configuration of LiteLLM", _VENDORS),
    (frozenset({"litellm_settings"}), "a configuration of LiteLLM", _VENDORS),
    (frozenset({"providers"}), "a configuration of another gateway, such as Bifrost", _VENDORS),
    (
        frozenset({"strategy", "targets"}),
        "a configuration of Portkey",
        f"{_VENDORS}, and a virtual model for the targets",
    ),
    (frozenset({"virtual_key"}), "a configuration of Portkey", _VENDORS),
    (
        frozenset({"apiVersion", "kind"}),
        "an object of Kubernetes",
        "give the manifests that it holds as files of their own",
    ),
    (frozenset({"services"}), "a Compose file", "name the file of manifests which its container gets"),
    (frozenset({"openapi"}), "a description of an API", "name the file of manifests"),
    (frozenset({"swagger"}), "a description of an API", "name the file of manifests"),
    (frozenset({"mcpServers"}), "a list of MCP servers", "those are not supported yet"),
)
"""Keys it has -> what it is, and what to do instead."""


def foreign_form(data: Any) -> str | None:
    """What to tell whoever takes it for a manifest; None when it may be one."""
    if not isinstance(data, dict) or ("type" in data and "apiVersion" not in data):
        return None
    for keys, what, instead in _FORMS:
        if keys <= data.keys():
            return f"this is {what}, which is not read here; {instead} (`gateway init` writes an example)"
    return None
