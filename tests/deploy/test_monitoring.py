"""Alerts and dashboard: they speak of what the gateway measures, fire when they should, and are explained."""

import json
import re
import shutil
import subprocess
from random import Random

import pytest
import yaml

from gateway.contract.part import Figure
from gateway.endpoints.figures import Figures, LimitFigures, TargetFigures
from gateway.proxy.admission import Admission
from gateway.proxy.drain import Drain
from gateway.rules.routing import Health
from gateway.state.counters.memory import MemoryCounters
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.telemetry import Telemetry

BY_MODEL = {"model_name", "provider", "request_type"}
LABELS = {
    "gateway_build_info": {"version"},
    "gateway_degraded": {"component"},
    "gateway_limit_refusals_total": {"rule"},
    "gateway_limit_audits_total": {"rule"},
    "gateway_breaker_state": {"model_name"},
    "gateway_target_failures": {"model_name"},
    "gateway_target_cooldown_seconds": {"model_name"},
    "gateway_budget_used_ratio": {"rule"},
    "gateway_upstream_attempts_total": {"model_name", "provider", "outcome"},
    "gateway_stream_end_total": {"model_name", "reason"},
    "gateway_other_requests_total": {"code"},
    "gateway_tokens_total": {*BY_MODEL, "class"},
    "gateway_overhead_seconds": BY_MODEL,
    "ai_gateway_request_processing_ms": BY_MODEL,
    "ai_gateway_first_token_latency_ms": BY_MODEL,
    "ai_gateway_inter_token_latency_ms": BY_MODEL,
    "gateway_logs_exported_total": {"outcome", "reason"},
    "gateway_metrics_exported_total": {"outcome", "reason"},
    "ai_gateway_requests_total": {*BY_MODEL, "code"},
    "ai_gateway_input_tokens_total": BY_MODEL,
    "ai_gateway_output_tokens_total": BY_MODEL,
    "ai_gateway_request_cost_total": BY_MODEL,
    "ai_gateway_request_model_inference_failure_total": {"model_name", "error_code", "exception_class"},
    "ai_gateway_load_balanced_requests_total": {"ruleId"},
    "ai_gateway_rate_limit_nominated_total": {"ruleId"},
    "ai_gateway_rate_limit_applied_total": {"ruleId"},
    "ai_gateway_budget_nominated_total": {"ruleId"},
    "ai_gateway_budget_applied_total": {"ruleId"},
    "ai_gateway_budget_usage": {"ruleId"},
    "ai_gateway_guardrail_requests_total": {"guardrail_fqn", "result"},
    "ai_gateway_guardrail_execution_latency_ms": {"guardrail_fqn"},
    "ai_gateway_spans_exported_total": {"outcome", "reason"},
    "ai_gateway_span_drops_total": {"reason"},
}
"""Of those that are shown; `test_labels_are_those_that_the_code_gives` compares them with the code."""
OF_PROMETHEUS = {"job", "instance"}


@pytest.fixture
def alerts(deploy):
    """Name -> rule."""
    [group] = yaml.safe_load((deploy / "prometheus/alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@pytest.fixture
def dashboard(deploy):
    return json.loads((deploy / "grafana/llm-asgi-gateway.json").read_text())


@pytest.fixture
def measured(render, cluster, tmp_path, redis_url):
    """The names in the /metrics of a gateway with all its parts."""
    secret = {
        "GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef",
        "GATEWAY_PEPPER": "pepper-of-the-tests-0123456789",
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db",
        "GATEWAY_REDIS_URL": redis_url,
    }
    parts = {"database": {"enabled": True}, "redis": {"enabled": True}, "secrets": {"existingSecret": "gateway"}}
    spec = render(parts)["Deployment", "llm-llm-asgi-gateway"]["spec"]["template"]["spec"]
    pod = cluster(secrets={"gateway": secret}).start(spec, spec["containers"][0])
    pod.wait_until(pod.is_ready)
    return set(re.findall(r"^# TYPE (\S+) ", pod.ask("/metrics")[1], re.MULTILINE))


def expressions(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def parsed(expression):
    """Raises ValueError: it is no PromQL."""
    promql = pytest.importorskip("promql_parser", reason="needs promql-parser")
    return str(promql.parse(expression.replace("$__rate_interval", "5m")))


def names(expression):
    """Of metrics; a histogram is one, whatever of it is asked for."""
    found = re.findall(r"\b(?:ai_)?gateway_\w+", expression)
    return {re.sub(r"_bucket$", "", name) for name in found}


def test_alerts_speak_of_what_is_measured(alerts, measured):
    assert {name for rule in alerts.values() for name in names(rule["expr"])} - measured == set()


def test_the_dashboard_shows_what_is_measured(dashboard, measured):
    """All of it."""
    shown = {name for expression in expressions(dashboard) for name in names(expression)}

    assert shown == {name for name in measured if name.startswith(("gateway_", "ai_gateway_"))}


def test_expressions_are_promql(alerts, dashboard):
    for expression in [rule["expr"] for rule in alerts.values()] + expressions(dashboard):
        assert re.search("gateway_|process_", parsed(expression))


def test_alerts_name_labels_that_are_there(alerts):
    """A label that is not there would be left blank in the message."""
    for rule in alerts.values():
        [name] = names(rule["expr"])
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert shown - OF_PROMETHEUS <= LABELS.get(name, set())


def test_the_dashboard_asks_for_labels_that_are_there(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            known = set().union(*(LABELS.get(name, set()) for name in names(target["expr"])))
            assert shown - OF_PROMETHEUS <= known


def test_labels_are_those_that_the_code_gives():
    """Of all figures, whether there is anything to tell or not."""
    admission, health = Admission(counters=MemoryCounters()), Health(Random(1))
    parts = [
        LimitFigures(admission),
        TargetFigures(health, is_configured=bool, clock=lambda: 0.0),
        Telemetry(Tally(lambda _: ("", ""))),
    ]
    figures = [*Figures(parts, drain=Drain())()]
    given = {
        f"{each.name}_total" if isinstance(each, Figure) and each.kind == "counter" else each.name: set(each.labels)
        for each in figures
    }

    assert {name: labels for name, labels in given.items() if labels} == LABELS


def test_panels_do_not_lie_on_each_other(dashboard):
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_each_alert_is_explained(alerts, deploy):
    """Its link leads to what to do."""
    page = (deploy.parent / "docs/operations.md").read_text()
    headings = re.findall(r"^### (\w+)$", page, re.MULTILINE)

    assert headings == list(alerts)
    assert {name: rule["annotations"]["runbook_url"] for name, rule in alerts.items()} == {
        name: f"docs/operations.md#{name.lower()}" for name in alerts
    }


def test_each_alert_fires_and_none_without_need(deploy):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool, of the package prometheus")

    ended = subprocess.run(
        ["promtool", "test", "rules", "alerts.test.yaml"], cwd=deploy / "prometheus", capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_is_tried(alerts, deploy):
    tried = yaml.safe_load((deploy / "prometheus/alerts.test.yaml").read_text())["tests"]

    assert {case["alertname"] for test in tried for case in test.get("alert_rule_test", ())} == set(alerts)
