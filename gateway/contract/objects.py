"""What callers have made at one account and can be found nowhere else: files, uploads, batches, responses.

A request that names such an object by its id goes to the account where it is. Whose it is is known here and nowhere
else: providers see one key for all callers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from gateway.contract.caller import Caller
from gateway.contract.part import Part
from gateway.errors import NotFound

MAX_ID_BYTES = 200
MAX_DATA_BYTES = 4 * 1024 * 1024


KEPT_HERE = ("file-gw", "batch_gw")
"""How ids begin of what the gateway itself keeps."""


class ObjectKind(StrEnum):
    """Ids are unique within a kind. The values are what errors call them."""

    FILE = "file"
    UPLOAD = "upload"
    BATCH = "batch"
    RESPONSE = "response"
    COMPLETION = "chat.completion"
    TUNING_JOB = "fine_tuning.job"
    MODEL = "model"
    """That came of a `TUNING_JOB`; its id is its name at the provider."""
    CALL = "realtime call"
    ITEM = "item"
    """Of a response that a provider keeps."""


KEPT_FOR: Mapping[ObjectKind, timedelta] = {
    ObjectKind.FILE: timedelta(days=365),
    ObjectKind.UPLOAD: timedelta(days=2),
    ObjectKind.BATCH: timedelta(days=365),
    ObjectKind.RESPONSE: timedelta(days=30),
    ObjectKind.COMPLETION: timedelta(days=30),
    ObjectKind.TUNING_JOB: timedelta(days=365),
    ObjectKind.MODEL: timedelta(days=3650),
    ObjectKind.CALL: timedelta(days=30),
    ObjectKind.ITEM: timedelta(days=30),
}
"""How long an object is remembered, unless it expires before that. Uploads end after an hour, stored responses and
completions after 30 days. Source: platform.openai.com/docs/api-reference (uploads, responses), read 2026-11."""


class AccountObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object.

    Args:
        id: as the caller knows it: the provider's own, unless somebody has another of that id already.
        owner: the subject that made it, as in `user:ana@example.com`.
        account: where it is.
        provider_id: what it is called there.
        target: the model that made it, as in `account/model`; None: it is no model's.
        data: what is known of it, at most `MAX_DATA_BYTES`, in whatever form those need who remember it; None: nothing.
        expires_at: from then on it is not found, whatever becomes of it at the provider.
    """

    kind: ObjectKind
    id: str
    owner: str
    account: str
    provider_id: str
    created_at: datetime
    expires_at: datetime
    target: str | None = None
    data: bytes | None = None

    @property
    def is_kept_here(self) -> bool:
        """The gateway itself has it, in the place of a provider that has no such API."""
        return self.provider_id.startswith(KEPT_HERE)

    def is_seen_by(self, caller: Caller | None) -> bool:
        """Its owner sees it, and admins see all. None: somebody who may see everything."""
        return caller is None or caller.is_admin or caller.subject == self.owner


def owner_of(caller: Caller | None) -> str:
    """Whose that is which a caller makes. Empty: of whoever calls a gateway that asks nobody who they are."""
    return caller.subject if caller is not None else ""


class ObjectType(msgspec.Struct, frozen=True, kw_only=True):
    """What the objects of an API look like, which are JSON with an `id`.

    Args:
        given: fields with ids of files that the caller named. Replies have them as he wrote them.
        made: fields with ids of files that came of it, or lists of such ids.
        models: fields with the name of a model that came of it.
        inner: fields with a whole file.
        final: what `status` is when it changes no more; None: it never changes.
        filters: parameters of lists that compare with the field of that name.
        max_listed: how many a list has at most; 20, unless fewer or more are asked for.
    """

    kind: ObjectKind
    given: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    final: frozenset[str] | None = None
    filters: tuple[str, ...] = ()
    max_listed: int = 100


Action = Literal["create", "list", "read", "delete", "pass", "output"]


class ObjectAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a request wants that belongs to an account, and not to a model.

    Args:
        api: as `ServesAccounts` knows it.
        action: `read` is whatever answers with the object as it is now, `pass` what answers with something else of it,
            `output` with the content of the first of the files that came of it.
        id: of the object; None: it is yet to be made, or all of them are meant.
        files: field -> id of a file that the caller names in it.
        model: which the body names; None: none.
        may_be_new: the id may have been told elsewhere; it is for whoever names it, unless somebody has it.
        owner: the subject whose that will be which is yet to be made; empty: not known yet.
    """

    api: str
    type: ObjectType
    action: Action
    id: str | None = None
    files: Mapping[str, str] = {}
    model: str | None = None
    may_be_new: bool = False
    owner: str = ""


class Objects(Part, Protocol):
    """All that is remembered of them. Each method may raise Unavailable: the database cannot be reached.

    Who may not see an object is told the same as if there were none.
    """

    name: str = "objects"

    async def remember(self, new: AccountObject) -> AccountObject:
        """Before its id is told to the caller.

        If its owner has it already, by `account` and `provider_id`, that stays, with `target` and `data` of the new one
        where they are not None. If somebody else has another of its id, or of this one by another account, it gets an
        id of its own.

        Returns:
            The object as it is remembered.

        Raises:
            ValueError: its data or an id is too large.
        """

    async def remember_all(self, new: Sequence[AccountObject]) -> None:
        """The same of several that were made at once, for whom nobody waits."""
        for each in new:
            await self.remember(each)

    async def change(self, known: AccountObject) -> bool:
        """Gives it other `data`, if it is still there.

        Returns:
            False: it has been forgotten, and stays so.

        Raises:
            ValueError: its data is too large.
        """

    async def find(self, kind: ObjectKind, id: str, caller: Caller | None) -> AccountObject:  # noqa: A002
        """Raises NotFound: there is none that the caller may see."""

    async def list(
        self,
        kind: ObjectKind,
        caller: Caller | None,
        *,
        account: str | None = None,
        after: str | None = None,
        limit: int = 20,
        oldest_first: bool = False,
    ) -> Sequence[AccountObject]:
        """What the caller may see, the newest first.

        Args:
            account: only what is there.
            after: an id; only what comes behind it.

        Raises:
            NotFound: there is no such `after`.
        """

    async def forget(self, gone: AccountObject) -> None:
        """It is not found any more. To forget it twice is to forget it once."""


def not_found(kind: ObjectKind, id: str) -> NotFound:  # noqa: A002
    """The one answer for what is not there, has expired, or is somebody else's."""
    message = f"no {kind} {id[:MAX_ID_BYTES]!r}; only what you made through this gateway can be found by its id"
    return NotFound(message, code="object_not_found", param="id")


def check_size(new: AccountObject) -> None:
    """Raises ValueError, worded for the log."""
    if new.data is not None and len(new.data) > MAX_DATA_BYTES:
        raise ValueError(f"the data of a {new.kind} is over {MAX_DATA_BYTES:,} bytes")
    for each in (new.id, new.provider_id):
        if not 0 < len(each.encode(errors="replace")) <= MAX_ID_BYTES or not (each.isascii() and each.isprintable()):
            raise ValueError(f"the id of a {new.kind} is no ASCII text of 1 to {MAX_ID_BYTES} characters")
