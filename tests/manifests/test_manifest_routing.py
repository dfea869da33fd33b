"""Virtual models, rules and global settings, as the samples have them."""

import pytest

from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.manifests.accounts import Collaborator, Owner
from gateway.manifests.guardrails import GuardrailSettings
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.routing import (
    ComplexityRouting,
    FailureTolerance,
    FallbackConfig,
    FallbackModel,
    FallbackRule,
    FallbackWhen,
    GlobalSettings,
    HeadersOverride,
    Heuristic,
    LatencyRouting,
    LatencyRule,
    LlmClassifier,
    LoadBalanceTarget,
    ModelConfig,
    PriorityRouting,
    PriorityRule,
    PriorityTarget,
    RetryConfig,
    SessionIdentifier,
    SlaCutoff,
    StaticTier,
    StickyRouting,
    TierTarget,
    UsageLimits,
    VirtualModel,
    WeightRouting,
    WeightRule,
    WeightTarget,
    When,
)
from gateway.manifests.telemetry import LogByHeader

VIRTUAL = """\
type: provider-account/virtual-model
name: prod
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
ownedBy: {account: acme}
integrations:
  - type: integration/model/virtual
    name: chat-weighted
    model_types: [chat, responses]
    slug: acme-chat
    alias: [gpt-4o, acme-default]
    routing_config:
      type: weight-based-routing
      sticky_routing:
        ttl_seconds: 3600
        session_identifiers: [{source: headers, key: x-session-id}, {source: metadata, key: user_id}]
      load_balance_targets:
        - target: azure-eu/gpt-4o
          weight: 80
          retry_config: {attempts: 2, delay: 100, on_status_codes: ["429", "500", "502", "503"]}
          fallback_status_codes: ["401", "403", "404", "408", "429", "500", "502", "503"]
          fallback_candidate: true
          override_params: {temperature: 0.2, max_tokens: 2048}
          headers_override: {set: {x-region: eu}, remove: [x-internal]}
          metadata_match: {tfy_gateway_region: EU}
        - {target: openai-main/gpt-4o, weight: 20}
  - type: integration/model/virtual
    name: chat-priority
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - target: gpu-farm/llama-70b
          priority: 0
          sla_cutoff: {time_per_output_token_ms: 50, time_to_first_token_ms: 1500}
        - {target: openai-main/gpt-4o, priority: 1, fallback_candidate: true}
  - type: integration/model/virtual
    name: chat-fastest
    model_types: [chat]
    routing_config:
      {type: latency-based-routing, load_balance_targets: [{target: azure-eu/gpt-4o}, {target: openai-main/gpt-4o}]}
  - type: integration/model/virtual
    name: chat-auto
    model_types: [chat]
    routing_config:
      type: complexity-based-routing
      classification_strategy:
        type: llm-classifier
        model: openai-main/gpt-4o
        timeout_ms: 2000
        fallback_strategy: {type: static, default_tier: medium}
      load_balance_targets:
        - {target: gpu-farm/llama-70b, tier: simple}
        - {target: openai-main/gpt-4o, tier: medium}
        - {target: anthropic-main/claude-sonnet, tier: complex, fallback_candidate: true}
"""

RULES = """\
name: routing
type: gateway-load-balancing-config
rules:
  - id: prod-chat
    type: weight-based-routing
    when: {subjects: ["team:engineering", "virtualaccount:app"], models: [gpt-4o], metadata: {environment: production}}
    sticky_routing: {ttl_seconds: 600, session_identifiers: [{source: headers, key: x-user-id}]}
    load_balance_targets:
      - {target: azure-eu/gpt-4o, weight: 90, retry_config: {attempts: 1}, fallback_status_codes: ["429", "500"]}
      - {target: openai-main/gpt-4o, weight: 10, override_params: {temperature: 0}}
  - id: premium
    type: priority-based-routing
    when: {subjects: ["team:premium"]}
    load_balance_targets:
      - {target: openai-main/gpt-4o, priority: 0, sla_cutoff: {time_per_output_token_ms: 50}}
      - {target: azure-eu/gpt-4o, priority: 1}
  - id: rest
    type: latency-based-routing
    when: {}
    load_balance_targets: [{target: openai-main/gpt-4o}, {target: azure-eu/gpt-4o}]
"""

FALLBACK = """\
name: fb
type: gateway-fallback-config
rules:
  - id: openai-down
    when:
      subjects: ["*"]
      models: [openai-main/gpt-4o]
      metadata: {environment: production}
      response_status_codes: [429, 500, 503]
    fallback_models: [{target: azure-eu/gpt-4o, override_params: {temperature: 0.1}}]
"""

GLOBAL = """\
name: global
type: gateway-global-settings
retry_settings: {attempts: 2, delay: 100, on_status_codes: ["429", "500", "502", "503"]}
logging_settings: {type: header_controlled, log_body_by_default: true}
semantic_cache_settings: {semantic_cache_embedding_model: openai-main/text-embedding-3-small}
guardrail_settings: {timeout_ms: 8000, enable_parallel_execution: true}
"""


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


