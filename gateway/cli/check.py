"""`gateway check`: would the gateway start with these manifests?"""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--no-secrets",
    is_flag=True,
    help="Look up no secrets, for where they are not, as in CI: references are checked for their form alone.",
)
def check(path: Path, no_secrets: bool) -> None:
    """Check manifests without starting anything.

    PATH is a file or a directory. Each fault is shown with its file, line and path, as are warnings: things that work,
    but probably not as meant. Providers are not asked, so a wrong key is not found.

    \b
    Exit codes:
      0  the manifests can be used, perhaps with warnings
      1  they cannot
      2  wrong usage of this command
    """
    from gateway import snapshot
    from gateway.errors import ConfigError

    try:
        report = snapshot.check(path, os.environ, has_secrets=not no_secrets)
    except ConfigError as error:
        click.echo("\n".join(map(str, error.faults)))
        click.echo(counted(len(error.faults), "fault"))
        sys.exit(1)
    for warning in report.warnings:
        click.echo(f"{warning} (warning)")
    accounts = {name.partition("/")[0] for name in report.models}
    click.echo(f"{counted(len(accounts), 'account')}, {counted(len(report.models), 'model')}")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
