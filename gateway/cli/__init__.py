"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

import click

from gateway._version import __version__
from gateway.cli.apply import apply, diff
from gateway.cli.changes import delete, history, rollback
from gateway.cli.check import check
from gateway.cli.guardrails import guardrails
from gateway.cli.init import init
from gateway.cli.logs import logs
from gateway.cli.migrate import migrate
from gateway.cli.schema import schema
from gateway.cli.serve import serve
from gateway.cli.team import team
from gateway.cli.token import token
from gateway.cli.usage import usage
from gateway.cli.user import user


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """One endpoint in front of every LLM.

    `gateway serve` starts it: without any configuration it offers the model demo/echo, and the models of each provider
    whose key is in the environment.
    """


for command in (init, check, schema, serve, migrate, apply, diff, delete, history, rollback):
    main.add_command(command)
for command in (token, team, user, usage, logs, guardrails):
    main.add_command(command)
