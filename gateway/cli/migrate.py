"""`gateway migrate`."""

import click


@click.command()
@click.option(
    "--database-url",
    envvar="GATEWAY_DATABASE_URL",
    show_envvar=True,
    help="The database; postgresql://user:password@host/name or sqlite:///path. [default: .gateway/gateway.db]",
)
def migrate(database_url: str | None) -> None:
    """Bring the tables of the database up to this version.

    Run it before a new version is started; running it twice, or in several places at once, does no harm. The file
    .gateway/gateway.db needs no migration: `gateway serve` does it.

    \b
    Exit codes:
      0  the tables are up to date
      1  they are not, and are as they were before
    """
    import asyncio

    from gateway.cli.first_run import FOLDER
    from gateway.errors import ConfigError, GatewayError
    from gateway.state.database.migrate import migrate as bring_up_to_date

    url = database_url or f"sqlite:///{(FOLDER / 'gateway.db').absolute()}"
    try:
        applied = asyncio.run(bring_up_to_date(url))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"applied {', '.join(applied)}" if applied else "the tables are up to date")
