"""Signatures, checked by a second implementation, written from AWS's description; and keys, which come and go."""

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from gateway_aws.accounts import AccessKeyAuth, AssumedRoleAuth
from gateway_aws.identity import AssumedRole, OwnIdentity, keys_for
from gateway_aws.signing import Keys, SigV4, signed

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import BrokeOff, Refused
from gateway.providers.credentials import Fresh, Lent
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = Keys(Secret("AKIDEXAMPLE"), Secret(SECRET))
FOR_A_WHILE = KEYS._replace(token=Secret("session-token=="))
ROLE = "arn:aws:iam::123456789012:role/llm"
ASSUMED = """\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2036-11-26T12:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def headers_of(request):
    lines = request.endpoint.head.decode().split("\r\n")[1:-1]
    return dict(line.split(": ", 1) for line in lines)


def is_right(request, secret=SECRET):
    """Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, read 2026-11."""
    headers = headers_of(request)
    method, target, _ = request.endpoint.head.decode().split("\r\n")[0].split(" ")
    parts = dict(part.split("=", 1) for part in headers["authorization"].partition(" ")[2].split(", "))
    names = parts["SignedHeaders"].split(";")
    scope = parts["Credential"].split("/")[1:]
    path = quote(urlsplit(target).path, safe="/~")  # once more: only S3 takes it as it is sent
    lines = [method, path, urlsplit(target).query, *(f"{name}:{headers[name]}" for name in names), "", ";".join(names)]
    canonical = "\n".join([*lines, hashlib.sha256(request.body).hexdigest()])
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex() == parts["Signature"]


@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-pro-v1%3A0/converse",
        "http://127.0.0.1:8080/vpc/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream",
        "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/a%20b/invocations",
    ],
)
@pytest.mark.parametrize("keys", [KEYS, FOR_A_WHILE])
def test_signs_what_is_sent(url, keys):
    """Paths with what is encoded in them, ports, and the token of keys that are for a while."""
    endpoint = Endpoint(url, {"content-type": "application/json", "x-mine": "not signed"})
    request = UpstreamRequest(endpoint, '{"a":"é"}'.encode())

    done = signed(request, keys, service="bedrock", region="us-east-1")

    assert is_right(done)
    assert done.body == request.body
    headers = headers_of(done)
    assert headers.get("x-amz-security-token") == (keys.token.reveal() if keys.token else None)
    assert "SignedHeaders=content-type;host;x-amz-date" in headers["authorization"]
    assert "authorization" not in headers_of(request)
    assert not is_right(done, "another")


def test_what_a_provider_repeats_of_it_is_hidden():
    endpoint = Endpoint("https://a.example/", {"content-type": "application/json"})
    done = signed(UpstreamRequest(endpoint, b""), FOR_A_WHILE, service="bedrock", region="us-east-1")

    assert b"session-token" not in done.endpoint.hidden(b"the token session-token== is over")


@pytest.mark.parametrize("size", [1, 2_000_000])
async def test_keys_of_the_account_sign(size):
    auth = AccessKeyAuth(
        access_key_id=Secret("AKIDEXAMPLE"), secret_access_key=Secret(SECRET), session_token=Secret("t-1")
    )
    signer = SigV4(keys_for(auth, "us-east-1", OwnIdentity()), service="bedrock", region="us-east-1")
    request = UpstreamRequest(Endpoint("https://a.example/", {}), b"x" * size)

    done = await signer.sign(request, FakeUpstream((500, [])))

    assert is_right(done)
    assert headers_of(done)["x-amz-security-token"] == "t-1"


# --- the gateway's own identity ------------------------------------------------------------------


class Machine(CredentialProvider):
    """Like the metadata service of a machine: gives keys `k-1`, `k-2` and so on, each for `lasts`."""

    METHOD = CANONICAL_NAME = "machine"

    def __init__(self, lasts=timedelta(hours=6)):
        self.asked = 0
        self.lasts = lasts

    def load(self):
        return RefreshableCredentials.create_from_metadata(self._give(), refresh_using=self._give, method=self.METHOD)

    def _give(self):
        self.asked += 1
        end = (datetime.now(UTC) + self.lasts).isoformat()
        return {"access_key": f"k-{self.asked}", "secret_key": "s", "token": "t", "expiry_time": end}


def session_with(provider):
    session = Session()
    session.register_component("credential_provider", CredentialResolver([provider] if provider else []))
    return session


async def test_the_machine_is_asked_once_by_all_who_wait():
    machine = Machine()
    own = OwnIdentity(lambda: session_with(machine))

    found = await asyncio.gather(*(own.keys.get(FakeUpstream((500, []))) for _ in range(20)))

    assert {keys.id.reveal() for keys in found} == {"k-1"}
    assert machine.asked == 1


async def test_refused_keys_are_renewed():
    """botocore takes new ones for those that are about to end."""
    machine = Machine(timedelta(minutes=2))
    own = OwnIdentity(lambda: session_with(machine))
    network = FakeUpstream((500, []))
    first = await own.keys.get(network)

    own.keys.drop()
    second = await own.keys.get(network)

    assert first.id != second.id


async def test_keys_in_a_file_are_read_anew():
    """Whoever rotates them writes them into the file."""
    given = iter(["one", "two"])

    def session():
        made = Session()
        made.set_credentials(next(given), "s")
        return made

    own = OwnIdentity(session)
    network = FakeUpstream((500, []))

    first = await own.keys.get(network)
    own.keys.drop()

    assert (first.id.reveal(), (await own.keys.get(network)).id.reveal()) == ("one", "two")


async def test_no_identity_at_all_is_told():
    own = OwnIdentity(lambda: session_with(None))

    with pytest.raises(Refused, match="no identity of its own at AWS") as refused:
        await own.keys.get(FakeUpstream((500, [])))

    assert refused.value.status == 401


class Broken(CredentialProvider):
    METHOD = CANONICAL_NAME = "broken"

    def load(self):
        raise CredentialRetrievalError(provider="broken", error_msg="secret-of-the-machine")


async def test_an_identity_that_cannot_be_found_is_told_without_its_secrets():
    own = OwnIdentity(lambda: session_with(Broken()))

    with pytest.raises(Refused, match="cannot be renewed") as refused:
        await own.keys.get(FakeUpstream((500, [])))

    assert "secret" not in refused.value.message


# --- roles ---------------------------------------------------------------------------------------


def own_keys():
    async def fetch(network):
        return Lent(KEYS, 3600.0)

    return Fresh(fetch)


def role(external_id=None):
    auth = AssumedRoleAuth(assumed_role_arn=ROLE, external_id=external_id)
    return AssumedRole(auth, "eu-west-1", own_keys())


async def test_takes_on_a_role():
    """By the network of the target, where the rules for addresses hold, and signed by the gateway's own keys."""
    sts = FakeUpstream((200, [ASSUMED[:50].encode(), ASSUMED[50:].encode()], {"content-type": "text/xml"}))

    lent = await role("x&1")(sts)

    [request] = sts.requests
    assert request.endpoint.url == "https://sts.eu-west-1.amazonaws.com/"
    assert is_right(request)
    assert "/eu-west-1/sts/aws4_request" in headers_of(request)["authorization"]
    assert request.body == (
        b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fllm"
        b"&RoleSessionName=llm-asgi-gateway&DurationSeconds=3600&ExternalId=x%261"
    )
    assert lent.value == Keys(Secret("ASIAROLE"), Secret("role-secret"), Secret("role-token"))
    assert lent.lasts_s > 1_000_000
    assert sts.replies[0].is_closed


