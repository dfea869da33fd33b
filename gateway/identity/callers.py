"""Who there is: from what was presented to who presents it."""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from time import time
from typing import NamedTuple

from gateway.contract import Caller, Credential
from gateway.errors import Unavailable
from gateway.identity.jwt import Identities, Identity, looks_like_jwt
from gateway.rules.access import Access
from gateway.rules.access.access import claim_subject
from gateway.secrecy.secret import Secret
from gateway.secrecy.tokens import Pepper
from gateway.state.database.rows import StoredToken


class _Known(NamedTuple):
    caller: Caller
    expires_at: float | None


_NOBODY = _Known(Caller(subject=""), 0.0)
"""Whose time is over, so that it costs the same as any token that has expired."""


class Callers:
    """The `Tokens` of the gateway: token -> keyed hash -> caller. An unknown token costs the same as a dead one.

    Args:
        fixed: (token, caller): those which the environment holds.
        identities: whose JWTs are taken as well.
        is_stale: whether tokens may exist that are not known here, because the database cannot be asked.
    """

    def __init__(
        self,
        fixed: Iterable[tuple[Secret, Caller]] = (),
        *,
        pepper: Pepper | None = None,
        identities: Identities | None = None,
        is_stale: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time,
    ) -> None:
        self.pepper = pepper or Pepper(os.urandom(32))
        self.identities = identities
        self.is_stale = is_stale
        self._clock = clock
        self._fixed = {self.pepper.digest(token.reveal().encode()): caller for token, caller in fixed}
        self._access = Access()
        self._inactive: frozenset[str] = frozenset()
        self._used: set[str] = set()
        self._tokens: dict[bytes, StoredToken] = {}
        self._digests: dict[str, bytes] = {}
        """Of those, by their ids."""
        self._known: dict[bytes, _Known] = {}
        self._forget()

    def find(self, token: bytes) -> Caller | None:
        digest = self.pepper.digest(token)
        known = self._known.get(digest)
        if known is None:
            known = self._recognise(digest)
            if known is None:
                return None
        caller, expires_at = known
        if expires_at is not None and expires_at <= self._clock():
            return None
        if caller.token_id is not None:
            self._used.add(caller.token_id)
        return caller

    async def verify(self, token: bytes) -> Caller | None:
        if self.identities is not None and looks_like_jwt(token):
            identity = await self.identities.verify(token)
            if identity is not None and (caller := self._caller_of(identity)) is not None:
                return caller
        if self.is_stale():
            raise Unavailable(
                "the token is not known here, and the database cannot be asked just now; try again soon",
                retry_after_s=1,
            )
        return None

    def grant(self, access: Access) -> None:
        """Puts other grants in force, at once and as a whole. Who has a token is worked out when it is used."""
        self._access = access
        self._forget()

    def update(self, tokens: Iterable[StoredToken], inactive: Iterable[str] = (), *, are_all: bool = False) -> None:
        """Takes note of tokens that are new, or have changed.

        Args:
            inactive: emails of all users who have left.
            are_all: there are no others.
        """
        if are_all:
            self._tokens, self._digests = {}, {}
        for token in tokens:
            if token.revoked_at is None:
                self._tokens[token.digest] = token
                self._digests[token.id] = token.digest
            else:
                self._tokens.pop(token.digest, None)
                self._digests.pop(token.id, None)
        self._inactive = frozenset(inactive)
        self._forget()

    def _forget(self) -> None:
        self._known = {
            digest: _Known(_resolved(caller, self._access), _first(_end_of_account(self._access, caller.subject)))
            for digest, caller in self._fixed.items()
            if not _has_left(caller.subject, self._inactive)
        }

    def _recognise(self, digest: bytes) -> _Known | None:
        """Who has a stored token, remembered until grants or the token change."""
        token = self._tokens.get(digest)
        if token is None:
            return None
        access, (kind, _, name) = self._access, token.subject.partition(":")
        known = _NOBODY
        if not _has_left(token.subject, self._inactive) and (kind == "user" or name in access.virtual_accounts):
            credential = Credential.PERSONAL if kind == "user" else Credential.VIRTUAL_ACCOUNT
            caller = access.caller(token.subject, credential=credential, token_id=token.id)
            known = _Known(caller, _first(token.expires_at, _end_of_account(access, token.subject)))
        self._known[digest] = known
        return known

    def of_subject(self, subject: str) -> Caller | None:
        """Somebody for whom something is done later on, with what he may do now; None: he has left."""
        access, (kind, _, name) = self._access, subject.partition(":")
        fixed = next((caller for caller in self._fixed.values() if caller.subject == subject), None)
        end = _end_of_account(access, subject)
        if _has_left(subject, self._inactive) or (end is not None and end.timestamp() <= self._clock()):
            return None
        if fixed is None and kind != "user" and name not in access.virtual_accounts:
            return None
        return _resolved(fixed, access) if fixed is not None else access.caller(subject)

    def still(self, caller: Caller) -> Caller | None:
        """A JWT is not asked for again: who has one may go on with it until he leaves."""
        if caller.token_id is None:
            now = self.of_subject(caller.subject)
            if now is None or caller.credential is not Credential.JWT:
                return now
            return self._access.caller(caller.subject, more_teams=caller.teams, credential=Credential.JWT)
        digest = self._digests.get(caller.token_id)
        known = (self._known.get(digest) or self._recognise(digest)) if digest is not None else None
        if known is None or (known.expires_at is not None and known.expires_at <= self._clock()):
            return None
        return known.caller

    def take_used(self) -> set[str]:
        """The ids of the tokens that were used since this was asked last."""
        used, self._used = self._used, set()
        return used

    def _caller_of(self, identity: Identity) -> Caller | None:
        access = self._access
        if identity.kind == "user":
            if identity.value in self._inactive:
                return None
            claims = [claim_subject(identity.provider, group) for group in identity.groups]
            mapped = [subject for claim in claims for subject in access.mapped.get(claim, ())]
            teams = [subject.removeprefix("team:") for subject in mapped if subject.startswith("team:")]
            return access.caller(f"user:{identity.value}", more_teams=teams, credential=Credential.JWT)
        for subject in sorted(access.mapped.get(claim_subject(identity.provider, identity.value), ())):
            if not subject.startswith("virtualaccount:"):
                continue
            end = _end_of_account(access, subject)
            if end is None or end.timestamp() > self._clock():
                return access.caller(subject, credential=Credential.JWT)
        return None


def _has_left(subject: str, inactive: frozenset[str]) -> bool:
    return subject.startswith("user:") and subject.removeprefix("user:") in inactive


def _resolved(caller: Caller, access: Access) -> Caller:
    return caller if caller.is_admin else access.caller(caller.subject, more_teams=caller.teams)


def _end_of_account(access: Access, subject: str) -> datetime | None:
    """When a virtual account ends, and with it all its tokens. None: never, or it is none that a manifest names."""
    kind, _, name = subject.partition(":")
    account = access.virtual_accounts.get(name) if kind == "virtualaccount" else None
    return end_of(account.expiration_date) if account is not None and account.expiration_date is not None else None


def _first(*ends: datetime | None) -> float | None:
    """Seconds since 1970; None is never."""
    return min((end.timestamp() for end in ends if end is not None), default=None)


def end_of(date: str) -> datetime:
    """The end of a day (yyyy-mm-dd) in UTC. Raises ValueError: there is no such day."""
    day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    try:
        return day + timedelta(days=1)
    except OverflowError:  # 9999-12-31, as people write "never"
        return datetime.max.replace(tzinfo=UTC)
