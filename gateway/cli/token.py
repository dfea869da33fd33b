"""`gateway token`: tokens of users and virtual accounts."""

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import as_json, calls_gateway
from gateway.cli.periods import day_option, minutes_option

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi
    from gateway.control.schema import NewToken


@click.group()
def token() -> None:
    """Make, list, rotate and revoke tokens.

    A new token is printed alone on standard output, everything about it on standard error:
    TOKEN=$(gateway token create --user ana@example.com)
    """


quiet = click.option("--quiet", "-q", is_flag=True, help="Print the token and nothing else.")


@token.command()
@click.option("--user", metavar="EMAIL", help="Whose token it is; a user who is not known yet is added.")
@click.option("--team", "teams", metavar="NAME", multiple=True, help="A team the user joins; may be repeated.")
@click.option("--virtual-account", "account", metavar="NAME", help="The application whose token it is.")
@click.option("--name", help="What it is called in lists. [default: cli- and the time]")
@click.option("--expires", metavar="90d|DATE", callback=day_option, help="Its last day, in UTC. [default: none]")
@click.option("--jwt", is_flag=True, help="Make a JWT, for clients that take nothing else.")
@quiet
@calls_gateway
def create(
    api: "ControlApi",
    user: str | None,
    teams: tuple[str, ...],
    account: str | None,
    name: str | None,
    expires: str | None,
    jwt: bool,
    quiet: bool,
) -> None:
    """Make a token: for a user, a virtual account or, without either, for yourself.

    For yourself takes the JWT of an identity provider, which says who you are. With the admin's token, name somebody
    with --user.

    It is shown this once. The gateway keeps no more than a hash of it.
    """
    from datetime import UTC, datetime

    from gateway.control.schema import NewToken

    if user and account:
        raise click.UsageError("--user and --virtual-account exclude each other")
    if teams and not user:
        raise click.UsageError("--team needs --user")
    if jwt and account:
        raise click.UsageError(
            "the manifest of a virtual account says which tokens it has, so --jwt does not go with it"
        )
    about: dict[str, Any] = {
        "name": name or f"cli-{datetime.now(UTC):%Y-%m-%d-%H%M%S}",
        "expirationDate": expires,
    }
    if account:
        new = api.ask("POST", "virtual-accounts", account, "tokens", kind=NewToken, body=about)
    else:
        about["tokenType"] = "jwt" if jwt else "opaque"
        path = ["personal-access-tokens"]
        if user:
            path.append("for-user")
            about |= {"email": user, "teams": teams}
        new = api.ask("POST", *path, kind=NewToken, body=about)
    _show(new, quiet=quiet)


@token.command("list")
@click.option("--subject", metavar="SUBJECT", help="Of one only: user:ana@example.com, virtualaccount:ci.")
@click.option("--all", "with_past", is_flag=True, help="Also those that were revoked or have expired.")
@as_json
@calls_gateway
def list_tokens(api: "ControlApi", subject: str | None, with_past: bool, as_json: bool) -> None:
    """List the tokens you may manage; what they are is not shown."""
    from gateway.cli.terminal import show_json, show_table, when
    from gateway.control.schema import Listing, Token

    query = {"subject": subject, "all": "true" if with_past else None}
    if as_json:
        show_json(api.ask("GET", "tokens", kind=Listing[Any], query=query).data)
        return
    rows = [
        (
            each.id,
            each.subject,
            each.name or "",
            each.hint or "",
            each.token_type or "",
            when(each.created_at),
            when(each.expires_at, none="never"),
            when(each.last_used_at, none="never"),
            each.status,
        )
        for each in api.ask("GET", "tokens", kind=Listing[Token], query=query).data
    ]
    head = ("ID", "SUBJECT", "NAME", "HINT", "TYPE", "CREATED", "EXPIRES", "LAST USED", "STATUS")
    show_table(head, rows, none="no tokens")


@token.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@calls_gateway
def revoke(api: "ControlApi", ids: tuple[str, ...]) -> None:
    """End tokens at once, for good.

    When one of them cannot be revoked the others are all the same, and the exit code is 1.
    """
    from gateway.cli.terminal import failed

    left = []
    for id_ in ids:
        try:
            api.tell("DELETE", "tokens", id_)
        except click.ClickException as error:
            left.append(f"{id_}: {error.message}")
        else:
            click.echo(f"revoked {id_}")
    if left:
        raise failed("not revoked: " + "\n".join(left))


@token.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--grace",
    metavar="PERIOD",
    required=True,
    callback=minutes_option,
    help="How long the token before goes on working: 30m, 24h, 7d, or 0.",
)
@quiet
@calls_gateway
def rotate(api: "ControlApi", id_: str, grace: int, quiet: bool) -> None:
    """Make a token in place of another, with its name and rights."""
    from gateway.control.schema import NewToken

    body = {"gracePeriodInMinutes": grace}
    _show(api.ask("POST", "tokens", id_, "rotate", kind=NewToken, body=body), quiet=quiet)


def _show(new: "NewToken", *, quiet: bool) -> None:
    from gateway.cli.terminal import printable, show_fields, when

    if not quiet:
        fields = [("id", new.id), ("owner", new.subject), ("name", new.name or "")]
        fields.append(("expires", when(new.expires_at, none="never")))
        if new.replaces:
            fields.append(("replaces", f"{new.replaces}, which works until {when(new.old_expires_at)}"))
        show_fields(fields, err=True)
        click.echo("It is shown this once, and not kept.", err=True)
    click.echo(printable(new.token))
