"""Who holds what."""

import pytest

from gateway.contract import Caller
from gateway.errors import Forbidden
from gateway.rules.access import TENANT, Access

READ = "provider-account:ReadProviderAccount"
USE = "provider-account:UseIntegrations"
LISTED = "model:UseListed"
MAIN = "provider-account:main"

TEAM = {"type": "team", "name": "platform", "members": ["Bob@Example.com"], "managers": ["ana@example.com"]}


def binding(subjects, role, resource_type=TENANT, fqn="acme", name="b"):
    return {
        "type": "role-binding",
        "name": name,
        "subjects": [{"type": kind, "name": who} for kind, who in subjects],
        "permissions": [{"resourceType": resource_type, "resourceFqn": fqn, "role": role}],
    }


def virtual_account(
    name="ci", role="provider-account-access", type_="provider-account", fqn="acme:openai:main", **rest
):
    permissions = [{"resource_fqn": fqn, "resource_type": type_, "role_id": role}]
    return {"type": "virtual-account", "name": name, "permissions": permissions, **rest}


def role(name, *permissions):
    return {"type": "role", "name": name, "permissions": list(permissions)}


def users_of(access, permission=USE):
    return {resource: sorted(subjects) for resource, subjects in access.users_by_resource(permission).items()}


# --- by default --------------------------------------------------------------


def test_nobody_holds_anything_by_default(compiled, account):
    access, warnings = compiled(account())

    assert access == Access()
    assert warnings == []
    assert not access.holds(Caller("user:ana@example.com"), USE, MAIN)


def test_an_admin_holds_everything():
    admin = Caller("user:root", is_admin=True)

    assert Access().holds(admin, "no:Such", "thing:x")
    Access().require(admin, "no:Such")


# --- collaborators -----------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "held_by"),
    [
        ("user:Ana@Example.com", "user:ana@example.com"),
        ("team:platform", "team:platform"),
        ("team:everyone", "team:everyone"),
        ("virtualaccount:ci", "virtualaccount:ci"),
        ("virtual-account:ci", "virtualaccount:ci"),
        ("serviceaccount:ci", "virtualaccount:ci"),
    ],
)
def test_a_collaborator_holds_a_role_on_the_account(compiled, account, subject, held_by):
    access, warnings = compiled(account(collaborators=[(subject, "provider-account-access")]))

    assert access.grants == {held_by: {(READ, MAIN), (USE, MAIN)}}
    assert warnings == []


def test_a_collaborator_holds_nothing_elsewhere(compiled, account):
    access, _ = compiled(account(collaborators=[("user:ana@example.com", "provider-account-access")]), account("other"))
    ana = access.caller("user:ana@example.com")

    held = {
        resource: access.holds(ana, USE, resource)
        for resource in (
            MAIN,
            "model:main/gpt",
            "provider-account:other",
            "provider-account:main2",
            "team:main",
            TENANT,
        )
    }

    assert held == {
        MAIN: True,
        "model:main/gpt": True,
        "provider-account:other": False,
        "provider-account:main2": False,
        "team:main": False,
        TENANT: False,
    }


@pytest.mark.parametrize(
    ("collaborator", "warning"),
    [
        (
            ("role:admin", "provider-account-access"),
            "collaborators[0].subject: not a subject, so ignored; write user:<email>, team:<name> or "
            "virtualaccount:<name>",
        ),
        (
            ("user:*", "provider-account-manager"),
            "collaborators[0].subject: not a subject, so ignored; write user:<email>, team:<name> or "
            "virtualaccount:<name>",
        ),
        (
            ("user:eve@example.com", "tenant-admin"),
            "collaborators[0]: tenant-admin is a role on the tenant, and grants nothing on provider-account:main",
        ),
        (
            ("user:eve@example.com", "provider-acount-access"),
            "collaborators[0]: there is no role 'provider-acount-access', so it grants nothing; there are: "
            "mcp-server-manager, mcp-server-user, provider-account-access, provider-account-manager, "
            "secret-group-access, secret-group-manager, team-manager, tenant-admin, tenant-member, "
            "virtual-account-manager",
        ),
    ],
)
def test_what_is_not_understood_warns_and_grants_nothing(compiled, account, collaborator, warning):
    """It must not stop the gateway, and not let anybody in either."""
    access, warnings = compiled(account(collaborators=[collaborator]))

    assert access.grants == {}
    assert warnings == [f"gateway.yaml:1: {warning}"]


