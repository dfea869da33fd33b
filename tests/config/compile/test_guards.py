"""From manifests of guardrails to rules."""

import json
from dataclasses import replace

import pytest

from gateway.config.compile.guards import GuardCompiler
from gateway.config.compile.snapshot import compile_snapshot
from gateway.contract import Hook, Subject
from gateway.errors import ConfigError, UpstreamError
from gateway.guardrails.metadata import MetadataGuardrail
from gateway.guardrails.unavailable import UnavailableGuardrail
from gateway.manifests import Secrets, loads, read
from gateway.manifests.kinds import STRUCTS
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
    """One warning each, where they are registered, and none for each rule that names them. They were left out, also
    where they were to be enforced."""
    kind = "integration/guardrail-config/plugin"
    other = {"type": kind, "name": "pii", "enforcing_strategy": "enforce", "config": {"plugin": "acme"}}
    text = rule("safety/need", "safety/pii", llm_output_guardrails=["safety/pii"])

    snapshot = compiled(group(CHECK, other), rules(text))

    [found] = snapshot.guards.by_hook[Hook.LLM_INPUT]
    assert [(check.name, check.blocks_on_error) for check in found.checks] == [
        ("safety/need", False),
        ("safety/pii", True),
    ]
    assert said(snapshot.warnings) == [
        "integrations[1].type: integration/guardrail-config/acme cannot be asked: no plugin of that name is installed "
        "(entry points of the group gateway.guardrails); so with `enforce`, whatever has to pass it is stopped"
    ]


async def test_one_that_cannot_be_asked_has_failed():
    other = kind("trojai", auth_data={"client_id": "c"}, operation="mutate")

    snapshot = compiled(group(other), rules(rule("safety/g")))

    check = snapshot.guards.checks["safety/g"]
    assert not check.mutates
    assert "TrojAI gives the description of its API to customers alone" in said(snapshot.warnings)[0]
    with pytest.raises(UpstreamError, match="cannot be asked"):
        await check.guardrail.check(Subject(Hook.LLM_INPUT, None, None, {}))


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


# --- kinds ------------------------------------------------------------------------------------------------------------


def kind(name, label="g", **fields):
    return {"type": f"integration/guardrail-config/{name}", "name": label, "enforcing_strategy": "enforce", **fields}


def test_a_pattern_that_re2_does_not_know():
    pytest.importorskip("re2")
    custom = [{"pattern": "a"}, {"pattern": "(?=a)"}]

    [fault] = faults_of(group(kind("regex", config={"custom_patterns": custom})))

    place = "gateway.yaml:5: integrations[0].config: custom_patterns[1]"
    assert fault == f"{place}: is no expression of RE2: invalid perl operator: (?="


def test_what_a_check_is_made_of():
    pytest.importorskip("re2")
    redacts = kind("secret-detection", operation="mutate", priority=7)

    checks = compiled(group(redacts, kind("tfy-pii", "p"))).guards.checks

    found = {name: (check.mutates, check.priority, check.finder is not None) for name, check in checks.items()}
    assert found == {"safety/g": (True, 7, True), "safety/p": (False, 1, True)}


def test_what_no_pattern_can_find():
    pytest.importorskip("re2")
    config = {"pii_categories": ["Email", "Person", "Address"]}

    assert said(compiled(group(kind("tfy-pii", config=config))).warnings) == [
        "integrations[0].config.pii_categories: Person, Address: such things are found by a model alone, as behind "
        "azure-pii or custom"
    ]


def test_content_moderation_as_it_is_written_elsewhere():
    """There, it has a model of its own."""
    moderation = kind("tfy-content-moderation", config={"severity_threshold": 2, "categories": ["Hate"]})

    snapshot = compiled(group(moderation), rules(rule("safety/g")))

    assert said(snapshot.warnings) == [
        "integrations[0].type: integration/guardrail-config/tfy-content-moderation cannot be asked: "
        "config.model names none of your models that judges; so with `enforce`, whatever has to pass it is stopped"
    ]
    assert isinstance(snapshot.guards.checks["safety/g"].guardrail, UnavailableGuardrail)


