"""Carries out what a plan says, and shows each step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gateway.cli.answers import Applied
from gateway.cli.difference import coloured, difference
from gateway.cli.terminal import failed, printable

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi

UNCHANGED = "unchanged"
_WOULD = {"created": "would create", "updated": "would update", "deleted": "would delete"}


class Step(NamedTuple):
    """`where` is the file and line of the manifest. `data` None: it is deleted."""

    type: str
    name: str
    where: str
    data: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class Show(NamedTuple):
    """`color` None: if standard output is a terminal."""

    diff: bool = False
    color: bool | None = None


class Trouble(click.ClickException):
    """A failure, where exit code 1 says that something differs."""

    exit_code = 2


@contextmanager
def exit_as_diff(is_diff: bool) -> Iterator[None]:
    """Gives failures the exit code they have with `diff`, if that is what was asked for."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as error:
        raise Trouble(error.message) if is_diff else error from None


def carry_out(api: "ControlApi", steps: Sequence[Step], *, dry_run: bool, show: Show) -> bool:
    """Stops at the first step that fails, and says so; returns whether anything changed, or would."""
    has_changed = False
    for number, step in enumerate(steps):
        try:
            applied = _send(api, step, dry_run)
        except click.ClickException as error:
            lines = [f"{step.where}: {step}: {error.message}"]
            if not dry_run:
                lines += [f"  {_done(each)}: {each}" for each in steps[:number]]
                lines += [f"  not {_done(each)}: {each}" for each in steps[number:]]
            raise failed("\n".join(map(printable, lines))) from None
        show_applied(applied, str(step), dry_run=dry_run)
        show_warnings(applied, step.where)
        if show.diff:
            show_difference(applied, step.name, dry_run=dry_run, color=show.color)
        has_changed |= applied.action != UNCHANGED
    return has_changed


def show_applied(applied: Applied, named: str, *, dry_run: bool = False) -> None:
    """`created provider-account/openai openai-main (version 1)`"""
    action = _WOULD.get(applied.action, applied.action) if dry_run else applied.action
    version = ""
    if applied.version is not None and action in ("created", "updated", UNCHANGED):
        version = f" (version {applied.version})"
    elif applied.version is not None and action == _WOULD["updated"]:
        version = f" (now version {applied.version})"
    click.echo(printable(f"{action} {named}{version}"))


def show_warnings(applied: Applied, where: str) -> None:
    for warning in applied.warnings:
        click.echo(printable(f"{where}: {warning} (warning)"), err=True)


def show_difference(applied: Applied, name: str, *, dry_run: bool, color: bool | None) -> None:
    version = applied.version
    if version is not None and not dry_run and applied.action not in (UNCHANGED, "deleted"):
        version -= 1  # after a change it is that of the new one
    was_there = applied.existing_manifest is not None
    lines = difference(
        applied.existing_manifest,
        applied.manifest,
        old_name=f"{name} ({'none' if not was_there else f'version {version}'})",
        new_name=f"{name} ({'none' if applied.manifest is None else 'new'})",
    )
    for line in coloured(lines):
        click.echo(line, color=color)


def _send(api: "ControlApi", step: Step, dry_run: bool) -> Applied:
    if step.data is None:
        body = {"manifest": {"type": step.type, "name": step.name}, "dryRun": dry_run}
        return api.ask("POST", "delete", kind=Applied, body=body)
    return api.ask("PUT", "apply", kind=Applied, body={"manifest": step.data, "dryRun": dry_run})


def _done(step: Step) -> str:
    return "deleted" if step.data is None else "applied"
