"""All routes of the control API, and what each takes. A route without a permission cannot be written."""

import re
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from gateway.control import (
    allowances,
    budgets,
    documents,
    feedback,
    guard_metrics,
    manifests,
    metrics,
    requests,
    secrets,
    spans,
    teams,
    tenant,
    tokens,
    usage,
    users,
)
from gateway.control.control import Ask, Control
from gateway.control.manifests import ApplyBody, BatchBody, RollbackBody
from gateway.rules.access import ADMIN_PERMISSION, TENANT
from gateway.rules.access.roles import (
    MANAGE_CONTROLS,
    MANAGE_USERS,
    READ_DATA,
    SECRET_GROUP,
    TEAM,
    VIRTUAL_ACCOUNT,
    WRITE_DATA,
)

BASE = "/api/svc/v1"

Handler = Callable[[Control, Ask], Awaitable[Any]]


class Needs(Enum):
    """What the handler checks itself, because it takes more than the path to tell."""

    NOTHING = "not even a token: the answer is the same for everybody"
    TOKEN = "a valid token; the answer holds what the caller may read"
    OWNER = "that the token is the caller's, or of somebody it manages"
    MANIFEST = "the permission to create, manage, read or delete such a manifest"
    USER = "that the caller used it, or may see what others use"


class Permission(NamedTuple):
    """`resource`: TENANT, or a template such as `team:{name}`."""

    permission: str
    resource: str = TENANT

    def on(self, path: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda part: path[part[1]], self.resource)


class Route(NamedTuple):
    """`path` is below BASE; a body is read when there is a type for it."""

    method: str
    path: str
    needs: Needs | Permission
    handler: Handler
    body: type[msgspec.Struct] | None = None


_MANAGE_USERS = Permission(MANAGE_USERS)
_ADMIN = Permission(ADMIN_PERMISSION)
"""Also for tokens of others: who made one could keep it until its owner is given more."""


def _on_account(permission: str) -> Permission:
    return Permission(permission, VIRTUAL_ACCOUNT.of("{name}"))


def _on_team(permission: str) -> Permission:
    return Permission(permission, TEAM.of("{name}"))


def _on_group(permission: str) -> Permission:
    return Permission(permission, SECRET_GROUP.of("{name}"))


def _family(path: str, type_: str) -> list[Route]:
    """The routes of one kind of manifest. All of them lead to the same four functions as `/apply` and `/delete`."""
    return [
        Route("GET", path, Needs.TOKEN, documents.lister(type_)),
        Route("PUT", path, Needs.MANIFEST, documents.putter(type_), ApplyBody),
        Route("GET", f"{path}/{{name}}", Needs.MANIFEST, documents.getter(type_)),
        Route("DELETE", f"{path}/{{name}}", Needs.MANIFEST, documents.deleter(type_)),
    ]


