"""What the control API answers, as far as commands use it. Times are text, as in ISO 8601."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Listing(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]


class Applied(msgspec.Struct, frozen=True):
    """What was done with a manifest, or would be.

    `version` is the one it has from then on; in a dry run, and when it was deleted, the one it had. The manifests have
    their secrets masked; None: there was none, or there is none any more.
    """

    action: str
    manifest: Mapping[str, Any] | None = None
    existing_manifest: Mapping[str, Any] | None = None
    version: int | None = None
    warnings: tuple[str, ...] = ()


class Managed(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest and where it is managed: `api`, or `file:<path>:<line>`."""

    type: str
    name: str
    managed_by: str


class Change(msgspec.Struct, frozen=True):
    number: int
    at: str
    subject: str
    action: str
    type: str
    name: str
    version: int | None = None
    diff: str | None = None


class NewToken(msgspec.Struct, frozen=True, rename="camel"):
    """`token` itself is in no later answer. `replaces` and `old_expires_at` are those of a rotation."""

    id: str
    token: str
    subject: str
    name: str | None = None
    expires_at: str | None = None
    replaces: str | None = None
    old_expires_at: str | None = None

    def __repr__(self) -> str:
        return f"NewToken({self.id})"


class Token(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    subject: str
    status: str
    name: str | None = None
    hint: str | None = None
    token_type: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class User(msgspec.Struct, frozen=True, rename="camel"):
    email: str
    active: bool
    teams: tuple[str, ...] = ()
    created_at: str | None = None
    created_by: str | None = None


class DeletedUser(msgspec.Struct, frozen=True, rename="camel"):
    teams_managed_by_files: tuple[str, ...] = ()


class Team(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    members: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    managed_by: str | None = None
    version: int | None = None


class Held(msgspec.Struct, frozen=True):
    permission: str
    resource: str


class Me(msgspec.Struct, frozen=True, rename="camel"):
    subject: str
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    credential: str | None = None
    token_id: str | None = None
    permissions: tuple[Held, ...] = ()
