"""Who may look at the records of others: `gateway-data-access-config`.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.11 of the project's compatibility notes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Text


class MetadataCondition(msgspec.Struct, frozen=True, kw_only=True, tag_field="field", tag="metadata"):
    """
    Args:
        field: what is looked at.
        key: of the metadata.
        operator: whether its value has to be one of these, or none of them.
        value: of that metadata.
    """

    key: Text
    operator: Literal["IN", "NOT_IN"]
    value: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]


class CreatedByCondition(msgspec.Struct, frozen=True, kw_only=True, tag_field="field", tag="created_by"):
    """
    Args:
        field: what is looked at: who has sent the request.
        operator: whether it has to be one of these, or none of them.
        value: as in `user:ana@example.com` or `virtualaccount:ci`.
    """

    operator: Literal["IN", "NOT_IN"]
    value: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=100)]


class DataAccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        subjects: whom it is about: users, teams, virtual accounts, or `role:<name>` for all who have a role.
        data_types: `traces` are single requests, `metrics` what they come to.
        scope: `team_data` is what teammates and the team's virtual accounts asked, `team_virtual_account_data` what
            those accounts did.
        filters: of `all_data` alone; all have to fit.
    """

    id: Text
    description: str | None = None
    enabled: bool = True
    subjects: Annotated[tuple[Text, ...], Meta(min_length=1)]
    data_types: Annotated[tuple[Literal["traces", "metrics"], ...], Meta(min_length=1)]
    scope: Literal["own_data", "team_data", "team_virtual_account_data", "all_data"]
    filters: tuple[MetadataCondition | CreatedByCondition, ...] = ()

    def __post_init__(self) -> None:
        if self.filters and self.scope != "all_data":
            raise ValueError("filters are for the scope all_data")


class DataAccessConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What its rules give, together. One's own requests everybody may see."""

    type: str
    name: str | None = None
    rules: tuple[DataAccessRule, ...]
