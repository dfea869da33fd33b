"""Manifests that say where a request may go: virtual models, and rules for the models of all.

Source: types of truefoundry-sdk 0.6.0 and, for `model_configs` and `gateway-fallback-config`, 0.1.10, as restated in
sections 1.4 to 1.6 and 1.12 of the project's compatibility notes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import AccountName, Collaborator, ModelName, Owner, Text
from gateway.manifests.guardrails import GuardrailSettings
from gateway.manifests.marks import Mark
from gateway.manifests.telemetry import LoggingSettings

VirtualName = Annotated[
    str, Meta(pattern=r"^[^\s*\x00-\x1f\x7f]+\Z", description="a name without whitespace and without *")
]
NamedModel = Annotated[ModelName, Mark.MODEL]
Percent = Annotated[float, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0)]
Status = Annotated[str, Meta(pattern=r"^[1-5]\d\d\Z", description='a status in quotes, such as "503"')]
Tier = Literal["simple", "medium", "complex"]


class RetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        attempts: how often at most; the first try counts.
        delay: milliseconds between two tries, give or take a half; longer if the provider says so in `Retry-After`.
    """

    attempts: Annotated[int, Meta(ge=1, le=10)]
    delay: Milliseconds = 100
    on_status_codes: tuple[Status, ...] | None = None


