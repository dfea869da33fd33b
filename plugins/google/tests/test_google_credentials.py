"""Tokens of Google: asked for by google-auth in a thread, by the gateway's own network."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gateway_google.accounts import FederationAuth, KeyFileAuth, VertexAccount
from gateway_google.credentials import quota_project_of, tokens_for
from google.auth import exceptions

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import Refused, Unreachable
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

URL = "https://us-central1-aiplatform.googleapis.com/v1beta1/x"
TOKEN = (200, [b'{"access_token":"t-1","expires_in":3599,"token_type":"Bearer"}'])
USER = {
    "type": "authorized_user",
    "client_id": "id.apps",
    "client_secret": "canary-secret",
    "refresh_token": "canary-refresh",
    "quota_project_id": "payer",
}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def service_account(key):
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return {
        "type": "service_account",
        "project_id": "acme-ai",
        "private_key_id": "k1",
        "private_key": key.private_bytes(kind, form, serialization.NoEncryption()).decode(),
        "client_email": "gateway@acme-ai.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@pytest.fixture
def federation(tmp_path):
    """The token of the other platform is in a file."""
    path = tmp_path / "token"
    path.write_text("canary-subject")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(path)},
    }


def secret(content):
    return Secret(msgspec.json.encode(content).decode())


def key_file(content):
    return KeyFileAuth(key_file_content=secret(content))


def federated(content):
    return FederationAuth(key_file_content=secret(content))


async def signed(signer, upstream):
    return await signer.sign(UpstreamRequest(Endpoint(URL), b"{}"), upstream)


async def test_a_service_account_signs_who_it_is(key, service_account):
    upstream = FakeUpstream(TOKEN)

    request = await signed(tokens_for(URL, key_file(service_account)), upstream)

    assert request.endpoint.head.endswith(b"authorization: Bearer t-1\r\n")
    (asked,) = upstream.requests
    form = dict(parse_qsl(asked.body.decode()))
    assert (asked.endpoint.url, form["grant_type"]) == (
        "https://oauth2.googleapis.com/token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    )
    claims = jwt.decode(form["assertion"], key.public_key(), ["RS256"], audience="https://oauth2.googleapis.com/token")
    assert (claims["iss"], claims["scope"]) == (
        "gateway@acme-ai.iam.gserviceaccount.com",
        "https://www.googleapis.com/auth/cloud-platform",
    )


async def test_a_user_who_has_agreed():
    upstream = FakeUpstream(TOKEN)
    auth = key_file(USER)

    await signed(tokens_for(URL, auth), upstream)

    form = dict(parse_qsl(upstream.requests[0].body.decode()))
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "canary-refresh")
    assert quota_project_of(auth) == "payer"


async def test_a_token_of_another_platform_is_read_anew_and_exchanged(federation, tmp_path):
    """Kubernetes writes a new one into the file before the old one ends."""
    upstream = FakeUpstream(TOKEN)
    signer = tokens_for(URL, federated(federation))
    (tmp_path / "token").write_text("canary-later")

    await signed(signer, upstream)

    (asked,) = upstream.requests
    form = dict(parse_qsl(asked.body.decode()))
    assert (asked.endpoint.url, form["subject_token"]) == ("https://sts.googleapis.com/v1/token", "canary-later")


async def test_it_may_stand_for_a_service_account(federation):
    """The second token is asked for with the first."""
    account = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken"
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    second = msgspec.json.encode({"accessToken": "t-2", "expireTime": ends})
    upstream = FakeUpstream(TOKEN, (200, [second]))

    request = await signed(
        tokens_for(URL, federated({**federation, "service_account_impersonation_url": account})), upstream
    )

    assert request.endpoint.head.endswith(b"authorization: Bearer t-2\r\n")
    assert [asked.endpoint.url for asked in upstream.requests] == [federation["token_url"], account]


async def test_many_requests_ask_once(service_account):
    upstream = FakeUpstream(TOKEN)
    signer = tokens_for(URL, key_file(service_account))

    await asyncio.gather(*(signed(signer, upstream) for _ in range(20)))
    await signed(signer, upstream)

    assert len(upstream.requests) == 1


class OwnIdentity:
    """What google-auth finds on a machine of Google's."""

    token = None
    expiry = None

    def __init__(self, error=None):
        self.error = error
        self.threads = []

    def refresh(self, network):
        self.threads.append(threading.current_thread())
        if self.error is not None:
            raise self.error
        self.token = "t-own"
        self.expiry = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)


