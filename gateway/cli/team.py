"""`gateway team`: teams and their members."""

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import as_json, calls_gateway, sure

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi
    from gateway.control.schema import Team


@click.group()
def team() -> None:
    """List and change teams. Managers are members too, and may change who the members are."""


@team.command("list")
@as_json
@calls_gateway
def list_teams(api: "ControlApi", as_json: bool) -> None:
    """List the teams you may see."""
    from gateway.cli.terminal import show_json, show_table
    from gateway.control.schema import Listing, Team

    if as_json:
        show_json(api.ask("GET", "teams", kind=Listing[Any]).data)
        return
    rows = [
        (each.name, str(len(each.members)), ", ".join(each.managers), each.managed_by or "", str(each.version or ""))
        for each in api.ask("GET", "teams", kind=Listing[Team]).data
    ]
    show_table(("NAME", "MEMBERS", "MANAGERS", "MANAGED BY", "VERSION"), rows, none="no teams")


@team.command()
@click.argument("name")
@calls_gateway
def show(api: "ControlApi", name: str) -> None:
    """Show who is in a team."""
    from gateway.cli.terminal import failed, show_fields

    found = _find(api, name)
    if found is None:
        raise failed(f"there is no team named {name}, or you may not see it")
    fields = [("name", found.name), ("managed by", found.managed_by or ""), ("version", str(found.version or ""))]
    fields += [("manager", email) for email in found.managers]
    fields += [("member", email) for email in found.members if email not in found.managers]
    show_fields(fields)


@team.command()
@click.argument("name")
@click.option("--member", "members", metavar="EMAIL", multiple=True, help="May be repeated.")
@click.option("--manager", "managers", metavar="EMAIL", multiple=True, help="May be repeated.")
@calls_gateway
def create(api: "ControlApi", name: str, members: tuple[str, ...], managers: tuple[str, ...]) -> None:
    """Make a team. One that is there already stays as it is."""
    from gateway.cli.steps import show_applied, show_warnings
    from gateway.cli.terminal import failed
    from gateway.control.schema import Applied

    if _find(api, name) is not None:
        raise failed(f"there is a team named {name}; change it with `gateway team add` and `gateway team remove`")
    manifest = {"type": "team", "name": name, "members": members, "managers": managers}
    made = api.ask("PUT", "teams", kind=Applied, body={"manifest": manifest, "dryRun": False})
    show_applied(made, f"team {name}")
    show_warnings(made, f"team {name}")


@team.command()
@click.argument("name")
@click.argument("emails", metavar="EMAIL...", nargs=-1, required=True)
@click.option("--manager", is_flag=True, help="Make them managers.")
@calls_gateway
def add(api: "ControlApi", name: str, emails: tuple[str, ...], manager: bool) -> None:
    """Add members to a team."""
    from gateway.cli.terminal import printable

    for email in emails:
        api.tell("POST", "teams", name, "members", body={"email": email, "manager": manager})
        role = "manager of" if manager else "member of"
        click.echo(f"{printable(email)} is a {role} {printable(name)}")


@team.command()
@click.argument("name")
@click.argument("emails", metavar="EMAIL...", nargs=-1, required=True)
@calls_gateway
def remove(api: "ControlApi", name: str, emails: tuple[str, ...]) -> None:
    """Take members and managers out of a team."""
    from gateway.cli.terminal import printable

    for email in emails:
        api.tell("DELETE", "teams", name, "members", email)
        click.echo(f"{printable(email)} is not in {printable(name)} any more")


@team.command()
@click.argument("name")
@sure
@calls_gateway
def delete(api: "ControlApi", name: str, yes: bool) -> None:
    """Delete a team. Its members lose what it was granted."""
    from gateway.cli.terminal import printable

    if not yes:
        click.confirm(f"Delete the team {printable(name)}?", abort=True, err=True)
    api.tell("DELETE", "teams", name)
    click.echo(f"deleted team {printable(name)}")


def _find(api: "ControlApi", name: str) -> "Team | None":
    from gateway.control.schema import Listing, Team

    return next((each for each in api.ask("GET", "teams", kind=Listing[Team]).data if each.name == name), None)
