"""Teams and their members. A team is a manifest, so every change of it is one of the manifest."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from gateway.contract import Caller
from gateway.control import manifests
from gateway.control.answers import entries, page, subject
from gateway.control.control import Ask, Control
from gateway.control.schema import Applied
from gateway.errors import BadRequest, NotFound
from gateway.manifests.identity import Email
from gateway.rules.access import canonical
from gateway.rules.access.roles import TEAM

Team = dict[str, Any]

_LISTS = ("members", "managers")
MAX_EMAIL_CHARS = 254
"""Source: RFC 5321, section 4.5.3.1.3, a path without its brackets."""


class MemberBody(msgspec.Struct, frozen=True):
    email: str
    manager: bool = False


async def list_teams(control: Control, ask: Ask) -> dict[str, Any]:
    wanted = [
        manifest
        for (type_, name), manifest in sorted(control.config.snapshot.manifests.items())
        if type_ == "team" and control.access.holds(ask.caller, TEAM.read, TEAM.of(name))
    ]
    return page(ask.query, await entries(control, ask.caller, wanted))


async def list_members(control: Control, ask: Ask) -> dict[str, Any]:
    return _people(control, ask, "members")


async def list_managers(control: Control, ask: Ask) -> dict[str, Any]:
    return _people(control, ask, "managers")


async def add_member(control: Control, ask: Ask) -> Applied:
    email = user_subject(ask.body.email).removeprefix("user:")
    place = "managers" if ask.body.manager else "members"
    return await _edit(control, ask, lambda team: _with(team, email, place))


async def remove_member(control: Control, ask: Ask) -> Applied:
    email = user_subject(ask.path["email"]).removeprefix("user:")

    def leave(team: Team) -> Team:
        if not _has(team, email):
            raise NotFound(f"{email} is not in the team {ask.path['name']}")
        return without(team, email)

    return await _edit(control, ask, leave)


async def join_teams(control: Control, caller: Caller, email: str, teams: Iterable[str]) -> None:
    """Makes somebody a member of teams; those that are not there yet are made."""
    for name in teams:
        manifest = control.config.snapshot.manifests.get(("team", name))
        if manifest is None or not _has(manifest.data, email):
            await manifests.edit(control, caller, "team", name, partial(_joined, name=name, email=email))


async def leave_teams(control: Control, caller: Caller, email: str) -> list[str]:
    """Takes somebody out of all teams that the API manages; returns the names of the others, which files manage."""
    managed_by_files = []
    for (type_, name), manifest in control.config.snapshot.manifests.items():
        if type_ != "team" or not _has(manifest.data, email):
            continue
        if manifest.version is None:
            managed_by_files.append(name)
        else:
            await manifests.edit(control, caller, type_, name, lambda team: without(team or {}, email))
    return managed_by_files


def user_subject(email: str) -> str:
    """Raises BadRequest: it is no address."""
    subject = canonical(f"user:{email}")
    try:
        msgspec.convert(email, Email)
    except msgspec.ValidationError:
        subject = None
    if subject is None or len(email) > MAX_EMAIL_CHARS:
        raise BadRequest("email has to be an address", param="email")
    return subject


def without(team: Team, email: str) -> Team:
    return {
        key: [member for member in value if member.lower() != email] if key in _LISTS and value else value
        for key, value in team.items()
    }


def _people(control: Control, ask: Ask, place: str) -> dict[str, Any]:
    manifest = control.config.snapshot.manifests.get(("team", ask.path["name"]))
    if manifest is None:
        raise NotFound(f"there is no team named {ask.path['name']}")
    return page(ask.query, [subject(f"user:{email}") for email in manifest.data.get(place) or ()])


async def _edit(control: Control, ask: Ask, change: Callable[[Team], Team]) -> Applied:
    """Changes a team as it is now, so that of several changes at once none is lost."""
    name = ask.path["name"]

    def changed(team: Team | None) -> Team:
        if team is None:
            raise NotFound(f"there is no team named {name}")
        return change(team)

    if ("team", name) not in control.config.snapshot.manifests:
        raise NotFound(f"there is no team named {name}")
    return await manifests.edit(control, ask.caller, "team", name, changed)


def _with(team: Team, email: str, place: str) -> Team:
    rest = without(team, email)
    return {**rest, place: [*(rest.get(place) or []), email]}


def _joined(team: Team | None, *, name: str, email: str) -> Team:
    team = team or {"type": "team", "name": name, "members": []}
    return team if _has(team, email) else _with(team, email, "members")


def _has(team: Team, email: str) -> bool:
    return any(email == member.lower() for place in _LISTS for member in team.get(place) or ())
