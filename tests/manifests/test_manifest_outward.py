"""Addresses and headers in manifests: what is wrong with them is told where they stand, before anything is called."""

import json
from dataclasses import replace

import pytest

from gateway.config.compile.snapshot import compile_snapshot
from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.secrecy.sealing import Seal
from gateway.settings import settings_from
from gateway.testing import FakeUpstream

MUST = "must be a URL, without spaces, backslashes and control characters"


def self_hosted(url="https://h/v1", **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": "m",
        "url": url,
        "model_server": "openai-compatible",
        "model_types": ["chat"],
    }
    return {"type": "provider-account/self-hosted-model", "name": "a", "integrations": [{**model, **fields}]}


def vendor(type_, **fields):
    model = {"type": f"integration/model/{type_}", "name": "m", "model_id": "m", "model_types": ["chat"]}
    auth = {"auth_data": {"type": "api-key", "api_key": "k"}}
    return {"type": f"provider-account/{type_}", "name": "a", "integrations": [model], **auth, **fields}


def channel(type_, kind, **fields):
    integration = {"type": f"integration/{kind}", "name": "c", **fields}
    return {"type": f"provider-account/{type_}", "name": "a", "integrations": [integration]}


SLACK = ("slack", "notification-channel/slack-webhook")
MAIL = ("custom", "notification-channel/email")


def compiled(manifest, **environ):
    return compile_snapshot(loads(json.dumps(manifest), "a.json"), providers_by_type(), Secrets(environ))


def faults_of(manifest, **environ):
    with pytest.raises(ConfigError) as refused:
        compiled(manifest, **environ)
    return {fault.path: fault.message for fault in refused.value.faults}


def head_of(manifest, **environ):
    [target] = compiled(manifest, **environ).targets.values()
    return target.settings.endpoints["chat"].head.partition(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (self_hosted("https://h/v1#x"), "integrations[0].url"),
        (vendor("openai", base_url="https://h/v1#x"), "base_url"),
        (vendor("ollama", auth_data={"custom_host": "http://h#x"}), "auth_data.custom_host"),
        (vendor("databricks", base_url="https://h#x"), "base_url"),
        (
            channel(*SLACK, auth_data={"type": "slack-webhook", "webhook_url": "https://h#x"}),
            "integrations[0].auth_data.webhook_url",
        ),
        (
            channel("webhook", "gateway-request-logger/webhook", webhook_url="https://h#x"),
            "integrations[0].webhook_url",
        ),
        ({"type": "identity-provider", "name": "i", "issuer": "https://h#x", "audiences": ["a"]}, "issuer"),
        (
            {
                "type": "identity-provider",
                "name": "i",
                "issuer": "https://h",
                "audiences": ["a"],
                "jwks_uri": "https://h#x",
            },
            "jwks_uri",
        ),
    ],
)
def test_every_address_is_looked_at(manifest, path):
    assert faults_of(manifest) == {path: "must not have a #fragment: it is never sent"}


@pytest.mark.parametrize(
    ("manifest", "path", "message"),
    [
        (self_hosted("https://h:0/v1"), "integrations[0].url", "must have a port from 1 to 65535, or none"),
        (self_hosted("https://h/a b"), "integrations[0].url", "must be an http or https URL"),
        (self_hosted("https://h/\x01"), "integrations[0].url", MUST),
        (self_hosted("h/v1"), "integrations[0].url", "must be an http or https URL"),
        (
            channel(*SLACK, auth_data={"type": "slack-webhook", "webhook_url": "canary"}),
            "integrations[0].auth_data.webhook_url",
            "must be an http or https URL",
        ),
        (
            channel(*MAIL, auth_data={"type": "smtp-credentials", "host": "h:25"}, from_email="a@b.c"),
            "integrations[0].auth_data.host",
            "must name a host: a name or an IP address",
        ),
    ],
)
def test_an_address_that_cannot_be_called(manifest, path, message):
    """Without showing it, as it may be a secret."""
    assert faults_of(manifest) == {path: message}


def test_what_an_address_refers_to_is_looked_at():
    assert faults_of(self_hosted("${HOST_OF_M}"), HOST_OF_M="https://h/v1#x") == {
        "integrations[0].url": "must not have a #fragment: it is never sent"
    }


