"""Every kind of manifest, but accounts with models: their providers say what they are read into."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.manifests.data_access import DataAccessConfig
from gateway.manifests.guardrails import GuardrailGroup, GuardrailsConfig
from gateway.manifests.identity import IdentityProvider, Role, RoleBinding, SecretGroup, Team, VirtualAccount
from gateway.manifests.limits import (
    BudgetConfig,
    McpRateLimit,
    ModelRateLimit,
    RateLimitConfig,
    TeamBudget,
    TenantBudget,
)
from gateway.manifests.notifications import CustomAccount, PagerDutyAccount, SlackAccount, TeamsAccount, WebhookAccount
from gateway.manifests.routing import (
    VIRTUAL_MODELS,
    FallbackConfig,
    GlobalSettings,
    LoadBalancingConfig,
    PriorityConfig,
    VirtualModelGroup,
)
from gateway.manifests.telemetry import DataRoutingConfig, LoggingConfig, MetadataConfig, OtelConfig

KINDS: Mapping[str, type[msgspec.Struct] | None] = MappingProxyType(
    {
        "identity-provider": IdentityProvider,
        "team": Team,
        "role": Role,
        "secret-group": SecretGroup,
        "provider-account/slack": SlackAccount,
        "provider-account/ms-teams": TeamsAccount,
        "provider-account/pagerduty": PagerDutyAccount,
        "provider-account/webhook": WebhookAccount,
        "provider-account/custom": CustomAccount,
        "provider-account/guardrail-config-group": GuardrailGroup,
        VIRTUAL_MODELS: VirtualModelGroup,
        "environment": None,
        "cluster": None,
        "ml-repo": None,
        "workspace": None,
        "tracing-project": None,
        "mcp-server/openapi": None,
        "mcp-server/remote": None,
        "mcp-server/stdio": None,
        "mcp-server/tfy-managed": None,
        "mcp-server/virtual": None,
        "agent-skill": None,
        "agent": None,
        "policy": None,
        "virtual-account": VirtualAccount,
        "role-binding": RoleBinding,
        "gateway-guardrails-config": GuardrailsConfig,
        "gateway-rate-limiting-config": RateLimitConfig,
        "gateway-global-settings": GlobalSettings,
        "gateway-fallback-config": FallbackConfig,
        "gateway-load-balancing-config": LoadBalancingConfig,
        "gateway-budget-config": BudgetConfig,
        "gateway-data-access-config": DataAccessConfig,
        "gateway-otel-config": OtelConfig,
        "gateway-data-routing-config": DataRoutingConfig,
        "gateway-installation": None,
        "settings": None,
        "settings/ai-features": None,
        "settings/common-tools": None,
        "alert-config": None,
        "gateway-priority-config": PriorityConfig,
        "tenant-rate-limit-config/model": ModelRateLimit,
        "tenant-rate-limit-config/mcp": McpRateLimit,
        "tenant-budget-config": TenantBudget,
        "team-budget-config": TeamBudget,
        "agent-channel": None,
        "agent-identity": None,
        "chat_prompt": None,
        "gateway-logging-config": LoggingConfig,
        "gateway-metadata-config": MetadataConfig,
        "remote-agent/self-hosted": None,
        "truefoundry-agent": None,
    }
)
"""Manifest `type` -> the struct its document is read into; None: nobody reads it yet. What others refer to comes first,
for that is the order in which they are applied.

Who may handle a new kind is in `gateway.rules.access.roles`; unless it says more, admins alone.

Source: types of truefoundry-sdk 0.6.0 and the order of TrueFoundry's CLI, as restated in section 1 of the project's
compatibility notes. Identity providers, roles and secret groups were moved to the front, and what draws on others of
its family behind those.
"""

STRUCTS = {type_: struct for type_, struct in KINDS.items() if struct is not None}

_RANKS = {
    **{type_.partition("/")[0]: rank for rank, type_ in reversed([*enumerate(KINDS)])},  # the first of the family
    **{type_: rank for rank, type_ in enumerate(KINDS)},
}


def rank_of(type_: str) -> int:
    """Where it stands in the order; what is not in the table stands with the first of its family, or else last."""
    return _RANKS.get(type_, _RANKS.get(type_.partition("/")[0], len(KINDS)))