# --- teams -------------------------------------------------------------------


def test_members_and_managers_hold_what_their_team_holds(compiled, account):
    """Addresses are the same in any case, wherever they stand."""
    access, _ = compiled(TEAM, account(collaborators=[("team:platform", "provider-account-access")]))

    ana, bob = access.caller("user:ana@example.com"), access.caller("user:bob@example.com")
    assert ana.subjects == {"user:ana@example.com", "team:everyone", "team:platform"}
    assert bob.subjects == {"user:bob@example.com", "team:everyone", "team:platform"}
    assert [access.holds(caller, USE, MAIN) for caller in (ana, bob)] == [True, True]
    assert [access.holds(caller, "team:ManageTeam", "team:platform") for caller in (ana, bob)] == [True, False]
    assert [access.holds(caller, "team:ReadTeam", "team:platform") for caller in (ana, bob)] == [True, True]
    assert not access.holds(ana, "team:ManageTeam", "team:other")


def test_team_everyone_is_all_users_and_no_application(compiled, account):
    """Users of identity providers are users, in whatever teams their claims put them."""
    access, _ = compiled(
        account(collaborators=[("team:everyone", "provider-account-access")]), virtual_account(fqn="acme:openai:other")
    )
    callers = {
        "user": access.caller("user:nobody-knows@example.com"),
        "with a claim": access.caller("user:jwt@example.com", more_teams=["platform"]),
        "virtual account": access.caller("virtualaccount:ci"),
        "an unknown one": access.caller("virtualaccount:nobody"),
        "one with teams": access.caller("virtualaccount:ci", more_teams=["everyone", "platform"]),
    }

    assert {name: access.holds(caller, USE, MAIN) for name, caller in callers.items()} == {
        "user": True,
        "with a claim": True,
        "virtual account": False,
        "an unknown one": False,
        "one with teams": False,
    }


def test_what_everyone_holds_everybody_holds(compiled, account):
    access, _ = compiled(TEAM, account(collaborators=[("team:everyone", "provider-account-access")]))

    assert access.effective("user:bob@example.com") == {(READ, MAIN), (USE, MAIN), ("team:ReadTeam", "team:platform")}
    assert access.effective("virtualaccount:ci") == frozenset()


# --- virtual accounts --------------------------------------------------------


@pytest.mark.parametrize(
    ("fqn", "resource"),
    [
        ("acme:openai:main", "provider-account:main"),
        ("main", "provider-account:main"),
        ("acme:x:y:z:main", "provider-account:main"),
        ("acme:openai:", "provider-account:"),
    ],
)
def test_a_virtual_account_holds_what_its_manifest_says(compiled, fqn, resource):
    access, warnings = compiled(virtual_account(fqn=fqn))

    assert access.grants == {"virtualaccount:ci": {(READ, resource), (USE, resource)}}
    assert warnings == []


def test_a_permission_on_the_tenant_is_one_on_everything(compiled):
    access, _ = compiled(virtual_account(type_="tenant", fqn="acme"))
    ci = access.caller("virtualaccount:ci")

    assert access.grants == {"virtualaccount:ci": {(READ, "tenant"), (USE, "tenant")}}
    assert access.holds(ci, USE, MAIN)
    assert access.holds(ci, USE, "model:main/gpt")
    assert not ci.is_admin


def test_an_unknown_type_of_resource_warns_and_grants_nothing(compiled):
    """A model cannot be granted by a role either; a typing error looks like one that can."""
    access, warnings = compiled(
        virtual_account(type_="model", fqn="main/gpt"),
        binding([("user", "ana@example.com")], "provider-account-access", "provider-acount", "main"),
    )

    assert access.grants == {}
    assert [warning.partition(", so it")[0] for warning in warnings] == [
        "gateway.yaml:1: permissions[0]: there is no resource type 'model'",
        "gateway.yaml:1: permissions[0]: there is no resource type 'provider-acount'",
    ]


