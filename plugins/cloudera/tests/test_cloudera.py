"""Accounts of Cloudera: requests for tokens are signed as CDP's own client signs them."""

from base64 import b64decode, b64encode, urlsafe_b64decode

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from gateway_cloudera.provider import Cloudera
from gateway_cloudera.workload import WorkloadTokens, signer

from gateway.contract import Call, JsonBody, Request
from gateway.dialects import CHAT
from gateway.errors import BrokeOff, Refused
from gateway.manifests import Secrets, loads, read
from gateway.secrecy.secret import Secret
from gateway.testing import FakeUpstream

NOV_26 = 1795651200.0
SEED = b64encode(bytes(range(32))).decode()
TOKEN = (200, [b'{"endpointUrl":"https://de.example","token":"canary-token","expireAt":"2026-11-26T01:00:00Z"}'])
MODEL = (
    "integrations: [{type: integration/model/cloudera, name: m, model_id: meta/llama, model_types: [chat],"
    " base_url: 'https://ml.example/namespaces/serving-default/endpoints/llama/v1/'}]"
)
WORKLOAD = (
    f"auth_data: {{type: workload-auth-token, cdp_base_url: 'https://iam.example', access_key_id: key-1,"
    f" private_key: '{SEED}', workload_name: DE}}"
)


def target_of(auth):
    (manifest,) = loads(f"{{type: provider-account/cloudera, name: a, {auth}, {MODEL}}}")
    account, warnings = read(manifest, Cloudera.accounts[manifest.type], Secrets({}))
    assert warnings == []
    (target,) = Cloudera().targets(account)
    return target


def ask(target):
    body = b'{"model":"a/m","messages":[]}'
    request = Request(body=JsonBody(msgspec.json.decode(body, type=dict[str, msgspec.Raw]), body))
    return target.provider.request(Call(CHAT, CHAT.parse(request), request), target)


def header(request, name):
    lines = [line.partition(": ") for line in request.endpoint.head.decode().split("\r\n")]
    return next((value for found, _, value in lines if found == name), None)


def tokens(key=SEED, base_url="https://iam.example/api/v1/"):
    return WorkloadTokens(base_url, Secret("key-1"), Secret(key), "DE", wall=lambda: NOV_26)


def pem(key):
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(kind, form, serialization.NoEncryption()).decode()


def test_a_token_goes_out_as_it_is():
    request = ask(target_of("auth_data: {type: token, api_token: t-1}"))

    assert request.endpoint.url == ("https://ml.example/namespaces/serving-default/endpoints/llama/v1/chat/completions")
    assert header(request, "authorization") == "Bearer t-1"
    assert request.body == b'{"model":"meta/llama","messages":[]}'


async def test_a_workload_is_given_tokens():
    target, upstream = target_of(WORKLOAD), FakeUpstream(TOKEN)

    signed = await target.signer.sign(ask(target), upstream)

    assert header(signed, "authorization") == "Bearer canary-token"
    (asked,) = upstream.requests
    assert (asked.endpoint.url, asked.body) == (
        "https://iam.example/iam/generateWorkloadAuthToken",
        b'{"workloadName":"DE"}',
    )


async def test_the_request_is_signed_as_cdps_client_signs_it():
    upstream = FakeUpstream(TOKEN)

    lent = await tokens()(upstream)

    (asked,) = upstream.requests
    assert (lent.value.reveal(), lent.lasts_s) == ("canary-token", 3600.0)
    assert header(asked, "x-altus-date") == "Thu, 26 Nov 2026 00:00:00 GMT"
    about, _, signature = header(asked, "x-altus-auth").partition(".")
    assert msgspec.json.decode(urlsafe_b64decode(about)) == {"access_key_id": "key-1", "auth_method": "ed25519v1"}
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b64decode(SEED)).public_key()
    key.verify(
        urlsafe_b64decode(signature),
        b"POST\napplication/json\nThu, 26 Nov 2026 00:00:00 GMT\n/api/v1/iam/generateWorkloadAuthToken\ned25519v1",
    )


def test_older_keys_sign_in_their_own_way():
    elliptic, old = ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 2048)

    by_elliptic, sign = signer(pem(elliptic))
    elliptic.public_key().verify(sign(b"data"), b"data", ec.ECDSA(SHA512()))
    by_rsa, sign = signer(pem(old))
    old.public_key().verify(sign(b"data"), b"data", PKCS1v15(), SHA256())

    assert (by_elliptic, by_rsa) == ("ecdsav1", "rsav1")


@pytest.mark.parametrize("key", ["", "x" * 44, "canary", pem(ed25519.Ed25519PrivateKey.generate())])
def test_what_is_no_key_of_cdps_is_told_at_once(key):
    with pytest.raises(ValueError, match="private_key must be the private key that CDP has given") as raised:
        tokens(key)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("reply", "error", "status"),
    [
        ((403, [b'{"code":"PERMISSION_DENIED","message":"canary"}']), Refused, 401),
        ((503, [b"canary"]), Refused, 503),
        ((404, [b"canary"]), Refused, 502),
        ((200, [b"{}"]), BrokeOff, 502),
        ((200, [b'{"token":"a\\r\\nx: canary"}']), BrokeOff, 502),
        ((200, [b"canary"]), BrokeOff, 502),
    ],
)
async def test_without_a_token_it_says_why(reply, error, status):
    with pytest.raises(error) as raised:
        await tokens()(FakeUpstream(reply))

    assert raised.value.status == status
    assert "canary" not in raised.value.message


async def test_a_token_without_an_end_is_not_kept_for_long():
    assert (await tokens()(FakeUpstream((200, [b'{"token":"t"}'])))).lasts_s == 300.0
