"""What the store keeps, row by row. All datetimes are aware and in UTC."""

from datetime import datetime
from typing import Any, Literal

import msgspec

SchemaState = Literal["current", "missing", "older", "newer"]
"""`newer`: a newer gateway made it. Its schema only has additions, so this one goes on working with it."""


class StoredManifest(msgspec.Struct, frozen=True):
    """`version` counts from 1 and goes on after the manifest was deleted and put again. `admin_version`: the one whose
    addresses an admin answers for; an older gateway does not write it, so another version's says nothing."""

    type: str
    name: str
    version: int
    data: dict[str, Any]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    admin_version: int | None = None

    @property
    def by_admin(self) -> bool:
        return self.admin_version == self.version


class Change(msgspec.Struct, frozen=True):
    """One line of the history.

    Args:
        number: counts all changes from 1, without gaps.
        subject: who did it.
        type: of the manifest, or `user`, `token`, `secret`.
        name: of the manifest; an email address; `<subject>/<id>` of a token; `<group>/<key>` of a secret.
        version: of a manifest that was put, else None.
        data: the manifest after the change; None when it was deleted or is none.
    """

    number: int
    at: datetime
    subject: str
    action: str
    type: str
    name: str
    version: int | None = None
    data: dict[str, Any] | None = None


class User(msgspec.Struct, frozen=True):
    email: str
    is_active: bool
    created_at: datetime
    created_by: str


class StoredToken(msgspec.Struct, frozen=True):
    """`subject` is whose it is: `user:ana@example.com` or `virtualaccount:ci`. Of the token itself it has a digest."""

    id: str
    subject: str
    name: str
    digest: bytes
    hint: str
    token_type: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaced_by: str | None = None


class StoredSecret(msgspec.Struct, frozen=True):
    """`value` is sealed before it comes here."""

    group: str
    key: str
    value: str
    updated_at: datetime
    updated_by: str


class Versions(msgspec.Struct, frozen=True):
    """Two counters that only grow. Whoever has read a count sees all that was written up to it.

    Args:
        manifests: grows with manifests, secrets and users.
        tokens: grows with tokens and users.
    """

    manifests: int
    tokens: int
