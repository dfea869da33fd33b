"""Manifests, compiled: what callers may ask for, and what is wrong."""

from dataclasses import replace

import msgspec
import pytest

from gateway.config.compile.snapshot import Report, check, compile_snapshot, manifests_from
from gateway.config.snapshot import Snapshot
from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.settings import Settings

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
        "gateway.yaml:1: type: ignored: no plugin reads provider-account/opneai; did you mean "
        "`provider-account/openai`?"
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
"""
    assert faults_of(text) == [
        "gateway.yaml:5: missing required field `auth_data`",
        "gateway.yaml:8: integrations[0]: missing required field `model_id`",
    ]


UNUSABLE = """\
---
type: provider-account/databricks
name: dbx
base_url: https://dbc.example
auth_data: {type: api-key, api_key: clé}
collaborators: [{subject: "team:a", role_id: provider-account-access}]
integrations:
  - {type: integration/model/databricks, name: m, model_id: m, model_types: [chat]}
"""
NO_HEADER = (
    "gateway.yaml:15: headers for dbc.example: the value holds a line break, or another character that no header may "
    "hold"
)


def test_an_account_that_cannot_be_used_is_left_out_alone():
    """One of them stopped all others from being served."""
    snapshot = compiled(TWO_ACCOUNTS + UNUSABLE)

    assert [str(fault) for fault in snapshot.left_out] == [NO_HEADER]
    assert [*snapshot.targets] == ["main/gpt", "main/org/deep/name", "any/*", "any/fixed"]
    assert ("provider-account/databricks", "dbx") not in snapshot.manifests
    assert snapshot.access.grants == {}


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("${NO_KEY}", "environment variable NO_KEY is missing or empty; write $${ for a literal ${"),
        ("tfy-secret://acme:no:key", "secret is missing or empty: no environment variable NO_KEY"),
    ],
)
def test_an_account_without_its_secret_is_left_out_alone(key, why):
    snapshot = compiled(TWO_ACCOUNTS.replace("${OPENAI_API_KEY}", key))

    assert [str(fault) for fault in snapshot.left_out] == [f"gateway.yaml:3: auth_data.api_key: {why}"]
    assert [*snapshot.targets] == ["any/*", "any/fixed"]


def test_so_is_an_account_of_channels():
    channel = """\
---
type: provider-account/slack
name: bot
integrations:
  - {type: integration/notification-channel/slack-bot, name: c, auth_data: {type: slack-bot, bot_token: "${NO_TOKEN}"}}