def test_one_of_a_plugin():
    """By the name of its entry point, with whatever config it wants, and its credentials."""
    made = []

    class Polite:
        hooks = frozenset(Hook)

        def __init__(self, spec):
            self.name = spec.name
            made.append(spec)

    integration = kind("plugin", config={"plugin": "polite", "config": {"word": "please"}}, auth_data={"key": "k"})
    documents = [
        (each, read(each, STRUCTS[each.type], Secrets({}))[0]) for each in loads(group(integration), "gateway.yaml")
    ]
    compiler = GuardCompiler(lambda _: None, plugin={"polite": Polite}.get)

    checks = compiler.compile(documents).checks

    assert isinstance(checks["safety/g"].guardrail, Polite)
    assert [(spec.kind, spec.config, spec.auth) for spec in made] == [("polite", {"word": "please"}, {"key": "k"})]


def test_a_plugin_that_fails_is_a_fault():
    def make(spec):
        raise RuntimeError("x")

    integration = kind("plugin", config={"plugin": "polite"})
    documents = [
        (each, read(each, STRUCTS[each.type], Secrets({}))[0]) for each in loads(group(integration), "gateway.yaml")
    ]
    compiler = GuardCompiler(lambda _: None, plugin=lambda _: make)

    compiler.compile(documents)

    assert [fault.message for _, fault in compiler.faults] == [
        "the guardrail failed with RuntimeError; the log has more"
    ]


@pytest.mark.parametrize(("model", "warnings"), [("demo/echo", 0), ("demo/ecko", 1)])
def test_a_judge_that_is_no_model(model, warnings):
    judge = kind("llm-judge", config={"model": model, "policy": "no cats"})

    assert len(compiled(group(judge)).warnings) == warnings


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"url": "ftp://x"}, "integrations[0].config.url: must be an http or https URL"),
        ({"url": "http://169.254.169.254/x"}, "integrations[0].config.url: cannot be called"),
        ({"url": "https://x.example.com", "headers": {"Host": "y"}}, "integrations[0].config.headers.Host"),
    ],
)
def test_a_service_that_must_not_be_called(config, fault):
    [found] = faults_of(group(kind("custom", target="request", config=config)))

    assert fault in found


def test_a_region_is_no_way_to_another_host():
    config = {"guardrail_id": "a", "guardrail_version": "1", "region": "x.evil.example/"}

    [fault] = faults_of(group(kind("aws-bedrock", config=config)))

    assert fault == "gateway.yaml:5: integrations[0].config.region: must be letters, digits and hyphens"


def test_services_of_stored_manifests_are_called_as_their_models_are():
    """Nobody vouches for their addresses: they are looked at when connecting."""
    service = kind("custom", target="request", config={"url": "https://guard.example.com"})
    guarded = object()
    texts = stored(group(service, name="theirs"))

    snapshot = compile_snapshot(
        [*loads(f"{DEMO}\n---\n{group(service)}", "gateway.yaml"), *texts],
        providers_by_type(),
        Secrets({}),
        guarded=guarded,
    )

    checks = snapshot.guards.checks
    assert (checks["safety/g"].upstream, checks["theirs/g"].upstream) == (None, guarded)


def test_settings_of_parallel_execution():
    settings = "{type: gateway-global-settings, name: s, guardrail_settings: {enable_parallel_execution: false}}"

    assert compiled().guards.is_parallel
    assert not compiled(settings).guards.is_parallel


def test_rules_for_tools_are_kept_without_a_word():
    pytest.importorskip("re2")
    conditions = {"mcpServers": {"condition": "in", "values": ["postgres"]}}
    tools = rule(conditions=conditions, mcp_tool_pre_invoke_guardrails=["safety/g"])

    snapshot = compiled(group(kind("secret-detection")), rules(tools))

    assert (snapshot.warnings, snapshot.guards.by_hook) == ((), {})
