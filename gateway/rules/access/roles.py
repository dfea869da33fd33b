"""Permissions, and the roles that hold them.

A permission is `resource-type:ActionInCamelCase`. Those of accounts, MCP servers, secret groups and controls are named
as in section 4.2 of the project's compatibility notes; the others follow the same pattern.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

TENANT = "tenant"
"""The resource that holds all others: what is granted on it is granted on every one."""
ADMIN_PERMISSION = "*"
USE = "provider-account:UseIntegrations"
LISTED = "model:UseListed"
"""A place in the `authorized_subjects` of a model in an account with collaborators. Using it takes USE as well."""
READ_DATA = "secret-group:ReadData"
WRITE_DATA = "secret-group:WriteData"
MANAGE_USERS = "user:ManageUsers"
LIST_CONTROLS = "gateway-controls:ListGatewayControls"
MANAGE_CONTROLS = "gateway-controls:ManageGatewayControls"
NAME_MODELS = "gateway-controls:NameModels"
"""To give a virtual model a name without its group in front, such as `gpt-4o`: everybody's requests may carry it."""


class Kind(msgspec.Struct, frozen=True):
    """What it takes to handle one kind of manifest. `resource` is its type in grants: `provider-account`."""

    resource: str
    create: str
    read: str
    manage: str
    delete: str

    def of(self, name: str) -> str:
        """The resource with this name: `provider-account:openai-main`."""
        return f"{self.resource}:{name}"


def _kind(resource: str, noun: str) -> Kind:
    return Kind(resource, *(f"{resource}:{action}{noun}" for action in ("Create", "Read", "Manage", "Delete")))


PROVIDER_ACCOUNT = _kind("provider-account", "ProviderAccount")
TEAM = _kind("team", "Team")
VIRTUAL_ACCOUNT = _kind("virtual-account", "VirtualAccount")
SECRET_GROUP = _kind("secret-group", "SecretGroup")
_MCP_SERVER = _kind("mcp-server", "McpServer")
_ROLE = _kind("role", "Role")
_ASSIGN = "tenant:AssignRole"

_LIMITING = (
    "gateway-rate-limiting-config",
    "gateway-budget-config",
    "gateway-priority-config",
    "tenant-rate-limit-config",
)
# Whoever writes a rule that the requests of others follow could send them to an account, or with a key, of his own, or
# show them to a guardrail, and read them there. So that takes more than to limit what they use.
_ROUTING = ("gateway-load-balancing-config", "gateway-fallback-config", "gateway-guardrails-config")


def _control(family: str, change: str) -> Kind:
    return Kind(family, change, LIST_CONTROLS, change, change)


BUDGET = _control("tenant-budget-config", MANAGE_CONTROLS)
"""Of the tenant and of teams, so that a name is that of one budget."""

_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "provider-account": PROVIDER_ACCOUNT,
        "team": TEAM,
        "virtual-account": VIRTUAL_ACCOUNT,
        "secret-group": SECRET_GROUP,
        "role": _ROLE,
        "role-binding": Kind("role-binding", _ASSIGN, _ASSIGN, _ASSIGN, _ASSIGN),
        **{family: _control(family, MANAGE_CONTROLS) for family in _LIMITING},
        **{family: _control(family, ADMIN_PERMISSION) for family in _ROUTING},
        "tenant-budget-config": BUDGET,
        "team-budget-config": BUDGET,
    }
)
_FOR_ADMINS = (ADMIN_PERMISSION,) * 4


def kind_of(manifest_type: str) -> Kind:
    """For `provider-account/openai` the kind of all accounts.

    A type that is not known here is for admins alone; so are identity providers, which say who anybody is.
    """
    family = manifest_type.partition("/")[0]
    return _KINDS.get(family) or Kind(family, *_FOR_ADMINS)


def _all_but_create(kind: Kind, *more: str) -> frozenset[str]:
    return frozenset({kind.read, kind.manage, kind.delete, *more})


ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "tenant-admin": frozenset({ADMIN_PERMISSION}),
        "tenant-member": frozenset(),
        "provider-account-manager": _all_but_create(PROVIDER_ACCOUNT, USE),
        "provider-account-access": frozenset({PROVIDER_ACCOUNT.read, USE}),
        "mcp-server-manager": _all_but_create(_MCP_SERVER, "mcp-server:UseMcpServer"),
        "mcp-server-user": frozenset({_MCP_SERVER.read, "mcp-server:UseMcpServer"}),
        "secret-group-manager": _all_but_create(SECRET_GROUP, READ_DATA, WRITE_DATA),
        "secret-group-access": frozenset({SECRET_GROUP.read, READ_DATA}),
        "team-manager": frozenset({TEAM.read, TEAM.manage}),
        "virtual-account-manager": _all_but_create(VIRTUAL_ACCOUNT),
    }
)
"""Built-in role -> its permissions. Roles of one's own are manifests."""

PERMISSIONS = frozenset(
    {
        *(getattr(kind, action) for kind in (*_KINDS.values(), _MCP_SERVER) for action in Kind.__struct_fields__[1:]),
        *(permission for role in ROLES.values() for permission in role),
        MANAGE_USERS,
        NAME_MODELS,
    }
) - {ADMIN_PERMISSION}
"""What a role of one's own may hold."""


RESOURCE_TYPES = frozenset(
    {
        TENANT,
        *(kind.resource for kind in _KINDS.values()),
        *(permission.partition(":")[0] for permission in PERMISSIONS),
    }
)
"""What roles can be held on."""


def model_resource(name: str) -> str:
    """For `openai-main/gpt-5`. Whoever holds something on the account holds it on its models."""
    return f"model:{name}"


def resources_over(resource: str) -> tuple[str, ...]:
    """The resources on which a permission is one on this resource too, itself included."""
    kind, _, name = resource.partition(":")
    account = (PROVIDER_ACCOUNT.of(name.partition("/")[0]),) if kind == "model" else ()
    return (resource, *account, TENANT)


def missing(permission: str, resource: str) -> str:
    """For the text of a 403: what is missing, and which built-in role has it."""
    roles = sorted(
        (name for name, held in ROLES.items() if permission in held), key=lambda name: (len(ROLES[name]), name)
    )
    where = "" if resource == TENANT else f" on {resource}"
    if permission == ADMIN_PERMISSION:
        return "the role tenant-admin"
    return f"the permission {permission}{where}" + (f" (role {roles[0]})" if roles else "")
