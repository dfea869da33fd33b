"""What manifests of guardrails are read into."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.manifests import Manifest, Secrets, loads, read
from gateway.manifests.accounts import Collaborator, Owner
from gateway.manifests.guardrail_kinds import KINDS, Open
from gateway.manifests.guardrails import (
    Condition,
    GuardrailGroup,
    GuardrailsConfig,
    GuardrailsRule,
    GuardWhen,
    MetadataConfig,
    MetadataIntegration,
    MetadataKey,
    SubjectsWhen,
    TargetConditions,
    TargetWhen,
    ToolCondition,
    ToolsOfServer,
    ValueAmong,
    ValueByPattern,
)
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.scopes import Selection
from gateway.manifests.secret_fields import change_secrets

TYPES = ("gateway-guardrails-config", "provider-account/guardrail-config-group")
GROUP = """\
type: provider-account/guardrail-config-group
name: safety
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
ownedBy: {account: acme}
integrations:
  - type: integration/guardrail-config/tfy-metadata
    name: need-metadata
    description: who asks, and what for
    operation: validate
    priority: 2
    enforcing_strategy: enforce
    config:
      allow_unknown_keys: false
      keys:
        project_id: {required: true}
        environment: {required: true, value: {constraint: allowed_values, allowed_values: [dev, production]}}
        ticket: {required: false, value: {constraint: regex, regex: "^T-[0-9]+$"}}
"""

RULES = """\
name: guards
type: gateway-guardrails-config
rules:
  - id: all-models
    when:
      target: {operator: or, conditions: {model: {condition: in, values: ["*"]}}}
      subjects: {operator: and, conditions: {in: ["team:everyone"], not_in: ["user:bob@example.com"]}}
      metadata: {environment: production}
    llm_input_guardrails: [safety/need-metadata]
    llm_output_guardrails: [safety/secrets]
    mcp_tool_pre_invoke_guardrails: []
    mcp_tool_post_invoke_guardrails: []
    custom_error_message: "Blocked by {{failed_guardrails}}: {{guardrail_message}}"
  - id: db-tools
    when:
      target:
        operator: or
        conditions:
          mcpServers: {condition: in, values: [postgres]}
          mcpTools: {condition: in, values: [{name: github, enable_all_tools: false, enabled_tools: [delete_repo]}]}
    llm_input_guardrails: []
    llm_output_guardrails: []
    mcp_tool_pre_invoke_guardrails: [safety/sql, safety/cedar]
    mcp_tool_post_invoke_guardrails: [safety/pii]
"""

ELSEWHERE = """\
type: provider-account/guardrail-config-group
name: safety
integrations:
  - {type: integration/guardrail-config/tfy-pii, name: pii, operation: mutate, priority: 1, enforcing_strategy: enforce, config: {pii_categories: [Email]}}
  - {type: integration/guardrail-config/tfy-prompt-injection, name: injection, operation: validate, enforcing_strategy: enforce}
  - {type: integration/guardrail-config/opa, name: opa, operation: validate, enforcing_strategy: enforce, auth_data: {type: bearer-auth, bearer_token: key-of-opa}, config: {opa_url: "https://opa:8181", policy_path: authz/allow}}
  - type: integration/guardrail-config/custom
    name: mine
    operation: mutate
    priority: 5
    enforcing_strategy: audit
    target: request
    auth_data: {type: basic-auth, username: ana, password: "two\\nlines"}
    config: {url: "https://guard.example.com/check", headers: {X-A: key-in-header}, config: {threshold: 0.7}}
  - {type: integration/guardrail-config/grayswan-cygnal, name: gray, operation: validate, enforcing_strategy: enforce, auth_data: {type: api-key, api_key: k}, config: {reasoning_mode: "off", rules: {a: b}}}
