"""Manifests that limit what may be used: rate limits and budgets, both generations.

Source: types of truefoundry-sdk 0.6.0, as restated in sections 1.7 and 1.8 of the project's compatibility notes. Ours
are concurrent requests, limits per team and per token, aggregates and overrides of rate limits, and
`when_redis_is_lost`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.contract.limits import WhenLost
from gateway.manifests.accounts import Text
from gateway.manifests.identity import SubjectName
from gateway.manifests.notifications import NotificationTarget
from gateway.manifests.routing import When
from gateway.manifests.scopes import (
    AppliesPer,
    AppliesTo,
    Limits,
    ModelWhen,
    Override,
    Selection,
    SubjectSelections,
    refuse_twice,
)

Count = Annotated[int, Meta(ge=0, le=2**53, description="a whole number from 0 to 9007199254740992")]
"""0 lets nothing pass."""
Dollars = Annotated[float, Meta(ge=0, le=9e9, description="US dollars, from 0 to 9 billion")]
Percent = Annotated[float, Meta(ge=0, le=100, description="a percentage from 0 to 100")]

# --- alerts ------------------------------------------------------------------


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """Each is told once per window."""

    thresholds: tuple[Percent, ...]
    targets: tuple[NotificationTarget, ...] = msgspec.field(default=(), name="notification_target")


class RuleAlerts(Alerts, frozen=True, kw_only=True):
    """The same for the first generation, where thresholds may be left out and targets may not."""

    thresholds: tuple[Percent, ...] = (75, 90, 95, 100)
    targets: tuple[NotificationTarget, ...] = msgspec.field(name="notification_target")


# --- the first generation: the first rule that fits decides ------------------


class RateLimitRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        limit_to: the most there may be; 0 lets nothing pass.
    """

    id: Text
    when: When = When()
    limit_to: Count
    unit: Literal[
        "requests_per_minute",
        "requests_per_hour",
        "requests_per_day",
        "tokens_per_minute",
        "tokens_per_hour",
        "tokens_per_day",
        "concurrent_requests",
    ]
    rate_limit_applies_per: AppliesPer | None = None
    when_redis_is_lost: WhenLost = WhenLost.LOCAL

    def __post_init__(self) -> None:
        refuse_twice(self.rate_limit_applies_per or (), "in rate_limit_applies_per")


class RateLimitConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: str | None = None
    rules: tuple[RateLimitRule, ...]

    def __post_init__(self) -> None:
        refuse_twice((rule.id for rule in self.rules), "as the id of a rule")


class BudgetRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        limit_to: US dollars, or tokens, as `unit` says.
        audit_mode: refuses nothing, and only tells.
    """

    id: Text
    when: When = When()
    limit_to: Dollars
    unit: Literal[
        "cost_per_day",
        "cost_per_week",
        "cost_per_month",
        "cost_per_quarter",
        "cost_per_lifetime",
        "tokens_per_day",
        "tokens_per_month",
    ]
    budget_applies_per: AppliesPer | None = None
    alerts: RuleAlerts | None = None
    audit_mode: bool = False
    when_redis_is_lost: WhenLost = WhenLost.LOCAL

    def __post_init__(self) -> None:
        refuse_twice(self.budget_applies_per or (), "in budget_applies_per")
        if self.unit.startswith("tokens") and self.limit_to % 1:
            raise ValueError("limit_to is no whole number of tokens")


class BudgetConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: str | None = None
    rules: tuple[BudgetRule, ...]

    def __post_init__(self) -> None:
        refuse_twice((rule.id for rule in self.rules), "as the id of a rule")


# --- the second generation: every one that fits has to allow -----------------


class McpWhen(msgspec.Struct, frozen=True, kw_only=True):
    """All of it has to fit. A server is `<server>` or `<server>:<tool>`."""

    subjects: SubjectSelections = SubjectSelections()
    mcp_servers: Selection = Selection()
    metadata: dict[str, Selection] = {}


class RateLimits(Limits, frozen=True, kw_only=True):
    """
    Args:
        requests_per_minute: in any minute; so are all windows: they slide.
        requests_per_hour: in any hour.
        requests_per_day: in any 24 hours.
        tokens_per_minute: input and output together.
        tokens_per_hour: input and output together.
        tokens_per_day: input and output together.
        concurrent_requests: at the same time.
    """

    requests_per_minute: Count | None = None
    requests_per_hour: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_hour: Count | None = None
    tokens_per_day: Count | None = None
    concurrent_requests: Count | None = None


class ToolLimits(Limits, frozen=True, kw_only=True):
    """
    Args:
        tool_calls_per_minute: in any minute.
        tool_calls_per_hour: in any hour.
        tool_calls_per_day: in any 24 hours.
    """

    tool_calls_per_minute: Count | None = None
    tool_calls_per_hour: Count | None = None
    tool_calls_per_day: Count | None = None


class CostLimits(Limits, frozen=True, kw_only=True):
    """US dollars. Windows are those of the calendar, in UTC.

    Args:
        cost_per_day: since midnight.
        cost_per_week: since Monday.
        cost_per_month: since the first of the month.
        cost_per_quarter: since the first of January, April, July or October.
        cost_per_lifetime: ever. Stands alone, without other windows.
    """

    cost_per_day: Dollars | None = None
    cost_per_week: Dollars | None = None
    cost_per_month: Dollars | None = None
    cost_per_quarter: Dollars | None = None
    cost_per_lifetime: Dollars | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cost_per_lifetime is not None and len(self.given()) > 1:
            raise ValueError("cost_per_lifetime stands alone, without other windows")


class RateOverride(Override, frozen=True, kw_only=True):
    limits: RateLimits


class ToolOverride(Override, frozen=True, kw_only=True):
    limits: ToolLimits


class CostOverride(Override, frozen=True, kw_only=True):
    limits: CostLimits


class RateAppliesTo(AppliesTo, frozen=True, kw_only=True):
    overrides: tuple[RateOverride, ...] = ()


class ToolAppliesTo(AppliesTo, frozen=True, kw_only=True):
    overrides: tuple[ToolOverride, ...] = ()


class CostAppliesTo(AppliesTo, frozen=True, kw_only=True):
    overrides: tuple[CostOverride, ...] = ()


class ModelRateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        log_request_body_on_block: ignored, with a warning: bodies are not logged.
    """

    type: str
    name: Text
    when: ModelWhen = ModelWhen()
    limits: RateLimits
    applies_to: RateAppliesTo = RateAppliesTo(type="aggregate")
    mode: Literal["enforce", "audit"] = "enforce"
    log_request_body_on_block: bool = False
    when_redis_is_lost: WhenLost = WhenLost.LOCAL


class McpRateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Counts calls of tools.

    Args:
        log_request_body_on_block: ignored: bodies are not logged.
    """

    type: str
    name: Text
    when: McpWhen = McpWhen()
    limits: ToolLimits
    applies_to: ToolAppliesTo = ToolAppliesTo(type="aggregate")
    mode: Literal["enforce", "audit"] = "enforce"
    log_request_body_on_block: bool = False
    when_redis_is_lost: WhenLost = WhenLost.LOCAL


class TenantBudget(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: Text
    when: ModelWhen = ModelWhen()
    limits: CostLimits
    applies_to: CostAppliesTo
    mode: Literal["enforce", "audit", "soft_enforce"]
    alerts: Alerts | None = None
    when_redis_is_lost: WhenLost = WhenLost.LOCAL


class TeamBudget(TenantBudget, frozen=True, kw_only=True):
    """For the members of one team, and for the virtual accounts that it owns.

    Args:
        team_name: whose budget it is.
    """

    team_name: SubjectName
