"""What differs between two versions of a manifest, for people to read."""

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

import yaml


def difference(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, old_name: str, new_name: str
) -> list[str]:
    """The lines of a unified diff of both as YAML, none when they say the same. None: there is no such manifest.

    Values are as they are: before a terminal gets them, control characters have to be escaped.
    """
    return list(unified_diff(_lines(_in_order_of(old, new)), _lines(new), old_name, new_name, lineterm=""))


class _Dumper(yaml.SafeDumper):
    """Writes each value out, and text of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _lines(data: Mapping[str, Any] | None) -> list[str]:
    if data is None:
        return []
    text = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("\n").split("\n")


def _in_order_of(value: Any, model: Any) -> Any:
    """The same value, its keys in the order of the model's. Items of lists are known by their name, else by place."""
    if isinstance(value, dict) and isinstance(model, dict):
        keys = [key for key in model if key in value] + [key for key in value if key not in model]
        return {key: _in_order_of(value[key], model.get(key)) for key in keys}
    if isinstance(value, list) and isinstance(model, list):
        named = {item["name"]: item for item in model if _has_name(item)}
        return [
            _in_order_of(item, named.get(item["name"]) if _has_name(item) else _at(model, place))
            for place, item in enumerate(value)
        ]
    return value


def _has_name(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)


def _at(items: list[Any], place: int) -> Any:
    return items[place] if place < len(items) else None
