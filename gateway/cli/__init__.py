"""The command line. A command is imported when it is asked for, so that a gateway that serves does not hold the others,
and what it needs when it runs, so that `--help` answers at once."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import click

from gateway._version import __version__

OWN = ("apply", "check", "guardrails", "init", "logs", "migrate", "schema", "serve", "team", "token", "usage", "user")
MODULES = {name: name for name in OWN} | {"diff": "apply"} | dict.fromkeys(("delete", "history", "rollback"), "changes")
"""Name of a command -> that of its module."""


class Commands(Mapping[str, click.Command]):
    """All by name, each imported when it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        command: click.Command = getattr(import_module(f"gateway.cli.{MODULES[name]}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


# click calls for a mapping that can be changed, and changes it in `add_command` alone.
@click.group(commands=cast("Any", Commands()), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """One endpoint in front of every LLM.

    `gateway serve` starts it: without any configuration it offers the model demo/echo, and the models of each provider
    whose key is in the environment.
    """