class HeadersOverride(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        set: name and value.
        remove: names.
    """

    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class SlaCutoff(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        time_per_output_token_ms: milliseconds between two tokens.
        time_to_first_token_ms: milliseconds until the first token.
    """

    time_per_output_token_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None


class LoadBalanceTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What all targets have. `target` is a real model, `<account>/<model>`."""

    target: NamedModel
    retry_config: RetryConfig | None = None
    fallback_status_codes: tuple[Status, ...] | None = None
    fallback_candidate: bool = True
    override_params: dict[str, Any] | None = None
    headers_override: HeadersOverride | None = None
    metadata_match: dict[str, str] | None = None


class WeightTarget(LoadBalanceTarget, frozen=True, kw_only=True):
    weight: Percent


class PriorityTarget(LoadBalanceTarget, frozen=True, kw_only=True):
    """The lowest priority is asked first."""

    priority: int = 0
    sla_cutoff: SlaCutoff | None = None


class TierTarget(LoadBalanceTarget, frozen=True, kw_only=True):
    tier: Tier


class SessionIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        source: where it stands in a request.
        key: the name of the header, or of the metadata.
    """

    source: Literal["headers", "metadata"]
    key: Text


class StickyRouting(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        ttl_seconds: for how long a session stays with its model.
        session_identifiers: what tells sessions apart, all of it together.
    """

    ttl_seconds: Annotated[int, Meta(gt=0)]
    session_identifiers: Annotated[tuple[SessionIdentifier, ...], Meta(min_length=1)]


# --- strategies --------------------------------------------------------------


class WeightRouting(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="weight-based-routing"):
    load_balance_targets: Annotated[tuple[WeightTarget, ...], Meta(min_length=1)]
    sticky_routing: StickyRouting | None = None


class LatencyRouting(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="latency-based-routing"):
    load_balance_targets: Annotated[tuple[LoadBalanceTarget, ...], Meta(min_length=1)]


class PriorityRouting(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="priority-based-routing"):
    load_balance_targets: Annotated[tuple[PriorityTarget, ...], Meta(min_length=1)]


class Heuristic(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="heuristic"):
    """Looks at the text, and asks nobody."""


class StaticTier(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="static"):
    """
    Args:
        default_tier: that of each such request.
    """

    default_tier: Tier


class LlmClassifier(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="llm-classifier"):
    """Asks a chat model, and goes on without it when that takes too long.

    Args:
        model: who classifies, as `account/model`.
        fallback_strategy: what decides when the model does not answer in time.
    """

    model: NamedModel
    timeout_ms: Milliseconds = 2000
    fallback_strategy: Heuristic | StaticTier | None = None


class ComplexityRouting(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="complexity-based-routing"):
    """
    Args:
        classification_strategy: how a request finds its tier; `heuristic` unless given.
    """

    load_balance_targets: Annotated[tuple[TierTarget, ...], Meta(min_length=1)]
    classification_strategy: Heuristic | LlmClassifier | None = None


Routing = WeightRouting | LatencyRouting | PriorityRouting | ComplexityRouting


# --- virtual models ----------------------------------------------------------


class VirtualModel(msgspec.Struct, frozen=True, kw_only=True):
    """Callers ask for `<group>/<name>`, for the slug, or for an alias. None of them may be another's name as well.

    Args:
        name: what stands behind the group's name: `group/name`.
        model_types: what it may be asked for; all of its targets have to be declared as these.
        slug: another name for it.
        alias: more names for it.
    """

    type: Annotated[str, Meta(pattern="^integration/model/virtual\\Z", description="integration/model/virtual")]
    name: VirtualName
    model_types: Annotated[
        tuple[
            Literal[
                "chat",
                "completion",
                "embedding",
                "rerank",
                "moderation",
                "audio_transcription",
                "audio_translation",
                "text_to_speech",
                "image",
                "responses",
            ],
            ...,
        ],
        Meta(min_length=1),
    ]
    routing_config: Routing
    slug: VirtualName | None = None
    alias: tuple[VirtualName, ...] = ()
    authorized_subjects: tuple[str, ...] | None = None


class VirtualModelGroup(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: AccountName
    integrations: tuple[VirtualModel, ...]
    collaborators: tuple[Collaborator, ...] | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")

    def __post_init__(self) -> None:
        names = [model.name for model in self.integrations]
        if len(set(names)) < len(names):
            raise ValueError("integrations with the same name")


# --- rules for the models of all ---------------------------------------------


class When(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given has to fit; of a list, one. None fits always."""

    subjects: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    metadata: dict[str, str] | None = None


class WeightRule(WeightRouting, frozen=True, kw_only=True):
    id: Text
    when: When = When()


class LatencyRule(LatencyRouting, frozen=True, kw_only=True):
    id: Text
    when: When = When()


class PriorityRule(PriorityRouting, frozen=True, kw_only=True):
    id: Text
    when: When = When()


class UsageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        requests_per_minute: ignored.
    """

    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None


class FailureTolerance(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        allowed_failures_per_minute: ignored.
        cooldown_period_minutes: ignored.
        failure_status_codes: ignored.
    """

    allowed_failures_per_minute: int = 2
    cooldown_period_minutes: int = 2
    failure_status_codes: tuple[int, ...] = ()


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Of 2025; read, and replaced by the rules for health that hold for all targets.

    Args:
        usage_limits: ignored: write a `gateway-rate-limiting-config`.
        failure_tolerance: ignored: health is watched for all models.
    """

    model: str
    usage_limits: UsageLimits | None = None
    failure_tolerance: FailureTolerance | None = None


class LoadBalancingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The first rule that fits decides.

    Args:
        model_configs: ignored, with a warning.
    """

    type: str
    name: str | None = None
    rules: tuple[WeightRule | LatencyRule | PriorityRule, ...]
    model_configs: tuple[ModelConfig, ...] | None = None


class FallbackWhen(When, frozen=True, kw_only=True):
    """
    Args:
        response_status_codes: of the first model's answer, after which the others are asked.
    """

    response_status_codes: tuple[int, ...]


class FallbackModel(msgspec.Struct, frozen=True, kw_only=True):
    target: NamedModel
    override_params: dict[str, Any] | None = None


class FallbackRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        fallback_models: in the order in which they are asked.
    """

    id: Text
    when: FallbackWhen
    fallback_models: Annotated[tuple[FallbackModel, ...], Meta(min_length=1)]


class FallbackConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: str | None = None
    rules: tuple[FallbackRule, ...]


class WaitingRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        priority: the highest goes first; each step is worth ten seconds of waiting.
    """

    id: Text
    priority: Annotated[int, Meta(ge=-100, le=100)]
    when: When = When()


class PriorityConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who of those that wait for an account goes first: the highest. The first rule that fits decides, else it is 0.

    It is the gateway's own, and has no counterpart in the source.
    """

    type: str
    name: str | None = None
    rules: tuple[WaitingRule, ...]


class GlobalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        retry_settings: for models that are named directly; without them, those are asked once.
        logging_settings: whether bodies are written down.
        semantic_cache_settings: without effect.
        guardrail_settings: for how long guardrails are waited for, and whether beside the model.
    """

    type: str
    name: str | None = None
    retry_settings: RetryConfig | None = None
    logging_settings: LoggingSettings | None = None
    semantic_cache_settings: Any = None
    guardrail_settings: GuardrailSettings | None = None


VIRTUAL_MODELS = "provider-account/virtual-model"