"""  # noqa: E501 - as the source has them


def document(text):
    """What a text is read as; there must be nothing in it that is not known."""
    [manifest] = loads(text)
    found, unknown = read(manifest, STRUCTS[manifest.type], Secrets({}))
    assert unknown == []
    return found


def faults_of(text):
    with pytest.raises(ConfigError) as refused:
        document(text)
    return [f"{fault.path}: {fault.message}" for fault in refused.value.faults]


def test_a_group():
    assert document(GROUP) == GuardrailGroup(
        type="provider-account/guardrail-config-group",
        name="safety",
        collaborators=(Collaborator(subject="team:everyone", role_id="provider-account-access"),),
        owned_by=Owner(account="acme"),
        integrations=(
            MetadataIntegration(
                name="need-metadata",
                description="who asks, and what for",
                operation="validate",
                priority=2,
                enforcing_strategy="enforce",
                config=MetadataConfig(
                    allow_unknown_keys=False,
                    keys={
                        "project_id": MetadataKey(),
                        "environment": MetadataKey(value=ValueAmong(allowed_values=("dev", "production"))),
                        "ticket": MetadataKey(required=False, value=ValueByPattern(regex="^T-[0-9]+$")),
                    },
                ),
            ),
        ),
    )


def test_rules():
    assert document(RULES) == GuardrailsConfig(
        type="gateway-guardrails-config",
        name="guards",
        rules=(
            GuardrailsRule(
                id="all-models",
                when=GuardWhen(
                    target=TargetWhen(conditions=TargetConditions(model=Condition(condition="in", values=("*",)))),
                    subjects=SubjectsWhen(
                        conditions=Selection(in_=("team:everyone",), not_in=("user:bob@example.com",))
                    ),
                    metadata={"environment": "production"},
                ),
                llm_input_guardrails=("safety/need-metadata",),
                llm_output_guardrails=("safety/secrets",),
                mcp_tool_pre_invoke_guardrails=(),
                mcp_tool_post_invoke_guardrails=(),
                custom_error_message="Blocked by {{failed_guardrails}}: {{guardrail_message}}",
            ),
            GuardrailsRule(
                id="db-tools",
                when=GuardWhen(
                    target=TargetWhen(
                        conditions=TargetConditions(
                            mcp_servers=Condition(condition="in", values=("postgres",)),
                            mcp_tools=ToolCondition(
                                condition="in",
                                values=(ToolsOfServer(name="github", enabled_tools=("delete_repo",)),),
                            ),
                        )
                    )
                ),
                llm_input_guardrails=(),
                llm_output_guardrails=(),
                mcp_tool_pre_invoke_guardrails=("safety/sql", "safety/cedar"),
                mcp_tool_post_invoke_guardrails=("safety/pii",),
            ),
        ),
    )


def test_guardrails_that_are_not_supported_are_read():
    """Whoever moves here has them already, and the others are to hold."""
    group = document(ELSEWHERE)

    assert [(each.name, each.operation, each.priority, each.enforcing_strategy) for each in group.integrations] == [
        ("pii", "mutate", 1, "enforce"),
        ("injection", "validate", 1, "enforce"),
        ("opa", "validate", 1, "enforce"),
        ("mine", "mutate", 5, "audit"),
        ("gray", "validate", 1, "enforce"),
    ]


def test_their_secrets_are_secrets():
    """They are masked where the manifest is shown, though nobody uses them yet."""
    [manifest] = loads(ELSEWHERE)

    masked = change_secrets(GuardrailGroup, manifest.data, lambda *_: "***")

    assert [each.get("auth_data") for each in masked["integrations"]] == [
        None,
        None,
        {"type": "***", "bearer_token": "***"},
        {"type": "***", "username": "***", "password": "***"},
        {"type": "***", "api_key": "***"},
    ]
    assert masked["integrations"][3]["config"]["headers"] == {"X-A": "***"}
    assert "key-of-opa" not in repr(document(ELSEWHERE))


def test_every_kind_of_the_source_is_known():
    integrations = "".join(
        f"  - {{type: integration/guardrail-config/{kind}, name: a-{kind}, enforcing_strategy: audit}}\n"
        for kind, (config, default, _) in KINDS.items()
        if config is Open or default is not None
    )

    group = document(f"type: provider-account/guardrail-config-group\nname: g\nintegrations:\n{integrations}")

    assert len(group.integrations) == 19
    assert KINDS.keys() >= {
        *("akto", "aws-bedrock", "azure-content-safety", "azure-pii", "azure-prompt-shield", "calypsoai", "cedar"),
        *("cisco-ai-defense", "code-safety-linter", "crowdstrike-aidr", "enkrypt-ai", "fiddler", "google-model-armor"),
        *("grayswan-cygnal", "noma-security", "opa", "openai-moderations", "palo-alto-prisma-airs", "patronus"),
        *("regex", "secret-detection", "sql-sanitizer", "tfy-content-moderation", "tfy-pii", "tfy-prompt-injection"),
        "trojai",
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("need-metadata", "ab", "integrations[0].name: must be a name of 3 to 36 characters without whitespace"),
        ("need-metadata", "a" * 37, "integrations[0].name: must be a name of 3 to 36 characters without whitespace"),
        ("operation: validate", "operation: mutate", "integrations[0].operation: must be one of: validate"),
        (
            "enforcing_strategy: enforce\n",
            "enforcing_strategy: block\n",
            "integrations[0].enforcing_strategy: must be one of: enforce, enforce_but_ignore_on_error, audit",
        ),
        (
            "    enforcing_strategy: enforce\n",
            "",
            "integrations[0]: missing required field `enforcing_strategy`",
        ),
        (
            "constraint: regex",
            "constraint: glob",
            "integrations[0].config.keys.ticket.value.constraint: must be one of: regex, allowed_values",
        ),
    ],
)
def test_what_is_wrong_with_a_group(old, new, fault):
    assert faults_of(GROUP.replace(old, new)) == [fault]


@pytest.mark.parametrize(
    "field",
    [
        "when",
        "llm_input_guardrails",
        "llm_output_guardrails",
        "mcp_tool_pre_invoke_guardrails",
        "mcp_tool_post_invoke_guardrails",
    ],
)
def test_what_a_rule_has_to_say(field):
    """A list that was forgotten, or misspelled, would be a guardrail that nobody passes."""
    fields = {
        "when": "{}",
        "llm_input_guardrails": "[]",
        "llm_output_guardrails": "[]",
        "mcp_tool_pre_invoke_guardrails": "[]",
        "mcp_tool_post_invoke_guardrails": "[]",
    }
    del fields[field]
    rule = ", ".join(f"{name}: {value}" for name, value in fields.items())

    faults = faults_of(f"{{type: gateway-guardrails-config, rules: [{{id: a, {rule}}}]}}")

    assert faults == [f"rules[0]: missing required field `{field}`"]


def test_names_stand_once():
    twice = GROUP + GROUP.partition("integrations:\n")[2]
    rules = RULES.replace("db-tools", "all-models")

    assert faults_of(twice) == [": 'need-metadata' stands twice as the name of an integration"]
    assert faults_of(rules) == [": 'all-models' stands twice as the id of a rule"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["integrations", "rules", "name", "collaborators", "ownedBy", "x"])


@given(st.sampled_from(TYPES), st.dictionaries(FIELDS, JUNK))
def test_junk_is_a_fault(kind, fields):
    """Anybody who may apply manifests may send anything; nothing but a ConfigError may come of it."""
    data = {"type": kind, **fields}

    with suppress(ConfigError):
        found, _ = read(Manifest(kind, "a", "gateway.yaml", 1, data), STRUCTS[kind], Secrets({}))
        assert isinstance(found, STRUCTS[kind])
