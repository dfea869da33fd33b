"""What happened to requests, one by one and all together, for who may see it."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.contract import Outcome, Record, Span
from gateway.contract.entry import Entry
from gateway.contract.price import Bill, BillLine
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, http_scope, request

ANA, BO, CI = "user:ana@example.com", "user:bo@example.com", "virtualaccount:ci"
NOW = datetime.now(UTC)
LIST = "gateway-controls:ListGatewayControls"
MODELS = """\
type: provider-account/self-hosted-model
name: mock
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: m
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.001, output: 0.002}}
"""
ASK = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}


def record_of(number, **fields):
    at = fields.pop("at", NOW - timedelta(minutes=30) + timedelta(seconds=number))
    told = {
        "timestamp": at,
        "level": "info",
        "request_id": f"{int(at.timestamp() * 1000):012x}{number:020x}",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "duration_ms": 100.0,
        "request_type": "chat",
        "subject": ANA,
        "model": "prod/chat",
        "resolved_model": "openai-main/gpt-4o",
        "upstream_status": 200,
        "overhead_ms": 1.0,
        "usage": Usage(input=10, output=5),
        "cost_nanousd": 232_500,
    }
    return Record(**(told | fields))


@pytest.fixture
async def filled(api):
    """Three by Ana, one each by Bo and by a virtual account."""
    api.records = [
        record_of(0, metadata={"app": "bot"}),
        record_of(1, subject=BO, teams=("research",)),
        record_of(2, status=502, outcome=Outcome.UPSTREAM_BROKE, error_message="it broke"),
        record_of(3, subject=CI, metadata={"app": "web"}),
        record_of(4, duration_ms=900.0, cost_nanousd=None),
    ]
    await api.app.control.records.write(api.records)
    return api


async def listed(api, query="", *, by="admin"):
    found = await api.done(api.ask("GET", f"/requests{query}", by=by))
    numbers = {record.request_id: number for number, record in enumerate(api.records)}
    return [numbers[row["requestId"]] for row in found["data"]]


async def test_a_request_is_in_the_list_once_it_has_ended(app_with, environ, tmp_path):
    """From the caller's metadata to the cost, which is text, and to the last digit that of the ledger."""
    path = tmp_path / "gateway.yaml"
    path.write_text(MODELS)
    reply = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
    app = app_with(FakeUpstream((200, [reply])), path, environ=environ)
    headers = {"authorization": "Bearer static-token-of-ana", "x-tfy-metadata": '{"app":"bot"}', "user-agent": "t/1"}

    async def ask(path, by="ana"):
        bearer = {"authorization": f"Bearer static-token-of-{by}"}
        return await request(app, "GET", f"/api/svc/v1{path}", headers=bearer)

    await app.open()
    answer = await request(app, "POST", "/v1/chat/completions", ASK, headers=headers)
    id_ = answer.headers["x-request-id"]
    async with asyncio.timeout(10):
        while (found := await ask(f"/requests/{id_}")).status == 404 or not found.json()["data"]["bill"]:
            await asyncio.sleep(0.01)

    found = found.json()["data"]
    [row] = (await ask(f"/requests?id={id_}")).json()["data"]
    picked = ("subject", "model", "resolvedModel", "status", "cost", "inputTokens", "metadata", "userAgent", "type")
    assert [row[name] for name in picked] == [
        ANA,
        "mock/m",
        "mock/m",
        200,
        "0.000013",
        7,
        {"app": "bot"},
        "t/1",
        "chat",
    ]
    assert [(step["kind"], step["name"], step["status"]) for step in found["steps"]] == [("model", "mock/m", 200)]
    assert sum(line["costNanoUsd"] for line in found["bill"]["lines"]) == 13_000
    assert (await ask(f"/requests/{id_}", by="bo")).status == 404


async def test_everybody_sees_their_own(filled):
    assert await listed(filled) == [4, 3, 2, 1, 0]
    assert await listed(filled, by="ana") == [4, 2, 0]
    assert await listed(filled, by="bo") == [1]
    assert await listed(filled, by="cy") == []
    assert await listed(filled, f"?subject={BO}", by="ana") == []
    assert await listed(filled, f"?not.subject={ANA}", by="ana") == []


