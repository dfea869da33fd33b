"""What is to be sent where: the environment and the manifest, joined."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import msgspec

from gateway.manifests.telemetry import HttpMetrics, HttpTraces, OtelConfig, TraceWhen
from gateway.state.telemetry.settings import Destination, Protocol, Signal, TelemetrySettings


class Wanted(msgspec.Struct, frozen=True):
    """
    Args:
        destinations: of those signals that are sent.
        resource: what is told of the gateway; `traced_resource`: the same of traces.
        when: what has to fit a request whose trace is sent.
        tells_content: traces say what was asked and answered, where that may be written down.
    """

    destinations: Mapping[Signal, Destination]
    resource: Mapping[str, str]
    traced_resource: Mapping[str, str]
    when: tuple[TraceWhen, ...] = ()
    is_delta: bool = False
    tells_content: bool = False


def wanted(settings: TelemetrySettings, config: OtelConfig | None) -> Wanted:
    """A signal that the manifest names goes where that says, and nowhere else."""
    destinations = dict(settings.destinations)
    traced, is_delta = settings.resource, settings.is_delta
    traces = config.otel_traces_exporter_config if config is not None else None
    metrics = config.otel_metrics_exporter_config if config is not None else None
    if traces is not None:
        protocol = _protocol(traces.encoding) if isinstance(traces, HttpTraces) else "grpc"
        destinations["traces"] = Destination(traces.endpoint, protocol, traces.headers or {})
        traced = {**traced, **(traces.additional_resource_attributes or {})}
    if metrics is not None:
        protocol = _protocol(metrics.encoding) if isinstance(metrics, HttpMetrics) else "grpc"
        destinations["metrics"] = Destination(metrics.endpoint, protocol, metrics.headers or {})
        is_delta = metrics.export_delta_metrics
    when = traces.when if traces is not None and traces.when is not None else ()
    tells_content = settings.tells_content
    if traces is not None and traces.exclude_request_data is not None:
        tells_content = not traces.exclude_request_data
    return Wanted(destinations, settings.resource, traced, when, is_delta, tells_content)


def _protocol(encoding: str) -> Protocol:
    return "http/json" if encoding == "json" else "http/protobuf"


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package it is in
        return False


def missing_for(
    destinations: Mapping[Signal, Destination], is_installed: Callable[[str], bool] = is_installed
) -> str | None:
    """What has to be installed before anything can be sent there; None: nothing."""
    if destinations and not is_installed("opentelemetry.proto"):
        return "OpenTelemetry needs opentelemetry-proto: pip install 'llm-asgi-gateway[otel]'"
    if any(each.protocol == "grpc" for each in destinations.values()) and not is_installed("grpc"):
        return "gRPC needs grpcio: pip install 'llm-asgi-gateway[otel-grpc]'; http/protobuf needs nothing more"
    return None
