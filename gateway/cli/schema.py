"""`gateway schema`: what manifests may say, for editors and for people."""

import sys

import click

FORMATS = ("json", "markdown")


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="json",
    show_default=True,
    help="json: JSON Schema, with what installed plugins add. markdown: the reference, of the gateway's own types.",
)
def schema(format_: str) -> None:
    """Write the schema of all manifests.

    Editors that speak to yaml-language-server show what is wrong, and what a field may be, for files whose first line
    names where it was written to:

    \b
      gateway schema > gateway.schema.json
      # yaml-language-server: $schema=gateway.schema.json
    """
    import msgspec
    import structlog

    from gateway.manifests.kinds import KINDS, STRUCTS
    from gateway.manifests.reference import reference_of
    from gateway.manifests.schema import schema_of
    from gateway.manifests.unread import NOT_YET
    from gateway.plugins import providers_by_type

    # What is wrong with a plugin is told beside the schema, and not in it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    accounts = {type_: provider.accounts[type_] for type_, provider in providers_by_type().items()}
    structs = {**accounts, **STRUCTS}
    if format_ == "markdown":
        own = {type_: struct for type_, struct in structs.items() if struct.__module__.partition(".")[0] == "gateway"}
        click.echo(reference_of(own), nl=False)
        return
    unread = [type_ for type_ in (*KINDS, *NOT_YET) if type_ not in structs]
    click.echo(msgspec.json.format(msgspec.json.encode(schema_of(structs, unread=unread))))
