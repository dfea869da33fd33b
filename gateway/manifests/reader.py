"""A manifest -> the struct its plugin declared, with references resolved."""

import re
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from gateway.errors import ConfigError, Fault, Unresolved
from gateway.manifests.builder import Steps
from gateway.manifests.loader import Manifest
from gateway.manifests.references import PREFIX, Missing, Secrets
from gateway.manifests.scalars import plain
from gateway.manifests.shapes import LISTS, MAPPINGS, UNIONS, bare, fields_of, is_struct, required_of, shape
from gateway.manifests.spelling import did_you_mean
from gateway.secrecy.sealing import MASK
from gateway.secrecy.secret import Secret, SecretJson, SecretText

T = TypeVar("T")

_PLACEHOLDER = re.compile(
    r"<[^<>]*> | \{\{.*\}\} | .*\.\.\. | (sk-)?x{6,} | change[-_\ ]?me | todo"
    r"| (.*[-_\ ])?(your|my)[-_\ ]?(own[-_\ ]?)?(api|secret|access)?[-_\ ]?(key|token|secret|password)([-_\ ]?here)?",
    re.IGNORECASE | re.VERBOSE,
)
_PLACEHOLDER_CHARS = 100

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_NUMBERS = (int, float)
_EXACT = 2**53
"""Up to here each whole number is a float."""


def read(manifest: Manifest, struct: type[T], secrets: Secrets) -> tuple[T, list[Fault]]:
    """The manifest as `struct`, and a warning for each field that `struct` does not know.

    `${NAME}` may stand in any text, a secret reference in fields of type `Secret` alone. Numbers may be written as
    templates do: `1e+06` and `1.0` for whole ones, and in quotes. No message holds a value.

    Args:
        struct: a msgspec.Struct. The default of a field it may leave out is for `struct` to say.

    Raises:
        ConfigError: with every wrong type, missing field and missing secret of the manifest; and with the fields that
            are not known, because a misspelled one is why another is missing.
        Unresolved: what references lead to is missing, and all else is well.
    """
    reader = _Reader(manifest, secrets)
    with suppress(msgspec.ValidationError):
        document = reader.value(struct, manifest.data, ())
        if not reader.faults and not reader.unresolved:
            return document, reader.warnings
    # Something is wrong, so it is worth the time to find all of it.
    reader = _Reader(manifest, secrets, checks=True)
    data = reader.value(struct, manifest.data, ())
    if not reader.faults:
        if reader.unresolved:
            raise Unresolved(reader.unresolved)
        try:
            return msgspec.convert(data, struct, dec_hook=_as_it_is), reader.warnings
        except msgspec.ValidationError as error:  # what cannot be seen one field at a time
            message, _, path = str(error).partition(" - at `$")
            reader.faults.append(manifest.fault(_steps(path), message))
    raise ConfigError(sorted([*reader.faults, *reader.unresolved, *reader.warnings], key=lambda fault: fault.line))


def _as_it_is(kind: type, value: Any) -> Any:
    return value


def _steps(path: str) -> Steps:
    """From msgspec's `.integrations[0].url`, up to where it becomes vague (`[...]`: some value of a mapping)."""
    path = path.partition("[...]")[0].rstrip("`")
    return tuple(int(index) if index else name for name, index in _STEP.findall(path))


