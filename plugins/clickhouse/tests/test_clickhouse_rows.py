"""What a record is in the table; and in ClickHouse's own engine, where it is installed."""

import msgspec
import pytest
from aiohttp import web
from gateway_clickhouse.rows import COLUMNS, ddl, rows_of
from gateway_clickhouse.sink import ClickHouseSink

from gateway.contract import Record, SideCall, Span
from gateway.contract.usage import Usage


@pytest.fixture
def full(record):
    """A record with all that there can be."""
    usage = Usage(input=10, cache_read=5, output=3, reasoning=2)
    return record(
        7,
        path="/v1/ä\n\t'\"\\`",
        status=429,
        usage=usage,
        cost_nanousd=-1,
        stream=True,
        teams=("a", "b"),
        metadata={"app": "b'ot", "": "\x00"},
        time_to_first_token_ms=float("inf"),
        duration_ms=float("nan"),
        upstream_status=503,
        over_limits=("day",),
        spans=(Span("model", "demo/echo", 200, None, 0.0, 1.5),),
        side_calls=(SideCall("demo/echo", usage, None),),
        applied={"rule": "r"},
    )


def test_each_field_has_a_column():
    """A field of a new release must not be forgotten."""
    assert set(Record.__struct_fields__) - {column.name for column in COLUMNS} == set()


def test_a_row(full):
    row = msgspec.json.decode(rows_of([full]))

    assert [*row] == [column.name for column in COLUMNS]
    assert row["timestamp"] == "2026-11-20 01:02:03.456789"
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"], row["reasoning_tokens"]) == (
        15,
        5,
        5,
        2,
    )
    assert row["metadata"] == {"app": "b'ot", "": "\x00"}
    assert msgspec.json.decode(row["spans"]) == [
        {"kind": "model", "name": "demo/echo", "status": 200, "reason": None, "started_ms": 0.0, "duration_ms": 1.5}
    ]
    assert row["cost_nanousd"] == -1


def test_what_is_not_known(record):
    """Texts are empty, numbers NULL: zero milliseconds, or a cost of nothing, would be said of it."""
    row = msgspec.json.decode(rows_of([record()]))

    assert (row["subject"], row["usage"], row["spans"]) == ("", "", "")
    assert (row["cost_nanousd"], row["overhead_ms"], row["upstream_status"]) == (None, None, None)


# --- ClickHouse's engine ---------------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path):
    """ClickHouse's engine, in this process."""
    session = pytest.importorskip("chdb.session").Session(str(tmp_path / "chdb"))
    yield session
    session.close()


@pytest.fixture
async def sink(serve, engine):
    """To a server that has the engine do what it is asked."""

    async def take(request):
        params = {key: value for key, value in request.query.items() if key not in ("query", "database")}
        body = (await request.read()).decode()
        settings = ", ".join(f"{name} = '{value}'" for name, value in params.items())
        insert, _, form = request.query.get("query", "").partition(" FORMAT ")
        try:
            engine.query(f"{insert} SETTINGS {settings} FORMAT {form} {body}" if insert else body)
        except RuntimeError as error:
            code = str(error).partition("Code: ")[2].partition(".")[0]
            return web.Response(status=500, text=str(error), headers={"X-ClickHouse-Exception-Code": code})
        return web.Response()

    # What is older than the days it is kept for is gone as soon as it is written.
    return ClickHouseSink.from_environ({"GATEWAY_CLICKHOUSE_URL": await serve(take), "GATEWAY_CLICKHOUSE_DAYS": "3650"})


def asked(engine, what):
    return msgspec.json.decode(engine.query(f"SELECT {what} FORMAT JSONCompactEachRow").bytes())


async def test_a_record_in_clickhouse(sink, engine, full):
    await sink.write([full])

    columns = (
        "path, status, stream, teams, metadata, cost_nanousd, time_to_first_token_ms, toUnixTimestamp64Micro(timestamp)"
    )
    assert asked(engine, f"{columns} FROM gateway_requests") == [
        "/v1/ä\n\t'\"\\`",
        429,
        True,
        ["a", "b"],
        {"app": "b'ot", "": "\x00"},
        -1,
        None,
        1795136523456789,
    ]


async def test_records_that_come_twice(sink, engine, record):
    """In the same batch they are no second rows; in another one they are, until FINAL or a merge."""
    records = [record(number) for number in range(5)]

    await sink.write(records)
    await sink.write(records)
    assert asked(engine, "count() FROM gateway_requests") == [5]

    await sink.write(records[:2])
    assert asked(engine, "count() FROM gateway_requests FINAL") == [5]


async def test_a_table_of_an_earlier_release(sink, engine, record):
    """What has no column there is left out."""
    engine.query(ddl("gateway_requests", 3650).replace("    `outcome` LowCardinality(String),\n", ""))

    await sink.write([record()])

    assert asked(engine, "request_id FROM gateway_requests") == ["r1"]
