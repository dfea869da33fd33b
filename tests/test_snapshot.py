"""Manifests, compiled: what callers may ask for, and what is wrong."""

import pytest

from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.snapshot import Report, Snapshot, check, compile_snapshot, manifests_from, secrets_from

PROVIDERS = providers_by_type()

TWO_ACCOUNTS = """\
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: "${OPENAI_API_KEY}"}
integrations:
  - {type: integration/model/openai, name: gpt, model_id: gpt-5, model_types: [chat]}
  - {type: integration/model/openai, name: org/deep/name, model_id: deep, model_types: [chat]}
---
type: provider-account/openrouter
name: any
auth_data: {type: api-key, api_key: k}
integrations:
  - {type: integration/model/openrouter, name: "*", model_id: "*", model_types: [chat]}
  - {type: integration/model/openrouter, name: fixed, model_id: vendor/fixed, model_types: [chat]}
"""


def compiled(text, **environ):
    return compile_snapshot(loads(text, "gateway.yaml"), PROVIDERS, Secrets({"OPENAI_API_KEY": "k", **environ}))


def faults_of(text):
    with pytest.raises(ConfigError) as refused:
        compiled(text)
    return [str(fault) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("main/gpt", "gpt-5"),
        ("main/org/deep/name", "deep"),
        ("any/fixed", "vendor/fixed"),
        ("any/vendor/whatever", "vendor/whatever"),
    ],
)
def test_finds_a_model(name, model):
    """What is declared comes first; `*` stands for all other models of its account, slashes and all."""
    target = compiled(TWO_ACCOUNTS).find(name)

    assert (target.name, target.model) == (name, model)


@pytest.mark.parametrize(
    "name",
    ["gpt", "main", "main/", "main/other", "other/gpt", "any/", "any/a b", "any/a\r\nx: y", "any", "", "/", "*", "/*"],
)
def test_finds_nothing_that_is_not_declared(name):
    """An account without `*` offers what it lists and nothing else: else a caller could pick the dearest model."""
    assert compiled(TWO_ACCOUNTS).find(name) is None


def test_an_empty_snapshot_has_no_models():
    assert Snapshot().find("main/gpt") is None


def test_an_unknown_type_is_a_warning():
    """Its plugin may not be installed here; the other models still work."""
    snapshot = compiled("{type: provider-account/opneai, name: x}\n---\n" + TWO_ACCOUNTS)

    assert [str(warning) for warning in snapshot.warnings] == [
        "gateway.yaml:1: type: ignored: no plugin reads provider-account/opneai; did you mean provider-account/openai?"
    ]
    assert len(snapshot.targets) == 4


def test_an_unknown_field_is_a_warning():
    snapshot = compiled(TWO_ACCOUNTS.replace("name: main", "name: main\ncolour: blue"))

    assert [str(warning) for warning in snapshot.warnings] == ["gateway.yaml:3: colour: unknown field"]


def test_collects_the_faults_of_all_manifests():
    """Whoever mends a configuration wants to do so once."""
    text = """\
type: provider-account/openai
name: one
integrations: []
---
type: provider-account/groq
name: two
integrations:
  - {type: integration/model/groq, name: m, model_types: [chat]}
---
type: provider-account/databricks
name: three
base_url: https://dbc.example
auth_data: {type: service-principal, client_id: c, oauth_secret: s}
integrations:
  - {type: integration/model/databricks, name: m, model_id: m, model_types: [chat]}
"""
    assert faults_of(text) == [
        "gateway.yaml:5: missing required field `auth_data`",
        "gateway.yaml:8: integrations[0]: missing required field `model_id`",
        "gateway.yaml:10: auth_data: a service-principal is not supported yet; use a key, with type: api-key",
    ]


def test_two_models_of_one_name_are_a_fault():
    """Accounts of two vendors may have the same name; the later one took the place of the earlier, and said nothing."""
    text = TWO_ACCOUNTS.replace("name: any", "name: main").replace("name: fixed", "name: gpt")

    assert faults_of(text) == ["gateway.yaml:9: name: a second model named main/gpt; rename one account"]


def test_accounts_of_one_name_may_have_different_models():
    snapshot = compiled(TWO_ACCOUNTS.replace("name: any", "name: main"))

    assert snapshot.find("main/gpt").model == "gpt-5"
    assert snapshot.find("main/fixed").model == "vendor/fixed"


def test_an_empty_environment_gives_the_demo_model():
    """The first answer needs no key and no file."""
    assert [manifest.name for manifest in manifests_from({})] == ["demo"]


def test_a_key_in_the_environment_gives_an_account():
    environ = {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "", "MISTRAL_API_KEY": "m-1", "NOMIC_API_KEY": "n-1"}

    manifests = manifests_from(environ)
    snapshot = compile_snapshot(manifests, PROVIDERS, secrets_from(environ))

    assert [*snapshot.targets] == ["demo/echo", "openai/*", "mistral-ai/*"]
    assert snapshot.warnings == ()
    endpoint = snapshot.find("openai/gpt-5").settings.endpoints["chat"]
    assert b"authorization: Bearer sk-1\r\n" in endpoint.head


def test_a_manifest_of_the_environment_does_not_hold_the_key():
    manifests = manifests_from({"OPENAI_API_KEY": "canary"})

    assert "canary" not in str([manifest.data for manifest in manifests])


def test_check_says_what_it_found(tmp_path):
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS)

    assert check(tmp_path, {"OPENAI_API_KEY": "k"}) == Report(
        models=("main/gpt", "main/org/deep/name", "any/*", "any/fixed"), warnings=()
    )


def test_check_raises_what_is_wrong(tmp_path):
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS)

    with pytest.raises(ConfigError, match="environment variable OPENAI_API_KEY is missing or empty"):
        check(tmp_path, {})


def test_secrets_come_from_the_directory_the_environment_names(tmp_path):
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "openai").write_text("from a file\n")

    secrets = secrets_from({"GATEWAY_SECRETS_DIR": str(tmp_path)})

    assert secrets.resolve("tfy-secret://acme:llm:openai").reveal() == "from a file"
