"""Manifests of what is told of requests, and to whom.

Source: types of truefoundry-sdk 0.6.0, as restated in sections 1.10 to 1.12 of the project's compatibility notes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Text, Url
from gateway.manifests.marks import Mark
from gateway.manifests.scopes import Selection, refuse_twice
from gateway.secrecy.secret import Secret

# --- OpenTelemetry ---------------------------------------------------------------------------------------------------

OtelHeaders = Annotated[dict[str, Secret], Mark.HEADERS]
GrpcEndpoint = Annotated[
    str,
    Meta(
        pattern=r"^(https?://)?[^\s/:]\S*:\d{1,5}/?\Z",
        description="host:port, or https://host:port; http:// is without encryption",
    ),
]


class TraceWhen(msgspec.Struct, frozen=True, kw_only=True):
    """Fits a request whose span has one of these texts under that name.

    Args:
        field: where to look.
        key: the name of the attribute, such as `tfy.request.model_name`.
        operator: one of `value` has to be there.
        value: texts, of which one has to be there.
    """

    field: Literal["spanAttributes"] = "spanAttributes"
    key: Text
    operator: Literal["IN"] = "IN"
    value: Annotated[tuple[str, ...], Meta(min_length=1)]


class Traces(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """
    Args:
        additional_resource_attributes: what the gateway says of itself, besides.
        exclude_request_data: false puts what is asked and answered into traces, where that may be kept; if it is
            not said, the environment decides, and by default it is left out.
        when: a trace is sent if all of these fit.
    """

    headers: OtelHeaders | None = None
    additional_resource_attributes: dict[str, str] | None = None
    exclude_request_data: bool | None = None
    when: tuple[TraceWhen, ...] | None = None


class HttpTraces(Traces, frozen=True, kw_only=True, tag="http"):
    """
    Args:
        endpoint: with its path, as in `https://host/v1/traces`.
    """

    endpoint: Url
    encoding: Literal["proto", "json"]


class GrpcTraces(Traces, frozen=True, kw_only=True, tag="grpc"):
    endpoint: GrpcEndpoint


class Metrics(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """
    Args:
        export_delta_metrics: tells what is new since the last time, in the place of sums since the start.
    """

    headers: OtelHeaders | None = None
    export_delta_metrics: bool = False


class HttpMetrics(Metrics, frozen=True, kw_only=True, tag="http"):
    """
    Args:
        endpoint: with its path, as in `https://host/v1/metrics`.
    """

    endpoint: Url
    encoding: Literal["proto", "json"]


class GrpcMetrics(Metrics, frozen=True, kw_only=True, tag="grpc"):
    endpoint: GrpcEndpoint


class OtelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Of what is named here, what the environment says does not count.

    Args:
        otel_traces_exporter_config: where traces go.
        otel_metrics_exporter_config: where metrics go.
    """

    type: str
    name: str | None = None
    otel_traces_exporter_config: HttpTraces | GrpcTraces | None = None
    otel_metrics_exporter_config: HttpMetrics | GrpcMetrics | None = None


# --- what is written down --------------------------------------------------------------------------------------------


class LogAlways(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="always"):
    pass


class LogNever(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="never"):
    pass


class LogByHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="header_controlled"):
    """
    Args:
        log_body_by_default: whether it is for requests without `x-tfy-logging-config`.
    """

    log_body_by_default: bool


LoggingSettings = LogAlways | LogNever | LogByHeader


class CustomPattern(msgspec.Struct, frozen=True, kw_only=True):
    pattern: Text
    redaction_text: str


class RedactWith(msgspec.Struct, frozen=True, kw_only=True):
    presets: tuple[Text, ...] = ()
    custom_patterns: tuple[CustomPattern, ...] = ()


class LoggingWhen(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given has to fit. Metadata has to have these values."""

    subjects: Selection = Selection()
    models: Selection = Selection()
    metadata: dict[str, str] = {}


class LoggingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what such requests ask and are answered is written down, and what of it is made unreadable before.

    Args:
        log: whether bodies are written down.
        redact_with: what is made unreadable in the log and in OpenTelemetry.
    """

    type: str
    name: Text
    log: bool
    when: LoggingWhen = LoggingWhen()
    redact_with: RedactWith | None = None


# --- where it is kept ------------------------------------------------------------------------------------------------


class ManagedStorage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="controlplane-managed"):
    """
    Args:
        region: kept, and without effect.
    """

    region: Literal["us", "australia", "india"] | None = None


class CustomerStorage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="customer-managed"):
    """
    Args:
        storage_integration_fqn: kept, and without effect: where records are brought is for the environment to say.
    """

    storage_integration_fqn: Text


Storage = ManagedStorage | CustomerStorage
Days = Annotated[int, Meta(ge=1)]


class MetadataIn(msgspec.Struct, frozen=True, kw_only=True, tag_field="field", tag="metadata"):
    """
    Args:
        field: what is looked at.
        key: of the metadata.
        operator: its value has to be one of `value`.
        value: of that metadata.
    """

    key: Text
    operator: Literal["IN"] = "IN"
    value: Annotated[tuple[str, ...], Meta(min_length=1)]


class CreatedByIn(msgspec.Struct, frozen=True, kw_only=True, tag_field="field", tag="created_by"):
    """
    Args:
        field: what is looked at: who has sent the request.
        operator: it has to be one of `value`.
        value: as in `user:ana@example.com`.
    """

    operator: Literal["IN"] = "IN"
    value: Annotated[tuple[str, ...], Meta(min_length=1)]


class DefaultDestination(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        storage: kept, and without effect: where records are brought is for the environment to say.
        traces_retention_period_days: kept, and without effect.
    """

    storage: Storage
    traces_retention_period_days: Days | None = None


class RoutedDestination(DefaultDestination, frozen=True, kw_only=True):
    """Takes the requests that all of `when` fits.

    Args:
        name: what the record says of where it belongs; sinks of that name get it, and others do not.
        enabled: whether it takes any.
    """

    name: Text
    enabled: bool = True
    description: str | None = None
    when: tuple[MetadataIn | CreatedByIn, ...] = ()


class DataRoutingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The first destination that fits takes a request's record, else the default.

    Args:
        default: of all other requests.
        destinations: in the order in which they are tried.
    """

    type: str
    name: str | None = None
    default: DefaultDestination
    destinations: tuple[RoutedDestination, ...] = ()

    def __post_init__(self) -> None:
        refuse_twice(("default", *(each.name for each in self.destinations)), "as the name of a destination")


# --- metadata --------------------------------------------------------------------------------------------------------

Metadata = dict[
    Annotated[str, Meta(min_length=1, max_length=128, description="a key of at most 128 characters")],
    Annotated[str, Meta(max_length=128, description="a text of at most 128 characters")],
]


class SubjectList(msgspec.Struct, frozen=True, kw_only=True):
    subjects: tuple[Text, ...] = ()


class MetadataRule(msgspec.Struct, frozen=True, kw_only=True):
    """All rules that fit count, in their order. `default_metadata` and `required_keys` are the gateway's own, and have
    no counterpart in the source.

    Args:
        metadata_override: stands in place of what the caller says.
        default_metadata: stands where the caller says nothing.
        required_keys: a request that lacks one of them is refused.
    """

    id: Text
    when: SubjectList = SubjectList()
    metadata_override: Metadata = {}
    default_metadata: Metadata = {}
    required_keys: tuple[Text, ...] = ()


class MetadataConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: Text
    rules: tuple[MetadataRule, ...]

    def __post_init__(self) -> None:
        refuse_twice((rule.id for rule in self.rules), "as the id of a rule")
