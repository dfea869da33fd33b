"""From manifests of guardrails to rules."""

import json
from dataclasses import replace

import pytest

from gateway.config.compile.snapshot import compile_snapshot
from gateway.contract import Hook
from gateway.errors import ConfigError
from gateway.guardrails.metadata import MetadataGuardrail
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.rules.limits.rule import Filter

DEMO = """\
type: provider-account/demo
name: demo
integrations: [{type: integration/model/demo, name: echo, model_types: [chat]}]"""
EVERY = {"model": {"condition": "in", "values": ["*"]}}
CHECK = {
    "type": "integration/guardrail-config/tfy-metadata",
    "name": "need",
    "enforcing_strategy": "audit",
    "priority": 3,
    "config": {"keys": {"project_id": {}}},
}


def group(*integrations, name="safety"):
    return json.dumps({"type": "provider-account/guardrail-config-group", "name": name, "integrations": integrations})


def rules(*these):
    return json.dumps({"type": "gateway-guardrails-config", "rules": these})


def rule(*names, conditions=EVERY, subjects=None, metadata=None, **fields):
    return {
        "id": "r",
        "when": {
            "target": {"operator": "or", "conditions": conditions},
            "subjects": subjects or {},
            "metadata": metadata or {},
        },
        "llm_input_guardrails": names,
        "llm_output_guardrails": [],
        "mcp_tool_pre_invoke_guardrails": [],
        "mcp_tool_post_invoke_guardrails": [],
        **fields,
    }


def stored(*texts):
    return [replace(each, file="database", version=1) for text in texts for each in loads(text)]


def compiled(*texts, more=()):
    manifests = [*loads("\n---\n".join((DEMO, *texts)), "gateway.yaml"), *more]
    return compile_snapshot(manifests, providers_by_type(), Secrets({}))


def said(faults):
    return [f"{fault.path}: {fault.message}" for fault in faults]


def faults_of(*texts):
    with pytest.raises(ConfigError) as refused:
        compiled(*texts)
    return [*map(str, refused.value.faults)]


def test_a_rule_with_all_there_is_to_say():
    conditions = {"model": {"condition": "not_in", "values": ["demo/echo"]}}
    subjects = {"conditions": {"in": ["team:red", "serviceaccount:ci"], "not_in": ["user:Ana@example.com"]}}
    text = rule(
        "safety/need", conditions=conditions, subjects=subjects, metadata={"env": "prod"}, custom_error_message="no"
    )

    snapshot = compiled(group(CHECK), rules(text))

    [found] = snapshot.guards.by_hook[Hook.LLM_INPUT]
    [check] = found.checks
    assert snapshot.warnings == ()
    assert found.models == Filter(never=frozenset({"demo/echo"}))
    assert found.subjects == (
        Filter(frozenset({"team:red", "virtualaccount:ci"}), frozenset({"user:ana@example.com"})),
    )
    assert (found.metadata, found.message) == ({"env": "prod"}, "no")
    assert isinstance(check.guardrail, MetadataGuardrail)
    assert (check.guardrail.name, check.strategy, check.priority) == ("safety/need", "audit", 3)


def test_either_list_of_subjects_is_enough_with_or():
    subjects = {"operator": "or", "conditions": {"in": ["team:red"], "not_in": ["team:blue"]}}

    [found] = compiled(group(CHECK), rules(rule("safety/need", subjects=subjects))).guards.by_hook[Hook.LLM_INPUT]

    assert found.subjects == (Filter(frozenset({"team:red"})), Filter(never=frozenset({"team:blue"})))


def test_without_manifests_there_are_no_rules():
    guards = compiled().guards

    assert (guards.by_hook, guards.timeout_s) == ({}, 5.0)


def test_the_time_limit():
    settings = "{type: gateway-global-settings, name: s, guardrail_settings: {timeout_ms: 250}}"

    assert compiled(settings).guards.timeout_s == 0.25


