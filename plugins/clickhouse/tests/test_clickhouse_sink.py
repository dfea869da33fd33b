"""Records to a server that is really there, and answers as ClickHouse does."""

import hashlib

import httpx2
import msgspec
import openai
import pytest
from gateway_clickhouse.sink import ClickHouseSink

from gateway import build_app
from gateway.errors import ConfigError, Unavailable

TOKEN = "gw-test-0123456789abcdef"


def sink_of(server, **more):
    environ = {"GATEWAY_CLICKHOUSE_URL": server.url} | {
        f"GATEWAY_CLICKHOUSE_{key}": value for key, value in more.items()
    }
    return ClickHouseSink.from_environ(environ)


async def test_the_table_is_made_when_it_is_missing(server, record):
    sink = sink_of(server, TABLE="requests", DAYS="7")

    await sink.write([record(1)])
    await sink.write([record(2)])

    assert server.rows == ["r1", "r2"]
    assert [ddl.split("\n")[0] for ddl in server.ddl] == ["CREATE TABLE IF NOT EXISTS `requests`"]
    assert server.ddl[0].split("ENGINE = ")[1].split("\n") == [
        "ReplacingMergeTree",
        "PARTITION BY toDate(timestamp)",
        "ORDER BY (timestamp, request_id)",
        "TTL toDateTime(timestamp) + INTERVAL 7 DAY",
        "SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
    ]


async def test_what_is_sent(server, record):
    server.tables["gateway_requests"] = []

    await sink_of(server, USER="writer", PASSWORD="s3cret", DATABASE="logs").write([record(1)])

    [call] = server.calls
    assert (call.headers["x-clickhouse-user"], call.headers["x-clickhouse-key"]) == ("writer", "s3cret")
    assert call.query == {
        "database": "logs",
        "query": "INSERT INTO `gateway_requests` FORMAT JSONEachRow",
        "async_insert": "1",
        "wait_for_async_insert": "1",
        "insert_deduplicate": "1",
        "async_insert_deduplicate": "1",
        "insert_deduplication_token": hashlib.sha256(call.body).hexdigest(),
        "input_format_skip_unknown_fields": "1",
        "date_time_input_format": "basic",
    }


async def test_what_failed_on_the_way_is_no_row_twice(server, record):
    """Of 2,500 the first thousand was taken. All come again, and each is there once."""
    server.tables["gateway_requests"] = []
    server.script = [None, (500, "252", "Code: 252. DB::Exception: Too many parts")]
    records = [record(number) for number in range(2500)]
    sink = sink_of(server)

    with pytest.raises(Unavailable, match="ClickHouse answered 500, code 252: too many parts"):
        await sink.write(records)
    await sink.write(records)

    assert server.rows == [f"r{number}" for number in range(2500)]
    assert [len(call.body.splitlines()) for call in server.calls] == [1000, 1000, 1000, 1000, 500]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            (403, "516", "Code: 516. DB::Exception: writer: s3cret"),
            "ClickHouse answered 403, code 516: the user or the",
        ),
        ((400, "27", "Code: 27. DB::Exception: Cannot parse input: my-row"), "ClickHouse answered 400, code 27"),
        ((200, "", "Code: 27. DB::Exception: after the head: my-row"), "ClickHouse answered 200"),
        ((200, "241", ""), "ClickHouse answered 200, code 241: it has no memory left"),
        ((302, "", ""), "ClickHouse answered 302"),
        ((307, "", ""), "ClickHouse answered 307"),
        ((502, "<script>", "a proxy's"), "ClickHouse answered 502"),
    ],
)
async def test_who_does_not_take_them(server, record, told, why):
    """They come again by the feed. What ClickHouse says may repeat rows, and is not passed on."""
    server.script = [told]

    with pytest.raises(Unavailable) as refused:
        await sink_of(server, PASSWORD="s3cret").write([record()])

    assert refused.value.message.startswith(why)
    assert not any(word in refused.value.message for word in ("s3cret", "my-row", "script"))
    assert len(server.calls) == 1