"""
    snapshot = compiled(TWO_ACCOUNTS + channel)

    assert (len(snapshot.left_out), snapshot.channels) == (1, {})


def test_what_is_wrong_besides_a_missing_secret_is_a_fault():
    text = TWO_ACCOUNTS.replace("${OPENAI_API_KEY}", "${NO_KEY}").replace("name: gpt,", "nmae: gpt,")

    assert len(faults_of(text)) == 3


@pytest.mark.parametrize("key", ["tfy-secret://acme:no", "tfy-secret://<tenant>:<group>:<key>", "${NO-KEY}"])
def test_a_reference_that_is_written_wrong_is_a_fault(key):
    """Nothing that is put somewhere would mend it."""
    assert len(faults_of(TWO_ACCOUNTS.replace("${OPENAI_API_KEY}", key))) == 1


@pytest.mark.parametrize(
    "file", [TWO_ACCOUNTS.replace("${OPENAI_API_KEY}", "${NO_KEY}"), UNUSABLE.replace("dbx", "main")]
)
def test_the_name_of_what_is_left_out_stays_its_own(file):
    """Else who may make accounts would get the requests that were meant for it."""
    thief = stored(
        "{type: provider-account/groq, name: main, auth_data: {type: api-key, api_key: k}, integrations: []}\n---\n"
        + ONLY_VIRTUAL.replace("gone/m", "any/fixed").replace("name: m\n", "name: m\n    alias: [main/gpt]\n")
    )

    snapshot = compile_snapshot([*loads(file, "gateway.yaml"), *thief], PROVIDERS, Secrets({}))

    assert snapshot.find("main/gpt") is None
    assert {fault.file for fault in snapshot.left_out} == {
        "gateway.yaml",
        "database/provider-account/groq/main",
        "database/provider-account/virtual-model/v",
    }


def test_a_limit_is_not_left_out():
    """Without it more would be let through than somebody wanted; an account alone is missed at once."""
    limit = "---\n{type: tenant-rate-limit-config/model, name: '${NO}', limits: {requests_per_minute: 1}}\n"
    group = "---\n{type: team, name: a, members: ['${NO_MAIL}']}\n"

    with pytest.raises(ConfigError):
        compiled(TWO_ACCOUNTS + limit)
    assert faults_of(TWO_ACCOUNTS + group) == [
        "gateway.yaml:15: members[0]: environment variable NO_MAIL is missing or empty; write $${ for a literal ${"
    ]


def test_what_may_be_the_reason_is_told_with_the_faults():
    """The type of one account is misspelled; another manifest needs it."""
    text = TWO_ACCOUNTS.replace("type: provider-account/openai\n", "type: provider-account/opanai\n").replace(
        "auth_data: {type: api-key, api_key: k}\n", ""
    )

    with pytest.raises(ConfigError) as refused:
        compiled(text)

    assert [str(warning) for warning in refused.value.warnings] == [
        "gateway.yaml:1: type: ignored: no plugin reads provider-account/opanai; did you mean "
        "`provider-account/openai`?"
    ]


@pytest.mark.parametrize(
    ("account", "integration"), [("openai", "groq"), ("openai", "opnai"), ("groq", "openai"), ("groq", "groqq")]
)
def test_a_model_in_the_account_of_another_vendor_is_told(account, integration):
    text = (
        f"type: provider-account/{account}\nname: main\nauth_data: {{type: api-key, api_key: k}}\n"
        f"integrations: [{{type: integration/model/{integration}, name: m, model_id: m, model_types: [chat]}}]"
    )

    assert [str(warning) for warning in compiled(text).warnings] == [
        f"gateway.yaml:4: integrations[0].type: is integration/model/{integration} in an account whose models are "
        f"integration/model/{account}; they are asked for there all the same"
    ]


def test_two_accounts_of_one_name_are_a_fault():
    """Of two vendors, too: what is granted on one would be granted on the other."""
    text = TWO_ACCOUNTS.replace("name: any", "name: main")

    assert faults_of(text) == ["gateway.yaml:9: name: a second account named main; the first is in gateway.yaml:1"]


def test_an_empty_environment_gives_the_demo_model():
    """The first answer needs no key and no file."""
    assert [manifest.name for manifest in manifests_from({}, PROVIDERS.values())] == ["demo"]


def test_a_key_in_the_environment_gives_an_account():
    environ = {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "", "MISTRAL_API_KEY": "m-1", "NOMIC_API_KEY": "n-1"}

    manifests = manifests_from(environ, PROVIDERS.values())
    snapshot = compile_snapshot(manifests, PROVIDERS, Secrets(environ))

    assert [*snapshot.targets] == ["demo/echo", "openai/*", "mistral-ai/*"]
    assert snapshot.warnings == ()
    endpoint = snapshot.find("openai/gpt-5").settings.endpoints["chat"]
    assert b"authorization: Bearer sk-1\r\n" in endpoint.head


def test_a_manifest_of_the_environment_does_not_hold_the_key():
    manifests = manifests_from({"OPENAI_API_KEY": "canary"}, PROVIDERS.values())

    assert "canary" not in str([manifest.data for manifest in manifests])


def test_check_says_what_it_found(tmp_path):
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS)

    assert check(tmp_path, Settings(environ={"OPENAI_API_KEY": "k"})) == Report(
        models=("main/gpt", "main/org/deep/name", "any/*", "any/fixed"),
        accounts=frozenset({"main", "any"}),
        without_alias=("main/gpt", "main/org/deep/name", "any/fixed"),
        warnings=(),
    )


def test_check_raises_what_is_wrong(tmp_path):
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS.replace("name: gpt,", ""))

    with pytest.raises(ConfigError, match="missing required field `name`"):
        check(tmp_path, Settings(environ={"OPENAI_API_KEY": "k"}))


ONLY_VIRTUAL = """\
type: provider-account/virtual-model
name: v
integrations:
  - type: integration/model/virtual
    name: m
    model_types: [chat]
    routing_config: {type: latency-based-routing, load_balance_targets: [{target: gone/m}]}
