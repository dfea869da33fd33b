"""What the control API answers, as far as commands use it. Times are text, as in ISO 8601."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Listing(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]


_DONE = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted"}


class Applied(msgspec.Struct, frozen=True, rename="camel"):
    """What was done with a manifest, or would be; nothing if not `changed`.

    `version` is the one it has from then on; in a dry run, and when it was deleted, the one it had. The manifests have
    their secrets masked; None: there was none, or there is none any more.
    """

    action: str
    changed: bool = True
    manifest: Mapping[str, Any] | None = None
    existing_manifest: Mapping[str, Any] | None = None
    version: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def done(self) -> str:
        """`created`, `updated`, `deleted` or `unchanged`."""
        return _DONE.get(self.action, self.action) if self.changed else "unchanged"


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


class Used(msgspec.Struct, frozen=True, rename="camel"):
    """What a group of requests used; the cost is without the `unpriced` ones."""

    group: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    unpriced: int = 0


class UsageReport(msgspec.Struct, frozen=True):
    """`total` is None where groups overlap."""

    data: tuple[Used, ...]
    total: Used | None = None


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """A limit or budget in the window of now; `limit` and `used` in requests, tokens or US dollars.

    Args:
        unit: `cost_per_month`.
        used: None: not known, as are the next two. `end` is in seconds since 1970.
        limit_nano_usd: None: it is no money.
    """

    rule: str
    unit: str
    mode: str
    limit: float
    is_budget: bool = False
    scope: str = ""
    used: float | None = None
    percentage: float | None = None
    end: int | None = None
    limit_nano_usd: int | None = None
    used_nano_usd: int | None = None


class Standings(msgspec.Struct, frozen=True):
    data: tuple[Standing, ...]
    source: str | None = None


class Budget(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    name: str
    managed_by: str
    manifest: Mapping[str, Any] = {}
    version: int | None = None


class BillLine(msgspec.Struct, frozen=True):
    """`sum` is the calculation, as in `93 x $2.5 / 1000000 = $0.0002325`."""

    name: str
    sum: str


class Bill(msgspec.Struct, frozen=True, rename="camel"):
    cost_nano_usd: int
    price_row: str
    price_version: str
    lines: tuple[BillLine, ...] = ()
    tariff: str = ""
    unpriced: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """One request; its bill is None when nobody knows what it costs."""

    request_id: str
    at: str
    subject: str
    model: str
    outcome: str
    resolved_model: str | None = None
    bill: Bill | None = None


class Shown(msgspec.Struct, Generic[T], frozen=True):
    data: T
