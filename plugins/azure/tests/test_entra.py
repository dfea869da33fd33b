"""Tokens of Entra: asked for by the gateway's own network, and sent to Azure's own hosts where they are its own."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl

import jwt
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from gateway_azure.accounts import (
    AzureFoundryAccount,
    AzureFoundryModel,
    AzureOpenAIAccount,
    CertificateAuth,
    ClientSecretAuth,
    ManagedIdentityAuth,
    MicrosoftFoundryAccount,
    WorkloadIdentityAuth,
)
from gateway_azure.entra import tokens_for

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import Refused
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

URL = "https://acme.openai.azure.com/openai/v1"
TOKEN = (200, [b'{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"t-1"}'])
BY_SECRET = ClientSecretAuth(tenant_id="acme.example", client_id="app", client_secret=Secret("canary secret&é"))
BY_POD = WorkloadIdentityAuth(tenant_id="t-1", client_id="app")
LOGIN = "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token"


def pem(key):
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(kind, form, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    day = datetime(2026, 11, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + timedelta(days=90))
    return builder.sign(key, hashes.SHA256())


@pytest.fixture(scope="module")
def by_certificate(key, certificate):
    text = certificate.public_bytes(serialization.Encoding.PEM).decode() + pem(key)
    thumbprint = urlsafe_b64encode(certificate.fingerprint(hashes.SHA1())).decode().rstrip("=")
    return CertificateAuth(
        tenant_id="acme.example", client_id="app", certificate=Secret(text), certificate_thumbprint=thumbprint
    )


async def asked(identity, url=URL, environ=None, upstream=None):
    """What the token endpoint is asked: its URL, and the form."""
    upstream = upstream or FakeUpstream(TOKEN)
    signer = tokens_for(url, identity, environ=environ or {})
    signed = await signer.sign(UpstreamRequest(Endpoint(URL), b"{}"), upstream)
    assert signed.endpoint.head.endswith(b"authorization: Bearer t-1\r\n")
    (request,) = upstream.requests
    return request.endpoint.url, dict(parse_qsl(request.body.decode(), strict_parsing=True))


async def test_a_secret_is_shown_in_the_form():
    assert await asked(BY_SECRET) == (
        LOGIN,
        {
            "client_id": "app",
            "grant_type": "client_credentials",
            "scope": "https://cognitiveservices.azure.com/.default",
            "client_secret": "canary secret&é",
        },
    )


@pytest.mark.parametrize(
    ("url", "login", "scope"),
    [
        ("https://acme.openai.azure.us/openai", "login.microsoftonline.us", "cognitiveservices.azure.us"),
        ("https://acme.openai.azure.cn/openai", "login.chinacloudapi.cn", "cognitiveservices.azure.cn"),
        ("https://m.eastus2.models.ai.azure.com", "login.microsoftonline.com", "ml.azure.com"),
        ("https://apim.example/ai", "login.microsoftonline.com", "cognitiveservices.azure.com"),
    ],
)
async def test_each_cloud_has_its_own_login(url, login, scope):
    where, form = await asked(BY_SECRET, url)

    assert (where.split("/")[2], form["scope"]) == (login, f"https://{scope}/.default")


async def test_a_certificate_signs_who_the_gateway_is(key, by_certificate):
    where, form = await asked(by_certificate)

    assertion = form.pop("client_assertion")
    assert (where, form) == (
        LOGIN,
        {
            "client_id": "app",
            "grant_type": "client_credentials",
            "scope": "https://cognitiveservices.azure.com/.default",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
    )
    assert jwt.get_unverified_header(assertion) == {
        "alg": "RS256",
        "typ": "JWT",
        "x5t": by_certificate.certificate_thumbprint,
    }
    claims = jwt.decode(assertion, key.public_key(), algorithms=["RS256"], audience=LOGIN)
    assert (claims["iss"], claims["sub"], claims["exp"] - claims["nbf"]) == ("app", "app", 600)


@pytest.mark.parametrize("text", ["no PEM", pem(ec.generate_private_key(ec.SECP256R1()))], ids=["text", "EC"])
def test_a_certificate_without_a_key_is_told_at_once(text):
    identity = CertificateAuth(tenant_id="t", client_id="c", certificate=Secret(text), certificate_thumbprint="x")

    with pytest.raises(ValueError, match="must be PEM text with an RSA private key"):
        tokens_for(URL, identity, environ={})


async def test_a_pod_shows_the_token_it_has_now(tmp_path):
    """Kubernetes renews the file; the token of yesterday would be refused."""
    path = tmp_path / "token"
    environ = {"AZURE_FEDERATED_TOKEN_FILE": str(path)}
    path.write_text("pod-token-1\n")
    signer = tokens_for(URL, BY_POD, environ=environ)
    upstream = FakeUpstream(TOKEN)
    for _ in range(2):
        await signer.sign(UpstreamRequest(Endpoint(URL), b"{}"), upstream)
        signer.drop()
        path.write_text("pod-token-2")

    forms = [parse_qs(request.body.decode()) for request in upstream.requests]
    assert [form["client_assertion"] for form in forms] == [["pod-token-1"], ["pod-token-2"]]
    assert [form["client_id"] for form in forms] == [["app"], ["app"]]


async def test_a_pod_without_a_token_says_so(tmp_path):
    with pytest.raises(ValueError, match="needs AZURE_FEDERATED_TOKEN_FILE"):
        tokens_for(URL, BY_POD, environ={})
    with pytest.raises(Refused) as refused:
        await asked(BY_POD, environ={"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "none")})

    assert refused.value.code == "upstream_authentication_error"
    assert str(tmp_path) not in refused.value.message


@pytest.mark.parametrize("identity", [BY_POD, ManagedIdentityAuth()])
@pytest.mark.parametrize("url", ["https://openai.azure.com.evil.example/x", "https://evil.example/.openai.azure.com"])
def test_the_gateways_own_identity_goes_to_azure_only(identity, url):
    """Else whoever may write an account could have its token sent to himself."""
    with pytest.raises(ValueError, match="the gateway's own identity goes to Azure's own addresses only"):
        tokens_for(url, identity, environ={"AZURE_FEDERATED_TOKEN_FILE": "/x"})


async def test_a_refusal_names_microsofts_number_and_nothing_else():
    said = {
        "error": "invalid_client",
        "error_description": "AADSTS7000215: Invalid client secret provided: canary",
        "error_codes": [7000215],
    }
    with pytest.raises(Refused) as refused:
        await asked(BY_SECRET, upstream=FakeUpstream((401, [msgspec.json.encode(said)])))

    assert refused.value.message == (
        "the provider gives no access token for the account's client id and secret "
        "(invalid_client, AADSTS7000215); tell whoever runs the gateway"
    )


def test_an_account_tells_when_it_is_the_gateway_itself():
    """Wherever it says who it is: that is the operator's, for manifests in files and for admins alone."""
    machine = ManagedIdentityAuth(client_id="c")
    pod, own = {"WorkloadIdentityAuth(tenant_id='t-1', client_id='app')"}, {"ManagedIdentityAuth(client_id='c')"}
    about = {"type": "t", "name": "n"}
    models = tuple(
        AzureFoundryModel(
            type="integration/model/x",
            name=auth.__class__.__name__,
            model_id="m",
            model_types=("chat",),
            azure_endpoint=URL,
            auth_data=auth,
        )
        for auth in (BY_SECRET, BY_POD, machine)
    )

    def identities(auth):
        openai = AzureOpenAIAccount(**about, integrations=(), azure_endpoint=URL, auth_data=auth)
        microsoft = MicrosoftFoundryAccount(**about, integrations=(), openai_endpoint=URL, auth_data=auth)
        return openai.own_identity, microsoft.own_identity

    assert identities(BY_SECRET) == (set(), set())
    assert identities(BY_POD) == (pod, pod)
    assert identities(machine) == (own, own)
    assert AzureFoundryAccount(**about, integrations=models).own_identity == pod | own
