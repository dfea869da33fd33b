"""`gateway migrate`."""

import click


@click.command()
@click.option(
    "--database-url",
    envvar="GATEWAY_DATABASE_URL",
    show_envvar=True,
    help="The database; postgresql://user:password@host/name or sqlite:///path. [default: .gateway/gateway.db]",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, 400),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="PostgreSQL's partitions for request records: of today and the days after it.",
)
def migrate(database_url: str | None, partitions: int) -> None:
    """Bring the tables of the database up to this version.

    Run it before a new version is started; running it twice, or in several places at once, does no harm. The file
    .gateway/gateway.db needs no migration: `gateway serve` does it.

    It makes the tables of request records as well, in GATEWAY_RECORDS_URL if that is set.

    \b
    Exit codes:
      0  the tables are up to date
      1  they are not, and are as they were before
    """
    import asyncio
    import os

    from gateway.cli.first_run import FOLDER
    from gateway.errors import ConfigError, GatewayError
    from gateway.settings import records_url_from

    url = database_url or f"sqlite:///{(FOLDER / 'gateway.db').absolute()}"
    try:
        records = records_url_from({**os.environ, "GATEWAY_DATABASE_URL": url})
        applied = asyncio.run(_migrate(url, records.reveal() if records is not None else None, partitions))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"applied {', '.join(applied)}" if applied else "the tables are up to date")


async def _migrate(url: str, records_url: str | None, days: int) -> list[str]:
    """The revisions, tables and partitions that are new."""
    from gateway.state.database.migrate import migrate as bring_up_to_date
    from gateway.state.requests.store import RecordStore

    applied = await bring_up_to_date(url)
    if records_url is None:
        return applied
    records = RecordStore(records_url, deadline_s=60.0, writing_s=60.0)
    try:
        return applied + await records.migrate(days)
    finally:
        await records.close()