def test_the_team_that_owns_a_virtual_account_may_see_it(compiled):
    access, _ = compiled(TEAM, virtual_account(ownedBy={"team": "platform"}))
    bob = access.caller("user:bob@example.com")

    assert access.holds(bob, "virtual-account:ReadVirtualAccount", "virtual-account:ci")
    assert not access.holds(bob, "virtual-account:ManageVirtualAccount", "virtual-account:ci")


# --- roles and bindings ------------------------------------------------------


def test_a_tenant_admin_by_a_binding(compiled):
    access, warnings = compiled(TEAM, binding([("team", "platform"), ("virtual-account", "ops")], "tenant-admin"))

    assert access.caller("user:bob@example.com").is_admin
    assert access.caller("virtualaccount:ops").is_admin
    assert access.caller("user:jwt@example.com", more_teams=["platform"]).is_admin
    assert not access.caller("user:eve@example.com").is_admin
    assert not access.caller("virtualaccount:platform").is_admin
    assert warnings == []


@pytest.mark.parametrize("resource_type", ["provider-account", "team"])
def test_an_admin_of_one_thing_is_none(compiled, resource_type):
    """Whoever holds `*` is an admin of everything, so it must not be granted on anything less."""
    access, warnings = compiled(
        binding([("user", "eve@example.com")], "tenant-admin", resource_type, "acme:openai:main")
    )

    assert access.grants == {}
    assert not access.caller("user:eve@example.com").is_admin
    assert warnings == [
        "gateway.yaml:1: permissions[0]: tenant-admin is a role on the tenant, and grants nothing on "
        f"{resource_type}:main"
    ]


def test_a_role_of_ones_own(compiled, account):
    """It may stand behind what uses it."""
    access, warnings = compiled(
        binding([("user", "Ana@example.com")], "config-creator"),
        account(collaborators=[("team:platform", "config-creator")]),
        role("config-creator", "provider-account:CreateProviderAccount", "gateway-controls:ManageGatewayControls"),
    )

    assert access.grants == {
        "user:ana@example.com": {
            ("provider-account:CreateProviderAccount", "tenant"),
            ("gateway-controls:ManageGatewayControls", "tenant"),
        },
        "team:platform": {
            ("provider-account:CreateProviderAccount", MAIN),
            ("gateway-controls:ManageGatewayControls", MAIN),
        },
    }
    assert warnings == []


@pytest.mark.parametrize(
    "permission", ["*", "model:UseListed", "tenant:*", "provider-account:useintegrations", "nonsense"]
)
def test_an_unknown_permission_warns_and_grants_nothing(compiled, permission):
    """Least of all does `*` make an admin."""
    access, warnings = compiled(
        role("mine", permission, "user:ManageUsers"), binding([("user", "eve@example.com")], "mine")
    )

    assert access.grants == {"user:eve@example.com": {("user:ManageUsers", "tenant")}}
    assert not access.caller("user:eve@example.com").is_admin
    assert warnings == [f"gateway.yaml:1: permissions: {permission!r} is not known here, and grants nothing"]


def test_a_built_in_role_keeps_its_meaning(compiled, account):
    """A manifest of that name is refused elsewhere; should one get here all the same, it changes nothing."""
    access, _ = compiled(
        role("provider-account-access", "user:ManageUsers"),
        account(collaborators=[("user:ana@example.com", "provider-account-access")]),
    )

    assert access.grants == {"user:ana@example.com": {(READ, MAIN), (USE, MAIN)}}


def test_members_of_the_tenant_hold_nothing(compiled):
    access, warnings = compiled(binding([("team", "everyone")], "tenant-member"))

    assert access.effective("user:ana@example.com") == frozenset()
    assert warnings == []


@pytest.mark.parametrize(
    ("kind", "name"), [("agent", "bot"), ("external-identity", "x"), ("user", "*"), ("team", " platform")]
)
def test_a_subject_that_cannot_hold_roles_is_passed_over(compiled, kind, name):
    access, warnings = compiled(binding([(kind, name), ("user", "ana@example.com")], "team-manager"))

    assert [*access.grants] == ["user:ana@example.com"]
    assert warnings == [
        f"gateway.yaml:1: subjects[0]: ignored: {name!r} cannot be the name of a {kind}, or one cannot hold roles yet"
    ]


