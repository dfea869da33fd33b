"""`gateway check`: would the gateway start with these manifests?"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.errors import Fault


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--no-secrets",
    is_flag=True,
    help="Look up no secrets, for where they are not, as in CI: references are checked for their form alone.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too; for pipelines.")
def check(path: Path, no_secrets: bool, strict: bool) -> None:
    """Check manifests without starting anything.

    PATH is a file or a directory. Each fault is shown with its file, line and path, as are accounts that are left out
    because they cannot be used, and warnings: things that work, but probably not as meant. Variables such as
    GATEWAY_TOKENS that cannot be used are shown first. Providers are not asked, so a wrong key is not found.

    \b
    Exit codes:
      0  the manifests can be used, perhaps with warnings
      1  they cannot, or no model can, or a variable cannot; with --strict: there are warnings
      2  wrong usage of this command
    """
    from gateway.config.compile import snapshot
    from gateway.errors import ConfigError
    from gateway.settings import settings_from

    try:
        settings = settings_from(os.environ, has_secrets=not no_secrets)
        report = snapshot.check(path, settings, has_secrets=not no_secrets)
    except ConfigError as error:
        _show(error.faults)
        _show(error.warnings, " (warning)")
        click.echo(counted(len(error.faults), "fault") + _and_warnings(len(error.warnings)))
        sys.exit(1)
    _show(report.left_out, " (left out)")
    _show(report.warnings, " (warning)")
    warnings = len(report.left_out) + len(report.warnings)
    found = f"{counted(len(report.accounts), 'account')}, {counted(len(report.models), 'model')}"
    click.echo(found + _and_warnings(warnings))
    if report.without_alias:
        click.echo(alias_hint(report.without_alias))
    if strict and warnings:
        sys.exit(1)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def alias_hint(models: tuple[str, ...]) -> str:
    first = models[0]
    alone = first.partition("/")[2]
    more = f", and {counted(len(models) - 1, 'other')} likewise" if len(models) > 1 else ""
    return (
        f"hint: clients that have a list of names, such as LlamaIndex and DSPy, do not take {first}{more}; a virtual "
        f"model with `alias: [{alone}]` gives it a name they know"
    )


def _show(faults: Iterable["Fault"], mark: str = "") -> None:
    for fault in faults:
        click.echo(f"{fault}{mark}")


def _and_warnings(number: int) -> str:
    return f", {counted(number, 'warning')}" if number else ""
