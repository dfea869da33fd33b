"""Files and directories -> manifests."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import ConfigError, Fault
from gateway.manifests.builder import Steps, steps_text
from gateway.manifests.documents import documents
from gateway.manifests.files import find, text_of
from gateway.manifests.foreign import foreign_form

_JSON_PAIR = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document. `data` is as it was written, references and all; it may hold keys, so `repr` leaves it out.

    `line` is that of its first field; one that stands in no file has line 0. `version` counts those of a manifest that
    was applied over the API; None: it stands in a file or comes from the environment, and is managed there. `by_admin`
    is about the former: an admin has applied the addresses in it. `lines` are packed: there are many, and few are
    ever asked for.
    """

    type: str
    name: str
    file: str
    line: int
    data: dict[str, Any] = field(repr=False)
    lines: bytes = field(default=b"", repr=False, compare=False)
    version: int | None = None
    by_admin: bool = field(default=False, repr=False)

    @property
    def family(self) -> str:
        """`provider-account` of `provider-account/openai`."""
        return self.type.partition("/")[0]

    @property
    def is_trusted(self) -> bool:
        """Who wrote it may send the gateway into its own network."""
        return self.version is None or self.by_admin

    def value_at(self, path: Steps) -> Any:
        """As it was written; None: nothing is there."""
        value: Any = self.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def line_of(self, path: Steps) -> int:
        """The line of a value's key, or of an item of a list. For what is not there: of what should hold it."""
        line, lines = self.line, _unpacked(self.lines)
        for step in path:
            if isinstance(lines, int):
                break
            try:
                lines = lines[1][step]  # TypeError: no such step
            except (KeyError, IndexError, TypeError):
                break
            line = lines if isinstance(lines, int) else lines[0]
        return line

    def fault(self, path: Steps, message: str) -> Fault:
        return Fault(self.file, self.line_of(path), steps_text(path), message)


@lru_cache(maxsize=16)  # a manifest with one fault may have thousands
def _unpacked(lines: bytes) -> Any:
    """As `Lines`, with lists for tuples."""
    return msgspec.msgpack.decode(lines) if lines else 0


class Loader:
    """The manifests of a file, or of all `*.yaml`, `*.yml` and `*.json` below a directory, in the order of their names.

    When it is asked again, it does not parse files that hold the same as before, and gives the same objects for
    manifests that stand where they stood.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._files: dict[Path, tuple[bytes, list[Manifest]]] = {}
        """File -> digest of its text, and what is in it."""

    def load(self) -> list[Manifest]:
        """Raises ConfigError, with everything that is wrong in any of the files."""
        known = {(each.type, each.name): each for _, found in self._files.values() for each in found}
        files: dict[Path, tuple[bytes, list[Manifest]]] = {}
        faults: list[Fault] = []
        for file in find(self.path):
            try:
                text = text_of(file)
                digest = blake2b(text.encode()).digest()
                if (before := self._files.get(file)) and before[0] == digest:
                    files[file] = before
                else:
                    files[file] = digest, [_same(known, each) for each in _manifests(text, str(file), faults)]
            except ConfigError as error:
                faults += error.faults
        manifests = _unique(chain.from_iterable(found for _, found in files.values()), faults)
        self._files = files
        return manifests


def load(path: str | Path) -> list[Manifest]:
    """Once, as a `Loader` does."""
    return Loader(path).load()


def loads(text: str, file: str = "<text>") -> list[Manifest]:
    """The manifests of a text; `file` is what faults call it, and tells JSON by its ending. Raises ConfigError."""
    faults: list[Fault] = []
    return _unique(_manifests(text, file, faults), faults)


def _manifests(text: str, file: str, faults: list[Fault]) -> Iterator[Manifest]:
    if file.endswith(".json"):
        text = _JSON_PAIR.sub(_join_pair, text)
    found, wrong = documents(text, file)
    faults += wrong
    found.reverse()
    while found:  # so that what becomes of one is freed before the next
        document = found.pop()
        for value, lines in _unwrapped(*document):
            if manifest := manifest_from(value, lines, file, faults):
                yield manifest


def _same(known: Mapping[tuple[str, str], Manifest], manifest: Manifest) -> Manifest:
    """The one that is known, if nothing of it has changed."""
    before = known.get((manifest.type, manifest.name))
    return before if before == manifest and before.lines == manifest.lines else manifest


def _unwrapped(value: Any, lines: Any) -> Iterator[tuple[Any, Any]]:
    """The manifests in a document: it is one, or a list of them, or an answer of the control API with one or several.

    Those have a manifest as `manifest`, beside who made it and when, and are themselves in `data` or a list.
    """
    if isinstance(value, list):
        for item, place in zip(value, lines[1], strict=True):
            yield from _unwrapped(item, place)
        return
    if isinstance(value, dict) and foreign_form(value) is None:
        for key in ("manifest", "data"):
            inner = value.get(key)
            if isinstance(inner, dict | list) and ("type" not in value or (key == "manifest" and "type" in inner)):
                yield from _unwrapped(inner, lines[1][key])
                return
    yield value, lines


def _join_pair(match: re.Match[str]) -> str:
    """JSON writes a character beyond U+FFFF as two escapes, which YAML does not know."""
    high, low = match.groups()
    return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)) if high else match[0]


def manifest_from(data: Any, lines: Any, file: str, faults: list[Fault]) -> Manifest | None:
    """A document as a manifest, or None and one more fault."""
    line = lines if isinstance(lines, int) else lines[0]
    if foreign := foreign_form(data):
        faults.append(Fault(file, line, "", foreign))
        return None
    if not isinstance(data, dict) or not data.get("type"):
        faults.append(Fault(file, line, "", "a manifest is a mapping with a `type`"))
        return None
    kind, name = data["type"], data.get("name")
    name = kind if name is None else name
    manifest = Manifest(kind, name, file, line, data, msgspec.msgpack.encode(lines))
    for key, value in {"type": kind, "name": name}.items():
        if not isinstance(value, str):
            wrong = "must be text; put it in quotes"
        elif not value:
            wrong = "must not be empty"
        elif "${" in value:
            wrong = "must not depend on a variable: type and name say which manifest this is"
        else:
            continue
        faults.append(manifest.fault((key,), wrong))
        return None
    return manifest


def _unique(manifests: Iterable[Manifest], faults: list[Fault]) -> list[Manifest]:
    """All of them; raises ConfigError if anything is wrong, two of the same type and name included."""
    first: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        other = first.setdefault((manifest.type, manifest.name), manifest)
        if other is not manifest:
            message = f"a second {manifest.type} named {manifest.name!r}; the first is in {other.file}:{other.line}"
            faults.append(manifest.fault(("name",), message))
    if faults:
        raise ConfigError(faults)
    return list(first.values())
