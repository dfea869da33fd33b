"""Differences between versions of a manifest, as a terminal shows them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from gateway.cli.terminal import printable
from gateway.manifests import diff

_COLORS = {"+": "green", "-": "red", "@": "cyan"}
HEAD_LINES = 2


def difference(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, old_name: str, new_name: str
) -> list[str]:
    """The same as `gateway.manifests.diff`, with what drives a terminal escaped."""
    return [printable(line) for line in diff.difference(old, new, old_name=old_name, new_name=new_name)]


def coloured(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a unified diff in the colours of git; `click.echo` leaves them out where nobody sees them."""
    for number, line in enumerate(lines):
        if number < HEAD_LINES:
            yield click.style(line, bold=True)
        else:
            color = _COLORS.get(line[:1])
            yield click.style(line, fg=color) if color else line