"""
NO_MODEL = ": no model can be used; it takes a provider-account with integrations (`gateway init` writes an example)"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("", 0),
        ("# nothing yet\n---\n", 0),
        ("{type: provider-account/opanai, name: a}", 1),
        ("{type: gateway-virtual-model, name: a}", 1),
        ("{type: team, name: a, members: []}", 0),
        ("{type: provider-account/openai, name: a, auth_data: {type: api-key, api_key: k}, integrations: []}", 0),
        (ONLY_VIRTUAL, 1),
    ],
)
def test_check_refuses_what_nobody_can_use(tmp_path, text, warnings):
    """With a type that is misspelled, or in an empty file, all was said to be well."""
    (tmp_path / "a.yaml").write_text(text)

    with pytest.raises(ConfigError) as refused:
        check(tmp_path / "a.yaml", Settings())

    assert str(refused.value) == f"{tmp_path}/a.yaml{NO_MODEL}"
    assert len(refused.value.warnings) == warnings


def test_check_refuses_an_empty_directory(tmp_path):
    with pytest.raises(ConfigError) as refused:
        check(tmp_path, Settings())

    assert str(refused.value) == f"{tmp_path}{NO_MODEL}"


def test_check_says_why_nothing_is_left(tmp_path):
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS.partition("---")[0])

    with pytest.raises(ConfigError) as refused:
        check(tmp_path, Settings())

    assert [fault.path for fault in refused.value.faults] == ["auth_data.api_key", ""]


def test_an_alias_leads_to_its_models(tmp_path):
    """Of a virtual model; the others are for `check` to name."""
    virtual = ONLY_VIRTUAL.replace("gone/m", "main/gpt").replace("name: m\n", "name: m\n    alias: [gpt]\n")
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS + "---\n" + virtual)

    found = check(tmp_path, Settings(environ={"OPENAI_API_KEY": "k"}))

    assert found.accounts == {"main", "any", "v"}
    assert found.without_alias == ("main/org/deep/name", "any/fixed")


def test_check_looks_for_secrets_in_their_directory(tmp_path):
    (tmp_path / "secrets" / "llm").mkdir(parents=True)
    (tmp_path / "secrets" / "llm" / "openai").write_text("from a file\n")
    (tmp_path / "a.yaml").write_text(TWO_ACCOUNTS.replace("${OPENAI_API_KEY}", "tfy-secret://acme:llm:openai"))

    assert check(tmp_path / "a.yaml", Settings(secrets_dir=tmp_path / "secrets")).left_out == ()
    assert check(tmp_path / "a.yaml", Settings()).left_out != ()


# --- who may use what --------------------------------------------------------

MODELS = """\
  - {type: integration/model/openai, name: gpt, model_id: gpt, model_types: [chat]}
  - {type: integration/model/openai, name: mini, model_id: mini, model_types: [chat], authorized_subjects: LISTED}