class _Reader:
    """Walks data and type side by side, so that all faults are found, and each has its path.

    Args:
        checks: each value by itself, and leaves it to others to make structs of them; else structs are made on the way,
            one by one, for to make a large one at once would hold up the event loop.
    """

    def __init__(self, manifest: Manifest, secrets: Secrets, *, checks: bool = False) -> None:
        self.manifest = manifest
        self.secrets = secrets
        self.checks = checks
        self.faults: list[Fault] = []
        self.unresolved: list[Fault] = []
        self.warnings: list[Fault] = []

    def fault(self, path: Steps, message: str) -> None:
        self.faults.append(self.manifest.fault(path, message))

    def value(self, kind: Any, value: Any, path: Steps) -> Any:
        """The value, ready for `msgspec.convert`, which takes structs as they are."""
        kind, base, origin, inner = shape(kind, value.__class__)
        if isinstance(value, str):
            return self.text(kind, base, value, path)
        if isinstance(value, dict):
            if base is Secret and kind == SecretJson:
                return Secret(msgspec.json.encode(self.revealed(value, path)).decode())
            if is_struct(origin):
                return self.struct(origin, value, path)
            if origin in UNIONS and any(map(is_struct, inner)):
                return self.tagged([member for member in inner if is_struct(member)], value, path)
            if origin in MAPPINGS:
                kind = inner[1] if inner else Any
                return {key: self.value(kind, item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list) and origin in LISTS and (origin is not tuple or inner[1:] == (...,)):
            kind = inner[0] if inner else Any
            return [self.value(kind, item, (*path, index)) for index, item in enumerate(value)]
        if base is Secret:
            kind = base = str
        return self.leaf(kind, base, value, path)

    def struct(self, kind: type[msgspec.Struct], value: dict[str, Any], path: Steps) -> Any:
        fields, config = fields_of(kind), kind.__struct_config__
        known: dict[str, Any] = {}
        for key, item in value.items():
            if key in fields:
                known[key] = self.value(fields[key].type, item, (*path, key))
            elif key == config.tag_field:
                known[key] = self.value(Literal[config.tag], item, (*path, key))
            else:
                names = [*fields, config.tag_field] if config.tag_field else [*fields]
                self.warnings.append(self.manifest.fault((*path, key), "unknown field" + did_you_mean(key, names)))
        for name in required_of(kind):
            if name not in value:
                self.fault(path, f"missing required field `{name}`")
        return known if self.checks else msgspec.convert(known, kind, dec_hook=_as_it_is)

    def tagged(self, structs: list[type[msgspec.Struct]], value: dict[str, Any], path: Steps) -> Any:
        """`value` as the one of the structs which its tag names."""
        by_tag = {struct.__struct_config__.tag: struct for struct in structs}
        field = structs[0].__struct_config__.tag_field or "type"
        tag = value.get(field)
        if isinstance(tag, str) and tag in by_tag:
            return self.struct(by_tag[tag], value, path)
        self.fault((*path, field), _one_of(by_tag, tag))
        return value

    def text(self, kind: Any, base: Any, value: str, path: Steps) -> Any:
        try:
            if base is Secret:
                return self.secret(kind, value, path)
            value = self.expanded(kind, value)
        except Missing as error:
            self.unresolved.append(self.manifest.fault(path, str(error)))
            return value
        except ValueError as error:
            self.fault(path, str(error))
            return value
        if PREFIX in value:
            self.fault(path, "no secret is allowed here, because this field is shown in logs and listings")
        elif kind is not str and kind is not Any:
            return self.leaf(kind, base, value, path)
        return value

    def secret(self, kind: Any, value: str, path: Steps) -> Secret:
        """Raises ValueError: it leads nowhere."""
        is_any_text = kind in (SecretText, SecretJson)
        if value.startswith(MASK):
            self.fault(path, "is the mask of a secret; write the secret itself, or a tfy-secret:// reference")
        secret = self.secrets.resolve(value, is_any_text=is_any_text)
        if _PLACEHOLDER.fullmatch(secret.reveal()[:_PLACEHOLDER_CHARS]):
            self.warnings.append(self.manifest.fault(path, "looks like a placeholder, and not like a secret"))
        if not secret.reveal().strip() and not is_any_text:  # a password may be empty, a key never
            self.fault(path, "must not be empty")
        return secret

    def revealed(self, value: Any, path: Steps) -> Any:
        """A document that is secret as a whole: any text in it may be a reference."""
        if isinstance(value, dict):
            return {key: self.revealed(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.revealed(item, (*path, index)) for index, item in enumerate(value)]
        found = self.text(SecretText, Secret, value, path) if isinstance(value, str) else value
        return found.reveal() if isinstance(found, Secret) else found

    def expanded(self, kind: Any, value: str) -> str:
        """With its variables put in; of what may stand in for those that are missing, the first that fits."""
        text = value
        for stand_in in self.secrets.stand_ins if "${" in value else ():
            text = self.secrets.expand(value, stand_in)
            with suppress(msgspec.ValidationError):
                msgspec.convert(_number(bare(kind), text), kind)
                break
        return text

    def leaf(self, kind: Any, base: Any, value: Any, path: Steps) -> Any:
        value = _number(base, value)
        try:
            if self.checks:
                msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.fault(path, _explain(kind, value, error))
        return value


def _number(base: Any, value: Any) -> Any:
    """The number that is meant where one is expected: templates put it in quotes, and write whole ones as floats."""
    if base in _NUMBERS and isinstance(value, str) and type(number := plain(value)) in _NUMBERS:
        value = number
    if base is int and isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _explain(kind: Any, value: Any, error: msgspec.ValidationError) -> str:
    base = bare(kind)
    if get_origin(base) is Literal:
        return _one_of(get_args(base), value)
    if isinstance(base, type) and issubclass(base, Enum):
        return _one_of([member.value for member in base], value)
    if base is str and value is None:
        return "must not be empty"
    if base is str and isinstance(value, int | float):
        return "must be text; put it in quotes"
    notes = [note.description for note in get_args(kind)[1:] if isinstance(note, msgspec.Meta) and note.description]
    if notes:
        return f"must be {notes[0]}"
    if base is int and type(value) is not int:
        return "must be a whole number"
    if base is float and type(value) not in _NUMBERS:
        return "must be a number"
    return str(error).partition(" - at ")[0]


def _one_of(allowed: Iterable[Any], value: object) -> str:
    names = [str(item) for item in allowed]
    return f"must be one of: {', '.join(names)}" + (did_you_mean(value, names) if isinstance(value, str) else "")
