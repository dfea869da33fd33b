"""Users. The gateway knows no passwords: a user is an address, the tokens made for it, and the teams it is in."""

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.control.control import Ask, Control, found
from gateway.control.escalation import require_all_of
from gateway.control.teams import join_teams, leave_teams, user_subject

if TYPE_CHECKING:
    from gateway.database.store import Transaction  # SQLAlchemy takes 0.3 s


class RegisterBody(msgspec.Struct, frozen=True):
    email: str
    teams: tuple[str, ...] = ()


class EmailBody(msgspec.Struct, frozen=True):
    email: str


async def me(control: Control, ask: Ask) -> dict[str, Any]:
    """Who the caller is, and all it may do."""
    caller, access = ask.caller, control.access
    grants = {grant for subject in caller.subjects for grant in access.grants.get(subject, ())}
    return {
        "subject": caller.subject,
        "teams": sorted(caller.teams),
        "isAdmin": caller.is_admin,
        "credential": caller.credential,
        "tokenId": caller.token_id,
        "permissions": [{"permission": permission, "resource": resource} for permission, resource in sorted(grants)],
        "models": control.config.names(caller),
    }


async def list_users(control: Control, ask: Ask) -> dict[str, Any]:
    """Everybody who was added, who has a token, or who is in a team."""
    rows = {user.email: user for user in await control.store.users()}
    teams = control.access.teams
    data = []
    for email in sorted({*rows, *teams}):
        row = rows.get(email)
        data.append(
            {
                "email": email,
                "active": row is None or row.is_active,
                "teams": sorted(teams.get(email, ())),
                "createdAt": row.created_at if row is not None else None,
                "createdBy": row.created_by if row is not None else None,
            }
        )
    return {"data": data}


async def register(control: Control, ask: Ask) -> dict[str, Any]:
    email = _email(ask.body.email)
    async with control.change(by=ask.caller.subject) as change:
        known = {user.email for user in await change.users()}
        if email in known:
            change.discard()
        else:
            await change.put_user(email)
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
        found(email if email in known else None, f"there is no user {email}")
        require_all_of(control.access, ask.caller, f"user:{email}")
        await change.set_user_active(email, True)
    await control.changed()
    return await _shown(control, email)


async def delete(control: Control, ask: Ask) -> dict[str, Any]:
    """Forgets a user, with tokens and teams. Who shall stay shut out though an identity provider vouches for him is
    deactivated instead."""
    email = _email(ask.path["email"])
    known = {user.email for user in await control.store.users()} | set(control.access.teams)
    found(email if email in known else None, f"there is no user {email}")
    in_files = await leave_teams(control, ask.caller, email)
    async with control.change(by=ask.caller.subject) as change:
        await _revoke_all(change, email)
        if email in {user.email for user in await change.users()}:
            await change.delete_user(email)
    await control.changed()
    return {"email": email, "status": "deleted", "teamsManagedByFiles": in_files}


async def _revoke_all(change: "Transaction", email: str) -> None:
    subject = f"user:{email}"
    await change.revoke_tokens([token.id for token in await change.tokens() if token.subject == subject])


async def _shown(control: Control, email: str) -> dict[str, Any]:
    rows = {user.email: user for user in await control.store.users()}
    row = rows.get(email)
    return {
        "email": email,
        "active": row is not None and row.is_active,
        "teams": sorted(control.access.teams.get(email, ())),
    }


def _email(text: str) -> str:
    return user_subject(text).removeprefix("user:")