"""
ACCOUNT = "type: provider-account/openai\nname: main\nauth_data: {type: api-key, api_key: k}\n"


def users_of(collaborators="", listed="[]", more=""):
    """Model -> (who may use it, and of those who alone)."""
    text = ACCOUNT + collaborators + "\nintegrations:\n" + MODELS.replace("LISTED", listed) + more
    return {name: (target.users, target.only) for name, target in compiled(text).targets.items()}


def test_nobody_may_use_what_was_granted_to_nobody():
    assert users_of() == {"main/gpt": (frozenset(), None), "main/mini": (frozenset(), None)}


def test_collaborators_may_use_all_models_and_authorized_subjects_narrow_that():
    found = users_of(
        "collaborators: [{subject: 'team:a', role_id: provider-account-access}]", "['user:Ana@example.com', team:b]"
    )

    assert found == {
        "main/gpt": ({"team:a"}, None),
        "main/mini": ({"team:a"}, {"user:ana@example.com", "team:b"}),
    }


def test_authorized_subjects_are_the_grant_where_no_collaborators_are_named():
    found = users_of(listed="['serviceaccount:ci']")

    assert found == {"main/gpt": (frozenset(), None), "main/mini": ({"virtualaccount:ci"}, None)}


def test_a_list_of_nobody_lets_nobody_in():
    found = users_of("collaborators: [{subject: 'team:a', role_id: provider-account-access}]", "[nonsense]")

    assert found["main/mini"] == ({"team:a"}, frozenset())


def test_virtual_accounts_and_bindings_count_as_well():
    """Those on the tenant for every account there is."""
    more = """\
---
type: virtual-account
name: ci
permissions: [{resource_type: provider-account, resource_fqn: "acme:openai:main", role_id: provider-account-access}]
---
type: role-binding
name: b
subjects: [{type: team, name: everyone}]
permissions: [{resourceType: tenant, resourceFqn: acme, role: provider-account-access}]
"""
    found = users_of(listed="['team:b']", more=more)

    assert found == {
        "main/gpt": ({"virtualaccount:ci", "team:everyone"}, None),
        "main/mini": ({"virtualaccount:ci", "team:everyone", "team:b"}, None),
    }


def test_who_may_read_or_manage_an_account_may_not_use_it():
    more = """\
---
type: role
name: reader
permissions: ["provider-account:ReadProviderAccount", "provider-account:ManageProviderAccount"]
"""
    found = users_of("collaborators: [{subject: 'team:a', role_id: reader}]", more=more)

    assert found["main/gpt"] == (frozenset(), None)


def test_the_demo_is_for_everyone_and_what_costs_money_is_not():
    environ = {"OPENAI_API_KEY": "k"}
    snapshot = compile_snapshot(manifests_from(environ, PROVIDERS.values()), PROVIDERS, Secrets(environ))

    assert {name: target.users for name, target in snapshot.targets.items()} == {
        "demo/echo": {"team:everyone"},
        "openai/*": frozenset(),
    }


def test_a_vendors_variable_with_nothing_but_a_line_break_is_not_set():
    """And one with a key and a line break is a key: it was sent with it, or not at all."""
    environ = {"OPENAI_API_KEY": "sk-1\n", "GROQ_API_KEY": "\n", "XAI_API_KEY": "\ufeff"}
    snapshot = compile_snapshot(manifests_from(environ, PROVIDERS.values()), PROVIDERS, Secrets(environ))

    assert [*snapshot.targets] == ["demo/echo", "openai/*"]
    assert b"authorization: Bearer sk-1\r\n" in snapshot.targets["openai/*"].settings.endpoints["chat"].head


def test_any_other_model_is_for_whom_the_account_is_for():
    text = TWO_ACCOUNTS.replace(
        "name: any", "name: any\ncollaborators: [{subject: 'team:a', role_id: provider-account-access}]"
    ).replace(
        'model_id: "*", model_types: [chat]', 'model_id: "*", model_types: [chat], authorized_subjects: ["team:b"]'
    )

    target = compiled(text).find("any/vendor/whatever")

    assert (target.users, target.only) == ({"team:a"}, {"team:b"})


# --- identities --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "{type: role, name: tenant-admin, permissions: []}",
            ["gateway.yaml:1: name: is a built-in role; take another name"],
        ),
        (
            "{type: role, name: provider-account-access, permissions: ['user:ManageUsers']}",
            ["gateway.yaml:1: name: is a built-in role; take another name"],
        ),
        (
            "type: virtual-account\nname: v\npermissions: [{resource_fqn: f, resource_type: tenant, role_id: r}]\n"
            "expiration_date: 2027-02-29\n",
            ["gateway.yaml:4: expiration_date: there is no such day"],
        ),
        (
            "type: virtual-account\nname: v\npermissions: [{resource_fqn: f, resource_type: tenant, role_id: r}]\n"
            "expiration_date: \u0662\u0660\u0662\u0667-\u0660\u0661-\u0663\u0661\n",
            ["gateway.yaml:4: expiration_date: there is no such day"],
        ),
    ],
)
def test_what_no_struct_can_tell(text, faults):
    assert faults_of(text) == faults


def test_a_claim_stands_for_one_virtual_account():
    """Who may make accounts must not capture what another application's JWTs stand for."""
    account = """
type: virtual-account
name: {name}
permissions: [{{resource_type: tenant, resource_fqn: acme, role_id: tenant-member}}]
identity_provider_mapping: [{{identity_provider: okta, value: svc-app}}]
"""

    assert faults_of(account.format(name="app") + "---" + account.format(name="thief")) == [
        "gateway.yaml:10: identity_provider_mapping[0]: stands for the virtual account app already; "
        "a claim is one account's"
    ]


