"""Whether an account is AWS's customer by itself, or by who the gateway is."""

import pytest
from gateway_aws.accounts import AccessKeyAuth, AssumedRoleAuth, BedrockAccount, SageMakerAccount

from gateway.manifests.accounts import ApiKeyAuth
from gateway.secrecy.secret import Secret

KEYS = AccessKeyAuth(access_key_id=Secret("a"), secret_access_key=Secret("b"))
ROLE = AssumedRoleAuth(assumed_role_arn="arn:aws:iam::123456789012:role/r", external_id="e")


@pytest.mark.parametrize(
    ("auth", "identity"),
    [
        (None, {"aws"}),
        (ROLE, {"arn:aws:iam::123456789012:role/r e"}),
        (KEYS, set()),
        (ApiKeyAuth(api_key=Secret("k")), set()),
    ],
)
def test_tells_when_it_is_the_gateway_itself(auth, identity):
    """That is the operator's, so the gateway takes it from manifests in files and from admins alone."""
    account = BedrockAccount(type="t", name="n", region="us-east-1", integrations=(), auth_data=auth)

    assert account.own_identity == identity


def test_endpoints_of_sagemaker_are_no_exception():
    account = SageMakerAccount(type="t", name="n", region="us-east-1", integrations=())

    assert account.own_identity == {"aws"}
