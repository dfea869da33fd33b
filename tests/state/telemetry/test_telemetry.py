"""Telemetry as it arrives: at a real receiver, over HTTP."""

import pytest
import structlog

from gateway.manifests.telemetry import HttpMetrics, HttpTraces, OtelConfig
from gateway.secrecy.secret import Secret
from gateway.state.sinks.log import as_json
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.settings import Destination, telemetry_from
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.telemetry import Telemetry
from gateway.state.telemetry.wanted import missing_for


@pytest.fixture
def telemetry_with(described, receiver):
    """By the environment, in which `@` is where the receiver is."""

    def make(config=lambda: None, **environ):
        environ = {name: value.replace("@", receiver.url) for name, value in environ.items()}
        return Telemetry(Tally(described), telemetry_from(environ), config=config)

    return make


def figures(telemetry):
    return {figure.name: figure.values for figure in telemetry.figures()}


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("packing", ["none", "gzip"])
async def test_all_signals_arrive(telemetry_with, receiver, record, failed_over, attributes_of, protocol, packing):
    telemetry = telemetry_with(
        OTEL_EXPORTER_OTLP_ENDPOINT="@/",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=packing,
        OTEL_EXPORTER_OTLP_HEADERS="api-key=k%201,x-tenant=a",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=prod",
    )

    async with telemetry.running():
        await telemetry.write([record(), failed_over])
        await telemetry.flush()

    assert [span.name for span in receiver.spans] == [
        *("POST chat", "chat gpt-4o"),
        *("POST chat", "guardrail safety/need", "chat gpt-4o", "chat llama"),
    ]
    assert receiver.spans[0].trace_id.hex() == record().request_id
    [line, _] = receiver.lines
    assert (line.trace_id, line.severity_text) == (receiver.spans[0].trace_id, "INFO")
    assert line.body.string_value.encode() + b"\n" == as_json([record()])
    [resource] = receiver.messages["traces"][0].resource_spans
    told = attributes_of(resource.resource)
    assert (told["service.name"], told["deployment.environment"]) == ("llm-asgi-gateway", "prod")
    assert told.keys() >= {names.SERVICE_VERSION, names.SERVICE_INSTANCE}
    assert {request.headers["api-key"] for request in receiver.requests} == {"k 1"}
    assert {request.headers["x-tenant"] for request in receiver.requests} == {"a"}
    assert telemetry.status is None  # it is closed


async def test_metrics_are_those_of_prometheus_and_of_the_conventions(telemetry_with, receiver, record, attributes_of):
    telemetry = telemetry_with(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="@/v1/metrics")

    async with telemetry.running():
        await telemetry.write([record(), record(status=502, error_code="upstream_timeout")])
        await telemetry.flush()
        metrics = receiver.metrics

    assert {"ai_gateway_requests", "gateway_upstream_attempts", *names.METRICS} <= metrics.keys()
    assert {name: metrics[name].unit for name in names.METRICS} == names.METRICS
    duration = metrics[names.DURATION].histogram.data_points
    assert [attributes_of(point) for point in duration] == [
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", **error}
        for error in ({}, {"error.type": "upstream_timeout"})
    ]
    assert tuple(duration[0].explicit_bounds) == names.SECONDS_BOUNDS
    assert (duration[0].count, duration[0].sum, duration[0].bucket_counts[8]) == (1, 1.5, 1)
    tokens = [attributes_of(point)["gen_ai.token.type"] for point in metrics[names.TOKEN_USAGE].histogram.data_points]
    assert tokens == ["input", "output", "input", "output"]
    assert receiver.spans == receiver.lines == []


@pytest.mark.parametrize(("preference", "counts"), [("cumulative", [1, 3]), ("delta", [1, 2])])
async def test_what_is_new_or_all_there_is(telemetry_with, receiver, record, preference, counts):
    telemetry = telemetry_with(
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="@/v1/metrics",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=preference,
    )
    seen = []

    async with telemetry.running():
        for records in ([record()], [record(), record()]):
            await telemetry.write(records)
            await telemetry.flush()
            [point] = receiver.metrics["ai_gateway_requests"].sum.data_points
            [spread] = receiver.metrics[names.DURATION].histogram.data_points
            seen.append((point.as_double, spread.count, sum(spread.bucket_counts)))

    assert seen == [(count, count, count) for count in counts]


