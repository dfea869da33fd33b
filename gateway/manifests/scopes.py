"""Which requests a limit or budget is about, and whom it tells apart: what manifests of both have in common."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Text

AppliesPer = Annotated[
    tuple[
        Annotated[
            str,
            Meta(
                pattern=r"^(user|virtualaccount|team|token|model|metadata\..+)\Z",
                description="one of: user, virtualaccount, team, token, model, metadata.<key>",
            ),
        ],
        ...,
    ],
    Meta(max_length=2),
]
"""Whom a rule of the first generation tells apart: one counter for each combination."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing chosen is all of them.

    Args:
        in: those it is about; left out, empty or with a `*`: all.
        not_in: those it is never about.
    """

    in_: tuple[str, ...] = msgspec.field(default=(), name="in")
    not_in: tuple[str, ...] = ()


class SubjectSelections(msgspec.Struct, frozen=True, kw_only=True):
    """A caller has to be in one of the `in` lists, if there is any, and in none of the others."""

    users: Selection = Selection()
    teams: Selection = Selection()
    virtual_accounts: Selection = Selection()


class ModelWhen(msgspec.Struct, frozen=True, kw_only=True):
    """All of it has to fit."""

    subjects: SubjectSelections = SubjectSelections()
    models: Selection = Selection()
    provider_accounts: Selection = Selection()
    metadata: dict[str, Selection] = {}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Each one that is given has to hold."""

    def __post_init__(self) -> None:
        if not self.given():
            raise ValueError("limits nothing")

    def given(self) -> dict[str, float]:
        """Name -> limit, of those that are given."""
        return {name: limit for name, limit in msgspec.structs.asdict(self).items() if limit is not None}


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """Other limits for some. A window that they do not name keeps the limit of all."""

    users: tuple[Text, ...] = ()
    virtual_accounts: tuple[Text, ...] = ()
    teams: tuple[Text, ...] = ()
    tokens: tuple[Text, ...] = ()
    models: tuple[Text, ...] = ()
    metadata_values: tuple[Text, ...] = ()
    limits: Limits


OVERRIDDEN = MappingProxyType(
    {
        "per-user": "users",
        "per-virtual-account": "virtual_accounts",
        "per-team": "teams",
        "per-token": "tokens",
        "per-model": "models",
        "metadata": "metadata_values",
    }
)
"""What something applies to -> whom its overrides name."""


class AppliesTo(msgspec.Struct, frozen=True, kw_only=True):
    """Whom each counter is for; `metadata` is the key when it is one for each value of that.

    Args:
        type: `aggregate`: all together. Else each one has a limit of its own.
        metadata: the key, for `type: metadata`: each value of it has a limit of its own.
    """

    type: Literal["aggregate", "per-user", "per-virtual-account", "per-team", "per-token", "per-model", "metadata"]
    metadata: Text | None = None
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        if (self.type == "metadata") != (self.metadata is not None):
            raise ValueError("type `metadata`, and no other, has the field `metadata`, which names the key")
        if self.type == "aggregate" and self.overrides:
            raise ValueError("an aggregate has no overrides, because it tells nobody apart")
        for override in self.overrides:
            named = [field for field in OVERRIDDEN.values() if getattr(override, field)]
            if named != [OVERRIDDEN[self.type]]:
                raise ValueError(f"overrides of type `{self.type}` name `{OVERRIDDEN[self.type]}`, and nothing else")


def refuse_twice(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name!r} stands twice {where}")
        seen.add(name)
