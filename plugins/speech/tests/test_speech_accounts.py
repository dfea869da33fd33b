"""Manifests, keys in the environment, and lists of models."""

import pytest
from gateway_speech.provider import Speech

from gateway.config.compile.snapshot import compile_snapshot, manifests_from
from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads

PROVIDER = Speech()
PROVIDERS = dict.fromkeys(PROVIDER.accounts, PROVIDER)
ACCOUNT = """\
type: provider-account/{type}
name: a
auth_data: {{type: api-key, api_key: k}}
{more}
integrations:
  - {{type: integration/model/{type}, name: "*", model_id: "*", model_types: [text_to_speech]}}
"""


def compiled(type_, more=""):
    text = ACCOUNT.format(type=type_, more=more)
    return compile_snapshot(loads(text), PROVIDERS, Secrets({}))


def addressed(type_, more=""):
    settings = compiled(type_, more).find("a/m").settings
    return settings.account.url, settings.base_path


@pytest.mark.parametrize(
    ("type_", "more", "address"),
    [
        ("elevenlabs", "", ("https://api.elevenlabs.io", "")),
        (
            "elevenlabs",
            "base_url: https://api.eu.residency.elevenlabs.io/v1/",
            ("https://api.eu.residency.elevenlabs.io", ""),
        ),
        ("deepgram", "", ("https://api.deepgram.com", "")),
        ("deepgram", "base_url: http://deepgram.internal:8080/v1", ("http://deepgram.internal:8080", "")),
        (
            "deepgram",
            "base_url: https://proxy.test/vendors/deepgram",
            ("https://proxy.test/vendors/deepgram", "/vendors/deepgram"),
        ),
        ("smallest-ai", "base_url: https://api.smallest.ai/waves/v1", ("https://api.smallest.ai", "")),
        ("cartesia", "cartesia_version: 2025-04-16", ("https://api.cartesia.ai", "")),
    ],
)
def test_where_an_account_is(type_, more, address):
    """With the version in it or without: people write both."""
    assert addressed(type_, more) == address


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("2025-04-16", b"x-api-key: k"),
        ('"2024-06-10"', b"x-api-key: k"),
        ("2026-03-01", b"authorization: Bearer k"),
        ("2026-08-14", b"authorization: Bearer k"),
    ],
)
def test_dates_need_no_quotes(version, line):
    """They say, too, where Cartesia looks for the key."""
    snapshot = compiled("cartesia", f"cartesia_version: {version}")

    head = snapshot.find("a/m").settings.account.head
    assert b"\r\ncartesia-version: %b\r\n" % version.strip('"').encode() in head
    assert b"\r\n%b\r\n" % line in head


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "cartesia_version"),
        ("cartesia_version: latest", "a date such as 2025-04-16"),
        ("cartesia_version: 2025-04-16\nvoices: [alloy]", "voices"),
    ],
)
def test_what_is_wrong_with_an_account(more, message):
    with pytest.raises(ConfigError, match=message):
        compiled("cartesia", more)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("ELEVENLABS_API_KEY", "elevenlabs"),
        ("DEEPGRAM_API_KEY", "deepgram"),
        ("CARTESIA_API_KEY", "cartesia"),
        ("SMALLEST_API_KEY", "smallest-ai"),
    ],
)
def test_a_key_in_the_environment_is_enough(variable, name):
    environ = {variable: "canary"}

    snapshot = compile_snapshot(manifests_from(environ, [PROVIDER]), PROVIDERS, Secrets(environ))

    assert [fault.message for fault in snapshot.warnings if "demo" not in fault.message] == []
    target = snapshot.find(f"{name}/any")
    assert (target.model, target.model_types) == ("any", {"text_to_speech", "audio_transcription"})
    assert b"canary" in target.settings.account.head


@pytest.mark.parametrize(
    ("type_", "path", "body", "names"),
    [
        (
            "elevenlabs",
            "/v1/models",
            b'[{"model_id":"eleven_v3","can_do_text_to_speech":true},{"model_id":"eleven_flash_v2_5"}]',
            ["eleven_v3", "eleven_flash_v2_5"],
        ),
        (
            "deepgram",
            "/v1/models",
            b'{"stt":[{"name":"general","canonical_name":"nova-3"},{"canonical_name":"nova-3"}],'
            b'"tts":[{"name":"thalia","canonical_name":"aura-2-thalia-en"}]}',
            ["aura-2-thalia-en", "nova-3"],
        ),
    ],
)
def test_lists_models(type_, path, body, names):
    target = compiled(type_).targets["a/*"]

    endpoint = PROVIDER.listing(target).endpoint
    assert endpoint.head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert [*PROVIDER.listed(target, body)] == names
    for broken in (b"", b"{", b"[1]", b'{"stt": 5}'):
        with pytest.raises(ValueError, match="cannot be read"):
            PROVIDER.listed(target, broken)


@pytest.mark.parametrize(("type_", "more"), [("smallest-ai", ""), ("cartesia", "cartesia_version: 2025-04-16")])
def test_some_have_no_list(type_, more):
    assert PROVIDER.listing(compiled(type_, more).targets["a/*"]) is None