async def test_filters_and_pages(filled):
    assert await listed(filled, "?status=5xx&status=429") == [2]
    assert await listed(filled, "?not.status=200") == [2]
    assert await listed(filled, "?metadata.app=bot&metadata.app=web") == [3, 0]
    assert await listed(filled, "?duration_ms=%3E500&order=asc") == [4]
    assert await listed(filled, "?since=10m") == []
    assert await listed(filled, "?since=1h&order=asc&limit=2") == [0, 1]
    first = await filled.done(filled.ask("GET", "/requests?limit=3"))
    assert await listed(filled, f"?limit=3&cursor={first['nextCursor']}") == [1, 0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?limit=0", "limit lies between 1 and 500"),
        ("?limit=501", "limit lies between 1 and 500"),
        ("?order=up", "order is asc or desc"),
        ("?since=yesterday", "since is a moment"),
        ("?cursor=", "cursor is the nextCursor of an answer"),
        ("?cursor=2", "cursor is the nextCursor of an answer; leave it out to begin at the beginning"),
        ("?cursor=0198F0C0FFEE0000000000000000000A", "cursor is the nextCursor of an answer"),
        ("/export?cursor=next", "cursor is the nextCursor of an answer"),
        ("?colour=red", "there is no filter 'colour'"),
        ("?model=%00", "holds the character NUL"),
        ("/export?format=xml", "format is jsonl or csv"),
        ("/stream?colour=red", "there is no filter 'colour'"),
        ("/facets?until=never", "until is a moment"),
    ],
)
async def test_what_cannot_be_understood(filled, query, message):
    status, said = await filled.refused(filled.ask("GET", f"/requests{query}"))

    assert (status, message in said) == (400, True), said


SCOPES = [
    ({"scope": "own_data"}, [4, 2, 0]),
    ({"scope": "team_data"}, [4, 3, 2, 1, 0]),
    ({"scope": "team_virtual_account_data"}, [4, 3, 2, 0]),
    ({"scope": "all_data"}, [4, 3, 2, 1, 0]),
    ({"scope": "all_data", "enabled": False}, [4, 2, 0]),
    ({"scope": "all_data", "subjects": ["user:bo@example.com"]}, [4, 2, 0]),
    ({"scope": "all_data", "data_types": ["metrics"]}, [4, 2, 0]),
    (
        {"scope": "all_data", "filters": [{"field": "created_by", "operator": "IN", "value": ["user:Bo@Example.com"]}]},
        [4, 2, 1, 0],
    ),
    (
        {"scope": "all_data", "filters": [{"field": "created_by", "operator": "NOT_IN", "value": [CI]}]},
        [4, 2, 1, 0],
    ),
    (
        {"scope": "all_data", "filters": [{"field": "metadata", "key": "app", "operator": "IN", "value": ["web"]}]},
        [4, 3, 2, 0],
    ),
    ({"scope": "all_data", "subjects": ["role:auditor"]}, [4, 3, 2, 1, 0]),
]


async def test_rules_give_more(filled):
    """Of `gateway-data-access-config`, to whom they are about, and only as long as they are there."""
    use = {"resource_type": "provider-account", "resource_fqn": "acme:demo:demo", "role_id": "provider-account-access"}
    for manifest in [
        {"type": "team", "name": "research", "members": ["ana@example.com", "bo@example.com"]},
        {"type": "virtual-account", "name": "ci", "permissions": [use], "ownedBy": {"team": "research"}},
        {"type": "role", "name": "auditor", "permissions": [LIST]},
        {
            "type": "role-binding",
            "name": "auditors",
            "subjects": [{"type": "team", "name": "research"}],
            "permissions": [{"resourceType": "tenant", "resourceFqn": "acme", "role": "auditor"}],
        },
    ]:
        await filled.done(filled.apply(manifest))
    found = []

    for rule, _ in SCOPES:
        rule = {"id": "r", "subjects": ["team:research"], "data_types": ["traces"], **rule}
        await filled.done(
            filled.apply({"type": "gateway-data-access-config", "name": "gateway-data-access-config", "rules": [rule]})
        )
        found.append(await listed(filled, by="ana"))
        assert await listed(filled, by="cy") == []

    assert found == [expected for _, expected in SCOPES]