@pytest.mark.parametrize(
    ("manifest", "line"),
    [
        (self_hosted("https://h/v1?api-version=1"), "POST /v1/chat/completions?api-version=1 HTTP/1.1"),
        (self_hosted("HTTPS://H/v1/"), "POST /v1/chat/completions HTTP/1.1"),
        (vendor("openai", base_url="https://h/v1/?a=1"), "POST /v1/chat/completions?a=1 HTTP/1.1"),
        (vendor("databricks", base_url="https://h?o=1"), "POST /serving-endpoints/chat/completions?o=1 HTTP/1.1"),
        (
            vendor("databricks", base_url="https://h/serving-endpoints/?o=1"),
            "POST /serving-endpoints/chat/completions?o=1 HTTP/1.1",
        ),
        (vendor("ollama", auth_data={"custom_host": "http://h:11434/"}), "POST /v1/chat/completions HTTP/1.1"),
        (vendor("ollama", auth_data={"custom_host": "http://h:11434/v1"}), "POST /v1/chat/completions HTTP/1.1"),
    ],
)
def test_the_path_of_the_api_goes_before_the_query(manifest, line):
    assert head_of(manifest) == line


@pytest.mark.parametrize(
    ("manifest", "path", "message"),
    [
        (
            self_hosted("https://h/v1/chat/completions"),
            "integrations[0].url",
            "ends in /chat/completions, which the gateway adds",
        ),
        (
            self_hosted("https://h/v1/completions/?a=1"),
            "integrations[0].url",
            "ends in /completions, which the gateway adds",
        ),
        (
            vendor("openai", base_url="https://h/v1/embeddings/"),
            "base_url",
            "ends in /embeddings, which the gateway adds",
        ),
        (vendor("openai", base_url="https://h//v1"), "base_url", "has two slashes one after the other in its path"),
    ],
)
def test_an_address_that_was_probably_not_meant(manifest, path, message):
    """It can be called, so it is a warning."""
    [warning] = compiled(manifest).warnings

    assert (warning.path, warning.message[: len(message)]) == (path, message)


def test_usual_addresses_are_no_warning():
    for url in (
        "https://h",
        "https://h/v1",
        "https://h/v1/",
        "https://h/openai/deployments/x?api-version=2",
        "http://[::1]:8/v1",
    ):
        assert compiled(self_hosted(url)).warnings == ()


@pytest.mark.parametrize(
    "name", ["Transfer-Encoding", "content_length", "Host", "connection", "X A", "x:y", "accept-encoding", "proxy-x"]
)
def test_headers_of_an_account_that_cannot_be_set(name):
    """They were sent as they are: a second request could be hidden in the first."""
    [(path, message)] = faults_of(self_hosted(headers={name: "1"})).items()

    assert (path, message.rpartition(" ")[0]) in (
        (f"integrations[0].headers.{name}", f"{name} cannot be"),
        (f"integrations[0].headers.{name}", f"{name!r} is no name of a"),
    )


def test_the_value_of_a_header_is_not_shown():
    message = "environment variable KEY holds a line break, which cannot be sent"

    left_out = compiled(self_hosted(headers={"x-key": "${KEY}"}), KEY="canary\r\nx: y").left_out

    assert [(fault.path, fault.message) for fault in left_out] == [("integrations[0].headers.x-key", message)]


def test_headers_that_can_be_set():
    [target] = compiled(self_hosted(headers={"X-Key": "k", "Authorization": "Token t"})).targets.values()

    assert target.settings.endpoints["chat"].head.endswith(b"\r\nx-key: k\r\nauthorization: Token t\r\n")


# --- where it may lead -----------------------------------------------------------------------------------------------

PRIVATE = (
    "cannot be called: it is on this machine or in a private network, where only manifests in files and those that an "
    "admin applied may lead; GATEWAY_EGRESS_ALLOW can list networks for all"
)
NEVER = "cannot be called: it is a link-local address or that of a metadata service, which the gateway never calls"
GUARDED = FakeUpstream((200, []))


def applied(manifest, *, by_admin, stored=(), **environ):
    """As it is in force after it was applied over the API."""
    [given] = loads(json.dumps(manifest))
    given = replace(given, file="database", line=0, lines=0, version=1, by_admin=by_admin)
    secrets = Secrets({}, stored=dict(stored), seal=SEAL)
    egress = settings_from(environ).egress
    return compile_snapshot([given], providers_by_type(), secrets, egress=egress, guarded=GUARDED)


