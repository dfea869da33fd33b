"""Accounts of Bedrock: where they are called, as whom, and what its errors are to the caller."""

import msgspec
import pytest
from botocore.session import Session
from gateway_aws.accounts import BedrockAccount
from gateway_aws.bedrock import Bedrock
from gateway_aws.identity import OwnIdentity
from gateway_aws.signers import Signers

from gateway.contract import Head
from gateway.errors import BadRequest
from gateway.secrecy.secret import Secret

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
PROFILE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
API_KEY = {"type": "api-key", "api_key": "bedrock-api-key-1"}
KEYS = {"type": "access-key-based", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret-of-the-account"}
ROLE = {"type": "assumed-role-based", "assumed_role_arn": "arn:aws:iam::123456789012:role/llm", "external_id": "x1"}


def account(auth=API_KEY, models=(PROFILE,), **fields):
    integrations = [
        {"type": "integration/model/bedrock", "name": f"m{index}", "model_id": model, "model_types": ["chat"]}
        if isinstance(model, str)
        else {"type": "integration/model/bedrock", "name": f"m{index}", "model_types": ["chat"], **model}
        for index, model in enumerate(models)
    ]
    document = {
        "type": "provider-account/aws-bedrock",
        "name": "bedrock",
        "region": "us-east-1",
        "integrations": integrations,
        **({"auth_data": auth} if auth else {}),
        **fields,
    }
    return msgspec.convert(document, BedrockAccount, dec_hook=lambda _, value: Secret(value))


def session():
    made = Session()
    made.set_credentials("own-key", "own-secret")
    return made


def provider():
    return Bedrock(signers=Signers(OwnIdentity(session)))


def target(**options):
    made = provider()
    return made, next(iter(made.targets(account(**options))))


@pytest.mark.parametrize(
    ("fields", "models", "url"),
    [
        ({}, (PROFILE,), "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
        ({}, (ARN,), "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012"
         "%3Aapplication-inference-profile%2Fabc123def456"),
        ({}, ({"model_id": "amazon.nova-pro-v1:0", "region": "eu-west-1"},),
         "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-pro-v1%3A0"),
        ({"base_url": "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/"}, ("amazon.nova-pro-v1:0",),
         "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/model/amazon.nova-pro-v1%3A0"),
        ({"region": "cn-north-1"}, ("a.b",), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/a.b"),
    ],
)  # fmt: skip
def test_where_a_model_is_called(chat, embed, fields, models, url):
    made, aimed = target(models=models, **fields)

    assert made.request(chat(), aimed).endpoint.url == f"{url}/converse"
    assert made.request(chat(stream=True), aimed).endpoint.url == f"{url}/converse-stream"


def test_a_key_of_bedrock_is_a_bearer_token(chat):
    made, aimed = target()

    assert b"\r\nauthorization: Bearer bedrock-api-key-1\r\n" in made.request(chat(), aimed).endpoint.head
    assert aimed.signer is None


@pytest.mark.parametrize("auth", [KEYS, ROLE, None])
def test_models_of_one_region_share_a_signer(auth):
    elsewhere = {"model_id": "c", "region": "eu-west-1"}

    one, other, third = provider().targets(account(auth, models=("a", "b", elsewhere)))

    assert one.signer is other.signer is not None
    assert third.signer is not one.signer


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "us-east-1.evil.example/#"},
        {"region": "US"},
        {"auth": {**ROLE, "assumed_role_arn": "llm"}},
        {"auth": {"type": "access-key-based", "access_key_id": "a"}},
    ],
)
def test_accounts_that_cannot_be(wrong):
    """A region becomes part of a host's name."""
    with pytest.raises(msgspec.ValidationError):
        account(**wrong)


def test_fields_that_are_dropped_are_told(chat):
    made, aimed = target()

    assert made.request(chat(seed=1), aimed).dropped_params == ("seed",)


class Speech:
    name = "speech"


def test_apis_that_are_not_there_are_refused(chat):
    made, aimed = target()
    call = msgspec.structs.replace(chat(), dialect=Speech())

    with pytest.raises(BadRequest, match="no API for speech"):
        made.request(call, aimed)


NOT_ACCEPTED = "the provider does not accept the gateway's credentials; tell whoever runs the gateway"


@pytest.mark.parametrize(
    ("status", "kind", "body", "told", "code", "message"),
    [
        (400, "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/", b'{"message":"too long"}',
         400, "ValidationException", "too long"),
        (403, "AccessDeniedException", b'{"Message":"no access to the model"}', 403, "AccessDeniedException",
         "no access to the model"),
        (404, "ResourceNotFoundException", b'{"message":"no such model"}', 404, "ResourceNotFoundException",
         "no such model"),
        (408, "ModelTimeoutException", b'{"message":"slow"}', 408, "ModelTimeoutException", "slow"),
        (424, "ModelErrorException", b'{"message":"broken"}', 424, "ModelErrorException", "broken"),
        (429, "ThrottlingException", b'{"message":"Too many tokens"}', 429, "ThrottlingException", "Too many tokens"),
        (429, "ModelNotReadyException", b'{"message":"wait"}', 429, "ModelNotReadyException", "wait"),
        (503, "ServiceUnavailableException", b"", 503, "ServiceUnavailableException",
         "the provider answered with status 503"),
        (400, "", b'{"__type":"com.amazon.coral.service#ValidationException","message":"x"}', 400,
         "ValidationException", "x"),
        (500, "a\r\nb: c", b"oops", 500, "upstream_error", "oops"),
        (403, "ExpiredTokenException", b'{"message":"The security token in AKIDEXAMPLE is expired"}', 401,
         "upstream_authentication_error", NOT_ACCEPTED),
        (403, "UnrecognizedClientException", b'{"message":"The security token is invalid"}', 401,
         "upstream_authentication_error", NOT_ACCEPTED),
    ],
)  # fmt: skip
def test_errors(chat, status, kind, body, told, code, message):
    made, aimed = target()

    refused = made.refusal(chat(), aimed, Head(status, {"x-amzn-errortype": kind, "retry-after": "3"}), body)

    assert (refused.status, refused.code, refused.message, refused.body) == (told, code, message, None)
    assert refused.headers == {"retry-after": "3"}
    assert not refused.is_worth_asking_again


@pytest.mark.parametrize(("auth", "again"), [(None, True), (ROLE, True), (KEYS, False)])
def test_keys_that_are_over_are_renewed_and_it_is_asked_again(chat, auth, again):
    """Those of an account do not change by being asked for."""
    made, aimed = target(auth=auth)
    head = Head(403, {"x-amzn-errortype": "ExpiredTokenException"})

    assert made.refusal(chat(), aimed, head, b"{}").is_worth_asking_again is again