async def test_filters_are_for_all_data_alone(filled):
    condition = {"field": "created_by", "operator": "IN", "value": [BO]}
    rule = {"id": "r", "subjects": [ANA], "data_types": ["traces"], "scope": "team_data", "filters": [condition]}

    answer = filled.apply({"type": "gateway-data-access-config", "name": "gateway-data-access-config", "rules": [rule]})

    assert (await filled.refused(answer))[0] == 400


async def test_one_request_line_by_line(filled):
    record = record_of(
        9,
        applied={"rule": "r1", "routing_model_order": ["a/m", "b/m"]},
        spans=(Span("model", "a/m", 503, "busy", 1.0, 2.0), Span("model", "b/m", 200, None, 3.0, 90.0)),
        limit_rules=("per-user",),
    )
    line = BillLine("input", 93, 2_500_000_000, 1_000_000, 232_500)
    bill = Bill(232_500, "openai/gpt-4o", "genai-prices 0.2.3", (line,))
    entry = Entry(request_id=record.request_id, at=NOW, subject=ANA, model="x", outcome="complete", bill=bill)
    await filled.app.control.records.write([record])
    await filled.app.control.ledger.write([entry], at=NOW)

    found = (await filled.done(filled.ask("GET", f"/requests/{record.request_id}")))["data"]

    assert found["applied"] == {"rule": "r1", "routing_model_order": ["a/m", "b/m"]}
    assert [(step["name"], step["status"], step["reason"]) for step in found["steps"]] == [
        ("a/m", 503, "busy"),
        ("b/m", 200, None),
    ]
    assert found["request"]["limitRules"] == ["per-user"]
    assert found["request"]["cost"] == "0.0002325"
    assert found["bill"]["lines"][0]["sum"] == "93 x $2.5 / 1000000 = $0.0002325"


async def test_a_stream_tells_what_comes_in(filled, until):
    """Filtered where it is, in batches, and until the client leaves."""
    leaves, sent = asyncio.Event(), []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = http_scope(
        "GET", "/api/svc/v1/requests/stream", {"authorization": "Bearer static-token-of-ana", "content-length": "0"}, 0
    )
    scope["query_string"] = b"status=200"
    streaming = asyncio.create_task(filled.app(scope, receive, send))
    await until(lambda: len(sent) > 1)

    await filled.app.control.records.write([record_of(10), record_of(11, subject=BO), record_of(12, status=500)])
    await until(lambda: any(b"event: requests" in message.get("body", b"") for message in sent))
    leaves.set()
    async with asyncio.timeout(30):
        await streaming

    assert sent[0]["status"] == 200
    assert (b"content-type", b"text/event-stream") in sent[0]["headers"]
    [event] = [message["body"] for message in sent[1:] if b"event: requests" in message.get("body", b"")]
    assert event.startswith(b"id: 8\nevent: requests\ndata: [")
    assert [row["subject"] for row in msgspec.json.decode(event.partition(b"data: ")[2])] == [ANA]


async def test_streams_are_counted(filled):
    """Each asks the database four times a second."""
    streams = filled.app.control.streams
    held = [streams.one_more() for _ in range(32)]
    for each in held:
        each.__enter__()

    status, _ = await filled.refused(filled.ask("GET", "/requests/stream"))
    for each in held:
        each.__exit__(None, None, None)

    assert status == 503
    assert (await filled.ask("GET", "/requests/export")).status == 200


