"""Who calls."""

from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec


class Credential(StrEnum):
    """What a caller presented."""

    PERSONAL = "personal-access-token"
    VIRTUAL_ACCOUNT = "virtual-account-token"
    JWT = "jwt"
    OTHER = "other"


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who is calling. `subject` as manifests write it: `user:ana@example.com`, `virtualaccount:ci`.

    `token_id` names the token without giving it away. `subjects`, which follow from the rest, are all whose grants the
    caller has: its own, those of its teams and, of a user, those of `team:everyone`.
    """

    subject: str
    teams: frozenset[str] = frozenset()
    is_admin: bool = False
    credential: Credential = Credential.OTHER
    token_id: str | None = None
    subjects: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        everyone = ("team:everyone",) if self.subject.startswith("user:") else ()
        subjects = frozenset((self.subject, *everyone, *(f"team:{team}" for team in self.teams)))
        msgspec.structs.force_setattr(self, "subjects", subjects)


class Tokens(Protocol):
    """Who is calling, from what was presented. Unknown, expired and revoked look the same: None."""

    def find(self, token: bytes) -> Caller | None:
        """What is known at once."""

    async def verify(self, token: bytes) -> Caller | None:
        """Asked when `find` knew nobody; may wait for an identity provider.

        Raises:
            Unavailable: just now nobody can say whose it is.
        """


@runtime_checkable
class KnowsStill(Protocol):
    """What a `Tokens` may have besides, for sessions that go on for longer than what they began with."""

    def still(self, caller: Caller) -> Caller | None:
        """Who that is by now; None: the token is no longer valid, or its owner has left."""
