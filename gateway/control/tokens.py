"""Making, rotating and revoking tokens. A token is in the answer that makes it, and nowhere else ever."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gateway.contract import Caller, Credential
from gateway.control.answers import TENANT_NAME, kept, page
from gateway.control.control import Ask, Control
from gateway.control.escalation import require_all_of
from gateway.control.schema import NewToken
from gateway.control.teams import join_teams, user_subject
from gateway.errors import BadRequest, Conflict, Forbidden, NotFound
from gateway.identity.callers import end_of
from gateway.manifests.identity import StoredSecret, VirtualAccount
from gateway.rules.access import ADMIN_PERMISSION, canonical
from gateway.rules.access.roles import MANAGE_USERS, VIRTUAL_ACCOUNT
from gateway.secrecy import tokens
from gateway.state.database.rows import StoredToken

if TYPE_CHECKING:
    from gateway.state.database.store import Transaction  # SQLAlchemy takes 0.3 s

MAX_LIVE = 100
"""Tokens of one subject that work at the same time."""
MIN_NAME, MAX_NAME = 3, 36
MAX_GRACE_MINUTES = 366 * 24 * 60

TokenType = Literal["opaque", "jwt"]


class PersonalBody(msgspec.Struct, frozen=True, rename="camel"):
    """`expiration_date`, yyyy-mm-dd: it works to the end of that day (UTC). Other fields of the SDK are not used."""

    name: str
    expiration_date: str | None = None
    token_type: TokenType | None = None


class ForUserBody(PersonalBody, frozen=True, rename="camel", kw_only=True):
    """`user_email` is what the SDK calls it."""

    email: str = ""
    user_email: str = ""
    teams: tuple[str, ...] = ()


class VirtualAccountBody(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = None
    expiration_date: str | None = None


class RotateBody(msgspec.Struct, frozen=True, kw_only=True):
    """How long the token before goes on working; the SDK counts days, its pages minutes."""

    minutes: int | None = msgspec.field(default=None, name="gracePeriodInMinutes")
    page_minutes: int | None = msgspec.field(default=None, name="grace_period_in_minutes")
    days: int | None = msgspec.field(default=None, name="gracePeriodInDays")

    def grace(self) -> timedelta:
        """Raises BadRequest: below 0, or over a year."""
        minutes = (self.minutes if self.minutes is not None else self.page_minutes) or 0
        minutes += (self.days or 0) * 24 * 60
        if not 0 <= minutes <= MAX_GRACE_MINUTES:
            raise BadRequest("a grace period lies between 0 and 366 days")
        return timedelta(minutes=minutes)


# --- the handlers ------------------------------------------------------------


async def create_personal(control: Control, ask: Ask) -> NewToken:
    """For the caller. Who holds only a token cannot make more of them: a stolen one would outlive its revocation."""
    subject = ask.caller.subject
    if ask.caller.credential is Credential.PERSONAL:
        raise Forbidden("a personal access token cannot make another; ask an admin, or use an identity provider's JWT")
    if not subject.startswith("user:") or "@" not in subject:
        raise BadRequest(
            f"{subject} is no user with an address, so say whose token it is: `gateway token create --user EMAIL`, or "
            "POST /personal-access-tokens/for-user"
        )
    return await _create(control, ask.caller, subject, ask.body)


async def create_for_user(control: Control, ask: Ask) -> NewToken:
    if ask.caller.credential is Credential.PERSONAL:
        raise Forbidden("a personal access token cannot make another; use the admin token, or one of a virtual account")
    subject = user_subject(ask.body.email or ask.body.user_email)
    _check(control, ask.body)  # before the user joins teams, or even is made
    await join_teams(control, ask.caller, subject.removeprefix("user:"), ask.body.teams)
    return await _create(control, ask.caller, subject, ask.body)


async def create_for_virtual_account(control: Control, ask: Ask) -> NewToken:
    name = ask.path["name"]
    account = _account(control, name)
    body = PersonalBody(
        name=ask.body.name or f"{control.now():%Y-%m-%d-%H%M%S}",
        expiration_date=ask.body.expiration_date,
        token_type=account.token_type,
    )
    return await _create(control, ask.caller, f"virtualaccount:{name}", body)


async def regenerate(control: Control, ask: Ask) -> NewToken:
    """Rotates the newest token of a virtual account; makes the first one where there is none."""
    name = ask.path["name"]
    _account(control, name)
    live = await live_tokens(control, f"virtualaccount:{name}")
    current = [token for token in live if token.replaced_by is None]
    if not current:
        return await create_for_virtual_account(
            control, Ask(ask.caller, ask.path, ask.query, VirtualAccountBody(name=None))
        )
    newest = max(current, key=lambda token: token.created_at)
    return await _rotate(control, ask.caller, newest, ask.body.grace())


async def rotate(control: Control, ask: Ask) -> NewToken:
    token = await _own_or_managed(control, ask)
    if ask.caller.credential is Credential.PERSONAL and ask.caller.token_id != token.id:
        raise Forbidden("a personal access token can rotate itself, and no other")
    if token.subject.startswith("user:") and token.subject != ask.caller.subject:
        control.access.require(ask.caller, ADMIN_PERMISSION)
    return await _rotate(control, ask.caller, token, ask.body.grace())


async def revoke(control: Control, ask: Ask) -> dict[str, Any]:
    token = await _own_or_managed(control, ask)
    async with control.change(by=ask.caller.subject) as change:
        await change.revoke_tokens([token.id])
    await control.changed()
    return {"id": token.id, "status": "revoked"}


async def revoke_all(control: Control, ask: Ask) -> dict[str, Any]:
    subject = user_subject(ask.body.email)
    async with control.change(by=ask.caller.subject) as change:
        live = [token.id for token in await change.tokens() if token.subject == subject]
        await change.revoke_tokens(live)
    await control.changed()
    return {"revoked": len(live)}


async def list_tokens(control: Control, ask: Ask) -> dict[str, Any]:
    """The caller's own, those of virtual accounts it manages, and for who manages users those of all users."""
    wanted = ask.query.get("subject")
    wanted = canonical(wanted) or wanted if wanted is not None else None
    rows = await control.store.tokens(only_live=ask.query.get("all") not in ("true", "1"))
    shown = [
        _listed(token, control.now())
        for token in sorted(rows, key=lambda token: token.created_at)
        if wanted in (None, token.subject) and may_manage(control, ask.caller, token.subject)
    ]
    return page(ask.query, shown)


