"""What Prometheus is told: it can be read, keeps to the rules for names, and says what happened."""

import asyncio
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__
from gateway.errors import BrokeOff
from gateway.testing import FakeUpstream, get, post

CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'])
STREAM = [
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n',
    b"data: [DONE]\n\n",
]
PRICED = """\
type: provider-account/self-hosted-model
name: mock
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: m
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 1, output: 2}}
"""
LIMITED = """\
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: two, when: {}, limit_to: 2, unit: requests_per_minute}
---
type: tenant-budget-config
name: month
limits: {cost_per_month: 100}
applies_to: {type: aggregate}
mode: enforce
"""
SPEC_MS = {
    "ai_gateway_request_processing_ms",
    "ai_gateway_first_token_latency_ms",
    "ai_gateway_inter_token_latency_ms",
    "ai_gateway_guardrail_execution_latency_ms",
}
"""Dashboards of TrueFoundry's gateway know them by these names, in milliseconds."""
LABELS = 'model_name="mock/m",provider="self-hosted-model",request_type="chat"'


async def metrics_of(app):
    """The lines of /metrics, once all records have been counted."""
    for part in app.parts:
        if part.name == "log":
            await part.flush()
    answer = await get(app, "/metrics")
    assert answer.status == 200
    return answer.body.decode().splitlines()