ROUTES: Sequence[Route] = (
    Route("GET", "/min-cli-version", Needs.NOTHING, tenant.min_cli_version),
    Route("GET", "/tenant-id", Needs.NOTHING, tenant.tenant_id),
    Route("GET", "/session", Needs.TOKEN, tenant.session),
    Route("GET", "/x/users/info", Needs.TOKEN, tenant.user_info),
    Route("GET", "/me", Needs.TOKEN, users.me),
    # manifests
    Route("PUT", "/apply", Needs.MANIFEST, manifests.apply, ApplyBody),
    Route("PUT", "/apply/all", Needs.MANIFEST, manifests.apply_all, BatchBody),
    Route("POST", "/delete", Needs.MANIFEST, manifests.delete, ApplyBody),
    Route("POST", "/rollback", Needs.MANIFEST, manifests.rollback, RollbackBody),
    Route("GET", "/manifests", Needs.TOKEN, manifests.list_manifests),
    Route("GET", "/history", Needs.MANIFEST, manifests.history),
    # tokens
    Route("GET", "/tokens", Needs.TOKEN, tokens.list_tokens),
    Route("POST", "/tokens/{id}/rotate", Needs.OWNER, tokens.rotate, tokens.RotateBody),
    Route("DELETE", "/tokens/{id}", Needs.OWNER, tokens.revoke),
    Route("GET", "/personal-access-tokens", Needs.TOKEN, tokens.list_own),
    Route("POST", "/personal-access-tokens", Needs.TOKEN, tokens.create_personal, tokens.PersonalBody),
    Route("POST", "/personal-access-tokens/for-user", _ADMIN, tokens.create_for_user, tokens.ForUserBody),
    Route("DELETE", "/personal-access-tokens/revoke/all", _MANAGE_USERS, tokens.revoke_all, users.EmailBody),
    Route("DELETE", "/personal-access-tokens/{id}", Needs.OWNER, tokens.revoke),
    # virtual accounts
    Route(
        "POST",
        "/virtual-accounts/{name}/tokens",
        _on_account(VIRTUAL_ACCOUNT.manage),
        tokens.create_for_virtual_account,
        tokens.VirtualAccountBody,
    ),
    Route(
        "POST",
        "/virtual-accounts/{name}/regenerate-token",
        _on_account(VIRTUAL_ACCOUNT.manage),
        tokens.regenerate,
        tokens.RotateBody,
    ),
    Route("GET", "/virtual-accounts/{name}/token", _on_account(VIRTUAL_ACCOUNT.manage), tokens.shown_once),
    Route("DELETE", "/virtual-accounts/{name}/jwt/{id}", Needs.OWNER, tokens.revoke),
    Route("GET", "/virtual-accounts/exists", Needs.TOKEN, documents.virtual_account_exists),
    *_family("/virtual-accounts", "virtual-account"),
    # users and teams
    Route("GET", "/users", _MANAGE_USERS, users.list_users),
    Route("POST", "/users/register", _MANAGE_USERS, users.register, users.RegisterBody),
    Route("PATCH", "/users/deactivate", _MANAGE_USERS, users.deactivate, users.EmailBody),
    Route("PATCH", "/users/activate", _MANAGE_USERS, users.activate, users.EmailBody),
    Route("GET", "/users/{email}", _MANAGE_USERS, users.get),
    Route("DELETE", "/users/{email}", _MANAGE_USERS, users.delete),
    Route("GET", "/x/users/{email}/teams", _MANAGE_USERS, users.teams_of),
    Route("GET", "/teams", Needs.TOKEN, teams.list_teams),
    Route("GET", "/teams/user", Needs.TOKEN, teams.list_teams),
    Route("GET", "/teams/{name}/members", _on_team(TEAM.read), teams.list_members),
    Route("GET", "/teams/{name}/managers", _on_team(TEAM.read), teams.list_managers),
    Route("POST", "/teams/{name}/members", _on_team(TEAM.manage), teams.add_member, teams.MemberBody),
    Route("DELETE", "/teams/{name}/members/{email}", _on_team(TEAM.manage), teams.remove_member),
    *_family("/teams", "team")[1:],
    # roles, accounts, secrets
    *_family("/roles", "role"),
    *_family("/role-bindings", "role-binding"),
    *_family("/provider-accounts", "provider-account"),
    Route("GET", "/provider-integrations", Needs.TOKEN, documents.integrations),
    *_family("/identity-providers", "identity-provider"),
    Route("GET", "/secret-groups/{name}/secrets", _on_group(SECRET_GROUP.read), secrets.list_keys),
    Route("PUT", "/secret-groups/{name}/secrets", _on_group(WRITE_DATA), secrets.write, secrets.SecretsBody),
    Route("GET", "/secret-groups/{name}/secrets/{key}", _on_group(READ_DATA), secrets.read),
    Route("DELETE", "/secret-groups/{name}/secrets/{key}", _on_group(WRITE_DATA), secrets.remove),
    Route("GET", "/secrets/{name}:{key}", _on_group(READ_DATA), secrets.read),
    Route("DELETE", "/secrets/{name}:{key}", _on_group(WRITE_DATA), secrets.remove),
    *_family("/secret-groups", "secret-group"),
    # limits, budgets and usage
    Route("GET", "/llm-gateway/budgets", Needs.TOKEN, budgets.list_budgets),
    Route("PUT", "/llm-gateway/budgets", Needs.MANIFEST, budgets.put_budget, ApplyBody),
    Route("GET", "/llm-gateway/budgets/my-usage", Needs.TOKEN, allowances.my_usage),
    Route(
        "POST",
        "/llm-gateway/budgets/simulate",
        Permission(MANAGE_CONTROLS),
        allowances.simulate,
        allowances.SimulateBody,
    ),
    Route("GET", "/llm-gateway/budgets/{name}", Needs.MANIFEST, budgets.get_budget),
    Route("DELETE", "/llm-gateway/budgets/{name}", Needs.MANIFEST, documents.deleter(*budgets.BUDGETS)),
    Route("GET", "/llm-gateway/budgets/{name}/leaderboard", Needs.MANIFEST, budgets.leaderboard),
    Route("GET", "/llm-gateway/rate-limits", Needs.TOKEN, budgets.list_rate_limits),
    Route("GET", "/llm-gateway/config/{type}", Needs.TOKEN, budgets.config),
    Route("GET", "/gateway/configs", Needs.TOKEN, budgets.config_by_query),
    Route("GET", "/llm-gateway/usage", Needs.TOKEN, usage.usage),
    Route("GET", "/llm-gateway/usage/requests/{request_id}", Needs.USER, usage.request),
    # single requests, and what they come to
    Route("GET", "/requests", Needs.TOKEN, requests.list_requests),
    Route("GET", "/requests/stream", Needs.TOKEN, requests.stream),
    Route("GET", "/requests/export", Needs.TOKEN, requests.export),
    Route("GET", "/requests/facets", Needs.TOKEN, requests.facets),
    Route("GET", "/requests/{request_id}", Needs.USER, requests.get_request),
    Route("GET", "/requests/{request_id}/feedback", Needs.USER, feedback.list_feedback),
    Route("PUT", "/requests/{request_id}/feedback/{name}", Needs.USER, feedback.give_feedback, feedback.FeedbackBody),
    Route("DELETE", "/requests/{request_id}/feedback/{name}", Needs.USER, feedback.take_back_feedback),
    Route("POST", "/gateway-feedback", Needs.USER, feedback.give_rating, feedback.RatingBody),
    Route("PUT", "/gateway-feedback/{id}", Needs.OWNER, feedback.change_rating, feedback.RatingChange),
    Route("DELETE", "/gateway-feedback/{id}", Needs.OWNER, feedback.take_back_rating),
    Route("POST", "/llm-gateway/metrics/query", Needs.TOKEN, guard_metrics.query, metrics.MetricsBody),
    Route("POST", "/spans/query", Needs.TOKEN, spans.query, spans.SpansBody),
)