async def test_exports(filled):
    """A cell never begins a formula, whatever a caller calls itself."""
    evil = record_of(20, user_agent="=cmd|' /C calc'!A0", metadata={"a": "@x"}, error_message="-1")
    await filled.app.control.records.write([evil])

    lines = (await filled.ask("GET", "/requests/export?limit=3")).body.splitlines()
    table = await filled.ask("GET", "/requests/export?format=csv")
    own = await filled.ask("GET", "/requests/export?format=csv", by="bo")

    assert [msgspec.json.decode(line)["requestId"] for line in lines] == [
        evil.request_id,
        filled.records[4].request_id,
        filled.records[3].request_id,
    ]
    rows = [*csv.DictReader(io.StringIO(table.body.decode(), newline=""))]
    assert len(rows) == 6
    assert [rows[0][name] for name in ("userAgent", "metadata", "errorMessage", "cost", "stream")] == [
        "'=cmd|' /C calc'!A0",
        '{"a":"@x"}',
        "'-1",
        "0.0002325",
        "false",
    ]
    assert table.headers["content-disposition"] == 'attachment; filename="requests.csv"'
    assert len(own.body.splitlines()) == 2


async def test_facets(filled):
    everybody = await filled.done(filled.ask("GET", "/requests/facets"))
    own = await filled.done(filled.ask("GET", "/requests/facets", by="bo"))

    assert everybody["data"]["status"] == [{"value": "200", "requests": 4}, {"value": "502", "requests": 1}]
    assert everybody["data"]["subject"][0] == {"value": ANA, "requests": 3}
    assert everybody["data"]["team"] == [{"value": "research", "requests": 1}]
    assert own["data"]["subject"] == [{"value": BO, "requests": 1}]
    assert "team" not in own["data"]


def question(**fields):
    body = {"startTs": (NOW - timedelta(hours=1)).isoformat(), "endTs": NOW.isoformat()} | fields
    return "/llm-gateway/metrics/query", body


async def test_metrics(filled):
    asked = [
        {"type": "count"},
        {"type": "sum", "column": "costInUSD"},
        {"type": "avg", "column": "latencyMs"},
        {"type": "p50", "column": "latencyMs"},
        {"type": "p99", "column": "timeToFirstTokenMs"},
        {"type": "sum", "column": "failures"},
        {"type": "sum", "column": "inputTokens"},
    ]
    body = question(aggregations=asked, groupBy=["userEmail"], compare="previous")

    found = await filled.done(filled.ask("POST", *body))
    own = await filled.done(filled.ask("POST", *question(groupBy=["userEmail"]), by="bo"))
    steps = await filled.done(filled.ask("POST", *question(type="timeseries", intervalInSeconds=3600)))

    assert found["data"] == [
        {
            "groupBy": {"userEmail": "ana@example.com"},
            "values": {
                "count": 3,
                "sum(costInUSD)": "0.000465",
                "avg(latencyMs)": 366.667,
                "p50(latencyMs)": pytest.approx(117.377, abs=0.001),
                "p99(timeToFirstTokenMs)": None,
                "sum(failures)": 1,
                "sum(inputTokens)": 30,
            },
            "timestamp": None,
        },
        {
            "groupBy": {"userEmail": "bo@example.com"},
            "values": {
                "count": 1,
                "sum(costInUSD)": "0.0002325",
                "avg(latencyMs)": 100.0,
                "p50(latencyMs)": pytest.approx(107.635, abs=0.001),
                "p99(timeToFirstTokenMs)": None,
                "sum(failures)": 0,
                "sum(inputTokens)": 10,
            },
            "timestamp": None,
        },
    ]
    assert found["previous"] == []
    assert [(row["groupBy"], row["values"]) for row in own["data"]] == [({"userEmail": "bo@example.com"}, {"count": 1})]
    assert (steps["intervalInSeconds"], sum(row["values"]["count"] for row in steps["data"])) == (3600, 5)