DENIED = (
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>arn:x is not authorized</Message></Error></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("status", "body", "told", "message"),
    [
        (403, DENIED, 401, "may not take on the role"),
        (400, b"<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>", 401, "may not take on"),
        (429, b"busy", 429, "status 429"),
        (503, b"", 503, "status 503"),
        (302, b"", 502, "status 302"),
    ],
)
async def test_a_role_that_is_not_given(status, body, told, message):
    with pytest.raises(Refused, match=message) as refused:
        await role()(FakeUpstream((status, [body], {"content-type": "text/xml"})))

    assert refused.value.status == told
    assert "arn:" not in refused.value.message


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<a/>", ASSUMED.replace("2036", "2006").encode(), ASSUMED.replace("role-token", "").encode()]
)
async def test_an_answer_without_keys(body):
    with pytest.raises(BrokeOff, match="something else"):
        await role()(FakeUpstream((200, [body], {"content-type": "text/xml"})))


async def test_the_end_of_the_gateways_own_keys_is_noticed():
    """The next to come gets a role by new ones."""
    asked = []

    async def fetch(network):
        asked.append(1)
        return Lent(KEYS, 3600.0)

    own = Fresh(fetch, clock=lambda: len(asked) * 100.0)
    over = b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"
    sts = FakeUpstream((403, [over], {"content-type": "text/xml"}), (200, [ASSUMED.encode()]))
    assumed = AssumedRole(AssumedRoleAuth(assumed_role_arn=ROLE), "us-east-1", own)

    with pytest.raises(Refused):
        await assumed(sts)
    await assumed(sts)

    assert len(asked) == 2
