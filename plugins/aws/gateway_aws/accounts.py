"""Accounts of AWS, and who the gateway is there.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.1.1 of the project's compatibility notes; a
`session_token` is beyond them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import ApiKeyAuth, Integration, ProviderAccount, Text, Url
from gateway.secrecy.secret import Secret

Region = Annotated[
    str, Meta(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d{1,2}\Z", description="a region of AWS, such as us-east-1")
]
"""It becomes part of a host's name."""
RoleArn = Annotated[str, Meta(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/\S+\Z", description="the ARN of an IAM role")]

Workspace = Annotated[str, Meta(pattern=r"^wrkspc_[A-Za-z0-9_-]+\Z", description="the id of a workspace, wrkspc_...")]
Project = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", description="the id of a project, such as proj_...")]


def domain_of(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


class AccessKeyAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="access-key-based"):
    """`session_token`: of keys that are for a while."""

    access_key_id: Secret
    secret_access_key: Secret
    session_token: Secret | None = None


class AssumedRoleAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="assumed-role-based"):
    """A role that the gateway's own identity may take on."""

    assumed_role_arn: RoleArn
    external_id: Text | None = None


KeysAuth = AccessKeyAuth | AssumedRoleAuth
"""What requests are signed with; None: the gateway's own identity."""


class AwsAccount(ProviderAccount, frozen=True, kw_only=True):
    """What all of them have."""

    auth_data: KeysAuth | ApiKeyAuth | None = None

    @property
    def own_identity(self) -> frozenset[str]:
        match self.auth_data:
            case None:
                return frozenset({"aws"})
            case AssumedRoleAuth(assumed_role_arn=role, external_id=id_):
                return frozenset({f"{role} {id_}"})
        return frozenset()


class RegionalModel(Integration, frozen=True, kw_only=True):
    """`region`: None: the account's."""

    region: Region | None = None


class BedrockAccount(AwsAccount, frozen=True, kw_only=True):
    """
    Args:
        auth_data: an `api_key` is one of Bedrock's own.
        base_url: in place of `https://bedrock-runtime.{region}.amazonaws.com`, as for a VPC endpoint.
        anthropic_betas: features of Anthropic's API that Bedrock has come to know: `name`, or `name-*` for all that
            begin so.
    """

    integrations: tuple[RegionalModel, ...]
    region: Region
    base_url: Url | None = None
    anthropic_betas: tuple[Text, ...] = ()


class MantleModel(RegionalModel, frozen=True, kw_only=True):
    """`project`: None: the account's."""

    project: Project | None = None


class MantleAccount(AwsAccount, frozen=True, kw_only=True):
    """
    Args:
        project: whose use it counts as; of models that speak OpenAI's API only, since Claude's has none.
        base_url: in place of `https://bedrock-mantle.{region}.api.aws`.
    """

    integrations: tuple[MantleModel, ...]
    region: Region
    project: Project | None = None
    base_url: Url | None = None


class ClaudePlatformAccount(AwsAccount, frozen=True, kw_only=True):
    """`base_url`: with the version in its path, in place of `https://aws-external-anthropic.{region}.api.aws/v1`."""

    integrations: tuple[Integration, ...] = ()
    region: Region
    workspace_id: Workspace
    base_url: Url | None = None


class SageMakerAccount(AwsAccount, frozen=True, kw_only=True):
    """`model_id` of each model is the name of its endpoint."""

    integrations: tuple[RegionalModel, ...]
    region: Region
    auth_data: KeysAuth | None = None