async def test_metrics_for_who_may_list_controls(filled):
    await filled.grant("cy", LIST)

    everybody = await filled.done(filled.ask("POST", *question(groupBy=["team"]), by="cy"))

    assert [(row["groupBy"], row["values"]["count"]) for row in everybody["data"]] == [({"team": "research"}, 1)]
    assert await listed(filled, by="cy") == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"startTs": "soon"}, "startTs is a moment"),
        ({"startTs": 1e300}, "startTs is a moment"),
        ({"startTs": "0001-01-02T00:00:00Z", "endTs": "0001-03-01T00:00:00Z", "compare": "previous"}, "is a moment"),
        ({"startTs": -62135596800, "endTs": -62135510400, "compare": "previous"}, "is a moment"),
        ({"endTs": 0}, "endTs comes after startTs"),
        ({"startTs": 0}, "endTs comes after startTs, by at most 400 days"),
        ({"datasource": "logs"}, "`$.datasource`; it has to be one of: guardrailMetrics, mcpMetrics, modelMetrics"),
        ({"compare": "last"}, "`$.compare`; it has to be one of: previous"),
        ({"aggregations": [{"type": "max"}]}, "it has to be one of: avg, count, p50, p75, p90, p95, p99, sum"),
        (
            {"filters": [{"field": "modelName", "operator": "LIKE", "value": "x"}]},
            "`$.filters[0].operator`; it has to be one of: EQUAL, IN, NOT_EQUAL, NOT_IN",
        ),
        ({"datasource": "mcpMetrics"}, "the gateway has no MCP proxy yet"),
        ({"groupBy": ["shoeSize"]}, "groupBy and filters know"),
        ({"groupBy": ["team", "userEmail"]}, "are not kept together"),
        ({"aggregations": [{"type": "p99", "column": "costInUSD"}]}, "p99 is there of"),
        ({"aggregations": [{"type": "sum", "column": "shoes"}]}, "sum is there of"),
        ({"type": "timeseries", "intervalInSeconds": 0}, "intervalInSeconds is above 0"),
        ({"filters": [{"field": "errorCode", "operator": "IN", "value": ["x"]}]}, "a status is a number"),
    ],
)
async def test_metrics_that_cannot_be_told(filled, fields, message):
    status, said = await filled.refused(filled.ask("POST", *question(**fields)))

    assert (status, message in said) == (400, True), said


async def test_an_export_ends_when_the_client_leaves(api):
    """No page more is looked for, and its place among the streams is free again."""
    await api.app.control.records.write([record_of(number) for number in range(5000)])
    leaves, sent = asyncio.Event(), []

    async def receive():
        if not sent:
            return {"type": "http.request", "body": b"", "more_body": False}
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        leaves.set()
        await asyncio.sleep(0)

    headers = {"authorization": "Bearer static-token-of-admin", "content-length": "0"}
    scope = http_scope("GET", "/api/svc/v1/requests/export", headers, 0)
    scope["query_string"] = b"format=csv"

    async with asyncio.timeout(20):
        await api.app(scope, receive, send)

    assert len(sent) < 6  # of a head, a line of names, five pages and the end
    async with asyncio.timeout(30):
        for _ in range(40):  # more than there are places
            assert (await api.ask("GET", "/requests/export?limit=1")).status == 200