def virtual(routing, **fields):
    more = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    return (
        "type: provider-account/virtual-model\nname: v\nintegrations:\n"
        "  - type: integration/model/virtual\n    name: m\n"
        f"    model_types: [chat]\n{more}    routing_config: {routing}\n"
    )


def of_targets(targets, kind="priority"):
    return virtual(f"{{type: {kind}-based-routing, load_balance_targets: {targets}}}")


def test_virtual_models():
    group = document(VIRTUAL)

    assert (group.name, group.owned_by) == ("prod", Owner(account="acme"))
    assert group.collaborators == (Collaborator(subject="team:everyone", role_id="provider-account-access"),)
    weighted, priority, fastest, auto = group.integrations
    assert weighted == VirtualModel(
        type="integration/model/virtual",
        name="chat-weighted",
        model_types=("chat", "responses"),
        slug="acme-chat",
        alias=("gpt-4o", "acme-default"),
        routing_config=WeightRouting(
            sticky_routing=StickyRouting(
                ttl_seconds=3600,
                session_identifiers=(
                    SessionIdentifier(source="headers", key="x-session-id"),
                    SessionIdentifier(source="metadata", key="user_id"),
                ),
            ),
            load_balance_targets=(
                WeightTarget(
                    target="azure-eu/gpt-4o",
                    weight=80,
                    retry_config=RetryConfig(attempts=2, delay=100, on_status_codes=("429", "500", "502", "503")),
                    fallback_status_codes=("401", "403", "404", "408", "429", "500", "502", "503"),
                    fallback_candidate=True,
                    override_params={"temperature": 0.2, "max_tokens": 2048},
                    headers_override=HeadersOverride(set={"x-region": "eu"}, remove=("x-internal",)),
                    metadata_match={"tfy_gateway_region": "EU"},
                ),
                WeightTarget(target="openai-main/gpt-4o", weight=20),
            ),
        ),
    )
    assert priority.routing_config == PriorityRouting(
        load_balance_targets=(
            PriorityTarget(
                target="gpu-farm/llama-70b",
                priority=0,
                sla_cutoff=SlaCutoff(time_per_output_token_ms=50, time_to_first_token_ms=1500),
            ),
            PriorityTarget(target="openai-main/gpt-4o", priority=1, fallback_candidate=True),
        )
    )
    assert fastest.routing_config == LatencyRouting(
        load_balance_targets=(
            LoadBalanceTarget(target="azure-eu/gpt-4o"),
            LoadBalanceTarget(target="openai-main/gpt-4o"),
        )
    )
    assert auto.routing_config == ComplexityRouting(
        classification_strategy=LlmClassifier(
            model="openai-main/gpt-4o", timeout_ms=2000, fallback_strategy=StaticTier(default_tier="medium")
        ),
        load_balance_targets=(
            TierTarget(target="gpu-farm/llama-70b", tier="simple"),
            TierTarget(target="openai-main/gpt-4o", tier="medium"),
            TierTarget(target="anthropic-main/claude-sonnet", tier="complex", fallback_candidate=True),
        ),
    )


def test_rules():
    assert document(RULES).rules == (
        WeightRule(
            id="prod-chat",
            when=When(
                subjects=("team:engineering", "virtualaccount:app"),
                models=("gpt-4o",),
                metadata={"environment": "production"},
            ),
            sticky_routing=StickyRouting(
                ttl_seconds=600, session_identifiers=(SessionIdentifier(source="headers", key="x-user-id"),)
            ),
            load_balance_targets=(
                WeightTarget(
                    target="azure-eu/gpt-4o",
                    weight=90,
                    retry_config=RetryConfig(attempts=1),
                    fallback_status_codes=("429", "500"),
                ),
                WeightTarget(target="openai-main/gpt-4o", weight=10, override_params={"temperature": 0}),
            ),
        ),
        PriorityRule(
            id="premium",
            when=When(subjects=("team:premium",)),
            load_balance_targets=(
                PriorityTarget(
                    target="openai-main/gpt-4o", priority=0, sla_cutoff=SlaCutoff(time_per_output_token_ms=50)
                ),
                PriorityTarget(target="azure-eu/gpt-4o", priority=1),
            ),
        ),
        LatencyRule(
            id="rest",
            when=When(),
            load_balance_targets=(
                LoadBalanceTarget(target="openai-main/gpt-4o"),
                LoadBalanceTarget(target="azure-eu/gpt-4o"),
            ),
        ),
    )


def test_the_fallback_config_of_old():
    assert document(FALLBACK) == FallbackConfig(
        type="gateway-fallback-config",
        name="fb",
        rules=(
            FallbackRule(
                id="openai-down",
                when=FallbackWhen(
                    subjects=("*",),
                    models=("openai-main/gpt-4o",),
                    metadata={"environment": "production"},
                    response_status_codes=(429, 500, 503),
                ),
                fallback_models=(FallbackModel(target="azure-eu/gpt-4o", override_params={"temperature": 0.1}),),
            ),
        ),
    )


