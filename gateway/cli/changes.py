"""`gateway delete`, `gateway history` and `gateway rollback`: single manifests of a running gateway."""

import sys
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import as_json, calls_gateway, color, sure

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi


@click.command()
@click.argument("type_", metavar="TYPE")
@click.argument("name")
@sure
@calls_gateway
def delete(api: "ControlApi", type_: str, name: str, yes: bool) -> None:
    """Delete a manifest of a running gateway.

    TYPE is the whole type: provider-account/openai, team. A virtual account takes its tokens with it, and a secret
    group its secrets.
    """
    from gateway.cli.steps import show_applied
    from gateway.cli.terminal import printable
    from gateway.control.schema import Applied

    if not yes:
        click.confirm(printable(f"Delete {type_} {name}?"), abort=True, err=True)
    body = {"manifest": {"type": type_, "name": name}, "dryRun": False}
    show_applied(api.ask("POST", "delete", kind=Applied, body=body), f"{type_} {name}")


@click.command()
@click.argument("type_", metavar="[TYPE", required=False)
@click.argument("name", metavar="NAME]", required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many changes.")
@click.option("--before", type=click.IntRange(1), metavar="NUMBER", help="Only those before this one.")
@click.option("--show-diff", is_flag=True, help="Show what each one changed, secrets masked.")
@color
@as_json
@calls_gateway
def history(
    api: "ControlApi",
    type_: str | None,
    name: str | None,
    limit: int,
    before: int | None,
    show_diff: bool,
    color: bool | None,
    as_json: bool,
) -> None:
    """Show who changed what, the newest change first.

    Of one manifest, or of everything that the gateway keeps.
    """
    from gateway.cli.terminal import show_json, table, when
    from gateway.control.schema import HistoryEntry, Listing

    if type_ is not None and name is None:
        raise click.UsageError("give a name with the type, or neither")
    query = {"type": type_, "name": name, "limit": limit, "before": before}
    if as_json:
        show_json(api.ask("GET", "history", kind=Listing[Any], query=query).data)
        return
    changes = api.ask("GET", "history", kind=Listing[HistoryEntry], query=query).data
    if not changes:
        click.echo("no changes", err=True)
        return
    head = ("NUMBER", "TIME", "WHO", "ACTION", "TYPE", "NAME", "VERSION")
    rows = [
        (str(each.number), when(each.at), each.subject, each.action, each.type, each.name, str(each.version or ""))
        for each in changes
    ]
    first, *lines = table(head, rows)
    click.echo(first)
    for line, change in zip(lines, changes, strict=True):
        click.echo(line)
        if show_diff and change.diff:
            _show_diff(change.diff, color)


@click.command()
@click.argument("type_", metavar="TYPE")
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
@click.option("--show-diff", is_flag=True, help="Show what differs, secrets masked.")
@color
@calls_gateway
def rollback(
    api: "ControlApi", type_: str, name: str, version: int, dry_run: bool, show_diff: bool, color: bool | None
) -> None:
    """Make a manifest what it was in an earlier version; `gateway history` lists them.

    It gets a new version, so this can be undone in the same way.

    \b
    Exit codes:
      0  done; with --dry-run --show-diff: nothing differs
      1  not done; with --dry-run --show-diff: something differs
      2  wrong usage; with --dry-run --show-diff: any failure
    """
    from gateway.cli.steps import exit_as_diff, show_applied, show_difference, show_warnings
    from gateway.cli.terminal import printable
    from gateway.control.schema import Applied

    body = {"type": type_, "name": name, "version": version, "dryRun": dry_run}
    is_diff = dry_run and show_diff
    with exit_as_diff(is_diff):
        applied = api.ask("POST", "rollback", kind=Applied, body=body)
    named = f"{type_} {name}"
    if not applied.changed:
        show_applied(applied, named)
    elif dry_run:
        click.echo(f"would roll back {printable(named)} to version {version}")
    else:
        click.echo(f"rolled back {printable(named)} to version {version}, now version {applied.version}")
    show_warnings(applied, named)
    if show_diff:
        show_difference(applied, name, dry_run=dry_run, color=color)
    if is_diff and applied.changed:
        sys.exit(1)


def _show_diff(text: str, color: bool | None) -> None:
    from gateway.cli.difference import coloured
    from gateway.cli.terminal import printable

    for line in coloured(printable(line) for line in text.split("\n")):
        click.echo(line, color=color)
