"""Spans are found by what they are, by their attributes and by the metadata of their request; each by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract import Outcome, Record, Span
from gateway.contract.usage import Usage
from gateway.control.span_filters import FIELDS, OPERATORS, SpanFilter, understood
from gateway.control.spans import spans_of

NOW = datetime.now(UTC)
ANA, BO = "user:ana@example.com", "virtualaccount:bo"


def record_of(number, **fields):
    at = NOW - timedelta(minutes=30) + timedelta(seconds=number)
    told = {
        "timestamp": at,
        "level": "info",
        "request_id": f"{int(at.timestamp() * 1000):012x}{number:020x}",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "duration_ms": 100.0 * (number + 1),
        "request_type": "chat",
        "subject": ANA,
        "model": "prod/chat",
        "resolved_model": "b/m",
        "usage": Usage(input=10 + number, output=5),
        "cost_nanousd": 232_500,
        "overhead_ms": 1.0,
    }
    return Record(**(told | fields))


@pytest.fixture
async def filled(api):
    """Whose spans are: the request itself as `0`, and what it waited for as `0.1`, `0.2`."""
    asked = Span("model", "a/m", 503, "busy", 1.0, 20.0), Span("model", "b/m", 200, None, 30.0, 60.0)
    guard = Span(
        "guardrail", "safe/pii", 400, "guardrail_checks_failed", 1.0, 3.0, hook="llm_input", result="failed", rule="r1"
    )
    api.records = [
        record_of(0, spans=asked, metadata={"app": "bot", "region": "eu"}, teams=("research", "ops")),
        record_of(1, subject=BO, metadata={"app": "web"}),
        record_of(
            2,
            status=400,
            outcome=Outcome.BLOCKED,
            error_message="no words",
            spans=(guard,),
            resolved_model=None,
            usage=None,
            cost_nanousd=None,
            applied={"rule": "r7"},
        ),
    ]
    await api.app.control.records.write(api.records)
    return api


async def found(api, *filters, **body):
    start = (NOW - timedelta(hours=1)).isoformat()
    asked = {"startTime": start, "sortDirection": "asc", "filters": filters, **body}
    answer = await api.done(api.ask("POST", "/spans/query", asked))
    numbers = {record.request_id: str(number) for number, record in enumerate(api.records)}
    counts: dict[str, int] = {}
    names = []
    for span in answer["data"]:
        number = numbers[span["traceId"]]
        if span["parentSpanId"]:
            position = int(span["spanId"], 16) - int(span["parentSpanId"], 16)
            names.append(f"{number}.{position}")
        else:
            names.append(number)
        counts[number] = counts.get(number, 0) + 1
    return names


def field(name, operator, value=None):
    return {"spanFieldName": name, "operator": operator, "value": value}


def attribute(key, operator, value=None):
    return {"spanAttributeKey": key, "operator": operator, "value": value}


def metadata(key, operator, value=None):
    return {"gatewayRequestMetadataKey": key, "operator": operator, "value": value}


EVERY = ["0", "0.1", "0.2", "1", "1.1", "2", "2.1"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], EVERY),
        ([field("spanName", "EQUAL", "a/m")], ["0.1"]),
        ([field("spanName", "STRING_CONTAINS", "prod")], ["0", "1", "2"]),
        ([field("spanName", "STRING_NOT_CONTAINS", "/m")], ["0", "1", "2", "2.1"]),
        ([field("spanName", "STRING_STARTS_WITH", "safe/")], ["2.1"]),
        ([field("spanName", "STRING_ENDS_WITH", "/m")], ["0.1", "0.2", "1.1"]),
        ([field("parentSpanId", "IS_NULL")], ["0", "1", "2"]),
        ([field("parentSpanId", "PRESENT")], ["0.1", "0.2", "1.1", "2.1"]),
        ([field("applicationName", "NOT_EQUAL", "tfy-llm-gateway")], []),
        ([field("createdBySubjectSlug", "IN", ["bo"])], ["1", "1.1"]),
        ([field("createdBySubjectType", "NOT_IN", ["user"])], ["1", "1.1"]),
        ([field("durationInMs", "BETWEEN", [60, 200])], ["0", "0.2", "1", "1.1"]),
        ([field("durationInNs", "LESS_THAN", 4_000_000)], ["2.1"]),
        ([field("spanStatusCode", "EQUAL", "ERROR")], ["0.1", "2", "2.1"]),
        ([field("tag", "PRESENT")], []),
        ([field("environment", "IS_NULL"), field("spanName", "EQUAL", "a/m")], ["0.1"]),
        ([field("scopeName", "STRING_CONTAINS", "gateway"), field("tag", "NOT_EQUAL", "x")], EVERY),
        ([attribute("tfy.model.name", "EQUAL", "a/m")], ["0.1"]),
        ([attribute("tfy.model.name", "EQUAL", "b/m")], ["0", "0.2", "1", "1.1"]),
        ([attribute("tfy.request.model_name", "EQUAL", "prod/chat")], ["0", "1", "2"]),
        ([attribute("http.response.status_code", "GREATER_THAN_EQUAL", 500)], ["0.1"]),
        ([attribute("http.response.status_code", "IN", ["400", 503.0])], ["0.1", "2", "2.1"]),
        ([attribute("tfy.model.metric.input_tokens", "GREATER_THAN", 10)], ["1"]),
        ([attribute("tfy.model.metric.cost_in_usd", "EQUAL", 0.0002325)], ["0", "1"]),
        ([attribute("tfy.model.streaming", "EQUAL", False), field("durationInMs", "GREATER_THAN", 250)], ["2"]),
        ([attribute("tfy.request.created_by_subject_teams", "ARRAY_HAS_ANY", ["ops", "x"])], ["0"]),
        ([attribute("tfy.request.created_by_subject_teams", "ARRAY_HAS_NONE", ["ops"])], EVERY[1:]),
        ([attribute("tfy.guardrail.result", "EQUAL", "block")], ["2.1"]),
        ([attribute("gateway.guardrail.rule", "PRESENT")], ["2.1"]),
        ([attribute("applied_loadbalance_rule_ids", "ARRAY_HAS_ANY", "r7")], ["2"]),
        ([attribute("tfy.error_message", "STRING_CONTAINS", "words")], ["2"]),
        ([attribute("no.such.attribute", "IS_NULL"), field("parentSpanId", "IS_NULL")], ["0", "1", "2"]),
        ([metadata("app", "EQUAL", "bot")], ["0", "0.1", "0.2"]),
        ([metadata("app", "STRING_STARTS_WITH", "we")], ["1", "1.1"]),
        ([metadata("app", "NOT_EQUAL", "bot"), field("parentSpanId", "IS_NULL")], ["1", "2"]),
        ([metadata("region", "PRESENT"), metadata("app", "IN", ["bot", "web"])], ["0", "0.1", "0.2"]),
    ],
)
async def test_filters(filled, asked, names):
    assert await found(filled, *asked) == names


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_field_takes_each_operator(operator):
    """Whatever does not make sense finds nothing, and nothing breaks."""
    value = [1, 2] if operator == "BETWEEN" else 1 if "THAN" in operator else "x"
    record = record_of(0)
    spans = [span | {"feedbacks": [["id", "helpful", "up", None]]} for span in spans_of(record)]

    for name in FIELDS:
        filters = understood([SpanFilter(operator=operator, value=value, span_field_name=name)])
        assert {filters.fits(span, record) for span in spans} <= {True, False}


@pytest.mark.parametrize(
    ("operator", "value", "fits"),
    [
        ("EQUAL", "12345678901234567890", True),
        ("EQUAL", 12345678901234567890, True),
        ("EQUAL", "12345678901234567891", False),
        ("NOT_EQUAL", "12345678901234567891", True),
        ("IN", ["nan"], False),
    ],
)
def test_long_numbers_are_told_apart(operator, value, fits):
    """Ids of customers that differ in their last digit were the same, as they are in floats."""
    filters = understood([SpanFilter(operator=operator, value=value, gateway_request_metadata_key="customer")])

    assert filters.fits({}, record_of(0, metadata={"customer": "12345678901234567890"})) is fits


def test_nan_is_a_text():
    """It was not even the same as itself."""
    filters = understood([SpanFilter(operator="EQUAL", value="nan", gateway_request_metadata_key="customer")])

    assert filters.fits({}, record_of(0, metadata={"customer": "nan"}))


async def test_by_ids(filled):
    own = filled.records[0].request_id

    assert await found(filled, field("traceId", "EQUAL", own)) == ["0", "0.1", "0.2"]
    assert await found(filled, traceIds=[own], parentSpanIds=[own[-16:]]) == ["0.1", "0.2"]
    assert await found(filled, spanIds=[own[-16:]]) == ["0"]
    assert await found(filled, applicationNames=["another"]) == []


async def test_what_was_said_of_a_request(filled):
    """As the SDK reads it, a list of lists; and only for those who ask for it."""
    id_ = filled.records[1].request_id
    await filled.done(filled.ask("PUT", f"/requests/{id_}/feedback/helpful", {"value": "up", "comment": "good"}))
    asked = {
        "startTime": (NOW - timedelta(hours=1)).isoformat(),
        "filters": [field("feedbacks", "ARRAY_HAS_ANY", ["helpful"])],
    }

    told = await filled.done(filled.ask("POST", "/spans/query", {**asked, "includeFeedbacks": True}))
    quiet = await filled.done(filled.ask("POST", "/spans/query", asked))

    assert [span["traceId"] for span in told["data"]] == [id_, id_]
    assert [said[1:] for span in told["data"] for said in span["feedbacks"]] == [["helpful", "up", "good"]] * 2
    assert [span["feedbacks"] for span in quiet["data"]] == [[], []]


async def test_pages_of_what_is_rare(api):
    """It goes on behind the last request that was looked at, and each span comes once."""
    api.records = [record_of(number, status=500 if number % 40 == 7 else 200) for number in range(450)]
    await api.app.control.records.write(api.records)
    asked = {
        "startTime": (NOW - timedelta(hours=1)).isoformat(),
        "sortDirection": "asc",
        "limit": 4,
        "filters": [attribute("http.response.status_code", "EQUAL", 500), field("parentSpanId", "IS_NULL")],
    }
    ids, token, pages = [], None, 0

    while pages < 50:
        answer = await api.done(api.ask("POST", "/spans/query", asked | ({"pageToken": token} if token else {})))
        ids += [span["traceId"] for span in answer["data"]]
        pages += 1
        token = answer["pagination"].get("nextPageToken")
        if token is None:
            break

    assert ids == [record.request_id for record in api.records[7::40]]
    assert pages == 4


async def test_a_destination_has_its_own(filled):
    """Once there are several, each is asked for by its name."""
    routed = {
        "type": "gateway-data-routing-config",
        "name": "routing",
        "default": {"storage": {"type": "controlplane-managed"}},
        "destinations": [
            {
                "name": "eu",
                "when": [{"field": "metadata", "key": "region", "operator": "IN", "value": ["eu"]}],
                "storage": {"type": "controlplane-managed"},
            }
        ],
    }
    await filled.done(filled.apply(routed))
    filled.records.append(record_of(3, destination="eu"))
    await filled.app.control.records.write(filled.records)

    assert await found(filled, dataRoutingDestination="eu") == ["3", "3.1"]
    assert await found(filled, dataRoutingDestination="default") == EVERY
    assert await found(filled) == [*EVERY, "3", "3.1"]
    status, said = await filled.refused(
        filled.ask("POST", "/spans/query", {"startTime": NOW.isoformat(), "dataRoutingDestination": "us"})
    )
    assert (status, said) == (400, "dataRoutingDestination is one of default, eu")
