"""Events of a YAML parser -> plain values, and the line on which each of them stands.

Composing first, as YAML loaders do, would recurse in C and crash on 100,000 open brackets; and an alias bomb is best
refused before anybody walks through it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn, TypeAlias

import yaml

from gateway.errors import Fault
from gateway.manifests.scalars import plain

MAX_NODES = 500_000
"""Values and containers of one file, aliases written out; 2,000 models are about 50,000."""
MAX_DEPTH = 100
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"

Steps: TypeAlias = tuple[str | int, ...]
"""The way to a value: `("integrations", 0, "url")`."""
Lines: TypeAlias = "int | tuple[int, dict[str, Lines] | list[Lines]]"
"""The line of a value (of its key, where it has one); for a container, also those of what it holds."""

_STR_TAGS = (None, "!", "tag:yaml.org,2002:str")


class Document(NamedTuple):
    value: Any
    lines: Lines


def steps_text(path: Iterable[str | int]) -> str:
    """`integrations[0].url`"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


class Stop(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Item(NamedTuple):
    """A finished value; `lines` of what it holds, `nodes` and `height` with all that is inside."""

    value: Any
    lines: Any = None
    nodes: int = 1
    height: int = 0

    def lines_from(self, line: int) -> Lines:
        return line if self.lines is None else (line, self.lines)


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "height", "is_merge", "key", "key_line", "line", "lines", "merged", "start", "value")

    def __init__(self, value: Any, line: int, anchor: str | None, start: int) -> None:
        self.value, self.lines = value, type(value)()
        self.line, self.anchor, self.start = line, anchor, start
        self.height = 1
        self.key: str | None = None
        self.key_line = 0
        self.is_merge = False
        self.merged: list[_Item] = []


class Builder:
    """Fills `documents` with those that are not empty, and `faults` with what is wrong in them."""

    def __init__(self, file: str) -> None:
        self.documents: list[Document] = []
        self.faults: list[Fault] = []
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, _Item] = {}
        self._nodes = 0

    def build(self, events: Iterable[Any]) -> None:
        """Takes the events of a file; Any, since the stubs give no event a line for certain. Raises Stop."""
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event, event.start_mark.line + 1)
            elif kind is yaml.MappingStartEvent:
                self._begin({}, event)
            elif kind is yaml.SequenceStartEvent:
                self._begin([], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self._anchors.clear()

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None and type(self._open[-1].value) is dict

    def _scalar(self, event: Any, line: int) -> None:
        is_key = self._wants_key()
        if is_key:
            self._key(event, line)
        if event.tag not in _STR_TAGS:
            self._fault("tags are not allowed, except !!str; text which begins with ! needs quotes", line)
        if is_key:
            return
        value = event.value if event.style or event.tag else plain(event.value)
        top = self._open[-1] if self._open else None
        if top is None or top.is_merge or event.anchor or self._nodes >= MAX_NODES:
            self._add(_Item(value), line, event.anchor)
            return
        self._nodes += 1  # as `_add` does with what is less plain
        if top.key is None:
            top.value.append(value)
            top.lines.append(line)
        else:
            top.value[top.key], top.lines[top.key], top.key = value, top.key_line, None

    def _key(self, event: Any, line: int) -> None:
        top = self._open[-1]
        top.key, top.key_line = event.value, line
        if event.value == "<<" and not event.style:
            if top.merged:
                self._fault("a second `<<`; to merge several mappings, write `<<: [*one, *two]`", line)
            top.is_merge = True
        elif event.value in top.value:
            first = top.lines[event.value]
            self._fault(f"duplicate key; first on line {first if isinstance(first, int) else first[0]}", line)

    def _begin(self, value: Any, event: Any) -> None:
        line = event.start_mark.line + 1
        if self._wants_key():
            self._stop("a key must be text; text which begins with { or [ needs quotes", line)
        if not event.implicit and event.tag != "!":
            self._fault("tags are not allowed, except !!str", line)
        if len(self._open) >= MAX_DEPTH:
            self._stop(TOO_DEEP, line)
        self._open.append(_Open(value, line, event.anchor, self._nodes))

    def _end(self) -> None:
        done = self._open.pop()
        for item in done.merged:
            done.value |= {key: value for key, value in item.value.items() if key not in done.value}
            done.lines |= {key: lines for key, lines in item.lines.items() if key not in done.lines}
        nodes = self._nodes - done.start + 1
        self._add(_Item(done.value, done.lines, nodes, done.height), done.line, done.anchor)

    def _alias(self, event: Any) -> None:
        line = event.start_mark.line + 1
        item = self._anchors.get(event.anchor)
        if item is None or self._wants_key():
            self._stop("an alias stands for a value, after its anchor; text which begins with * needs quotes", line)
        if len(self._open) + item.height > MAX_DEPTH:
            self._stop(f"aliases nested deeper than {MAX_DEPTH}", line)
        self._nodes += item.nodes - 1
        self._add(item, line, None)

    def _add(self, item: _Item, line: int, anchor: str | None) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(f"more than {MAX_NODES:,} values, aliases written out", line)
        if anchor:
            self._anchors[anchor] = item
        if not self._open:
            if item.value is not None:
                self.documents.append(Document(item.value, item.lines_from(line)))
            return
        top = self._open[-1]
        top.height = max(top.height, item.height + 1)
        if top.key is None:
            top.value.append(item.value)
            top.lines.append(item.lines_from(line))
        elif top.is_merge:
            self._merge(top, item, line)
        else:
            top.value[top.key] = item.value
            top.lines[top.key] = item.lines_from(top.key_line)
        top.key = None

    def _merge(self, top: _Open, item: _Item, line: int) -> None:
        top.is_merge = False
        items = [item]
        if isinstance(item.value, list):
            inner = (lines if isinstance(lines, tuple) else (lines, None) for lines in item.lines)
            items = [_Item(value, lines) for value, (_, lines) in zip(item.value, inner, strict=True)]
        if all(isinstance(item.value, dict) for item in items):
            top.merged = items
        else:
            self._fault("`<<` merges a mapping or a list of mappings", line)

    def _fault(self, message: str, line: int) -> None:
        steps = [len(part.value) if isinstance(part.value, list) else part.key for part in self._open]
        if self._open and isinstance(self._open[0].value, list):
            del steps[0]  # a list of manifests: paths begin inside each of them
        self.faults.append(Fault(self._file, line, steps_text(step for step in steps if step is not None), message))

    def _stop(self, message: str, line: int) -> NoReturn:
        raise Stop(Fault(self._file, line, "", message))