async def test_what_is_told_of_a_gateway_that_was_asked_nothing(app_with):
    app = app_with(FakeUpstream(REPLY))

    answer = await get(app, "/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    told = [line for line in lines if line.startswith(("gateway_", "ai_gateway_")) and "_stall" not in line]
    assert told == [
        f'gateway_build_info{{version="{__version__}"}} 1.0',
        "gateway_open_requests 0.0",
        "gateway_open_streams 0.0",
        "gateway_objects 0.0",
        "gateway_config_generation 1.0",
        "gateway_config_reload_failures_total 0.0",
        "ai_gateway_config_parsing_failures_total 0.0",
        "gateway_metrics_overflow_total 0.0",
        "ai_gateway_spans_accepted_total 0.0",
        "gateway_records_dropped_total 0.0",
        "gateway_background_responses 0.0",
        "gateway_realtime_calls 0.0",
        "gateway_unpriced_requests_total 0.0",
        'gateway_degraded{component="counters"} 0.0',
        'gateway_degraded{component="log"} 0.0',
    ]
    assert [line for line in lines if line.startswith("process_resident_memory_bytes ")] != []


async def test_a_request(app_with, manifest, auth):
    manifest.write_text(PRICED)
    app = app_with(FakeUpstream(REPLY))

    await post(app, CHAT, ASK, headers=auth)
    lines = await metrics_of(app)

    wanted = [
        f'ai_gateway_requests_total{{{LABELS},code="200"}} 1.0',
        f"ai_gateway_input_tokens_total{{{LABELS}}} 7.0",
        f"ai_gateway_output_tokens_total{{{LABELS}}} 3.0",
        f"ai_gateway_request_cost_total{{{LABELS}}} 0.013",
        f'gateway_tokens_total{{class="input",{LABELS}}} 7.0',
        'gateway_upstream_attempts_total{model_name="mock/m",outcome="ok",provider="self-hosted-model"} 1.0',
        f'ai_gateway_request_processing_ms_bucket{{le="600000.0",{LABELS}}} 1.0',
        f"ai_gateway_request_processing_ms_count{{{LABELS}}} 1.0",
        f"gateway_overhead_seconds_count{{{LABELS}}} 1.0",
    ]
    by_labels = {sorted_labels(line) for line in lines}
    assert [line for line in wanted if sorted_labels(line) not in by_labels] == []


def sorted_labels(line):
    """The order of labels says nothing."""
    found = re.fullmatch(r"(\w+)(?:{(.*)})? (\S+)", line)
    return (found[1], frozenset((found[2] or "").split(",")), found[3]) if found else (line,)


@pytest.mark.parametrize(
    ("end", "reason"),
    [([], "complete"), ([BrokeOff("cut")], "upstream_error")],
    ids=["whole", "broken"],
)
async def test_how_streams_end(app_with, auth, end, reason):
    app = app_with(FakeUpstream((200, [*(STREAM if not end else STREAM[:1]), *end])))

    await post(app, CHAT, {**ASK, "stream": True}, headers=auth)
    lines = await metrics_of(app)

    assert f'gateway_stream_end_total{{model_name="mock/m",reason="{reason}"}} 1.0' in lines
    assert f"ai_gateway_first_token_latency_ms_count{{{LABELS}}} 1.0" in lines


async def test_a_client_that_leaves(app_with, auth, until):
    upstream, leaves = FakeUpstream((200, [STREAM[0], asyncio.Event()])), asyncio.Event()
    app = app_with(upstream)
    asking = asyncio.create_task(post(app, CHAT, {**ASK, "stream": True}, headers=auth, leaves=leaves))
    await until(lambda: upstream.replies)

    assert "gateway_open_streams 1.0" in await metrics_of(app)
    leaves.set()
    await asking

    assert 'gateway_stream_end_total{model_name="mock/m",reason="client_gone"} 1.0' in await metrics_of(app)


async def test_a_model_that_fails(app_with, auth):
    app = app_with(FakeUpstream((503, [b'{"error":{"message":"busy","code":"very busy today"}}'])))

    await post(app, CHAT, ASK, headers=auth)
    lines = await metrics_of(app)

    failure = 'error_code="503",exception_class="Refused",model_name="mock/m"'
    assert f"ai_gateway_request_model_inference_failure_total{{{failure}}} 1.0" in lines
    assert 'gateway_target_failures{model_name="mock/m"} 1.0' in lines
    assert 'gateway_breaker_state{model_name="mock/m"} 0.0' in lines
    assert [line for line in lines if "very busy" in line] == []


async def test_names_that_callers_think_of_are_no_labels(app_with, auth):
    """Each would be a series for ever."""
    app = app_with(FakeUpstream(REPLY))

    for number in range(50):
        await post(app, CHAT, {**ASK, "model": f"mock/none-{number}"}, headers=auth)
    lines = await metrics_of(app)

    requests = [line for line in lines if line.startswith("ai_gateway_requests_total")]
    assert requests == ['ai_gateway_requests_total{code="404",model_name="",provider="",request_type="chat"} 50.0']


async def test_limits_and_budgets(app_with, manifest, auth):
    manifest.write_text(PRICED + LIMITED)
    app = app_with(FakeUpstream(REPLY))

    statuses = [(await post(app, CHAT, ASK, headers=auth)).status for _ in range(3)]
    lines = await metrics_of(app)

    assert statuses == [200, 200, 429]
    assert [line for line in lines if re.match(r"ai_gateway_(rate_limit|budget)_\w+_total", line)] == [
        'ai_gateway_rate_limit_applied_total{ruleId="two"} 1.0',
        'ai_gateway_rate_limit_nominated_total{ruleId="two"} 3.0',
        'ai_gateway_budget_nominated_total{ruleId="month"} 2.0',
    ]
    [used] = [float(line.split()[-1]) for line in lines if line.startswith('ai_gateway_budget_usage{ruleId="month"}')]
    [part] = [float(line.split()[-1]) for line in lines if line.startswith('gateway_budget_used_ratio{rule="month"}')]
    assert 0.026 < used < 10  # dollars: the first request, and what the second might have taken
    assert part == pytest.approx(used / 100)


async def test_labels_of_ones_own(app_with, auth):
    """By a variable of TrueFoundry's gateway, and one of our own."""
    environ = {
        "GATEWAY_ADMIN_TOKEN": auth["authorization"].removeprefix("Bearer "),
        "LLM_GATEWAY_METADATA_LOGGING_KEYS": '["team"]',
        "GATEWAY_METRICS_BY_USER": "true",
    }
    app = app_with(FakeUpstream(REPLY), environ=environ)

    await post(app, CHAT, ASK, headers={**auth, "x-tfy-metadata": '{"team": "a\\"b", "other": "x"}'})
    lines = await metrics_of(app)

    [line] = [line for line in lines if line.startswith("ai_gateway_requests_total")]
    assert 'llm_gateway_metadata_team="a\\"b"' in line
    assert 'username="user:admin"' in line
    assert "other" not in line


async def test_prometheus_can_read_it_and_its_rules_for_names_hold(app_with, manifest, auth):
    """As `promtool check metrics` has them: https://prometheus.io/docs/practices/naming/."""
    manifest.write_text(PRICED + LIMITED)
    app = app_with(FakeUpstream(REPLY, (200, STREAM)))
    for ask in (ASK, {**ASK, "stream": True}, {**ASK, "model": "none"}):
        await post(app, CHAT, ask, headers=auth)

    families = [*text_string_to_metric_families("\n".join(await metrics_of(app)) + "\n")]

    assert len(families) > 40
    assert [each.name for each in families if not each.documentation.strip()] == []
    for family in families:
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert names <= {f"{family.name}_total", f"{family.name}_created"}
        else:
            assert not family.name.endswith("_total")
        if family.type != "histogram":
            assert not family.name.endswith(("_bucket", "_count", "_sum"))
        assert not re.search(r"_(counter|gauge|histogram|summary)(_|$)", family.name)
        if family.name not in SPEC_MS:
            assert not re.search(r"_(ms|milliseconds|minutes|hours|kilobytes|percent)(_|$)", family.name)
        for sample in family.samples:
            assert sample.value >= 0
    histograms = {family.name: family for family in families if family.type == "histogram"}
    assert histograms.keys() >= SPEC_MS - {"ai_gateway_guardrail_execution_latency_ms"}
    for family in histograms.values():
        assert all("le" in sample.labels for sample in family.samples if sample.name.endswith("_bucket"))
    assert len(families) == len({family.name for family in families})
