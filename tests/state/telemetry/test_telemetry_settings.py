"""The variables of OpenTelemetry, as its specification has them."""

import pytest

from gateway.errors import ConfigError
from gateway.secrecy.secret import Secret
from gateway.state.telemetry.settings import Destination, TelemetrySettings, telemetry_from
from gateway.wire.trace_context import Sampling

OTLP = "OTEL_EXPORTER_OTLP"


def test_nothing_is_sent_unless_it_is_said_where():
    assert telemetry_from({"OTEL_TRACES_EXPORTER": "otlp", f"{OTLP}_PROTOCOL": "grpc"}) == TelemetrySettings()


def test_one_endpoint_is_for_all_signals():
    assert telemetry_from({f"{OTLP}_ENDPOINT": "http://collector:4318/base/"}).destinations == {
        signal: Destination(f"http://collector:4318/base/v1/{signal}") for signal in ("traces", "metrics", "logs")
    }


def test_what_is_said_of_one_signal_counts_before_what_is_said_of_all():
    """Its endpoint is taken as it is."""
    destinations = telemetry_from(
        {
            f"{OTLP}_ENDPOINT": "http://collector:4317",
            f"{OTLP}_PROTOCOL": "grpc",
            f"{OTLP}_HEADERS": "a=1",
            f"{OTLP}_TIMEOUT": "2500",
            f"{OTLP}_TRACES_ENDPOINT": "https://traces.example.com/otlp",
            f"{OTLP}_TRACES_PROTOCOL": "http/json",
            f"{OTLP}_TRACES_HEADERS": "Api-Key=a%3Db , x=",
            f"{OTLP}_TRACES_COMPRESSION": "gzip",
            f"{OTLP}_TRACES_CERTIFICATE": "/ca.pem",
            "OTEL_LOGS_EXPORTER": "none",
        }
    ).destinations

    assert destinations == {
        "traces": Destination(
            "https://traces.example.com/otlp",
            "http/json",
            {"api-key": Secret("a=b"), "x": Secret("")},
            2.5,
            is_gzip=True,
            ca_file="/ca.pem",
        ),
        "metrics": Destination("http://collector:4317", "grpc", {"a": Secret("1")}, 2.5),
    }


@pytest.mark.parametrize(
    "off",
    [{"OTEL_SDK_DISABLED": "true"}, {f"OTEL_{each}_EXPORTER": "none" for each in ("TRACES", "METRICS", "LOGS")}],
)
def test_it_can_be_switched_off(off):
    assert telemetry_from({f"{OTLP}_ENDPOINT": "http://collector:4318", **off}).destinations == {}


def test_metrics_can_be_switched_off_as_in_the_source():
    found = telemetry_from({f"{OTLP}_ENDPOINT": "http://collector:4318", "ENABLE_OTEL_METRICS": "false"})

    assert found.destinations.keys() == {"traces", "logs"}


@pytest.mark.parametrize(
    ("sampler", "argument", "sampling"),
    [
        ("", "", Sampling()),
        ("always_on", "0.1", Sampling(joins=False)),
        ("always_off", "", Sampling(0.0, joins=False)),
        ("traceidratio", "0.25", Sampling(0.25, joins=False)),
        ("parentbased_always_on", "", Sampling()),
        ("parentbased_always_off", "", Sampling(0.0)),
        ("parentbased_traceidratio", "0.25", Sampling(0.25)),
        ("parentbased_traceidratio", "", Sampling(1.0)),
    ],
)
def test_samplers(sampler, argument, sampling):
    assert telemetry_from({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}).sampling == sampling


def test_all_else():
    found = telemetry_from(
        {
            "OTEL_SERVICE_NAME": "gw",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=a%20b",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            f"{OTLP}_METRICS_TEMPORALITY_PREFERENCE": "DELTA",
            "LLM_GATEWAY_METADATA_LOGGING_KEYS": '["team", "team", "env"]',
            "GATEWAY_METRICS_BY_USER": "true",
            "GATEWAY_TRACED_ACCOUNTS": " own, ,other",
        }
    )

    assert found == TelemetrySettings(
        resource={"service.name": "gw", "team": "a b"},
        every_s=5.0,
        is_delta=True,
        metadata_keys=("team", "env"),
        by_user=True,
        traced_accounts=frozenset({"own", "other"}),
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (f"{OTLP}_ENDPOINT", "collector:4318", "must be an http or https URL"),
        (f"{OTLP}_PROTOCOL", "thrift", "must be one of http/protobuf, http/json, grpc, and is 'thrift'"),
        (f"{OTLP}_HEADERS", "topsecret", "entry 1 is not of the form name=value"),
        (f"{OTLP}_HEADERS", "host=topsecret", "host: host cannot be set"),
        (f"{OTLP}_HEADERS", "a=topsecret%0d%0ab", "a: the value holds a line break"),
        (f"{OTLP}_TIMEOUT", "10s", "must be a number of milliseconds"),
        (f"{OTLP}_COMPRESSION", "zstd", "must be one of gzip, none"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "must be otlp or none, and is 'jaeger'"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "must be one of always_on"),
        ("LLM_GATEWAY_METADATA_LOGGING_KEYS", "team", "must be a JSON list of keys"),
        ("LLM_GATEWAY_METADATA_LOGGING_KEYS", '["a-b"]', "must be at most 10 keys of letters, digits and _"),
        ("GATEWAY_METRICS_BY_USER", "perhaps", "must be one of true, false"),
    ],
)
def test_what_is_wrong_is_told_by_name_and_without_secrets(name, value, problem):
    with pytest.raises(ConfigError) as error:
        telemetry_from({f"{OTLP}_ENDPOINT": "http://collector:4318", name: value})

    [fault] = error.value.faults
    assert (fault.path, problem in fault.message) == (name, True), fault
    assert "topsecret" not in str(fault)


def test_a_sampler_needs_a_part():
    with pytest.raises(ConfigError, match="OTEL_TRACES_SAMPLER_ARG"):
        telemetry_from({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "25%"})
