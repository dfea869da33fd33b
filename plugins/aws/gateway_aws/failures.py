"""What AWS says has gone wrong: in error answers, and in the middle of event streams.

Source: errors of Converse, ConverseStream and InvokeEndpoint in the service descriptions of botocore 1.44.5; docs.aws.
amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html; read 2026-11.
"""

from collections.abc import Mapping

import msgspec

from gateway.contract import Head, Target
from gateway.errors import BrokeOff, Refused
from gateway.wire.failure import failure_of
from gateway_aws.frames import Frame
from gateway_aws.key_signer import KeySigner

STATUSES: Mapping[str, int] = {
    "AccessDeniedException": 403,
    "InternalServerException": 500,
    "InternalStreamFailure": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamError": 424,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""Status of what comes in the middle of a stream, whose own is 200."""
OF_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""The caller cannot help it: the gateway's credentials are wrong, or over."""


class _Body(msgspec.Struct):
    type: str = msgspec.field(default="", name="__type")
    code: object = None


def name_of(headers: Mapping[str, str], body: bytes) -> str:
    """Of an error answer: `ThrottlingException`; empty: it has none.

    Source: smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization.
    """
    said = headers.get("x-amzn-errortype", "")
    if not said:
        try:
            found = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, RecursionError):
            return ""
        said = found.type or (found.code if isinstance(found.code, str) else "")
    name = said.partition(":")[0].rpartition("#")[2]
    return name if name.isalnum() and name.isascii() else ""


def refused(plain: Refused, target: Target, head: Head, body: bytes) -> Refused:
    """`plain`: the same in the words of OpenAI-compatible servers."""
    name = name_of(head.headers, body)
    plain.body = None  # it is not in the caller's words
    if name in OF_CREDENTIALS:
        plain = Refused(
            "the provider does not accept the gateway's credentials; tell whoever runs the gateway",
            status=401,
            headers=plain.headers,
            code="upstream_authentication_error",
        )
    if plain.status == 401 and isinstance(target.signer, KeySigner) and target.signer.is_renewed:
        target.signer.drop()
        plain.is_worth_asking_again = True
    if name and plain.code == Refused.code:
        plain.code = name
    return plain


def broken(frame: Frame, *, has_begun: bool) -> Refused | BrokeOff:
    """Of a frame that is an exception or an error. Before anything has come, it is as if it were the whole answer."""
    name = frame.name[:1].upper() + frame.name[1:]
    message = (
        failure_of(frame.payload).message or f"the provider broke its answer off: {name[:80] or 'no reason given'}"
    )
    code = name if name in STATUSES else None
    if has_begun:
        return BrokeOff(message, code=code)
    return Refused(message, status=STATUSES.get(name, 502), code=code)
