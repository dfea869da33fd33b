"""JSON Schema of manifests, for editors and for people: written from the structs they are read into.

It says no to what the reader would refuse, and to fields that the reader would only warn of. What stands in for a
value, as `${NAME}` does, is taken anywhere, as are numbers in quotes.

Source: JSON Schema 2020-12.
"""

import inspect
from collections.abc import Iterable, Mapping
from itertools import dropwhile, islice, takewhile
from typing import Any

import msgspec
from msgspec import inspect as types

from gateway.manifests.meanings import MEANINGS
from gateway.secrecy.secret import Secret

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SECRET = "A secret: itself, `${NAME}`, or a `tfy-secret://` reference."

Schema = dict[str, Any]

_VARIABLE = r"\$\{"
_STANDS_IN = {"type": "string", "pattern": _VARIABLE}
_NUMBER = {"type": "string", "pattern": r"^[-+.0-9]|\$\{"}
_SECTIONS = ("Args:", "Source:", "Raises:")
_INDENT = "    "


def schema_of(structs: Mapping[str, type[msgspec.Struct]], *, unread: Iterable[str] = ()) -> Schema:
    """Of one manifest, or a list of them.

    Args:
        structs: type of a manifest -> what it is read into.
        unread: types that are known, and that nobody reads.
    """
    writer = _Writer()
    cases: list[Schema] = []
    for type_, struct in sorted(structs.items()):
        reference = writer.struct(struct)
        cases.append({"if": {"properties": {"type": {"const": type_}}}, "then": reference})
    manifest = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": sorted({*structs, *unread})}},
        "allOf": cases,
    }
    return {
        "$schema": DIALECT,
        "title": "Manifests of the gateway",
        "anyOf": [{"$ref": "#/$defs/Manifest"}, {"type": "array", "items": {"$ref": "#/$defs/Manifest"}}],
        "$defs": {"Manifest": manifest, **writer.defs},
    }


class _Writer:
    """Fills `defs`: name of a struct -> its schema."""

    def __init__(self) -> None:
        self.defs: dict[str, Schema] = {}
        self._names: dict[type, str] = {}

    def struct(self, struct: type[msgspec.Struct]) -> Schema:
        """A reference to it."""
        name = self._names.get(struct)
        if name is None:
            name = struct.__name__
            if name in self.defs:  # another module has one of that name
                name = f"{struct.__module__.rpartition('.')[2].capitalize()}{name}"
            self._names[struct] = name
            self.defs[name] = {}  # it may hold itself
            self.defs[name] |= self._body(struct)
        return {"$ref": f"#/$defs/{name}"}

    def _body(self, struct: type[msgspec.Struct]) -> Schema:
        info = types.type_info(struct)
        assert isinstance(info, types.StructType)
        meanings, about = {**MEANINGS, **meanings_of(struct)}, about_of(struct)
        properties = {field.encode_name: self._field(field, meanings.get(field.encode_name)) for field in info.fields}
        required = [field.encode_name for field in info.fields if field.required]
        if info.tag_field is not None:
            tag = {"const": info.tag, "description": meanings.get(info.tag_field, MEANINGS["type"])}
            properties = {info.tag_field: tag, **properties}
            required.insert(0, info.tag_field)
        return {
            "type": "object",
            **({"description": about} if about else {}),
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _field(self, field: types.Field, meaning: str | None) -> Schema:
        schema = self.of(field.type)
        if meaning is not None:
            schema = {**schema, "description": meaning}
        if field.default is not msgspec.NODEFAULT and field.default is not None:
            schema = {**schema, "default": msgspec.to_builtins(field.default, enc_hook=lambda _: "***")}
        return schema

    def of(self, kind: types.Type) -> Schema:
        match kind:
            case types.Metadata():
                return self._with_notes(kind)
            case types.StructType(cls=cls):
                return self.struct(cls)
            case types.UnionType(types=members):
                return {"anyOf": [self.of(member) for member in members]}
            case types.LiteralType(values=values):
                return {"anyOf": [{"enum": list(values)}, _STANDS_IN]}
            case types.EnumType(cls=cls):
                return {"anyOf": [{"enum": [member.value for member in cls]}, _STANDS_IN]}
            case types.StrType():
                return _text(kind)
            case types.BoolType():
                return {"anyOf": [{"type": "boolean"}, _STANDS_IN]}
            case types.IntType() | types.FloatType():
                return _number(kind)
            case types.NoneType():
                return {"type": "null"}
            case types.DictType(value_type=value):
                return {"type": "object", "additionalProperties": self.of(value)}
            case types.VarTupleType() | types.ListType() | types.SetType() | types.FrozenSetType():
                return {"type": "array", "items": self.of(kind.item_type), **_sized(kind.min_length, kind.max_length)}
            case types.CustomType(cls=cls) if cls is Secret:
                return {"type": "string", "description": SECRET}
        return {}

    def _with_notes(self, kind: types.Metadata) -> Schema:
        """Words about the form of a value are its title: the description is for what a field means."""
        schema = self.of(kind.type)
        if (kind.extra or {}).get("is_json"):
            schema = {"type": ["string", "object"], "description": SECRET}
        notes = dict(kind.extra_json_schema or {})
        form = notes.pop("description", None)
        return {**schema, **notes, **({"title": form} if form is not None else {})}


def about_of(struct: type) -> str:
    """What its docstring says of all of it, in one line."""
    return " ".join(" ".join(takewhile(lambda line: not line.startswith(_SECTIONS), _doc_of(struct))).split())


def meanings_of(struct: type) -> dict[str, str]:
    """Field -> what the docstrings of it, and of what it inherits from, say of it, in one line."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        lines = dropwhile(lambda line: line != "Args:", _doc_of(base))
        names: list[str] = []
        for line in takewhile(lambda line: not line or line.startswith(_INDENT), islice(lines, 1, None)):
            if line.startswith(_INDENT * 2) or not line:
                found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
            else:
                known, _, meaning = line.strip().partition(": ")
                names = known.split(", ")
                found |= dict.fromkeys(names, meaning)
    return found


def _doc_of(struct: type) -> list[str]:
    return inspect.cleandoc(struct.__dict__.get("__doc__") or "").splitlines()


def _text(kind: types.StrType) -> Schema:
    schema: Schema = {"type": "string", **_sized(kind.min_length, kind.max_length, of="Length")}
    if kind.pattern is not None:
        schema["pattern"] = f"{kind.pattern.replace(chr(92) + 'Z', '$')}|{_VARIABLE}"  # Python's own end of text
    return schema


def _number(kind: types.IntType | types.FloatType) -> Schema:
    limits = {"minimum": kind.ge, "exclusiveMinimum": kind.gt, "maximum": kind.le, "exclusiveMaximum": kind.lt}
    name = "integer" if isinstance(kind, types.IntType) else "number"
    return {"anyOf": [{"type": name, **{key: limit for key, limit in limits.items() if limit is not None}}, _NUMBER]}


def _sized(least: int | None, most: int | None, of: str = "Items") -> Schema:
    limits = {f"min{of}": least, f"max{of}": most}
    return {name: limit for name, limit in limits.items() if limit is not None}
