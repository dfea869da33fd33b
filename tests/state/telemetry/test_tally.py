"""What is counted of records, and for how many names."""

import pytest

from gateway.contract import Outcome, Span
from gateway.contract.part import Spread
from gateway.state.telemetry.series import Bounded, Count, Values
from gateway.state.telemetry.tally import Tally


@pytest.fixture
def counted(described):
    """Name -> values, after some records."""

    def count(*records, **how):
        tally = Tally(described, **how)
        tally.count(records)
        return {figure.name: figure.values for figure in tally.figures()}

    return count


@pytest.mark.parametrize(("value", "bucket"), [(0.5, 0), (1, 0), (1.001, 1), (2, 1), (3, 2), (1e9, 2)])
def test_a_value_is_in_the_bucket_of_the_bound_that_it_does_not_pass(value, bucket):
    """As Prometheus reads `le`."""
    values = Values((1, 2))

    values.add(value)

    assert values.spread == Spread(tuple(int(at == bucket) for at in range(3)), value)


def test_what_is_too_much_is_counted_together():
    cells = Bounded(Count, labels=2, most=2)

    for labels in (("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("a", "1")):
        cells.at(labels).value += 1

    assert {labels: count.value for labels, count in cells.cells.items()} == {
        ("a", "1"): 2,
        ("b", "1"): 1,
        ("other", "other"): 2,
    }
    assert cells.overflowed == 2


def test_users_cannot_fill_the_memory(counted, record):
    found = counted(*(record(subject=f"user:{n}") for n in range(100)), by_user=True, most=10)

    assert len(found["ai_gateway_requests"]) == 11
    assert sum(found["ai_gateway_requests"].values()) == 100
    assert found["gateway_metrics_overflow"] == {(): 90}


def test_those_that_are_alike_count_each(counted, record):
    """They are counted together, and what has no room is counted as often as it came."""
    found = counted(*[record(model="a"), record(model="a", status=500), record(model="a")] * 2, most=0)

    assert sum(found["ai_gateway_requests"].values()) == 6
    assert sum(found["gateway_upstream_attempts"].values()) == 6
    assert found["gateway_metrics_overflow"] == {(): 18}  # of requests, attempts and streams


def test_tokens_are_told_by_class_and_in_sums(counted, record):
    found = counted(record(), record(usage=None, cost_nanousd=None))
    labels = ("openai-main/gpt-4o", "openai", "chat")

    assert found["gateway_tokens"] == {
        (*labels, "input"): 100,
        (*labels, "cache_read"): 20,
        (*labels, "output"): 40,
        (*labels, "reasoning"): 10,
    }
    assert (found["ai_gateway_input_tokens"], found["ai_gateway_output_tokens"]) == ({labels: 120}, {labels: 50})
    assert found["ai_gateway_request_cost"] == {labels: 0.0025}


def test_each_attempt_counts(counted, failed_over):
    found = counted(failed_over)

    assert found["gateway_upstream_attempts"] == {
        ("openai-main/gpt-4o", "openai", "Refused"): 1,
        ("own/llama", "self-hosted-model", "ok"): 1,
    }
    assert found["ai_gateway_request_model_inference_failure"] == {("openai-main/gpt-4o", "503", "Refused"): 1}
    assert found["ai_gateway_guardrail_requests"] == {("safety/need", "pass"): 1}
    assert found["ai_gateway_guardrail_execution_latency_ms"] == {("safety/need",): Spread((1,) + (0,) * 14, 4.0)}


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("upstream_timeout", "TimedOut"),
        ("upstream_unreachable", "Unreachable"),
        ("stream_interrupted", "BrokeOff"),
        ("whatever the provider says", "Refused"),
    ],
)
def test_why_an_attempt_failed_is_one_of_a_few_words(counted, record, reason, name):
    found = counted(record(spans=(Span("model", "own/llama", 502, reason, 0.0, 1.0),)))

    assert found["ai_gateway_request_model_inference_failure"] == {("own/llama", "502", name): 1}


@pytest.mark.parametrize(
    ("reason", "result"),
    [(None, "pass"), ("flagged", "flag"), ("guardrail_checks_failed", "block"), ("guardrail_timeout", "error")],
)
def test_what_guardrails_said(counted, record, reason, result):
    found = counted(record(spans=(Span("guardrail", "a/b", 200, reason, 0.0, 1.0),)))

    assert found["ai_gateway_guardrail_requests"] == {("a/b", result): 1}


@pytest.mark.parametrize(
    ("outcome", "code", "reason"),
    [
        (Outcome.COMPLETE, None, "complete"),
        (Outcome.CLIENT_LEFT, None, "client_gone"),
        (Outcome.UPSTREAM_BROKE, "stream_interrupted", "upstream_error"),
        (Outcome.UPSTREAM_BROKE, "upstream_timeout", "timeout"),
        (Outcome.STOPPED, None, "shutdown"),
        (Outcome.BLOCKED, None, "blocked"),
    ],
)
def test_how_a_stream_ended(counted, record, outcome, code, reason):
    found = counted(record(outcome=outcome, error_code=code))

    assert found["gateway_stream_end"] == {("openai-main/gpt-4o", reason): 1}


def test_a_stream_that_never_began_did_not_end(counted, record):
    found = counted(record(outcome=Outcome.REFUSED, status=429, time_to_first_token_ms=None), record(stream=False))

    assert found["gateway_stream_end"] == {}


def test_what_chose_the_target(counted, record):
    found = counted(record(applied={"rule": "half"}), record(applied={"routing_model_order": []}), record())

    assert found["ai_gateway_load_balanced_requests"] == {("half",): 1}


def test_other_requests_are_counted_apart(counted, record):
    found = counted(record(request_type=None, status=404), record(request_type=None, status=404))

    assert (found["gateway_other_requests"], found["ai_gateway_requests"]) == ({("404",): 2}, {})