def test_identity_providers_and_grants_are_part_of_it():
    text = """\
{type: identity-provider, name: okta, issuer: "https://acme.okta.com", audiences: [llm]}
---
{type: team, name: platform, members: [ana@example.com]}
---
{type: role-binding, name: b, subjects: [{type: team, name: platform}], permissions: [{resourceType: tenant, resourceFqn: x, role: no-such-role}]}
"""  # noqa: E501
    snapshot = compiled(text)

    assert [provider.name for provider in snapshot.identity_providers] == ["okta"]
    assert snapshot.access.teams == {"ana@example.com": {"platform"}}
    assert [str(warning).partition(",")[0] for warning in snapshot.warnings] == [
        "gateway.yaml:5: permissions[0]: there is no role 'no-such-role'"
    ]
    assert set(snapshot.manifests) == {("identity-provider", "okta"), ("team", "platform"), ("role-binding", "b")}


# --- manifests that are stored -----------------------------------------------


def stored(text, version=1):
    return [
        replace(manifest, file=f"database/{manifest.type}/{manifest.name}", line=0, lines=0, version=version)
        for manifest in loads(text, "gateway.yaml")
    ]


def test_a_stored_manifest_that_cannot_be_used_is_left_out_alone():
    """All others are in force; a plugin that was taken away must not stop the gateway."""
    manifests = stored(
        ACCOUNT + "integrations: []\n---\n"
        "{type: provider-account/groq, name: bad, integrations: []}\n---\n"
        "{type: team, name: everyone, members: []}\n---\n"
        "{type: role, name: tenant-admin, permissions: []}\n"
    )

    snapshot = compile_snapshot(manifests, PROVIDERS, Secrets({}))

    assert set(snapshot.manifests) == {("provider-account/openai", "main")}
    assert [str(fault) for fault in snapshot.left_out] == [
        "database/provider-account/groq/bad: missing required field `auth_data`",
        "database/team/everyone: team:everyone is all users already; take another name",
        "database/role/tenant-admin: name: is a built-in role; take another name",
    ]


def test_what_is_left_out_grants_nothing():
    """Neither what its collaborators say, nor what it says of its models."""
    text = """\
type: provider-account/databricks
name: main
base_url: https://dbc.example
auth_data: {type: api-key, api_key: clé}
collaborators: [{subject: "team:a", role_id: provider-account-manager}]
integrations:
  - {type: integration/model/databricks, name: m, model_id: m, model_types: [chat], authorized_subjects: ["team:b"]}
"""
    snapshot = compile_snapshot(stored(text), PROVIDERS, Secrets({}))

    assert len(snapshot.left_out) == 1
    assert (snapshot.targets, snapshot.access.grants, snapshot.access.narrowed) == ({}, {}, frozenset())


def test_what_a_file_manages_wins():
    """The stored one is as good as not there: its grants too."""
    team = "{type: team, name: platform, members: [%s@example.com]}"

    snapshot = compile_snapshot([*loads(team % "ana", "gateway.yaml"), *stored(team % "eve")], PROVIDERS, Secrets({}))

    assert snapshot.access.teams == {"ana@example.com": {"platform"}}
    assert [str(warning) for warning in snapshot.warnings] == [
        "database/team/platform: name: ignored: team platform stands in gateway.yaml:1 too, "
        "and what a file manages wins"
    ]


