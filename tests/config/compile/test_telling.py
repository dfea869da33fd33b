"""Manifests of what is told of requests, down to the request and its record."""

import json

import pytest

from gateway.config.live import Config
from gateway.errors import ConfigError
from gateway.settings import Settings
from gateway.testing import FakeUpstream, post

CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[]}'])
LOGGING = """
---
type: gateway-logging-config
name: no-mail
log: true
when: {subjects: {in: ["user:admin"]}, models: {not_in: [mock/old]}, metadata: {environment: production}}
redact_with: {presets: [email], custom_patterns: [{pattern: "EMP-[0-9]+", redaction_text: "[EMP]"}]}
"""
METADATA = """
---
type: gateway-metadata-config
name: of-admins
rules:
  - id: a
    when: {subjects: ["user:admin"]}
    metadata_override: {cost_center: "42"}
    default_metadata: {region: eu}
    required_keys: [team]
"""
ROUTING = """
---
type: gateway-data-routing-config
default: {storage: {type: controlplane-managed, region: us}, traces_retention_period_days: 90}
destinations:
  - name: off
    enabled: false
    storage: {type: controlplane-managed}
  - name: eu
    when:
      - {field: metadata, key: region, operator: IN, value: [eu]}
      - {field: created_by, operator: IN, value: ["user:admin"]}
    storage: {type: customer-managed, storage_integration_fqn: "acme:aws:prod:blob-storage:logs"}
"""
OTEL = """
---
type: gateway-otel-config
otel_traces_exporter_config:
  type: http
  endpoint: https://otel.example.com/v1/traces
  encoding: proto
  headers: {Authorization: "Bearer ${OTLP_TOKEN}"}
  additional_resource_attributes: {deployment.environment: prod}
  exclude_request_data: true
  when: [{field: spanAttributes, key: tfy.request.model_name, operator: IN, value: [mock/m]}]
otel_metrics_exporter_config:
  {type: grpc, endpoint: "otel.example.com:4317", headers: {x-key: k}, export_delta_metrics: false}
"""
GLOBAL = """
---
type: gateway-global-settings
logging_settings: {type: header_controlled, log_body_by_default: true}
"""


@pytest.fixture
def asked(app_with, manifest, auth, sink):
    """Asks, and gives the answer and its record."""

    async def ask(more, reply=REPLY, **metadata):
        manifest.write_text(manifest.read_text() + more)
        app = app_with(FakeUpstream(reply))
        answer = await post(app, CHAT, ASK, headers={**auth, "x-tfy-metadata": json.dumps(metadata)})
        await app.close()
        return answer, sink.records[0]

    return ask


@pytest.fixture
def snapshot(manifest):
    def compiled(more):
        manifest.write_text(manifest.read_text() + more)
        return Config(manifest, Settings(environ={"OTLP_TOKEN": "secret-of-otlp"})).snapshot

    return compiled


async def test_records_are_made_unreadable_for_all_sinks(asked):
    reply = (400, [b'{"error":{"message":"bob@example.com is not EMP-123"}}'])

    answer, record = await asked(LOGGING, reply, environment="production", owner="bob@example.com")

    assert answer.json()["error"]["message"] == "bob@example.com is not EMP-123"  # the caller has it as it is
    assert record.error_message == "[REDACTED] is not [EMP]"
    assert record.metadata == {"environment": "production", "owner": "[REDACTED]"}


async def test_metadata_are_completed(asked):
    answer, record = await asked(METADATA, team="a", cost_center="1")

    assert answer.status == 200
    assert record.metadata == {"team": "a", "cost_center": "42", "region": "eu"}


async def test_metadata_that_are_missing_are_a_400(asked):
    answer, record = await asked(METADATA)

    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "needs metadata for 'team'" in answer.json()["error"]["message"]
    assert record.status == 400


@pytest.mark.parametrize(("metadata", "name"), [({"region": "eu"}, "eu"), ({}, "default")])
async def test_records_say_where_they_are_to_go(asked, metadata, name):
    _, record = await asked(ROUTING, **metadata)

    assert record.destination == name


async def test_without_any_of_it_nothing_is_said(asked):
    _, record = await asked("", a="b")

    assert (record.destination, record.metadata) == (None, {"a": "b"})


def test_opentelemetry(snapshot):
    otel = snapshot(OTEL).otel

    assert otel.otel_traces_exporter_config.headers["Authorization"].reveal() == "Bearer secret-of-otlp"
    assert otel.otel_metrics_exporter_config.endpoint == "otel.example.com:4317"


@pytest.mark.parametrize(
    ("settings", "keeps"),
    [
        (GLOBAL, True),
        (GLOBAL.replace("true", "false"), False),
        ("\n---\n{type: gateway-global-settings, logging_settings: {type: always}}\n", True),
        ("\n---\n{type: gateway-global-settings, logging_settings: {type: never}}\n", False),
        ("", False),
    ],
)
def test_bodies_are_written_down_as_global_settings_say(snapshot, settings, keeps):
    """Never, unless they are."""
    assert snapshot(settings).logging.keeps_bodies(None, None, {}, None) is keeps


def test_what_is_not_done_is_said(snapshot):
    found = snapshot(ROUTING + GLOBAL)

    assert [(fault.path, fault.message) for fault in found.warnings] == [
        (
            "destinations[1].storage",
            "records are not brought there by the gateway: they carry the name of their destination",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        (
            LOGGING.replace("[email]", "[emial]"),
            "redact_with.presets[0]",
            "there is no preset 'emial'; did you mean `email`?",
        ),
        (LOGGING.replace("EMP-[0-9]+", "(a+)+"), "redact_with.custom_patterns[0].pattern", "may take too long"),
        (LOGGING.replace("EMP-[0-9]+", "a+b+"), "redact_with.custom_patterns[0].pattern", "more than 1 repetition"),
        (LOGGING.replace("EMP-[0-9]+", "(a"), "redact_with.custom_patterns[0].pattern", "is no regular expression"),
        (METADATA.replace('"42"', f'"{"x" * 129}"'), "rules[0].metadata_override.cost_center", "128 characters"),
        (ROUTING.replace("name: eu", "name: default"), "", "'default' stands twice as the name of a destination"),
        (OTEL.replace("proto", "text"), "otel_traces_exporter_config.encoding", "proto"),
        (OTEL.replace("https://otel", "ftp://otel"), "otel_traces_exporter_config.endpoint", "http or https URL"),
        (
            OTEL.replace("otel.example.com:4317", "otel.example.com"),
            "otel_metrics_exporter_config.endpoint",
            "host:port",
        ),
        (
            OTEL.replace("https://otel.example.com", "http://169.254.169.254"),
            "otel_traces_exporter_config.endpoint",
            "cannot",
        ),
        (GLOBAL.replace("header_controlled", "sometimes"), "logging_settings", "must be one of: always, never, header"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(snapshot, text, path, problem):
    with pytest.raises(ConfigError) as error:
        snapshot(text)

    [fault] = error.value.faults
    assert (fault.path.startswith(path), problem in fault.message) == (True, True), fault
    assert "secret-of-otlp" not in str(fault)
