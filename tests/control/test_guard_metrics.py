"""What guardrails said, for charts: from a guarded request to the numbers of whoever may see them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.testing import request

GROUP = {
    "type": "provider-account/guardrail-config-group",
    "name": "safety",
    "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
    "integrations": [
        {
            "type": "integration/guardrail-config/word-list",
            "name": "words",
            "operation": "validate",
            "enforcing_strategy": "enforce",
            "config": {"words": ["zebra"]},
        }
    ],
}
RULES = {
    "type": "gateway-guardrails-config",
    "rules": [
        {
            "id": "no-animals",
            "when": {"target": {"conditions": {"model": {"condition": "in", "values": ["demo/echo"]}}}},
            "llm_input_guardrails": ["safety/words"],
            "llm_output_guardrails": [],
            "mcp_tool_pre_invoke_guardrails": [],
            "mcp_tool_post_invoke_guardrails": [],
        }
    ],
}


async def metrics(api, *, by="admin", **fields):
    start = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    body = {"startTs": start, "datasource": "guardrailMetrics", **fields}
    return await api.ask("POST", "/llm-gateway/metrics/query", body, by=by)


async def test_from_a_guarded_request_to_the_numbers(api):
    """Which one said what, of whose requests, and by which rule it was asked."""
    for manifest in (GROUP, RULES):
        await api.done(api.apply(manifest))

    async def ask(text, by):
        headers = {"authorization": f"Bearer static-token-of-{by}"}
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}]}
        return await request(api.app, "POST", "/v1/chat/completions", body, headers=headers)

    blocked = await ask("a zebra", "ana")
    assert (blocked.status, (await ask("a horse", "ana")).status, (await ask("a cow", "bo")).status) == (400, 200, 200)
    id_ = blocked.headers["x-request-id"]
    async with asyncio.timeout(10):
        while [row["values"]["count"] for row in (await metrics(api)).json()["data"]] != [3]:
            await asyncio.sleep(0.01)

    groups = ["guardrailName", "guardrailResult", "ruleId", "hook", "modelName"]
    found = await api.done(
        metrics(api, groupBy=groups, aggregations=[{"type": "count"}, {"type": "p90", "column": "latencyMs"}])
    )
    rows = [([*row["groupBy"].values()], row["values"]["count"]) for row in found["data"]]
    assert rows == [
        (["safety/words", "pass", "no-animals", "llm_input", "demo/echo"], 2),
        (["safety/words", "block", "no-animals", "llm_input", "demo/echo"], 1),
    ]
    assert found["data"][0]["values"]["p90(latencyMs)"] > 0
    own = await api.done(metrics(api, by="ana", groupBy=["userEmail"]))
    assert [(row["groupBy"], row["values"]) for row in own["data"]] == [
        ({"userEmail": "ana@example.com"}, {"count": 2})
    ]
    filters = [{"field": "guardrailResult", "operator": "IN", "value": ["block"]}]
    timed = await api.done(metrics(api, type="timeseries", filters=filters, compare="previous"))
    assert ([row["values"]["count"] for row in timed["data"]], timed["previous"]) == ([1], [])
    [step] = (await api.done(api.ask("GET", f"/requests/{id_}", by="ana")))["data"]["steps"]
    assert (step["kind"], step["result"], step["rule"], step["hook"]) == (
        "guardrail",
        "failed",
        "no-animals",
        "llm_input",
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"datasource": "mcpMetrics"}, "no MCP proxy yet"),
        ({"groupBy": ["colour"]}, "not 'colour'"),
        ({"aggregations": [{"type": "sum", "column": "costInUSD"}]}, "of guardrails, sum is there of latencyMs alone"),
        ({"filters": [{"field": "modelName", "operator": "IN", "value": ["\0"]}]}, "holds the character NUL"),
        ({"groupBy": ["team", "userEmail"]}, "are not kept together"),
        ({"endTs": "2020-01-01T00:00:00Z"}, "endTs comes after startTs"),
    ],
)
async def test_what_is_not_kept(api, fields, message):
    status, said = await api.refused(metrics(api, **fields))

    assert (status, message in said) == (400, True), said
