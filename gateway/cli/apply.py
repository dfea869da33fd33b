"""`gateway apply` and `gateway diff`: manifests from files into a running gateway."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import calls_gateway, color

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi

_files = click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    multiple=True,
    help="File of manifests, - for standard input; may be repeated.",
)
_directory = click.option(
    "-d",
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory: all *.yaml, *.yml and *.json in it and below.",
)


@click.command()
@_files
@_directory
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
@click.option("--show-diff", is_flag=True, help="Show what differs, secrets masked; needs --dry-run.")
@click.option("--diffs-only", is_flag=True, help="Only files that differ from --ref, in git or not; needs -d.")
@click.option("--ref", help="The commit that --diffs-only compares with. [default: HEAD]")
@click.option(
    "--sync",
    is_flag=True,
    help="Also delete what --ref has in files that differ and the directory has no more; needs --diffs-only.",
)
@click.option("--keep-going", is_flag=True, help="Apply what can be, though others are refused.")
@color
@calls_gateway
def apply(
    api: "ControlApi",
    files: tuple[str, ...],
    directory: Path | None,
    dry_run: bool,
    show_diff: bool,
    diffs_only: bool,
    ref: str | None,
    sync: bool,
    keep_going: bool,
    color: bool | None,
) -> None:
    """Create or update what manifests say.

    All files are read before anything is sent, and what others refer to comes first. When one of the manifests is
    refused, none is applied. What a file of the gateway itself manages can only be changed there.

    \b
    Exit codes:
      0  applied; with --dry-run --show-diff: nothing differs
      1  not, or with --keep-going not all; with --dry-run --show-diff: something differs
      2  wrong usage; with --dry-run --show-diff: any failure
    """
    if show_diff and not dry_run:
        raise click.UsageError("--show-diff needs --dry-run; `gateway diff` is short for both")
    if diffs_only and directory is None:
        raise click.UsageError("--diffs-only needs --directory")
    for flag, is_given in (("--sync", sync), ("--ref", ref is not None)):
        if is_given and not diffs_only:
            raise click.UsageError(f"{flag} needs --diffs-only")
    commit = (ref or "HEAD") if diffs_only else None
    _run(
        api,
        files,
        directory,
        dry_run=dry_run,
        show_diff=show_diff,
        color=color,
        commit=commit,
        sync=sync,
        keep_going=keep_going,
    )


@click.command()
@_files
@_directory
@color
@calls_gateway
def diff(api: "ControlApi", files: tuple[str, ...], directory: Path | None, color: bool | None) -> None:
    """Show what applying manifests would change: `gateway apply --dry-run --show-diff`.

    \b
    Exit codes:
      0  nothing differs
      1  something does
      2  wrong usage, or any failure
    """
    _run(api, files, directory, dry_run=True, show_diff=True, color=color)


def _run(
    api: "ControlApi",
    files: tuple[str, ...],
    directory: Path | None,
    *,
    dry_run: bool,
    show_diff: bool,
    color: bool | None,
    commit: str | None = None,
    sync: bool = False,
    keep_going: bool = False,
) -> None:
    """`commit`: only files that differ from it."""
    from gateway.cli import plan
    from gateway.cli.steps import Show, carry_on, carry_out, exit_as_diff

    if bool(files) == (directory is not None):
        raise click.UsageError("give either files with -f or a directory with -d")
    is_diff = dry_run and show_diff
    with exit_as_diff(is_diff):
        manifests = plan.read(files, directory)
        if commit is None or directory is None:
            steps = plan.plan_for(manifests)
        else:
            steps = plan.plan_for_differing(api, directory, manifests, commit, sync=sync)
        if not steps:
            click.echo("nothing to apply", err=True)
        run = carry_on if keep_going else carry_out
        has_changed = run(api, steps, dry_run=dry_run, show=Show(show_diff, color))
    if is_diff and has_changed:
        sys.exit(1)
