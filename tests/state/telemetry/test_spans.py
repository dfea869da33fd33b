"""What a trace says of a request."""

from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtelSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from gateway.contract import Outcome
from gateway.manifests.telemetry import TraceWhen
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.spans import Spans

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RESOURCE = {"service.name": "gw"}
START = 1_793_534_400_000_000_000  # 2026-11-01 12:00 UTC, in nanoseconds


@pytest.fixture
def spans_of(described):
    def encoded(record, **how):
        spans = Spans(described, RESOURCE, **how)
        message = spans.message()
        spans.add([record], message)
        return [*message.resource_spans[0].scope_spans[0].spans]

    return encoded


def test_a_request_and_its_model(spans_of, record, attributes_of):
    root, model = spans_of(record())

    assert (root.name, root.kind, root.parent_span_id) == ("POST chat", OtelSpan.SPAN_KIND_SERVER, b"")
    assert (root.trace_id.hex(), root.span_id.hex()) == (record().request_id, "8000000000000010")
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (START, START + 1_500_000_000)
    assert attributes_of(root) == {
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "user_agent.original": "tests/1",
        "client.address": "10.0.0.1",
        "gateway.request_id": record().request_id,
        "gateway.outcome": "complete",
        "tfy.span_type": "ChatCompletion",
        "tfy.request.model_name": "gpt",
        "tfy.request.created_by_subject": "user:ana@example.com",
        "tfy.model.name": "openai-main/gpt-4o",
        "tfy.model.request_type": "chat",
        "tfy.model.streaming": True,
        "tfy.model.metric.latency_in_ms": 1500.0,
        "tfy.model.metric.input_tokens": 120,
        "tfy.model.metric.output_tokens": 50,
        "tfy.model.metric.cost_in_usd": 0.0025,
        "tfy.model.metric.time_to_first_token_in_ms": 200.0,
        "tfy.model.metric.inter_token_latency_in_ms": 12.5,
    }
    assert (model.name, model.kind) == ("chat gpt-4o", OtelSpan.SPAN_KIND_CLIENT)
    assert (model.trace_id, model.parent_span_id, model.span_id.hex()) == (
        root.trace_id,
        root.span_id,
        "8000000000000011",
    )
    assert attributes_of(model) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "gen_ai.response.time_to_first_chunk": 0.2,
        "tfy.span_type": "Model",
        "tfy.model.name": "openai-main/gpt-4o",
        "gateway.attempt": 1,
    }


def test_each_attempt_and_guardrail_has_one(spans_of, failed_over, attributes_of):
    """Usage is told of the one that answered alone: sums over spans are those of the bill."""
    root, guard, first, second = spans_of(failed_over)

    assert [span.name for span in (guard, first, second)] == ["guardrail safety/need", "chat gpt-4o", "chat llama"]
    assert guard.kind == OtelSpan.SPAN_KIND_INTERNAL
    assert attributes_of(guard) == {
        "tfy.span_type": "Guardrail",
        "tfy.guardrail.name": "safety/need",
        "tfy.guardrail.result": "pass",
        "tfy.guardrail.metric.latency_in_ms": 4.0,
    }
    assert [attributes_of(span)["gateway.attempt"] for span in (first, second)] == [1, 2]
    assert attributes_of(first)["error.type"] == "upstream_error"
    assert (first.status.code, second.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)
    assert names.INPUT_TOKENS not in attributes_of(first)
    assert attributes_of(second)[names.INPUT_TOKENS] == 120
    assert first.start_time_unix_nano == START + 6_000_000
    assert {span.parent_span_id for span in (guard, first, second)} == {root.span_id}
    assert len({span.span_id for span in (root, guard, first, second)}) == 4


def test_it_takes_part_in_the_trace_of_its_caller(spans_of, record):
    root, model = spans_of(record(traceparent=f"00-{TRACE}-{PARENT}-01"))

    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, PARENT)
    assert (model.trace_id.hex(), model.parent_span_id) == (TRACE, root.span_id)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(429, Status.STATUS_CODE_UNSET, None), (502, Status.STATUS_CODE_ERROR, "stream_interrupted")],
)
def test_what_is_the_callers_fault_is_no_error_of_a_server(spans_of, record, attributes_of, status, code, error):
    """Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status."""
    root, *_ = spans_of(
        record(status=status, outcome=Outcome.REFUSED, error_code="stream_interrupted", error_message="it broke")
    )

    assert (root.status.code, attributes_of(root).get("error.type")) == (code, error)
    assert attributes_of(root)["tfy.error_message"] == "it broke"


def test_a_request_that_is_for_no_model(spans_of, record):
    [root] = spans_of(record(request_type=None, resolved_model=None, model=None, usage=None))

    assert root.name == "POST"


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        ("tfy.request.model_name", ("gpt", "other"), 2),
        ("tfy.request.model_name", ("other",), 0),
        ("tfy.model.metric.input_tokens", ("120",), 0),
        ("no.such", ("gpt",), 0),
    ],
)
def test_only_what_fits_is_told(spans_of, record, key, value, count):
    assert len(spans_of(record(), when=[TraceWhen(key=key, value=value)])) == count


def test_no_name_of_opentelemetry_is_written_elsewhere():
    """All of them are in `conventions`, which is compared with what is installed."""
    folder = Path(names.__file__).parent
    sources = [path for path in folder.glob("*.py") if path.name != "conventions.py"]

    wrong = [path.name for path in sources for family in ('"gen_ai.', '"http.', '"url.') if family in path.read_text()]
    assert wrong == []
