"""What commands show: tables, times and JSON, with nothing in them that could drive the terminal."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from gateway.wire.cells import safe_cell

GAP = "  "


def printable(text: str) -> str:
    """One line, in which everything that does not print is written as an escape: names and values come from others."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def failed(text: str) -> click.ClickException:
    """Ends the command with exit code 1. The text may have several lines."""
    return click.ClickException("\n".join(map(printable, text.split("\n"))))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, the one of the head first."""
    lines = [head, *([printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [GAP.join(map(str.ljust, line, widths)).rstrip() for line in lines]


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, none: str) -> None:
    """`none` is said instead, on standard error, when there are no rows."""
    if rows:
        click.echo("\n".join(table(head, rows)))
    else:
        click.echo(none, err=True)


def show_fields(fields: Sequence[tuple[str, str]], *, err: bool = False) -> None:
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{name.ljust(width)}{GAP}{printable(value) or '-'}", err=err)


def show_csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """With no cell that a spreadsheet would take for a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *([safe_cell(cell) for cell in row] for row in rows)])
    click.echo(out.getvalue(), nl=False)


def show_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2))


def when(time: datetime | None, *, none: str = "-") -> str:
    """`2026-11-22 17:03 UTC`"""
    return none if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