def test_a_stored_account_cannot_take_the_name_of_another():
    """Of another vendor, it would get what was granted on the first."""
    other = stored(
        "{type: provider-account/groq, name: main, auth_data: {type: api-key, api_key: k}, integrations: []}"
    )

    snapshot = compile_snapshot([*loads(ACCOUNT + "integrations: []", "gateway.yaml"), *other], PROVIDERS, Secrets({}))

    assert set(snapshot.manifests) == {("provider-account/openai", "main")}
    assert [str(fault) for fault in snapshot.left_out] == [
        "database/provider-account/groq/main: name: a second account named main; the first is in gateway.yaml:1"
    ]
    assert snapshot.left_out[0] not in snapshot.warnings


def test_a_provider_offers_models_of_its_accounts_only():
    """A plugin cannot put a model into the account of another."""

    class Stray(type(PROVIDERS["provider-account/openai"])):
        def targets(self, account):
            return [msgspec.structs.replace(target, name="other/gpt") for target in super().targets(account)]

    text = ACCOUNT + "integrations:\n" + MODELS.replace("LISTED", "[]")

    snapshot = compile_snapshot(loads(text, "a.yaml"), {**PROVIDERS, "provider-account/openai": Stray()}, Secrets({}))

    assert snapshot.targets == {}
    assert [str(fault) for fault in snapshot.left_out] == [
        "a.yaml:1: the provider offers other/gpt, which is not in this account"
    ]


def test_a_provider_that_fails_is_named(capsys):
    class Broken(type(PROVIDERS["provider-account/openai"])):
        def targets(self, account):
            raise KeyError("canary")

    snapshot = compile_snapshot(
        loads(ACCOUNT + "integrations: []", "a.yaml"), {**PROVIDERS, "provider-account/openai": Broken()}, Secrets({})
    )

    assert [str(fault) for fault in snapshot.left_out] == [
        "a.yaml:1: the provider failed with KeyError; the log has more"
    ]
    assert "provider failed" in capsys.readouterr().out


BUDGET = """\
---
{type: tenant-budget-config, name: b, limits: {cost_per_day: 1}, applies_to: {type: aggregate}, mode: enforce}
"""


def test_a_budget_says_what_it_cannot_count():
    """Else a model without a price would be a way around it that nobody has noticed."""
    assert [str(fault) for fault in compiled(TWO_ACCOUNTS + BUDGET).warnings] == [
        "gateway.yaml:15: limits: does not count what any/*, any/fixed, main/gpt, main/org/deep/name cost: they have "
        "no price (`cost`)"
    ]


def test_without_budgets_prices_are_nobodys_business():
    assert compiled(TWO_ACCOUNTS).warnings == ()


def test_accounts_of_channels_have_their_names_with_the_others():
    """A grant is on a name, so one of each kind would be used by who may use the other."""
    channel = """\
---
type: provider-account/webhook
name: main
integrations: [{type: integration/gateway-request-logger/webhook, name: costs, webhook_url: "https://ops.example/hook"}]
"""

    assert faults_of(TWO_ACCOUNTS + channel) == [
        "gateway.yaml:16: name: a second account named main; the first is in gateway.yaml:1"
    ]


# --- many models, and those who may use them ---------------------------------

GIVEN = "collaborators: [{subject: 'team:a', role_id: provider-account-access}]\n"
TENANT_WIDE = """\
---
type: role-binding
name: all
subjects: [{type: team, name: everyone}]
permissions: [{resourceType: tenant, resourceFqn: acme, role: provider-account-access}]
"""


def test_models_of_an_account_share_the_set_of_those_who_may_use_them():
    """With a set for each, ten thousand models granted to ten thousand users took 5 GiB."""
    targets = compiled(TWO_ACCOUNTS.replace("name: any\n", f"name: any\n{GIVEN}")).targets

    assert targets["any/*"].users is targets["any/fixed"].users


