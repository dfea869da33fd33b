"""Which permission is in which role, and what a kind of manifest takes."""

import pytest

from gateway.rules.access.roles import (
    ADMIN_PERMISSION,
    LISTED,
    MANAGE_CONTROLS,
    PERMISSIONS,
    RESOURCE_TYPES,
    ROLES,
    TENANT,
    kind_of,
    missing,
    resources_over,
)


def test_the_built_in_roles():
    assert {name: sorted(held) for name, held in ROLES.items()} == {
        "tenant-admin": ["*"],
        "tenant-member": [],
        "provider-account-manager": [
            "provider-account:DeleteProviderAccount",
            "provider-account:ManageProviderAccount",
            "provider-account:ReadProviderAccount",
            "provider-account:UseIntegrations",
        ],
        "provider-account-access": ["provider-account:ReadProviderAccount", "provider-account:UseIntegrations"],
        "mcp-server-manager": [
            "mcp-server:DeleteMcpServer",
            "mcp-server:ManageMcpServer",
            "mcp-server:ReadMcpServer",
            "mcp-server:UseMcpServer",
        ],
        "mcp-server-user": ["mcp-server:ReadMcpServer", "mcp-server:UseMcpServer"],
        "secret-group-manager": [
            "secret-group:DeleteSecretGroup",
            "secret-group:ManageSecretGroup",
            "secret-group:ReadData",
            "secret-group:ReadSecretGroup",
            "secret-group:WriteData",
        ],
        "secret-group-access": ["secret-group:ReadData", "secret-group:ReadSecretGroup"],
        "team-manager": ["team:ManageTeam", "team:ReadTeam"],
        "virtual-account-manager": [
            "virtual-account:DeleteVirtualAccount",
            "virtual-account:ManageVirtualAccount",
            "virtual-account:ReadVirtualAccount",
        ],
    }


def test_what_roles_of_ones_own_may_hold():
    """All that the compatibility notes name and the gateway knows; never what makes an admin."""
    named = {
        "provider-account:CreateProviderAccount",
        "provider-account:UseIntegrations",
        "mcp-server:UseMcpServer",
        "gateway-controls:ListGatewayControls",
        "gateway-controls:ManageGatewayControls",
        "secret-group:CreateSecretGroup",
        "secret-group:ReadData",
        "secret-group:WriteData",
        "team:CreateTeam",
        "virtual-account:CreateVirtualAccount",
        "role:CreateRole",
        "tenant:AssignRole",
        "user:ManageUsers",
    }

    assert named <= PERMISSIONS
    assert PERMISSIONS.isdisjoint({ADMIN_PERMISSION, LISTED})
    assert frozenset().union(*ROLES.values()) - PERMISSIONS == {ADMIN_PERMISSION}


def test_what_roles_can_be_held_on():
    """Not on a single model: who may use one stands in its `authorized_subjects`."""
    assert sorted(RESOURCE_TYPES) == [
        "gateway-budget-config",
        "gateway-controls",
        "gateway-fallback-config",
        "gateway-guardrails-config",
        "gateway-load-balancing-config",
        "gateway-priority-config",
        "gateway-rate-limiting-config",
        "mcp-server",
        "provider-account",
        "role",
        "role-binding",
        "secret-group",
        "team",
        "tenant",
        "tenant-budget-config",
        "tenant-rate-limit-config",
        "user",
        "virtual-account",
    ]


@pytest.mark.parametrize(
    ("type_", "takes"),
    [
        ("provider-account/openai", ("provider-account:x", "provider-account:ManageProviderAccount")),
        ("provider-account/acme/inner", ("provider-account:x", "provider-account:ManageProviderAccount")),
        ("team", ("team:x", "team:ManageTeam")),
        ("virtual-account", ("virtual-account:x", "virtual-account:ManageVirtualAccount")),
        ("secret-group", ("secret-group:x", "secret-group:ManageSecretGroup")),
        ("role", ("role:x", "role:ManageRole")),
        ("role-binding", ("role-binding:x", "tenant:AssignRole")),
        ("identity-provider", ("identity-provider:x", "*")),
        ("gateway-rate-limiting-config", ("gateway-rate-limiting-config:x", MANAGE_CONTROLS)),
        ("tenant-rate-limit-config/model", ("tenant-rate-limit-config:x", MANAGE_CONTROLS)),
        ("team-budget-config", ("tenant-budget-config:x", MANAGE_CONTROLS)),
        ("gateway-load-balancing-config", ("gateway-load-balancing-config:x", "*")),
        ("gateway-guardrails-config", ("gateway-guardrails-config:x", "*")),
        ("provider-account/guardrail-config-group", ("provider-account:x", "provider-account:ManageProviderAccount")),
        ("gateway-global-settings", ("gateway-global-settings:x", "*")),
        ("Team", ("Team:x", "*")),
        ("", (":x", "*")),
    ],
)
def test_what_a_manifest_takes(type_, takes):
    """What nobody has thought about is for admins."""
    kind = kind_of(type_)

    assert (kind.of("x"), kind.manage) == takes


@pytest.mark.parametrize(
    ("resource", "over"),
    [
        ("tenant", ("tenant", "tenant")),
        ("team:a", ("team:a", "tenant")),
        ("provider-account:a/b", ("provider-account:a/b", "tenant")),
        ("role-binding:a/b", ("role-binding:a/b", "tenant")),
        ("model:a/b", ("model:a/b", "provider-account:a", "tenant")),
        ("model:a/b/c", ("model:a/b/c", "provider-account:a", "tenant")),
    ],
)
def test_what_stands_over_a_resource(resource, over):
    """Nothing but the tenant, save for models, whose account does. A slash in another name means nothing."""
    assert resources_over(resource) == over


@pytest.mark.parametrize(
    ("permission", "resource", "text"),
    [
        (
            "provider-account:UseIntegrations",
            "provider-account:main",
            "the permission provider-account:UseIntegrations on provider-account:main (role provider-account-access)",
        ),
        ("team:ManageTeam", TENANT, "the permission team:ManageTeam (role team-manager)"),
        ("user:ManageUsers", TENANT, "the permission user:ManageUsers"),
        ("*", "identity-provider:okta", "the role tenant-admin"),
    ],
)
def test_says_what_is_missing(permission, resource, text):
    """The smallest role that has it: nobody should ask for more than is needed."""
    assert missing(permission, resource) == text


@pytest.mark.parametrize(
    ("type_", "read"),
    [
        ("gateway-budget-config", "gateway-controls:ListGatewayControls"),
        ("team-budget-config", "gateway-controls:ListGatewayControls"),
        ("gateway-load-balancing-config", "gateway-controls:ListGatewayControls"),
        ("gateway-fallback-config", "gateway-controls:ListGatewayControls"),
        ("gateway-guardrails-config", "gateway-controls:ListGatewayControls"),
        ("gateway-otel-config", "*"),
    ],
)
def test_what_it_takes_to_read_a_control(type_, read):
    """Rules that route may be read by more people than may write them."""
    assert kind_of(type_).read == read