async def list_own(control: Control, ask: Ask) -> dict[str, Any]:
    rows = await control.store.tokens()
    part = ask.query.get("nameSearchQuery", "")
    own = [token for token in rows if token.subject == ask.caller.subject and part in token.name]
    return page(ask.query, [_listed(token, control.now()) for token in own])


async def shown_once(control: Control, ask: Ask) -> None:
    """Where the SDK asks for a virtual account's token."""
    raise Conflict("a token is shown once, when it is made; POST .../regenerate-token makes a new one")


# --- what they do ------------------------------------------------------------


async def live_tokens(control: Control, subject: str) -> list[StoredToken]:
    now = control.now()
    rows = await control.store.tokens()
    return [row for row in rows if row.subject == subject and (row.expires_at is None or row.expires_at > now)]


def may_manage(control: Control, caller: Caller, subject: str) -> bool:
    kind, _, name = subject.partition(":")
    if subject == caller.subject:
        return True
    if kind == "virtualaccount":
        return control.access.holds(caller, VIRTUAL_ACCOUNT.manage, VIRTUAL_ACCOUNT.of(name))
    return control.access.holds(caller, MANAGE_USERS)


def expires_at(date: str | None, now: datetime) -> datetime | None:
    """Raises BadRequest: it is no date, or in the past."""
    if date is None:
        return None
    try:
        end = end_of(date)
    except (ValueError, OverflowError):
        raise BadRequest("expirationDate has to be a day, yyyy-mm-dd", param="expirationDate") from None
    if end <= now:
        raise BadRequest("expirationDate lies in the past", param="expirationDate")
    return end


def _account(control: Control, name: str) -> VirtualAccount:
    """One that may have tokens."""
    account = control.access.virtual_accounts.get(name)
    if account is None:
        raise NotFound(f"there is no virtual account named {name}: a manifest of `type: virtual-account` makes one")
    if account.identity_provider_mapping:
        raise Conflict(f"{name} is what an identity provider says it is, so it has no tokens of its own")
    return account


def _check(control: Control, body: PersonalBody) -> datetime | None:
    """When the token is to expire. Raises BadRequest: its name or that cannot be."""
    if not MIN_NAME <= len(body.name) <= MAX_NAME or not body.name.isprintable():
        raise BadRequest(f"the name of a token has {MIN_NAME} to {MAX_NAME} characters", param="name")
    return expires_at(body.expiration_date, control.now())


