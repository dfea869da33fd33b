"""Somebody to whom telemetry is sent, and who understands it."""

import json
from base64 import b64encode
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.contract import Outcome, Record, Span
from gateway.contract.usage import Usage

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
ID = "019f0000000040008000000000000010"


def value_of(any_value):
    """What an attribute holds."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in any_value.array_value.values]
    return getattr(any_value, kind) if kind is not None else None


class Received:
    """What has arrived. `statuses`: what the next are answered, before all are taken; redirects lead back here."""

    def __init__(self):
        self.requests = []
        self.messages = {"traces": [], "metrics": [], "logs": []}
        self.statuses = []
        self.url = ""

    @property
    def spans(self):
        return [
            span
            for message in self.messages["traces"]
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def lines(self):
        return [
            line
            for message in self.messages["logs"]
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for line in scope.log_records
        ]

    @property
    def metrics(self):
        """Those of the last message, by name."""
        message = self.messages["metrics"][-1]
        return {
            metric.name: metric
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    async def take(self, request):
        body = await request.read()
        self.requests.append(request)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"location": f"{self.url}{request.path}"})
        signal = request.match_info["signal"]
        if request.content_type == "application/json":
            message = ParseDict(with_base64_ids(json.loads(body)), REQUESTS[signal]())
        else:
            message = REQUESTS[signal].FromString(body)
        self.messages[signal].append(message)
        return web.Response(body=b"")


def with_base64_ids(data):
    """OTLP's JSON, as protobuf has it."""
    if isinstance(data, list):
        return [with_base64_ids(each) for each in data]
    if not isinstance(data, dict):
        return data
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        name: b64encode(bytes.fromhex(value)).decode() if name in ids else with_base64_ids(value)
        for name, value in data.items()
    }


@asynccontextmanager
async def receiving():
    received = Received()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/{signal}", received.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        received.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield received
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver():
    """A real one, over HTTP."""
    async with receiving() as received:
        yield received


@pytest.fixture(scope="session")
def described():
    """As the catalogue of a gateway with two accounts."""

    def find(name):
        return {
            "openai-main/gpt-4o": ("openai-main/gpt-4o", "openai"),
            "gpt": ("openai-main/gpt-4o", "openai"),
            "own/llama": ("own/llama", "self-hosted-model"),
        }.get(name, ("", ""))

    return find


@pytest.fixture(scope="session")
def record():
    """Of a stream that went well, unless it is said otherwise."""
    usual = {
        "timestamp": datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
        "level": "info",
        "request_id": ID,
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "duration_ms": 1500.0,
        "request_type": "chat",
        "subject": "user:ana@example.com",
        "model": "gpt",
        "resolved_model": "openai-main/gpt-4o",
        "stream": True,
        "usage": Usage(input=100, cache_read=20, output=40, reasoning=10),
        "cost_nanousd": 2_500_000,
        "time_to_first_token_ms": 200.0,
        "time_per_output_token_ms": 12.5,
        "overhead_ms": 1.5,
        "client": "10.0.0.1",
        "user_agent": "tests/1",
    }
    return lambda **fields: Record(**{**usual, **fields})


@pytest.fixture(scope="session")
def failed_over(record):
    """Of a request that a second model has answered."""
    return record(
        resolved_model="own/llama",
        spans=(
            Span("guardrail", "safety/need", 200, None, 1.0, 4.0),
            Span("model", "openai-main/gpt-4o", 503, "upstream_error", 6.0, 100.0),
            Span("model", "own/llama", 200, None, 106.0, 1394.0),
        ),
    )


@pytest.fixture(scope="session")
def attributes_of():
    """Name -> value."""
    return lambda thing: {each.key: value_of(each.value) for each in thing.attributes}
