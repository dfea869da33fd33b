"""Carries out what a plan says, and shows each step."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gateway.cli.difference import coloured, difference
from gateway.cli.terminal import failed, printable
from gateway.control.schema import Applied, Listing

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi

_STEP = re.compile(r"steps\[(\d{1,9})\]")
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
    """All steps, or none when one is refused, which is said; returns whether anything changed, or would."""
    from gateway.cli.client import Refusal

    if not steps:
        return False
    try:
        applied = _send_all(api, steps, dry_run)
    except Refusal as error:
        step = _step_of(error.param, steps)
        where = f"{step.where}: {step}: " if step is not None else ""
        nothing = "\nnothing was changed; --keep-going applies what can be" if len(steps) > 1 and not dry_run else ""
        raise failed(f"{printable(where)}{error.message}{nothing}") from None
    has_changed = False
    for each, step in zip(applied, steps, strict=True):
        has_changed |= _show(each, step, dry_run, show)
    return has_changed


def carry_on(api: "ControlApi", steps: Sequence[Step], *, dry_run: bool, show: Show) -> bool:
    """One step after the other; those that are refused are said at the end."""
    from gateway.cli.client import Refusal

    has_changed, refused = False, []
    for step in steps:
        try:
            has_changed |= _show(_send(api, step, dry_run), step, dry_run, show)
        except Refusal as error:
            refused.append(f"{printable(f'{step.where}: {step}')}: {error.message}")
    if refused:
        raise failed("\n".join([f"refused: {len(refused)} of {len(steps)}", *refused]))
    return has_changed


def _show(applied: Applied, step: Step, dry_run: bool, show: Show) -> bool:
    """Whether it changed anything."""
    show_applied(applied, str(step), dry_run=dry_run)
    show_warnings(applied, step.where)
    if show.diff:
        show_difference(applied, step.name, dry_run=dry_run, color=show.color)
    return applied.changed


def _step_of(param: str | None, steps: Sequence[Step]) -> Step | None:
    """Which one `steps[3]` is; a single step needs no name."""
    if len(steps) == 1:
        return steps[0]
    match = _STEP.fullmatch(param or "")
    return steps[int(match[1])] if match and int(match[1]) < len(steps) else None


def show_applied(applied: Applied, named: str, *, dry_run: bool = False) -> None:
    """`created provider-account/openai openai-main (version 1)`"""
    action = _WOULD.get(applied.done, applied.done) if dry_run else applied.done
    version = ""
    if applied.version is not None and action in ("created", "updated", "unchanged"):
        version = f" (version {applied.version})"
    elif applied.version is not None and action == _WOULD["updated"]:
        version = f" (now version {applied.version})"
    click.echo(printable(f"{action} {named}{version}"))


def show_warnings(applied: Applied, where: str) -> None:
    for warning in applied.warnings:
        click.echo(printable(f"{where}: {warning} (warning)"), err=True)


def show_difference(applied: Applied, name: str, *, dry_run: bool, color: bool | None) -> None:
    version = applied.version
    if version is not None and not dry_run and applied.done not in ("unchanged", "deleted"):
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


def _send_all(api: "ControlApi", steps: Sequence[Step], dry_run: bool) -> list[Applied]:
    if len(steps) == 1:
        return [_send(api, steps[0], dry_run)]
    listed = [
        {"manifest": {"type": step.type, "name": step.name}, "delete": True}
        if step.data is None
        else {"manifest": step.data}
        for step in steps
    ]
    body = {"steps": listed, "dryRun": dry_run}
    api.timeout_s += len(steps)  # each is checked with all that the gateway has
    return api.ask("PUT", "apply", "all", kind=Listing[Applied], body=body).data