async def _create(control: Control, caller: Caller, subject: str, body: PersonalBody) -> NewToken:
    expires = _check(control, body)
    async with control.change(by=caller.subject) as change:
        require_all_of(control.config.snapshot, caller, subject)
        live = [row for row in await change.tokens() if row.subject == subject and row.replaced_by is None]
        if any(row.name == body.name and not _is_over(row, control.now()) for row in live):
            raise Conflict(f"{subject} has a token named {body.name} already; take another name, or rotate that one")
        if len(live) >= MAX_LIVE:
            raise Conflict(f"{subject} has {len(live)} tokens; revoke some first")
        if subject.startswith("user:"):
            await _ensure_user(change, subject.removeprefix("user:"))
        new = await issue(control, change, caller.subject, subject, body.name, body.token_type or "opaque", expires)
    await control.changed()
    return new


async def _rotate(control: Control, caller: Caller, old: StoredToken, grace: timedelta) -> NewToken:
    async with control.change(by=caller.subject) as change:
        require_all_of(control.config.snapshot, caller, old.subject)
        current = next((row for row in await change.tokens() if row.id == old.id), None)
        if current is None or current.replaced_by is not None or _is_over(current, control.now()):
            raise Conflict(f"the token {old.id} is not in force any more, or was rotated already")
        new = await replace(control, change, caller.subject, current, grace)
    await control.changed()
    return new


async def replace(control: Control, change: "Transaction", by: str, old: StoredToken, grace: timedelta) -> NewToken:
    """Makes a token in place of another, which goes on working for the grace period. It lives as long as that would."""
    new = await issue(control, change, by, old.subject, old.name, old.token_type, old.expires_at)
    end = control.now() + grace
    await change.expire_token(old.id, end, new.id)
    end = min(end, old.expires_at) if old.expires_at is not None else end
    return msgspec.structs.replace(new, replaces=old.id, old_expires_at=end)


async def issue(
    control: Control,
    change: "Transaction",
    by: str,
    subject: str,
    name: str,
    token_type: str,
    expires: datetime | None,
) -> NewToken:
    """Makes a token, and puts that of a virtual account where its manifest says."""
    now = control.now()
    if token_type == "jwt":
        end = int(expires.timestamp()) if expires is not None else None
        minted = tokens.mint_jwt(
            control.pepper, subject, tenant=TENANT_NAME, issued_at=int(now.timestamp()), expires_at=end
        )
    else:
        minted = tokens.mint(tokens.PERSONAL if subject.startswith("user:") else tokens.VIRTUAL_ACCOUNT)
    await change.add_token(
        StoredToken(
            id=minted.id,
            subject=subject,
            name=name,
            digest=control.pepper.digest(minted.text.encode()),
            hint=minted.hint,
            token_type=token_type,
            created_at=now,
            created_by=by,
            expires_at=expires,
        )
    )
    account = control.access.virtual_accounts.get(subject.removeprefix("virtualaccount:"))
    if account is not None and isinstance(place := account.secret_store_config, StoredSecret):
        await change.put_secret(place.secret_group, place.key, control.seal.close(minted.text))
    return NewToken(id=minted.id, token=minted.text, subject=subject, name=name, hint=minted.hint, expires_at=expires)


async def _ensure_user(change: "Transaction", email: str) -> None:
    user = next((user for user in await change.users() if user.email == email), None)
    if user is None:
        await change.put_user(email)
    elif not user.is_active:
        raise Conflict(f"{email} is deactivated; activate the user first")


async def _own_or_managed(control: Control, ask: Ask) -> StoredToken:
    """The token of the path; one the caller may not handle is as unknown as one that is not there."""
    token = await control.store.token(ask.path["id"])
    if (
        token is None
        or not may_manage(control, ask.caller, token.subject)
        or ("name" in ask.path and token.subject != f"virtualaccount:{ask.path['name']}")
    ):
        raise NotFound("there is no such token")
    return token


def _is_over(token: StoredToken, now: datetime) -> bool:
    return token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now)


def _listed(token: StoredToken, now: datetime) -> dict[str, Any]:
    status = "active"
    if token.revoked_at is not None:
        status = "revoked"
    elif _is_over(token, now):
        status = "expired"
    elif token.replaced_by is not None:
        status = "rotating"
    return {
        **kept(token.id, token.created_at, token.created_by),
        "type": "pat" if token.subject.startswith("user:") else "virtual-account",
        "subject": token.subject,
        "name": token.name,
        "hint": token.hint,
        "tokenType": token.token_type,
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
        "lastUsedAt": token.last_used_at,
        "lastAccessedAt": token.last_used_at,
        "replacedBy": token.replaced_by,
        "status": status,
    }