def test_global_settings():
    assert document(GLOBAL) == GlobalSettings(
        type="gateway-global-settings",
        name="global",
        retry_settings=RetryConfig(attempts=2, delay=100, on_status_codes=("429", "500", "502", "503")),
        logging_settings=LogByHeader(log_body_by_default=True),
        semantic_cache_settings={"semantic_cache_embedding_model": "openai-main/text-embedding-3-small"},
        guardrail_settings=GuardrailSettings(timeout_ms=8000, enable_parallel_execution=True),
    )


@pytest.mark.parametrize("family", ["load-balancing", "fallback", "priority"])
def test_rules_are_not_left_out(family):
    """What was meant to be said is lost, as when they stand one level too deep."""
    assert faults_of(f"{{type: gateway-{family}-config}}") == [": missing required field `rules`"]


def test_model_configs_of_2025():
    text = """\
type: gateway-load-balancing-config
rules: []
model_configs:
  - model: openai-main/gpt-4o
    usage_limits: {tokens_per_minute: 1000, requests_per_minute: 10}
    failure_tolerance: {allowed_failures_per_minute: 3, cooldown_period_minutes: 5, failure_status_codes: [429, 500]}
"""

    assert document(text).model_configs == (
        ModelConfig(
            model="openai-main/gpt-4o",
            usage_limits=UsageLimits(tokens_per_minute=1000, requests_per_minute=10),
            failure_tolerance=FailureTolerance(
                allowed_failures_per_minute=3, cooldown_period_minutes=5, failure_status_codes=(429, 500)
            ),
        ),
    )


@pytest.mark.parametrize(
    ("strategy", "read_as"),
    [
        ("{type: heuristic}", Heuristic()),
        ("{type: llm-classifier, model: a/m}", LlmClassifier(model="a/m", timeout_ms=2000)),
        (
            "{type: llm-classifier, model: a/m, timeout_ms: 5, fallback_strategy: {type: heuristic}}",
            LlmClassifier(model="a/m", timeout_ms=5, fallback_strategy=Heuristic()),
        ),
    ],
)
def test_ways_to_classify(strategy, read_as):
    text = virtual(
        f"{{type: complexity-based-routing, classification_strategy: {strategy}, "
        "load_balance_targets: [{target: a/m, tier: simple}]}"
    )

    assert document(text).integrations[0].routing_config.classification_strategy == read_as


@pytest.mark.parametrize(
    ("targets", "kind", "fault"),
    [
        ("[]", "priority", "load_balance_targets: Expected `array` of length >= 1"),
        ("[{target: a/m}]", "weight", "load_balance_targets[0]: missing required field `weight`"),
        ("[{target: a/m}]", "complexity", "load_balance_targets[0]: missing required field `tier`"),
        (
            "[{target: a/m, tier: hard}]",
            "complexity",
            "load_balance_targets[0].tier: must be one of: simple, medium, complex",
        ),
        ("[{target: a/m, weight: -1}]", "weight", "load_balance_targets[0].weight: Expected `float` >= 0.0"),
        (
            "[{target: a/m, fallback_status_codes: [429]}]",
            "priority",
            "load_balance_targets[0].fallback_status_codes[0]: must be text; put it in quotes",
        ),
        (
            "[{target: a/m, fallback_status_codes: ['42']}]",
            "priority",
            'load_balance_targets[0].fallback_status_codes[0]: must be a status in quotes, such as "503"',
        ),
        (
            "[{target: a/m, retry_config: {attempts: 0}}]",
            "priority",
            "load_balance_targets[0].retry_config.attempts: Expected `int` >= 1",
        ),
    ],
)
def test_what_is_wrong_with_targets(targets, kind, fault):
    assert faults_of(of_targets(targets, kind)) == [f"integrations[0].routing_config.{fault}"]


@pytest.mark.parametrize("kind", ["realtime", "ocr"])
def test_some_apis_have_no_virtual_models(kind):
    text = of_targets("[{target: a/m}]").replace("[chat]", f"[{kind}]")

    [fault] = faults_of(text)

    assert fault.startswith("integrations[0].model_types[0]: must be one of: chat, completion, embedding")


def test_rules_have_no_tiers():
    text = (
        "type: gateway-load-balancing-config\nrules:\n"
        "  - {id: x, type: complexity-based-routing, load_balance_targets: [{target: a/m, tier: simple}]}\n"
    )

    assert faults_of(text) == [
        "rules[0].type: must be one of: weight-based-routing, latency-based-routing, priority-based-routing"
    ]


def test_sticky_sessions_need_something_to_tell_them_by():
    text = virtual(
        "{type: weight-based-routing, "
        "sticky_routing: {ttl_seconds: 0, session_identifiers: [{source: cookies, key: ''}]}, "
        "load_balance_targets: [{target: a/m, weight: 1}]}"
    )

    assert [fault.removeprefix("integrations[0].routing_config.sticky_routing.") for fault in faults_of(text)] == [
        "ttl_seconds: Expected `int` >= 1",
        "session_identifiers[0].source: must be one of: headers, metadata",
        "session_identifiers[0].key: must be text, and not empty",
    ]


def test_two_models_of_one_name():
    text = of_targets("[{target: a/m}]")
    second = text.partition("integrations:\n")[2]

    assert faults_of(text + second) == [": integrations with the same name"]
