"""The reference of manifests, as Markdown: a table for each struct in their JSON Schema."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from gateway.manifests.schema import Schema, schema_of

HEAD = """\
# Reference

Every field of every manifest that the gateway reads without plugins. This page is written by
`gateway schema --format markdown`; `gateway schema` writes the same as a JSON Schema, for editors, and with what
plugins add that are installed. Where a field has no default, it may be left out all the same unless it says *required*.

`${NAME}` may stand in any text, and is replaced by that environment variable.
"""
_REF = "#/$defs/"
_STAND_INS = ("^[-+.0-9]|\\$\\{", "\\$\\{")
"""Patterns of text that may stand for something else, and that are no type of their own."""


def reference_of(structs: Mapping[str, type[msgspec.Struct]]) -> str:
    """
    Args:
        structs: type of a manifest -> what it is read into.
    """
    schema = schema_of(structs)
    defs: dict[str, Schema] = schema["$defs"]
    manifest = defs.pop("Manifest")
    types = {case["if"]["properties"]["type"]["const"]: case["then"]["$ref"] for case in manifest["allOf"]}
    by_struct: dict[str, list[str]] = {}
    for type_, reference in types.items():
        by_struct.setdefault(reference.removeprefix(_REF), []).append(type_)
    about = {f"{_REF}{name}": struct.get("description", "") for name, struct in defs.items()}
    parts = [HEAD]
    for name, names in sorted(by_struct.items(), key=lambda item: item[1]):
        parts.append(f"## {', '.join(names)}\n\n{_section(defs[name], about, _words(names))}")
    parts.append("## What they are made of\n")
    parts += [f"### {name}\n\n{_section(defs[name], about)}" for name in sorted(defs.keys() - by_struct.keys())]
    return "\n".join(parts)


def _words(types: Iterable[str]) -> str:
    return " or ".join(f"`{type_}`" for type_ in types)


def _section(struct: Schema, abouts: Mapping[str, str], type_: str | None = None) -> str:
    about = struct.get("description", "")
    rows = "\n".join(_row(name, field, struct, abouts, type_) for name, field in struct["properties"].items())
    table = f"| field | type | default | meaning |\n|---|---|---|---|\n{rows}\n" if rows else "It has no fields.\n"
    return f"{about}\n\n{table}" if about else table


def _row(name: str, field: Schema, struct: Schema, abouts: Mapping[str, str], type_: str | None) -> str:
    kind = type_ if type_ is not None and name == "type" else " or ".join(dict.fromkeys(_kinds(field)))
    default = "*required*" if name in struct.get("required", ()) else ""
    if "default" in field:
        default = f"`{msgspec.json.encode(field['default']).decode()}`"
    cells = (f"`{name}`", kind, default, field.get("description") or _meaning(field, abouts))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _meaning(field: Schema, abouts: Mapping[str, str]) -> str:
    """What its value says of itself, or the only kind of value there is."""
    members = [each for each in field.get("anyOf", (field,)) if each.get("type") != "null"]
    told = next((each["description"] for each in members if "description" in each), "")
    return told or (abouts.get(members[0].get("$ref", ""), "") if len(members) == 1 else "")


def _kinds(field: Schema) -> Iterator[str]:
    """In words, those that a value may have."""
    match field:
        case {"anyOf": members}:
            for member in members:
                if member.get("pattern") not in _STAND_INS and member.get("type") != "null":
                    yield from _kinds(member)
        case {"$ref": reference}:
            name = reference.removeprefix(_REF)
            yield f"[{name}](#{name.lower()})"
        case {"enum": values}:
            yield ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            yield f"`{value}`"
        case {"type": "string", "title": form}:
            yield form
        case {"type": "array", "items": {"type": "string"}}:
            yield "list of text"
        case {"type": "array", "items": items}:
            yield f"list of {' or '.join(_kinds(items))}"
        case {"type": "object", "additionalProperties": values}:
            yield f"mapping of {' or '.join(_kinds(values))}"
        case {"type": str(name), **limits}:
            yield _WORDS[name] + _limits(limits)
        case {"type": names}:
            yield " or ".join(_WORDS[name] for name in names)
        case _:
            yield "anything"


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "object": "mapping",
}


def _limits(limits: Schema) -> str:
    told = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {limits[name]:g}" for name, word in told.items() if name in limits)
