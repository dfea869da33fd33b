"""Manifests that say who there is and what they may do.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.16 of the project's compatibility notes. There is no
public schema of an identity provider: `identity-provider` is ours.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Collaborator, Owner, Text, Url

SubjectName = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f\x7f:/*]+\Z", description="a name without whitespace : / *")]
Email = Annotated[
    str, Meta(pattern=r"^[^\s\x00-\x1f\x7f:/*,]+@[^\s\x00-\x1f\x7f:/*,@]+\Z", description="an email address")
]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class IdentityProviderMapping(msgspec.Struct, frozen=True, kw_only=True):
    """The claim value of an identity provider that stands for a team or a virtual account.

    Args:
        identity_provider: its name.
        value: of the claim.
    """

    identity_provider: SubjectName
    value: Text


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """Managers are members too, and may change who the members are.

    Args:
        members: by their e-mail addresses.
        managers: by their e-mail addresses; they are members, too.
        identity_provider_mapping: groups of an identity provider whose users are members as well.
    """

    type: str
    name: SubjectName
    members: tuple[Email, ...]
    managers: tuple[Email, ...] = ()
    display_name: str | None = msgspec.field(default=None, name="displayName")
    description: str | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")
    tags: dict[str, Any] | None = None
    identity_provider_mapping: tuple[IdentityProviderMapping, ...] = ()

    def __post_init__(self) -> None:
        if self.name == "everyone":
            raise ValueError("team:everyone is all users already; take another name")


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """`resource_fqn` ends in the name of the resource: `acme:openai:openai-main`.

    Args:
        resource_fqn: the resource, as in `acme:openai:openai-main`.
        resource_type: what it is, such as `provider-account`.
        role_id: the role to have there.
    """

    resource_fqn: Text
    resource_type: Text
    role_id: Text


class AutoRotate(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        auto_rotate_interval: days between two rotations.
        grace_period: days during which the token before still works.
    """

    auto_rotate_interval: Annotated[int, Meta(ge=30)] = 360
    grace_period: Annotated[int, Meta(ge=1)] = 30


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tfy-secrets"):
    """A key of a secret group of the gateway, into which each new token is written.

    Args:
        secret_group: its name.
        key: in that group.
    """

    secret_group: Text
    key: Text


class ExternalSecretStore(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="secret-store"):
    """
    Args:
        integration_fqn: the store's name.
        secret_path: in the store.
    """

    integration_fqn: Text
    secret_path: Text


class TeamOwner(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        team: its name. Its managers may see the virtual account.
    """

    team: Text
    account: str | None = None


class VirtualAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An application. `expiration_date`, as yyyy-mm-dd: none of its tokens works from the end of that day (UTC) on.

    `permissions` may be left out in an update, which leaves them as they are.

    Args:
        permissions: what it may use.
        expiration_date: yyyy-mm-dd; from the end of that day (UTC) on, none of its tokens works.
        secret_store_config: where each new token is written, when the gateway makes and rotates them by itself.
        auto_rotate: how often that happens.
        notification_target: kept, and without effect.
        identity_provider_mapping: claim values whose JWTs stand for it.
        token_type: what new tokens are.
    """

    type: str
    name: SubjectName
    permissions: Annotated[tuple[Permission, ...], Meta(min_length=1)]
    expiration_date: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="a date, yyyy-mm-dd")] | None = None
    auto_rotate: AutoRotate | None = None
    notification_target: Any = None
    secret_store_config: StoredSecret | ExternalSecretStore | None = None
    owned_by: TeamOwner | None = msgspec.field(default=None, name="ownedBy")
    tags: dict[str, Any] | None = None
    identity_provider_mapping: tuple[IdentityProviderMapping, ...] = ()
    token_type: Literal["jwt", "opaque"] = "opaque"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """`permissions` as `resource-type:ActionInCamelCase`.

    Args:
        resourceType: kept, and without effect.
        permissions: as `resource-type:ActionInCamelCase`.
    """

    type: str
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9\-]{1,33}[a-z0-9]\Z", description="3-35 of a-z, 0-9 and -")]
    permissions: tuple[Text, ...]
    display_name: str | None = msgspec.field(default=None, name="displayName")
    description: str | None = None
    resource_type: str = msgspec.field(default="tenant", name="resourceType")


class BoundSubject(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        type: what it is.
        name: of the team or virtual account; of a user, the e-mail address.
    """

    type: Literal["user", "team", "virtualaccount", "virtual-account", "agent", "external-identity"]
    name: Text


class BoundRole(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        resourceType: what the resource is, such as `provider-account`.
        resourceFqn: the resource, as in `acme:openai:openai-main`.
        role: the role to have there.
    """

    resource_type: Text = msgspec.field(name="resourceType")
    resource_fqn: Text = msgspec.field(name="resourceFqn")
    role: Text


class RoleBinding(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        subjects: who gets the roles.
        permissions: the roles, and where they hold.
    """

    type: str
    name: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", description="a name without control characters")]
    subjects: tuple[BoundSubject, ...]
    permissions: tuple[BoundRole, ...]


class SecretGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Its values are not in the manifest: they are written through the control API, and kept sealed.

    Args:
        integration_fqn: kept, and without effect.
    """

    type: str
    name: Annotated[
        str, Meta(pattern=r"^[^\s./\\:,;\"'\x00-\x1f][^\s/\\:,;\"'\x00-\x1f]*\Z", description="a plain name")
    ]
    integration_fqn: str | None = None
    collaborators: tuple[Collaborator, ...] | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")


class IdentityProvider(msgspec.Struct, frozen=True, kw_only=True):
    """Whose JWTs are taken for tokens of the gateway.

    Args:
        issuer: what `iss` has to be, to the letter.
        audiences: `aud` has to hold one of them.
        jwks_uri: where its keys are; None asks `<issuer>/.well-known/openid-configuration`.
        algorithms: which a signature may have; symmetric ones are not among them.
        resolve_to: what a JWT stands for. A user is named by `user_claim`, an email address; a virtual account is the
            one whose `identity_provider_mapping` has the value of `virtual_account_claim`.
        groups_claim: its values are those of the teams' `identity_provider_mapping`.
        user_claim: the claim that has a user's e-mail address.
        virtual_account_claim: the claim that stands for a virtual account.
    """

    type: str
    name: SubjectName
    issuer: Url
    audiences: Annotated[tuple[Text, ...], Meta(min_length=1)]
    jwks_uri: Url | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256", "EdDSA")
    resolve_to: Literal["user", "virtual-account"] = "user"
    user_claim: Text = "email"
    virtual_account_claim: Text = "sub"
    groups_claim: Text = "groups"