async def test_the_manifest_says_where_and_may_say_otherwise_later(telemetry_with, receiver, record, attributes_of):
    traces = HttpTraces(
        endpoint=f"{receiver.url}/v1/traces",
        encoding="json",
        headers={"Authorization": Secret("Bearer t")},
        additional_resource_attributes={"deployment.environment": "prod"},
    )
    metrics = HttpMetrics(endpoint=f"{receiver.url}/v1/metrics", encoding="proto", export_delta_metrics=True)
    in_force = [OtelConfig(type="gateway-otel-config", otel_traces_exporter_config=traces)]
    telemetry = telemetry_with(lambda: in_force[0])

    async with telemetry.running():
        await telemetry.write([record()])
        in_force[0] = OtelConfig(type="gateway-otel-config", otel_metrics_exporter_config=metrics)
        await telemetry.write([record()])
        await telemetry.flush()
        in_force[0] = None
        await telemetry.write([record()])
        assert telemetry.status is None

    assert [span.name for span in receiver.spans] == ["POST chat", "chat gpt-4o"]
    [resource] = receiver.messages["traces"][0].resource_spans
    assert attributes_of(resource.resource)["deployment.environment"] == "prod"
    assert len(receiver.messages["metrics"]) == 1
    [to_traces, to_metrics] = sorted(receiver.requests, key=lambda request: request.path, reverse=True)
    assert (to_traces.headers["authorization"], to_metrics.headers.get("authorization")) == ("Bearer t", None)
    assert figures(telemetry)["ai_gateway_requests"] == {("openai-main/gpt-4o", "openai", "chat", "200"): 3.0}


async def test_a_trace_that_its_caller_does_not_keep_is_not_sent(telemetry_with, receiver, record):
    telemetry = telemetry_with(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="@/v1/traces")
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    async with telemetry.running():
        await telemetry.write([record(traceparent=f"00-{trace}-{parent}-0{flag}") for flag in (0, 1)])

    assert [span.name for span in receiver.spans] == ["POST chat", "chat gpt-4o"]


# --- when it cannot be sent ------------------------------------------------------------------------------------------


async def test_what_is_refused_is_lost_counted_and_told(telemetry_with, receiver, record):
    telemetry = telemetry_with(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="@/v1/traces", OTEL_EXPORTER_OTLP_HEADERS="api-key=secret-of-the-tests"
    )
    receiver.statuses = [401]

    async with telemetry.running():
        with structlog.testing.capture_logs() as lines:
            await telemetry.write([record(), record()])
            await telemetry.flush()
        told = telemetry.status
        await telemetry.write([record()])
        await telemetry.flush()
        later = telemetry.status
        counted = figures(telemetry)

    assert (told.problem, later.problem) == ("traces do not arrive: http_401", None)
    assert [(line["event"], line["reason"], line["count"]) for line in lines] == [("telemetry lost", "http_401", 2)]
    assert counted["ai_gateway_spans_accepted"] == {(): 3}
    assert counted["ai_gateway_spans_exported"] == {("failure", "http_401"): 2, ("success", ""): 1}
    assert counted["ai_gateway_span_drops"] == {("http_401",): 2}
    assert "secret-of-the-tests" not in str((lines, told, counted))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(telemetry_with, receiver, record, status):
    """What goes along, a key as a rule, is meant for nobody else."""
    telemetry = telemetry_with(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="@/v1/traces", OTEL_EXPORTER_OTLP_HEADERS="authorization=secret"
    )
    receiver.statuses = [status]

    async with telemetry.running():
        await telemetry.write([record()])
        await telemetry.flush()
        told = telemetry.status

    assert told.problem == f"traces do not arrive: http_{status}"
    assert [request.headers["authorization"] for request in receiver.requests] == ["secret"]


async def test_a_receiver_that_is_not_there(telemetry_with, record):
    """Nobody waits for it, and the gateway ends all the same."""
    telemetry = telemetry_with(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces")

    async with telemetry.running():
        await telemetry.write([record()])
        sent = telemetry.counts

    assert sent.problem == "traces do not arrive: unreachable"


def test_what_is_missing_is_said_in_words():
    """At the start, or by /readyz: not with the first request."""
    http, grpc = Destination("http://collector:4318"), Destination("http://collector:4317", "grpc")

    assert missing_for({}, lambda _: False) is None
    assert missing_for({"logs": http}, lambda module: module != "grpc") is None
    assert "pip install 'llm-asgi-gateway[otel]'" in missing_for({"logs": http}, lambda _: False)
    assert "pip install 'llm-asgi-gateway[otel-grpc]'" in missing_for({"logs": grpc}, lambda module: module != "grpc")