def test_so_do_models_that_were_granted_on_the_account_and_on_all():
    targets = compiled(TWO_ACCOUNTS.replace("name: any\n", f"name: any\n{GIVEN}") + TENANT_WIDE).targets

    assert targets["any/fixed"].users == {"team:a", "team:everyone"}
    assert targets["any/*"].users is targets["any/fixed"].users


def test_subjects_that_were_given_the_same_share_it():
    users = ", ".join(f"{{subject: 'user:{name}@b.c', role_id: provider-account-access}}" for name in "xyz")
    grants = compiled(TWO_ACCOUNTS.replace("name: any\n", f"name: any\ncollaborators: [{users}]\n")).access.grants

    assert grants["user:x@b.c"] is grants["user:z@b.c"]


# --- what is taken over from the snapshot before -----------------------------


def recompiled(before, text, **environ):
    secrets = Secrets({"OPENAI_API_KEY": "k", **environ})
    return compile_snapshot(loads(text, "gateway.yaml"), PROVIDERS, secrets, before=before)


def test_what_has_not_changed_stays_the_same_object():
    """Also when who may use it, and how many others there are, is worked out anew."""
    text = TWO_ACCOUNTS.replace("name: any\n", f"name: any\n{GIVEN}")
    before = compiled(text)

    after = recompiled(before, text.replace("gpt-5", "gpt-6"))

    assert after.targets["main/gpt"].model == "gpt-6"
    assert after.targets["any/fixed"] is before.targets["any/fixed"]
    assert (
        after.documents["provider-account/openrouter", "any"] is before.documents["provider-account/openrouter", "any"]
    )


def test_who_gets_or_loses_a_grant_does_so_all_the_same():
    before = compiled(TWO_ACCOUNTS + TENANT_WIDE)

    after = recompiled(before, TWO_ACCOUNTS)

    assert before.targets["any/fixed"].users == {"team:everyone"}
    assert after.targets["any/fixed"].users == frozenset()
    assert recompiled(after, TWO_ACCOUNTS + TENANT_WIDE).targets["any/fixed"].users == {"team:everyone"}


def test_another_secret_is_another_account():
    before = compiled(TWO_ACCOUNTS)

    after = recompiled(before, TWO_ACCOUNTS, OPENAI_API_KEY="other")

    assert b"authorization: Bearer other\r\n" in after.targets["main/gpt"].settings.endpoints["chat"].head
    assert after.targets["any/fixed"] is before.targets["any/fixed"]


def test_a_secret_that_is_gone_leaves_the_account_out():
    after = recompiled(compiled(TWO_ACCOUNTS), TWO_ACCOUNTS, OPENAI_API_KEY="")

    assert [*after.targets] == ["any/*", "any/fixed"]


def test_warnings_are_said_again_and_know_where_they_are_now():
    text = TWO_ACCOUNTS.replace("name: any\n", "name: any\nspeed: fast\n")
    before = compiled(text)

    assert [str(each) for each in recompiled(before, text).warnings] == ["gateway.yaml:10: speed: unknown field"]
    assert [str(each) for each in recompiled(before, f"\n{text}").warnings] == ["gateway.yaml:11: speed: unknown field"]


def test_a_fault_of_the_next_one_is_not_hidden():
    with pytest.raises(ConfigError) as refused:
        recompiled(compiled(TWO_ACCOUNTS), TWO_ACCOUNTS.replace("model_id: deep", "model_id: 5"))

    assert [str(fault) for fault in refused.value.faults] == [
        "gateway.yaml:6: integrations[1].model_id: must be text; put it in quotes"
    ]


def test_what_is_stored_is_not_trusted_for_having_stood_in_a_file():
    """There, references lead to the operator's own secrets."""
    before = compiled(TWO_ACCOUNTS)

    after = compile_snapshot(stored(TWO_ACCOUNTS), PROVIDERS, Secrets({"OPENAI_API_KEY": "k"}), before=before)

    assert [*after.targets] == ["any/*", "any/fixed"]
    assert len(after.left_out) == 1