async def test_without_auth_data_it_is_the_gateways_own_identity():
    """Beside the loop: google-auth waits for the metadata server. The gateway's network never goes there."""
    own, upstream = OwnIdentity(), FakeUpstream((500, [b""]))

    request = await signed(tokens_for(URL, None, own=lambda: own), upstream)

    assert request.endpoint.head.endswith(b"authorization: Bearer t-own\r\n")
    assert (upstream.requests, own.threads[0] is threading.main_thread()) == ([], False)


def nothing_found():
    raise exceptions.DefaultCredentialsError("none")


@pytest.mark.parametrize("own", [nothing_found, lambda: OwnIdentity(exceptions.TransportError("no metadata server"))])
async def test_where_there_is_none_it_is_told(own):
    with pytest.raises(Refused, match="Google gives no access token") as refused:
        await signed(tokens_for(URL, None, own=own), FakeUpstream(TOKEN))

    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("reply", "error", "status"),
    [
        ((400, [b'{"error":"invalid_grant","error_description":"canary"}']), Refused, 401),
        ((200, [b"canary"]), Refused, 401),
        (Unreachable("no connection to oauth2.googleapis.com:443"), Unreachable, 502),
    ],
)
async def test_a_refusal_shows_nothing_that_was_sent(service_account, reply, error, status):
    with pytest.raises(error) as raised:
        await signed(tokens_for(URL, key_file(service_account)), FakeUpstream(reply))

    assert (raised.value.status, "canary" in raised.value.message) == (status, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"credential_source": {"executable": {"command": "/bin/sh"}}}, "no programs are run"),
        ({"credential_source": {"environment_id": "aws1", "url": "http://169.254.169.254"}}, "AWS's own credentials"),
        ({"credential_source": {"certificate": {}}}, "certificates are not read"),
        ({"token_url": "https://evil.example/token"}, "token_url must be Google's"),
        ({"token_url": "http://sts.googleapis.com/v1/token"}, "token_url must be Google's"),
        ({"token_url": "https://sts.googleapis.com.evil.example/"}, "token_url must be Google's"),
        ({"service_account_impersonation_url": "https://evil.example/x"}, "service_account_impersonation_url must be"),
        ({"type": "service_account"}, "must have the type external_account"),
        ({"credential_source": {"file": "/x", "format": {"type": "xml"}}}, "no usable file"),
    ],
)
def test_a_file_for_federation_is_held_to_what_is_harmless(federation, change, words):
    """Whoever writes an account says in it which file of the gateway's machine is read, and where that is sent."""
    with pytest.raises(ValueError, match=words):
        tokens_for(URL, federated({**federation, **change}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Secret("no JSON canary"), "must be the JSON of a key file"),
        (Secret("[]"), "must be the JSON of a key file"),
        (
            secret({"type": "service_account", "private_key": "canary", "client_email": "a", "token_uri": "b"}),
            "no usable key file of the type service_account",
        ),
        (secret({"type": "authorized_user"}), "no usable key file of the type authorized_user"),
        (secret({"type": "external_account"}), "there is workload-identity-federation-file"),
        (secret({"type": "impersonated_service_account"}), "must have the type service_account or authorized_user"),
    ],
)
def test_a_key_file_that_is_none_is_told_at_once(content, words):
    with pytest.raises(ValueError, match=words) as raised:
        tokens_for(URL, KeyFileAuth(key_file_content=content))

    assert "canary" not in str(raised.value)


def test_the_gateways_own_identity_goes_to_google_only(federation, service_account):
    elsewhere = "https://evil.example/v1beta1/x"

    for auth in (None, federated(federation)):
        with pytest.raises(ValueError, match="go to Google's own addresses only"):
            tokens_for(elsewhere, auth)
    tokens_for(elsewhere, key_file(service_account))


@pytest.mark.parametrize(
    ("auth", "identity"),
    [
        (None, {"google"}),
        (FederationAuth(key_file_content=Secret("{file}")), {"{file}"}),
        (KeyFileAuth(key_file_content=Secret("{file}")), set()),
    ],
)
def test_an_account_tells_when_it_is_the_gateway_itself(auth, identity):
    """A file for federation names a token of the machine, which is the operator's as well."""
    account = VertexAccount(type="t", name="n", project_id="p", region="eu", integrations=(), auth_data=auth)

    assert account.own_identity == identity