async def test_who_may_not_make_tables(server, record):
    server.script = [None, (500, "497", "Code: 497. DB::Exception: Not enough privileges")]

    with pytest.raises(Unavailable, match="code 497: the user may not do that"):
        await sink_of(server).write([record()])


async def test_a_table_that_does_not_come(server, record):
    """It is made once for each try, and not for ever."""
    missing = (404, "60", "Code: 60. DB::Exception")
    server.script = [missing, (200, "", ""), missing]

    with pytest.raises(Unavailable, match="code 60: there is no such table"):
        await sink_of(server).write([record()])


async def test_nobody_there(record):
    sink = ClickHouseSink.from_environ({"GATEWAY_CLICKHOUSE_URL": "http://127.0.0.1:1"})

    with pytest.raises(Unavailable, match="ClickHouse cannot be reached: ClientConnectorError"):
        await sink.write([record()])


async def test_where_the_gateway_never_goes(record):
    sink = ClickHouseSink.from_environ({"GATEWAY_CLICKHOUSE_URL": "http://169.254.169.254"})

    with pytest.raises(
        Unavailable, match="cannot be reached: it is a link-local address or that of a metadata service"
    ):
        await sink.write([record()])


async def test_below_a_path(server, record):
    server.url += "/clickhouse"
    server.tables["gateway_requests"] = []

    await sink_of(server).write([record()])

    assert server.rows == ["r1"]


def test_nobody_wants_it():
    assert ClickHouseSink.from_environ({"GATEWAY_CLICKHOUSE_PASSWORD": "s3cret"}) is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("URL", "clickhouse:8123", "must be an http or https URL"),
        ("URL", "http://u:s3cret@host:8123", "must be an http or https URL; credentials belong in"),
        ("URL", "http://host:8123/?password=s3cret", "must not have a query"),
        ("DATABASE", "a`b", "has to be a name of letters, digits and underscores"),
        ("TABLE", "x; DROP TABLE y", "has to be a name of letters, digits and underscores"),
        ("USER", "a\r\nb", "has to be of letters that a header can have"),
        ("PASSWORD", "s3cretä", "has to be of letters that a header can have"),
        ("DAYS", "0", "has to be a number of days from 1 to 3650"),
        ("DAYS", "3651", "has to be a number of days from 1 to 3650"),
        ("DAYS", "forever", "has to be a number of days from 1 to 3650"),
    ],
)
def test_what_cannot_be_used(name, value, why):
    environ = {"GATEWAY_CLICKHOUSE_URL": "http://host:8123", f"GATEWAY_CLICKHOUSE_{name}": value}

    with pytest.raises(ConfigError) as refused:
        ClickHouseSink.from_environ(environ)

    [fault] = refused.value.faults
    assert fault.message.startswith(why)
    assert fault.path == f"GATEWAY_CLICKHOUSE_{name}"
    assert "s3cret" not in str(refused.value)


async def test_in_a_gateway(server, tmp_path):
    """Found by its entry point. What is asked and answered is not in the row."""
    (tmp_path / "gateway.yaml").write_text(
        "{type: provider-account/demo, name: demo, integrations: [{type: integration/model/demo, name: echo}]}"
    )
    environ = {"GATEWAY_ADMIN_TOKEN": TOKEN, "GATEWAY_CLICKHOUSE_URL": server.url}
    app = build_app(tmp_path / "gateway.yaml", environ=environ, sinks=[])
    options = {"base_url": "http://gateway/v1", "api_key": TOKEN, "max_retries": 0}
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    async with openai.AsyncOpenAI(**options, http_client=http) as client:
        answer = await client.chat.completions.with_raw_response.create(
            model="demo/echo", messages=[{"role": "user", "content": "my-prompt"}]
        )
    await app.close()

    assert server.rows == [answer.headers["x-request-id"]]
    [row] = server.tables["gateway_requests"]
    assert (row["resolved_model"], row["subject"], row["status"]) == ("demo/echo", "user:admin", 200)
    assert row["output_tokens"] > 0
    assert "my-prompt" not in msgspec.json.encode(row).decode()