def test_requiring_says_what_is_missing(compiled):
    access, _ = compiled(TEAM)
    bob = access.caller("user:bob@example.com")

    with pytest.raises(Forbidden) as refused:
        access.require(bob, "team:ManageTeam", "team:platform")

    assert refused.value.message == (
        "user:bob@example.com lacks the permission team:ManageTeam on team:platform (role team-manager); "
        "an admin can grant it"
    )
    access.require(bob, "team:ReadTeam", "team:platform")


# --- authorized_subjects -----------------------------------------------------


def test_authorized_subjects_narrow_what_collaborators_may_use(compiled, account):
    """Being listed takes nothing but what the account gives: eve is no collaborator, and may use nothing."""
    access, warnings = compiled(
        account(
            collaborators=[("team:platform", "provider-account-access")],
            listed=["user:Bob@example.com", "user:eve@example.com"],
        )
    )

    assert users_of(access) == {MAIN: ["team:platform"]}
    assert users_of(access, LISTED) == {"model:main/gpt": ["user:bob@example.com", "user:eve@example.com"]}
    assert access.narrowed == {"model:main/gpt"}
    assert warnings == []


def test_authorized_subjects_are_the_grant_where_there_are_no_collaborators(compiled, account):
    access, _ = compiled(account(listed=["team:platform", "serviceaccount:ci"]))

    assert users_of(access) == {"model:main/gpt": ["team:platform", "virtualaccount:ci"]}
    assert access.narrowed == frozenset()
    ci = access.caller("virtualaccount:ci")
    assert [access.holds(ci, USE, resource) for resource in ("model:main/gpt", "model:main/mini", MAIN)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("collaborators", "narrowed"), [(None, frozenset()), ([], {"model:main/gpt"})], ids=["none named", "an empty list"]
)
def test_an_empty_list_lets_nobody_in(compiled, account, collaborators, narrowed):
    """An empty list of collaborators names them as well: it says that there are none."""
    access, _ = compiled(account(collaborators=collaborators, listed=[]))

    assert access.grants == {}
    assert access.narrowed == narrowed


@pytest.mark.parametrize("collaborators", [None, [("team:platform", "provider-account-access")]])
def test_an_authorized_subject_that_is_none_warns_and_lets_nobody_in(compiled, account, collaborators):
    access, warnings = compiled(account(collaborators=collaborators, listed=["platform", "user:*"]))

    assert set(access.grants) <= {"team:platform"}
    assert warnings == [
        f"gateway.yaml:1: integrations[0].authorized_subjects[{index}]: not a subject, so ignored; write user:<email>, "
        "team:<name> or virtualaccount:<name>"
        for index in (0, 1)
    ]


# --- what stands for a subject -----------------------------------------------


def test_claims_and_secrets_stand_for_subjects(compiled):
    """Whoever has the claim, or can read the secret, holds what they stand for."""
    claim = [{"identity_provider": "okta", "value": "platform:group"}]
    access, _ = compiled(
        {**TEAM, "identity_provider_mapping": claim},
        virtual_account(
            identity_provider_mapping=claim,
            secret_store_config={"type": "tfy-secrets", "secret_group": "vats", "key": "ci"},
        ),
        virtual_account(
            "out", secret_store_config={"type": "secret-store", "integration_fqn": "a:b", "secret_path": "p"}
        ),
    )

    assert access.mapped == {
        "claim:okta:platform:group": {"team:platform", "virtualaccount:ci"},
        "secret:vats:ci": {"virtualaccount:ci"},
        "secret:a:b:p": {"virtualaccount:out"},
    }
    assert access.effective("secret:vats:ci") == {(READ, MAIN), (USE, MAIN)}
    assert access.effective("claim:okta:platform:group") == {
        (READ, MAIN),
        (USE, MAIN),
        ("team:ReadTeam", "team:platform"),
    }
    assert access.effective("claim:okta:other") == frozenset()


def test_everybody_of_whom_anything_is_said_is_known(compiled, account):
    access, _ = compiled(
        TEAM,
        account(listed=["user:eve@example.com"]),
        {**TEAM, "name": "empty", "members": [], "managers": [], "identity_provider_mapping": [
            {"identity_provider": "okta", "value": "g"}
        ]},
    )  # fmt: skip

    assert access.known() == {
        "user:ana@example.com",
        "user:bob@example.com",
        "user:eve@example.com",
        "team:platform",
        "team:empty",
        "team:everyone",
        "claim:okta:g",
    }
