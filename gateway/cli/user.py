"""`gateway user`: who the users are, and who you are."""

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import as_json, calls_gateway, sure

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi


@click.group()
def user() -> None:
    """List and change users."""


@user.command("list")
@as_json
@calls_gateway
def list_users(api: "ControlApi", as_json: bool) -> None:
    """List everybody who was added, has a token, or is in a team."""
    from gateway.cli.terminal import show_json, show_table, when
    from gateway.control.schema import Listing, User

    if as_json:
        show_json(api.ask("GET", "users", kind=Listing[Any]).data)
        return
    rows = [
        (
            each.email,
            "active" if each.active else "inactive",
            ", ".join(each.teams),
            when(each.created_at if each.created_by else None),
            each.created_by or "",
        )
        for each in api.ask("GET", "users", kind=Listing[User]).data
    ]
    show_table(("EMAIL", "STATUS", "TEAMS", "CREATED", "CREATED BY"), rows, none="no users")


@user.command()
@click.argument("email")
@click.option("--team", "teams", metavar="NAME", multiple=True, help="A team the user joins; may be repeated.")
@calls_gateway
def add(api: "ControlApi", email: str, teams: tuple[str, ...]) -> None:
    """Add a user."""
    api.tell("POST", "users", "register", body={"email": email, "teams": teams})
    _say("added", email)


@user.command()
@click.argument("email")
@calls_gateway
def deactivate(api: "ControlApi", email: str) -> None:
    """Shut a user out. Tokens are revoked for good, and those of an identity provider refused."""
    api.tell("PATCH", "users", "deactivate", body={"email": email})
    _say("deactivated", email)


@user.command()
@click.argument("email")
@calls_gateway
def activate(api: "ControlApi", email: str) -> None:
    """Let a user in again. Tokens that were revoked stay so."""
    api.tell("PATCH", "users", "activate", body={"email": email})
    _say("activated", email)


@user.command()
@click.argument("email")
@sure
@calls_gateway
def delete(api: "ControlApi", email: str, yes: bool) -> None:
    """Forget a user, with tokens and memberships.

    Whoever shall stay shut out though an identity provider knows them is deactivated instead.
    """
    from gateway.cli.terminal import printable
    from gateway.control.schema import DeletedUser

    if not yes:
        click.confirm(f"Delete the user {printable(email)}?", abort=True, err=True)
    gone = api.ask("DELETE", "users", email, kind=DeletedUser)
    _say("deleted", email)
    for name in gone.teams_managed_by_files:
        click.echo(f"still in the team {printable(name)}, which a file of the gateway manages (warning)", err=True)


@user.command()
@as_json
@calls_gateway
def me(api: "ControlApi", as_json: bool) -> None:
    """Show who you are to the gateway, and what you may do."""
    from gateway.cli.terminal import show_fields, show_json, table
    from gateway.control.schema import Me

    if as_json:
        show_json(api.ask("GET", "me", kind=dict[str, Any]))
        return
    who = api.ask("GET", "me", kind=Me)
    show_fields(
        [
            ("subject", who.subject),
            ("teams", ", ".join(who.teams)),
            ("admin", "yes" if who.is_admin else "no"),
            ("credential", who.credential or ""),
            ("token id", who.token_id or ""),
        ]
    )
    if who.permissions:
        rows = [(held.permission, held.resource) for held in who.permissions]
        click.echo("\n".join(["", *table(("PERMISSION", "RESOURCE"), rows)]))


def _say(done: str, email: str) -> None:
    from gateway.cli.terminal import printable

    click.echo(f"{done} {printable(email)}")