def test_a_selector_that_names_nothing():
    """It is found where it stands: a guardrail that is not there lets everything through."""
    text = """\
type: gateway-guardrails-config
rules:
  - id: r
    when: {target: {conditions: {model: {condition: in, values: ["*"]}}}}
    llm_input_guardrails:
      - safety/need
      - safety/nee
    llm_output_guardrails: []
    mcp_tool_pre_invoke_guardrails: []
    mcp_tool_post_invoke_guardrails: [need]
"""

    faults = faults_of(group(CHECK), text)

    assert faults == [
        "gateway.yaml:13: rules[0].llm_input_guardrails[1]: there is no guardrail safety/nee; write <group>/<name>",
        "gateway.yaml:16: rules[0].mcp_tool_post_invoke_guardrails[0]: there is no guardrail need; "
        "write <group>/<name>",
    ]


def test_a_stored_one_is_left_out():
    """As other stored manifests that name what is not there. The rest is in force."""
    snapshot = compiled(group(CHECK), more=stored(rules(rule("safety/nee"))))

    assert said(snapshot.left_out) == [
        "rules[0].llm_input_guardrails[0]: there is no guardrail safety/nee; write <group>/<name>"
    ]
    assert snapshot.guards.by_hook == {}


def test_a_pattern_that_is_none():
    key = {"value": {"constraint": "regex", "regex": "T-["}}

    [fault] = faults_of(group({**CHECK, "config": {"keys": {"ticket": key}}}))

    assert fault == (
        "gateway.yaml:5: integrations[0].config.keys.ticket.value.regex: is no regular expression: "
        "unterminated character set at position 2"
    )


def test_guardrails_that_nobody_makes():
    """One warning each, where they are registered, and none for each rule that names them."""
    kind = "integration/guardrail-config/plugin"
    other = {"type": kind, "name": "pii", "enforcing_strategy": "enforce", "config": {"plugin": "acme"}}
    text = rule("safety/need", "safety/pii", llm_output_guardrails=["safety/pii"])

    snapshot = compiled(group(CHECK, other), rules(text))

    [found] = snapshot.guards.by_hook[Hook.LLM_INPUT]
    assert [check.guardrail.name for check in found.checks] == ["safety/need"]
    assert said(snapshot.warnings) == [
        "integrations[1].type: integration/guardrail-config/acme does nothing: no plugin of that name is installed "
        "(entry points of the group gateway.guardrails)"
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            rule(llm_output_guardrails=["safety/need"]),
            "rules[0].llm_output_guardrails[0]: safety/need is asked about llm_input alone, so here it does nothing",
        ),
        (
            rule("safety/need", conditions={}),
            "rules[0].llm_input_guardrails: nobody has to pass it: "
            "name models in when.target.conditions.model, or * for all",
        ),
    ],
)
def test_rules_that_do_nothing(text, warning):
    snapshot = compiled(group(CHECK), rules(text))

    assert said(snapshot.warnings) == [warning]
    assert snapshot.guards.by_hook == {}


def test_names_that_nobody_has():
    conditions = {"model": {"condition": "in", "values": ["demo/ecko"]}}
    subjects = {"conditions": {"not_in": ["bob"]}}

    snapshot = compiled(group(CHECK), rules(rule("safety/need", conditions=conditions, subjects=subjects)))

    assert said(snapshot.warnings) == [
        "rules[0].when.target.conditions.model.values[0]: demo/ecko is no model of any account",
        "rules[0].when.subjects.conditions.not_in[0]: nobody is meant: write user:<email>, team:<name> or "
        "virtualaccount:<name>",
    ]


def test_a_group_has_a_name_among_accounts():
    """Grants are on names, whatever the account is for."""
    [fault] = faults_of(group(CHECK, name="demo"))

    assert fault == "gateway.yaml:5: name: a second account named demo; the first is in gateway.yaml:1"
