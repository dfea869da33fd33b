"""Manifests that say who there is: as the samples have them, and what is wrong with others."""

import pytest

from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.manifests.accounts import Collaborator, Owner
from gateway.manifests.identity import (
    AutoRotate,
    BoundRole,
    BoundSubject,
    ExternalSecretStore,
    IdentityProvider,
    IdentityProviderMapping,
    Permission,
    Role,
    RoleBinding,
    SecretGroup,
    StoredSecret,
    Team,
    TeamOwner,
    VirtualAccount,
)
from gateway.manifests.kinds import STRUCTS

SAMPLES = """\
type: virtual-account
name: app
permissions: [{resource_fqn: "acme:openai:openai-main", resource_type: provider-account, role_id: provider-account-access}]
expiration_date: 2027-01-31
auto_rotate: {auto_rotate_interval: 90, grace_period: 7}
notification_target: {type: slack-webhook, notification_channel: "acme:slack:wh:notification-channel:w"}
secret_store_config: {type: tfy-secrets, secret_group: vats, key: app}
ownedBy: {team: platform, account: acme}
tags: {cost_center: "42"}
identity_provider_mapping: [{identity_provider: okta, value: svc-app}]
token_type: jwt
---
{type: team, name: platform, displayName: Platform, description: d, managers: [ana@example.com], members: [ana@example.com, bob@example.com], ownedBy: {account: acme}, tags: {dept: eng}, identity_provider_mapping: [{identity_provider: okta, value: platform-group}]}
---
{type: role, name: gateway-config-creator, displayName: Config creator, description: d, resourceType: tenant, permissions: ["provider-account:CreateProviderAccount", "gateway-controls:ManageGatewayControls"]}
---
{type: role-binding, name: b1, subjects: [{type: team, name: platform}], permissions: [{resourceType: tenant, resourceFqn: acme, role: gateway-config-creator}]}
---
{type: secret-group, name: llm-keys, integration_fqn: "acme:truefoundry:db:secret-store:db", collaborators: [{subject: "team:platform", role_id: secret-group-manager}]}
"""  # noqa: E501
"""Of section 1.16 of the compatibility notes; the date is not even in quotes."""

OKTA = "{type: identity-provider, name: okta, issuer: 'https://acme.okta.com', audiences: [llm]"


def read_all(text):
    return [read(manifest, STRUCTS[manifest.type], Secrets({})) for manifest in loads(text, "gateway.yaml")]


def faults_of(text):
    with pytest.raises(ConfigError) as refused:
        read_all(text)
    return [f"{fault.path}: {fault.message}" for fault in refused.value.faults]


def test_the_samples():
    mapping = IdentityProviderMapping(identity_provider="okta", value="platform-group")

    assert read_all(SAMPLES) == [
        (
            VirtualAccount(
                type="virtual-account",
                name="app",
                permissions=(
                    Permission(
                        resource_fqn="acme:openai:openai-main",
                        resource_type="provider-account",
                        role_id="provider-account-access",
                    ),
                ),
                expiration_date="2027-01-31",
                auto_rotate=AutoRotate(auto_rotate_interval=90, grace_period=7),
                notification_target={
                    "type": "slack-webhook",
                    "notification_channel": "acme:slack:wh:notification-channel:w",
                },
                secret_store_config=StoredSecret(secret_group="vats", key="app"),
                owned_by=TeamOwner(team="platform", account="acme"),
                tags={"cost_center": "42"},
                identity_provider_mapping=(IdentityProviderMapping(identity_provider="okta", value="svc-app"),),
                token_type="jwt",
            ),
            [],
        ),
        (
            Team(
                type="team",
                name="platform",
                members=("ana@example.com", "bob@example.com"),
                managers=("ana@example.com",),
                display_name="Platform",
                description="d",
                owned_by=Owner(account="acme"),
                tags={"dept": "eng"},
                identity_provider_mapping=(mapping,),
            ),
            [],
        ),
        (
            Role(
                type="role",
                name="gateway-config-creator",
                permissions=("provider-account:CreateProviderAccount", "gateway-controls:ManageGatewayControls"),
                display_name="Config creator",
                description="d",
                resource_type="tenant",
            ),
            [],
        ),
        (
            RoleBinding(
                type="role-binding",
                name="b1",
                subjects=(BoundSubject(type="team", name="platform"),),
                permissions=(BoundRole(resource_type="tenant", resource_fqn="acme", role="gateway-config-creator"),),
            ),
            [],
        ),
        (
            SecretGroup(
                type="secret-group",
                name="llm-keys",
                integration_fqn="acme:truefoundry:db:secret-store:db",
                collaborators=(Collaborator(subject="team:platform", role_id="secret-group-manager"),),
            ),
            [],
        ),
    ]


def test_what_may_be_left_out():
    text = """\
{type: team, name: t, members: []}
---
{type: virtual-account, name: v, permissions: [{resource_fqn: f, resource_type: t, role_id: r}], auto_rotate: {}}
---
{type: role, name: abc, permissions: []}
---
{type: secret-group, name: g}
---
{type: identity-provider, name: okta, issuer: "https://acme.okta.com", audiences: [llm]}
"""
    team, account, role, group, provider = (document for document, _ in read_all(text))

    assert (team.managers, team.identity_provider_mapping) == ((), ())
    assert account.auto_rotate == AutoRotate(auto_rotate_interval=360, grace_period=30)
    assert (account.token_type, account.expiration_date, account.secret_store_config) == ("opaque", None, None)
    assert role.resource_type == "tenant"
    assert group.collaborators is None
    assert provider == IdentityProvider(
        type="identity-provider",
        name="okta",
        issuer="https://acme.okta.com",
        audiences=("llm",),
        jwks_uri=None,
        algorithms=("RS256", "ES256", "EdDSA"),
        resolve_to="user",
        user_claim="email",
        virtual_account_claim="sub",
        groups_claim="groups",
    )


