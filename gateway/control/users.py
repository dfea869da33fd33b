"""Users. The gateway knows no passwords: a user is an address, the tokens made for it, and the teams it is in."""

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.control.answers import kept, page
from gateway.control.control import Ask, Control
from gateway.control.escalation import require_all_of
from gateway.control.schema import DeletedUser, Held, Me
from gateway.control.teams import join_teams, leave_teams, user_subject
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.state.database.rows import User
    from gateway.state.database.store import Transaction  # SQLAlchemy takes 0.3 s


class RegisterBody(msgspec.Struct, frozen=True):
    email: str
    teams: tuple[str, ...] = ()
    dry_run: bool = msgspec.field(default=False, name="dryRun")


class EmailBody(msgspec.Struct, frozen=True):
    email: str


async def me(control: Control, ask: Ask) -> Me:
    caller, access = ask.caller, control.access
    grants = {grant for subject in caller.subjects for grant in access.grants.get(subject, ())}
    return Me(
        subject=caller.subject,
        teams=tuple(sorted(caller.teams)),
        is_admin=caller.is_admin,
        credential=caller.credential,
        token_id=caller.token_id,
        permissions=tuple(Held(permission, resource) for permission, resource in sorted(grants)),
        models=tuple(control.config.names(caller)),
    )


async def list_users(control: Control, ask: Ask) -> dict[str, Any]:
    """Everybody who was added, who has a token, or who is in a team.

    With a `query`, those whose address contains it; with `showInvalidUsers=false`, those who are not shut out.
    """
    rows = {user.email: user for user in await control.store.users()}
    part, everybody = ask.query.get("query", "").lower(), ask.query.get("showInvalidUsers") != "false"
    known = [_entry(control, email, rows.get(email)) for email in sorted({*rows, *control.access.teams})]
    return page(ask.query, [user for user in known if part in user["email"] and (user["active"] or everybody)])


async def get(control: Control, ask: Ask) -> dict[str, Any]:
    return {"data": await _known(control, ask)}


async def teams_of(control: Control, ask: Ask) -> dict[str, Any]:
    """What a user is in each team: `member` or `manager`."""
    user = await _known(control, ask)
    data = []
    for name in user["teams"]:
        managers = control.config.snapshot.manifests["team", name].data.get("managers") or ()
        manages = user["email"] in {email.lower() for email in managers}
        data.append({"teamName": name, "roles": ["manager" if manages else "member"]})
    return {"data": data}


async def register(control: Control, ask: Ask) -> dict[str, Any]:
    email = _email(ask.body.email)
    async with control.change(by=ask.caller.subject) as change:
        known = {user.email for user in await change.users()}
        if email in known or ask.body.dry_run:
            change.discard()
        else:
            await change.put_user(email)
    if ask.body.dry_run:
        return await _shown(control, email)
    await control.changed()
    await join_teams(control, ask.caller, email, ask.body.teams)
    return await _shown(control, email)


async def deactivate(control: Control, ask: Ask) -> dict[str, Any]:
    """Shuts a user out: tokens are revoked for good, and JWTs of identity providers are refused."""
    email = _email(ask.body.email)
    async with control.change(by=ask.caller.subject) as change:
        if email not in {user.email for user in await change.users()}:
            await change.put_user(email)  # known only from a team, or to an identity provider
        await change.set_user_active(email, False)
        await _revoke_all(change, email)
    await control.changed()
    return await _shown(control, email)


async def activate(control: Control, ask: Ask) -> dict[str, Any]:
    email = _email(ask.body.email)
    async with control.change(by=ask.caller.subject) as change:
        known = {user.email for user in await change.users()}
        if email not in known:
            raise NotFound(f"there is no user {email}")
        require_all_of(control.config.snapshot, ask.caller, f"user:{email}")
        await change.set_user_active(email, True)
    await control.changed()
    return await _shown(control, email)


async def delete(control: Control, ask: Ask) -> DeletedUser:
    """Forgets a user, with tokens and teams. Who shall stay shut out though an identity provider vouches for him is
    deactivated instead."""
    email = _email(ask.path["email"])
    known = {user.email for user in await control.store.users()} | set(control.access.teams)
    if email not in known:
        raise NotFound(f"there is no user {email}")
    in_files = await leave_teams(control, ask.caller, email)
    async with control.change(by=ask.caller.subject) as change:
        await _revoke_all(change, email)
        if email in {user.email for user in await change.users()}:
            await change.delete_user(email)
    await control.changed()
    return DeletedUser(email, "deleted", tuple(in_files))


async def _revoke_all(change: "Transaction", email: str) -> None:
    subject = f"user:{email}"
    await change.revoke_tokens([token.id for token in await change.tokens() if token.subject == subject])


async def _shown(control: Control, email: str) -> dict[str, Any]:
    rows = {user.email: user for user in await control.store.users()}
    return _entry(control, email, rows.get(email))


async def _known(control: Control, ask: Ask) -> dict[str, Any]:
    email = _email(ask.path["email"])
    rows = {user.email: user for user in await control.store.users()}
    if email not in rows and email not in control.access.teams:
        raise NotFound(f"there is no user {email}")
    return _entry(control, email, rows.get(email))


def _entry(control: Control, email: str, row: "User | None") -> dict[str, Any]:
    """`row` None: known from a team alone."""
    return {
        **(kept(email, row.created_at, row.created_by) if row is not None else kept(email, None, None)),
        "email": email,
        "active": row is None or row.is_active,
        "isEditable": True,
        "teams": sorted(control.access.teams.get(email, ())),
        "metadata": {},
    }


def _email(text: str) -> str:
    return user_subject(text).removeprefix("user:")