async def test_spans(filled):
    start = (NOW - timedelta(hours=1)).isoformat()
    body = {"startTime": start, "dataRoutingDestination": "default", "limit": 3, "sortDirection": "asc"}

    first = await filled.done(filled.ask("POST", "/spans/query", body))
    second = await filled.done(
        filled.ask("POST", "/spans/query", {**body, "limit": 10, "pageToken": first["pagination"]["nextPageToken"]})
    )
    failed = await filled.done(
        filled.ask(
            "POST",
            "/spans/query",
            {
                "startTime": start,
                "filters": [
                    {"spanFieldName": "spanStatusCode", "operator": "EQUAL", "value": "ERROR"},
                    {"spanAttributeKey": "tfy.model.metric.latency_in_ms", "operator": "BETWEEN", "value": [50, 150]},
                ],
                "createdBySubjectSlugs": ["ana@example.com"],
                "parentSpanIds": [""],
            },
        )
    )

    assert [span["traceId"] for span in [*first["data"], *second["data"]] if not span["parentSpanId"]] == [
        record.request_id for record in filled.records
    ]
    assert "nextPageToken" not in second["pagination"]
    [span] = failed["data"]
    assert (span["traceId"], span["statusCode"], span["statusMessage"]) == (
        filled.records[2].request_id,
        "ERROR",
        "it broke",
    )
    assert span["spanAttributes"]["tfy.model.metric.cost_in_usd"] == 0.0002325


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": 0}, "limit lies between"),
        ({"sortDirection": "up"}, "`$.sortDirection`; it has to be one of: asc, desc"),
        ({"pageToken": "2"}, "pageToken is the nextPageToken of an answer"),
        ({"dataRoutingDestination": "eu"}, "dataRoutingDestination is one of default"),
        ({"filters": [{"operator": "EQUAL", "value": "x"}]}, "a filter has one of spanFieldName"),
        ({"filters": [{"spanFieldName": "colour", "operator": "EQUAL", "value": "x"}]}, "there is no spanFieldName"),
        ({"filters": [{"spanFieldName": "traceId", "operator": "LIKE", "value": "x"}]}, "there is no operator 'LIKE'"),
        ({"filters": [{"spanFieldName": "traceId", "operator": "EQUAL", "value": {}}]}, "the value of a filter"),
        ({"filters": [{"spanFieldName": "traceId", "operator": "IN", "value": []}]}, "the value of a filter"),
        ({"filters": [{"spanFieldName": "durationInMs", "operator": "BETWEEN", "value": [1]}]}, "two numbers"),
        ({"filters": [{"spanFieldName": "durationInMs", "operator": "LESS_THAN", "value": "x"}]}, "takes a number"),
        ({"filters": [{"spanFieldName": "spanName", "operator": "STRING_CONTAINS", "value": 1}]}, "takes a text"),
        ({"filters": [{"spanFieldName": "spanName", "operator": "PRESENT"}] * 31}, "at most 30 filters"),
    ],
)
async def test_spans_that_cannot_be_looked_for(filled, fields, message):
    body = {"startTime": "2026-01-01T00:00:00Z", **fields}

    status, said = await filled.refused(filled.ask("POST", "/spans/query", body))

    assert (status, message in said) == (400, True), said


async def test_without_records_there_are_none_to_ask_for(open_app):
    api = await open_app(GATEWAY_RECORDS_URL="none")

    status, said = await api.refused(api.ask("GET", "/requests"))

    assert (status, said) == (404, "records of requests are not kept; that is what GATEWAY_RECORDS_URL=none asks for")


GLOBAL = {
    "type": "gateway-global-settings",
    "name": "global",
    "logging_settings": {"type": "header_controlled", "log_body_by_default": False},
}
HIDING = {
    "type": "gateway-logging-config",
    "name": "numbers",
    "log": True,
    "redact_with": {"custom_patterns": [{"pattern": "EMP-[0-9]+", "redaction_text": "[EMP]"}]},
}


async def test_what_is_asked_and_answered(api):
    """Kept for those who say so, where they may, without what must not be read; and shown with that request alone."""
    for manifest in (GLOBAL, HIDING):
        await api.done(api.apply(manifest))
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "EMP-17 sk-0123456789abcdef0123"}]}
    ids = []
    for enabled in ("true", "false"):
        headers = {"authorization": "Bearer static-token-of-ana", "x-tfy-logging-config": f'{{"enabled": {enabled}}}'}
        answer = await request(api.app, "POST", "/v1/chat/completions", body, headers=headers)
        assert answer.status == 200
        ids.append(answer.headers["x-request-id"])

    async def shown(id_):
        return (await api.ask("GET", f"/requests/{id_}", by="ana")).json().get("data", {})

    async with asyncio.timeout(10):
        while not (await shown(ids[0])).get("input"):
            await asyncio.sleep(0.01)
        while not (other := await shown(ids[1])):
            await asyncio.sleep(0.01)
    found = await shown(ids[0])

    assert msgspec.json.decode(found["input"])["messages"][0]["content"] == "[EMP] ***"
    assert "[EMP] ***" in found["output"]
    assert found["isCut"] is False
    assert (other["input"], other["output"]) == (None, None)
    for path in ("/requests", "/requests/export", "/requests/export?format=csv"):
        assert b"EMP" not in (await api.ask("GET", path, by="ana")).body
