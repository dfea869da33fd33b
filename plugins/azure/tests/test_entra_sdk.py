"""Tokens of Entra are asked for as azure-identity asks for them."""

from urllib.parse import parse_qsl, unquote

import pytest
from gateway_azure.accounts import ClientSecretAuth, ManagedIdentityAuth, WorkloadIdentityAuth
from gateway_azure.entra import tokens_for

from gateway.contract import Endpoint, UpstreamRequest
from gateway.errors import Refused
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

sdk = pytest.importorskip("azure.identity.aio")

SCOPE = "https://cognitiveservices.azure.com/.default"
URL = "https://acme.openai.azure.com/openai/v1"
TOKEN = (200, [b'{"token_type":"Bearer","expires_in":3599,"access_token":"t-1"}'])


class Recorder:
    """A transport of azure-core that keeps the forms that are sent."""

    def __init__(self):
        self.forms = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def open(self):
        pass

    async def close(self):
        pass

    async def sleep(self, duration):
        pass

    async def send(self, request, **_):
        self.forms.append((request.url, {name: str(value) for name, value in request.body.items()}))
        raise RuntimeError("enough")


async def theirs(kind, **fields):
    recorder = Recorder()
    with pytest.raises(Exception, match="enough"):
        await kind(transport=recorder, disable_instance_discovery=True, **fields).get_token(SCOPE)
    return recorder.forms[0]


async def ours(identity, environ=None):
    upstream = FakeUpstream(TOKEN)
    await tokens_for(URL, identity, environ=environ or {}).sign(UpstreamRequest(Endpoint(URL), b"{}"), upstream)
    return upstream.requests[0].endpoint.url, dict(parse_qsl(upstream.requests[0].body.decode()))


async def test_by_a_secret():
    identity = ClientSecretAuth(tenant_id="acme.example", client_id="app", client_secret=Secret("s&é"))

    assert await ours(identity) == await theirs(
        sdk.ClientSecretCredential, tenant_id="acme.example", client_id="app", client_secret="s&é"
    )


async def test_by_the_identity_of_a_pod(tmp_path):
    path = tmp_path / "token"
    path.write_text("pod-token")
    identity = WorkloadIdentityAuth(tenant_id="t-1", client_id="app")

    assert await ours(identity, {"AZURE_FEDERATED_TOKEN_FILE": str(path)}) == await theirs(
        sdk.WorkloadIdentityCredential, tenant_id="t-1", client_id="app", token_file_path=str(path)
    )


async def test_by_the_identity_of_a_machine(tcp_server, monkeypatch):
    """As App Service gives it: at an address and with a secret that stand in the environment."""
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        given = b'{"access_token":"t-1","expires_on":"4102444800","resource":"x","token_type":"Bearer"}'
        status, body = (b"200 OK", given) if len(asked) == 1 else (b"400 No", b'{"message":"canary"}')
        writer.write(b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n" % status)
        writer.write(b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with tcp_server(answer) as port:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "canary")
        upstream = FakeUpstream(TOKEN)
        request = UpstreamRequest(Endpoint(URL), b"{}")
        signed = await tokens_for(URL, ManagedIdentityAuth(client_id="app"), environ={}).sign(request, upstream)
        with pytest.raises(Refused) as refused:
            await tokens_for(URL, ManagedIdentityAuth(), environ={}).sign(request, upstream)

    assert signed.endpoint.head.endswith(b"authorization: Bearer t-1\r\n")
    assert "resource=https://cognitiveservices.azure.com&client_id=app " in unquote(asked[0])
    assert upstream.requests == []
    assert (refused.value.code, "canary" in refused.value.message) == ("upstream_authentication_error", False)
