"""`gateway serve`."""

import os
import sys
from pathlib import Path

import click

from gateway import servers


@click.command()
@click.option(
    "--config",
    type=click.Path(exists=True, path_type=Path),
    envvar="GATEWAY_CONFIG",
    show_envvar=True,
    help="File or directory of manifests. [default: ./gateway.yaml if there is one]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(1, 65535), default=8787, show_default=True)
@click.option("--server", type=click.Choice(servers.NAMES), default="hypercorn", show_default=True)
@click.option(
    "--linger-seconds",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="How long requests are still taken once the gateway was told to stop; each answer closes its connection.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    help="How long open requests may go on after that.",
)
def serve(config: Path | None, host: str, port: int, server: str, linger_seconds: float, drain_seconds: float) -> None:
    """Start the gateway, and serve until SIGTERM or Ctrl-C.

    It then takes no more requests, unless it lingers, waits for those under way, ends the rest with an error event, and
    exits; a second signal ends it at once. Manifests are watched, so changing them needs no signal and no restart.

    The admin's token is GATEWAY_ADMIN_TOKEN or, without that, made at the first start and kept in .gateway/admin-token.
    Users, tokens and what is applied over the API are kept in GATEWAY_DATABASE_URL or, without that, in
    .gateway/gateway.db.
    The log goes to standard output, everything else to standard error.

    \b
    Exit codes:
      0    stopped by a signal
      1    could not start: the manifests, the port, or the token
      2    wrong usage, or the server is not installed
      130  ended at once by a second Ctrl-C; 143: by a second SIGTERM
    """
    from gateway._version import __version__
    from gateway.app import build_app
    from gateway.cli.check import counted
    from gateway.cli.first_run import admin_from, start_text, with_database
    from gateway.errors import ConfigError
    from gateway.logs import configure_logs
    from gateway.servers.run import freeze, raise_open_files, run

    configure_logs()
    freeze()  # manifests are many objects, and hardly any of them is garbage
    raise_open_files()  # the app takes its own limit from it
    try:
        admin = admin_from(os.environ)
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"no admin token: {error}. Set GATEWAY_ADMIN_TOKEN to do without the file"
        ) from error
    environ = admin.environ
    try:
        environ = with_database(environ)
    except (OSError, ValueError) as error:
        click.echo(
            f"gateway: no database: {error}. Only tokens in the environment work, and manifests in files", err=True
        )
    try:
        app = build_app(config, environ=environ)
    except ConfigError as error:
        click.echo("\n".join([*map(str, error.faults), *(f"{each} (warning)" for each in error.warnings)]), err=True)
        raise click.ClickException(f"the configuration has {counted(len(error.faults), 'fault')}") from error

    def show_start() -> None:
        text = start_text(
            version=__version__,
            server=server,
            host=host,
            port=port,
            config=app.config.path,
            models=app.models.names(None),
            admin=admin,
        )
        for fault in app.config.faults:
            click.echo(f"gateway: left out: {fault}", err=True)
        if not app.models.names(None):
            click.echo("gateway: no model can be used yet: add a provider-account, or `gateway apply` one", err=True)
        click.echo(text, err=True)

    sys.exit(
        run(
            app,
            drain=app.drain,
            host=host,
            port=port,
            server=server,
            linger_s=linger_seconds,
            drain_s=drain_seconds,
            on_started=show_start,
        )
    )