def test_a_secret_store_elsewhere():
    text = (
        "{type: virtual-account, name: v, permissions: [{resource_fqn: f, resource_type: t, role_id: r}],"
        " secret_store_config: {type: secret-store, integration_fqn: 'a:b', secret_path: p}}"
    )
    ((account, _),) = read_all(text)

    assert account.secret_store_config == ExternalSecretStore(integration_fqn="a:b", secret_path="p")


VIRTUAL = "type: virtual-account, name: v"
HELD = "permissions: [{resource_fqn: f, resource_type: t, role_id: r}]"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{type: team, name: everyone, members: []}", [": team:everyone is all users already; take another name"]),
        ("{type: team, name: t}", [": missing required field `members`"]),
        ("{type: team, name: t, members: [ana]}", ["members[0]: must be an email address"]),
        ("{type: team, name: t, members: [], managers: ['*@x.com']}", ["managers[0]: must be an email address"]),
        ("{type: team, name: t, members: ['a@x.com,b@x.com']}", ["members[0]: must be an email address"]),
        ('{type: team, name: t, members: ["a@x.com\\n"]}', ["members[0]: must be an email address"]),
        ("{type: team, name: 'a b', members: []}", ["name: must be a name without whitespace : / *"]),
        ("{type: team, name: 'a:b', members: []}", ["name: must be a name without whitespace : / *"]),
        ("{type: team, name: '*', members: []}", ["name: must be a name without whitespace : / *"]),
        (f"{{{VIRTUAL}}}", [": missing required field `permissions`"]),
        (f"{{{VIRTUAL}, permissions: []}}", ["permissions: Expected `array` of length >= 1"]),
        (f"{{{VIRTUAL}, {HELD}, expiration_date: 31.01.2027}}", ["expiration_date: must be a date, yyyy-mm-dd"]),
        (f"{{{VIRTUAL}, {HELD}, expiration_date: 2027-1-31}}", ["expiration_date: must be a date, yyyy-mm-dd"]),
        (f'{{{VIRTUAL}, {HELD}, expiration_date: "2027-01-31\\n"}}', ["expiration_date: must be a date, yyyy-mm-dd"]),
        (
            f"{{{VIRTUAL}, {HELD}, auto_rotate: {{auto_rotate_interval: 29, grace_period: 0}}}}",
            [
                "auto_rotate.auto_rotate_interval: Expected `int` >= 30",
                "auto_rotate.grace_period: Expected `int` >= 1",
            ],
        ),
        (
            f"{{{VIRTUAL}, {HELD}, identity_provider_mapping: [{{identity_provider: 'a:b', value: c}}]}}",
            ["identity_provider_mapping[0].identity_provider: must be a name without whitespace : / *"],
        ),
        (f"{{{VIRTUAL}, {HELD}, token_type: paseto}}", ["token_type: must be one of: jwt, opaque"]),
        ("{type: role, name: Admins, permissions: []}", ["name: must be 3-35 of a-z, 0-9 and -"]),
        ("{type: role, name: ab, permissions: []}", ["name: must be 3-35 of a-z, 0-9 and -"]),
        (f"{{type: role, name: {36 * 'a'}, permissions: []}}", ["name: must be 3-35 of a-z, 0-9 and -"]),
        (f"{{type: role, name: {35 * 'a'}, permissions: []}}", []),
        (
            "{type: role-binding, name: b, subjects: [{type: role, name: x}], permissions: []}",
            [
                "subjects[0].type: must be one of: user, team, virtualaccount, virtual-account, agent, "
                "external-identity"
            ],
        ),
        (
            '{type: role-binding, name: "b\\n+ x", subjects: [], permissions: []}',
            ["name: must be a name without control characters"],
        ),
        ("{type: secret-group, name: ../etc}", ["name: must be a plain name"]),
        ("{type: secret-group, name: .hidden}", ["name: must be a plain name"]),
        ("{type: secret-group, name: 'a:b'}", ["name: must be a plain name"]),
        (
            f"{OKTA}, algorithms: [HS256]}}",
            [
                "algorithms[0]: must be one of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA; "
                "did you mean `RS256`?"
            ],
        ),
        (f"{OKTA}, algorithms: []}}", ["algorithms: Expected `array` of length >= 1"]),
        (f"{OKTA}, jwks_uri: 'file:///etc/passwd'}}", ["jwks_uri: must be an http or https URL"]),
        (f"{OKTA}, resolve_to: admin}}", ["resolve_to: must be one of: user, virtual-account"]),
        (
            "{type: identity-provider, name: okta, issuer: 'https://x', audiences: []}",
            ["audiences: Expected `array` of length >= 1"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text, faults):
    """A symmetric algorithm would let everybody sign who can verify; a wildcard is nobody's name."""
    assert (faults_of(text) if faults else read_all(text)[0][1]) == faults