SEAL = Seal(b"pepper-of-the-tests-0123456789")


@pytest.mark.parametrize(
    ("host", "file", "admin", "manager"),
    [
        ("api.vendor.example", None, None, None),
        ("1.1.1.1", None, None, None),
        ("10.0.0.1", None, None, PRIVATE),
        ("127.0.0.1", None, None, PRIVATE),
        ("localhost", None, None, PRIVATE),
        ("[::1]", None, None, PRIVATE),
        ("[::ffff:127.0.0.1]", None, None, PRIVATE),
        ("2130706433", None, None, PRIVATE),
        ("0x7f.1", None, None, PRIVATE),
        ("１２７.0.0.1", None, None, PRIVATE),
        ("169.254.169.254", NEVER, NEVER, NEVER),
        ("0xa9fea9fe", NEVER, NEVER, NEVER),
        ("[fd00:ec2::254]", NEVER, NEVER, NEVER),
    ],
)
def test_who_may_lead_where(host, file, admin, manager):
    """Its author is told at once, where that can be known without looking a name up."""
    manifest = self_hosted(f"http://{host}:8000/v1")

    found = [[fault.message for fault in applied(manifest, by_admin=by_admin).left_out] for by_admin in (True, False)]

    assert found == [[admin] if admin else [], [manager] if manager else []]
    if file is None:
        assert compiled(manifest).warnings == ()
    else:
        assert faults_of(manifest) == {"integrations[0].url": file}


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (vendor("openai", base_url="http://10.0.0.1/v1"), "base_url"),
        (vendor("ollama", auth_data={"custom_host": "http://10.0.0.1:11434"}), "auth_data.custom_host"),
        (
            channel(*SLACK, auth_data={"type": "slack-webhook", "webhook_url": "http://10.0.0.1/"}),
            "integrations[0].auth_data.webhook_url",
        ),
        (
            channel(*MAIL, auth_data={"type": "smtp-credentials", "host": "10.0.0.1"}, from_email="a@b.c"),
            "integrations[0].auth_data.host",
        ),
    ],
)
def test_all_accounts_are_held_to_it(manifest, path):
    assert [(fault.path, fault.message) for fault in applied(manifest, by_admin=False).left_out] == [(path, PRIVATE)]
    assert applied(manifest, by_admin=True).left_out == ()
    assert applied(manifest, by_admin=False, GATEWAY_EGRESS_ALLOW="10.0.0.0/8").left_out == ()


def test_identity_providers_are_an_admins_own():
    """Nobody else may apply one, so that of before there was a rule counts as well."""
    provider = {"type": "identity-provider", "name": "i", "issuer": "https://10.0.0.1", "audiences": ["a"]}

    assert applied(provider, by_admin=False).left_out == ()
    assert [
        fault.message for fault in applied({**provider, "issuer": "https://169.254.1.1"}, by_admin=True).left_out
    ] == [NEVER]


def test_the_guarded_network_calls_for_those_nobody_vouches_for():
    """Names are looked at when they are connected to, by the address they stand for then."""
    manifest = self_hosted("http://name.example/v1")

    [manager] = applied(manifest, by_admin=False).targets.values()
    [admin] = applied(manifest, by_admin=True).targets.values()
    [file] = compiled(manifest).targets.values()

    assert (manager.upstream, admin.upstream, file.upstream) == (GUARDED, None, None)


@pytest.mark.parametrize(
    ("manifest", "is_trusted"),
    [
        (channel(*SLACK, auth_data={"type": "slack-webhook", "webhook_url": "http://name.example"}), True),
        (channel(*SLACK, auth_data={"type": "slack-webhook", "webhook_url": "tfy-secret://t:g:url"}), False),
        (
            channel(
                *MAIL,
                auth_data={"type": "smtp-credentials", "host": "name.example", "password": "tfy-secret://t:g:url"},
                from_email="a@b.c",
            ),
            True,
        ),
    ],
)
def test_an_address_that_is_a_secret_is_of_who_may_write_secrets(manifest, is_trusted):
    """It could be changed without a word to the admin who applied the channel."""
    stored = {("g", "url"): SEAL.close("http://other.example")}

    snapshot = applied(manifest, by_admin=True, stored=stored)

    assert (snapshot.left_out, bool(snapshot.trusted_channels)) == ((), is_trusted)
    assert not applied(manifest, by_admin=False, stored=stored).trusted_channels
