"""What is written of requests is found again, in order, once, and adds up; on both databases alike."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract import Outcome, SideCall
from gateway.contract.usage import Usage
from gateway.errors import BadRequest
from gateway.state.database.engine import connected
from gateway.state.requests.asked import Filter, Only, Query, Question, filters_of
from gateway.state.requests.histogram import FIRST_TOKEN, LATENCY
from gateway.state.requests.metrics import settled
from gateway.state.requests.store import RecordStore
from gateway.state.requests.tables import prefix_of, time_of

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = NOON + HOUR
ANA, BO = "user:ana@example.com", "user:bo@example.com"


def ids(page):
    return [record.request_id for record in page.records]


async def asked(store, *pairs, **query):
    return await store.page(Query(filters=filters_of(pairs), **query))


async def sums(store, **question):
    asked = Question(**({"since": NOON, "until": NOW} | question))
    return await store.sums(settled(asked, NOW), now=NOW)


async def test_a_record_comes_back_as_it_was(store, record_of):
    record = record_of(1, metadata={"app": "bot", "x": "ä\u2028"}, applied={"rule": "r"}, limit_rules=("a",))

    await store.write([record])

    assert (await asked(store)).records == (record,)
    assert (await asked(store, ("id", record.request_id))).records == (record,)
    assert (await asked(store, ("id", "none"))).records == ()


async def test_what_was_written_counts_no_more(store, record_of):
    """The answer to a commit may be lost, and a spool may hold what had arrived."""
    records = [record_of(number) for number in range(5)]

    assert await store.write(records[:3]) == 3
    assert await store.write(records) == 2
    assert await store.write(records) == 0

    (total,) = await sums(store)
    assert (total.requests, total.cost) == (5, 150)


async def test_of_a_long_batch_what_was_written_counts_no_more(store, record_of):
    """It is found out when some of the batch is in the tables already."""
    records = [record_of(number) for number in range(300)]
    await store.write([records[0], records[220], records[299]])

    assert await store.write(records) == 297

    (total,) = await sums(store)
    assert (total.requests, total.cost) == (300, 9000)
    assert (await store.tail(0, Query())).seq == 300


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_follow_each_other(store, record_of, oldest_first):
    """The newest first, each once, though more come in meanwhile."""
    records = [record_of(number) for number in range(25)]
    await store.write(records)

    first = await asked(store, limit=10, oldest_first=oldest_first)
    if not oldest_first:
        await store.write([record_of(30)])
    second = await asked(store, limit=10, before=first.next, oldest_first=oldest_first)
    third = await asked(store, limit=10, before=second.next, oldest_first=oldest_first)

    expected = [record.request_id for record in records]
    assert ids(first) + ids(second) + ids(third) == (expected if oldest_first else expected[::-1])
    assert third.next is None


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_page_ends_when_it_was_looked_for_long_enough(store, record_of, oldest_first):
    """What is rare would take a look at everything. The next page goes on where this one gave up."""
    records = [record_of(number, error_code="odd" if number in (3, 4500) else None) for number in range(5000)]
    await store.write(records)
    found, before, pages = [], None, 0

    while True:
        page = await store.page(
            Query(filters=filters_of([("error", "odd")]), before=before, oldest_first=oldest_first), budget_s=0.0
        )
        found += ids(page)
        pages += 1
        if page.next is None:
            break
        before = page.next

    expected = [records[3].request_id, records[4500].request_id]
    assert found == (expected if oldest_first else expected[::-1])
    assert pages == 3


FILTERED = [
    ([("model", "prod/chat")], [0, 1, 2, 4, 5]),
    ([("model", "prod/chat"), ("model", "mock/m")], [0, 1, 2, 3, 4, 5]),
    ([("not.model", "mock/m")], [0, 1, 2, 4, 5]),
    ([("subject", BO)], [1]),
    ([("not.subject", ANA)], [1, 5]),
    ([("team", "research")], [0, 2, 3, 4]),
    ([("team", "team:sales"), ("status", "200")], [1]),
    ([("not.team", "research")], [1, 5]),
    ([("status", "5xx")], [2]),
    ([("status", "5xx"), ("status", "429")], [2, 4]),
    ([("status", ">=400")], [2, 4]),
    ([("not.status", "200")], [2, 4]),
    ([("account", "openai-main")], [0, 1, 4, 5]),
    ([("account", "OPENAI-MAIN")], []),
    ([("resolved_model", "azure/gpt")], [2]),
    ([("not.resolved_model", "azure/gpt")], [0, 1, 3, 4, 5]),
    ([("type", "embeddings")], [3]),
    ([("outcome", "upstream_broke")], [2]),
    ([("error", "rate_limited")], [4]),
    ([("stream", "true")], [0]),
    ([("duration_ms", ">100"), ("duration_ms", "<=700")], [1]),
    ([("ttft_ms", "<50.5")], [0]),
    ([("cost", ">0.00000003")], [5]),
    ([("input_tokens", "10")], [0, 1, 2, 4, 5]),
    ([("metadata.app", "bot"), ("metadata.app", "web")], [0, 1]),
    ([("not.metadata.app", "bot")], [1, 2, 3, 4, 5]),
    ([('metadata.a"b', "x")], [2]),
    ([("metadata.app' OR 1=1 --", "x")], []),
    ([("token", "t1")], [0, 1, 2, 3, 4, 5]),
    ([("subject_type", "virtualaccount")], [5]),
]


async def test_filters(filled):
    """All of them together, one or the other of a field's values, and none of those that are not wanted."""
    store, records = filled
    numbers = {record.request_id: number for number, record in enumerate(records)}
    found = []

    for pairs, _ in FILTERED:
        page = await asked(store, *pairs, oldest_first=True, since=NOON, until=NOON + timedelta(seconds=60))
        assert page.next is None
        found.append((pairs, [numbers[id_] for id_ in ids(page)]))

    assert found == FILTERED


@pytest.fixture(scope="module")
def rows(record_of):
    return [
        record_of(0, stream=True, time_to_first_token_ms=50.0, metadata={"app": "bot"}),
        record_of(1, subject=BO, teams=("sales",), duration_ms=700.0, metadata={"app": "web"}),
        record_of(
            2,
            status=502,
            outcome=Outcome.UPSTREAM_BROKE,
            resolved_model="azure/gpt",
            duration_ms=900.5,
            metadata={'a"b': "x"},
        ),
        record_of(3, model="mock/m", resolved_model=None, request_type="embeddings", usage=None, cost_nanousd=None),
        record_of(4, status=429, outcome=Outcome.REFUSED, error_code="rate_limited"),
        record_of(5, subject="virtualaccount:ci", teams=(), cost_nanousd=31),
    ]


@pytest.fixture
async def filled(store, rows):
    await store.write(rows)
    return store, rows


@pytest.mark.parametrize("value", ["200.5", ">200.5", "2147483647", "<-2147483647", "1e-999999"])
@pytest.mark.parametrize("field", ["status", "input_tokens", "duration_ms"])
async def test_numbers_of_any_size_and_kind(filled, field, value):
    """A column of small integers is compared with them all the same."""
    store, _ = filled

    page = await store.page(Query(filters=filters_of([(field, value)])))

    assert isinstance(page.records, tuple)


REFUSED = [
    ([("no_such", "x")], "there is no filter 'no_such'"),
    ([("duration_ms", "fast")], "duration_ms is compared with a number"),
    ([("duration_ms", ">1e400")], "duration_ms is compared with a number"),
    ([("duration_ms", "nan")], "duration_ms is compared with a number"),
    ([("cost", ">1e999999")], "cost is compared with a number"),
    ([("status", "2147483648")], "status is compared with a number"),
    ([("stream", "yes")], "stream is true or false"),
    ([("model", "a\0b")], "holds the character NUL"),
    ([("model", "a\ud800b")], "half of a surrogate pair"),
    ([("metadata.\0", "x")], "holds the character NUL"),
    ([(f"metadata.{number}", "x") for number in range(31)], "at most 30 filters"),
    ([("model", str(number)) for number in range(101)], "more than 100 values"),
]


async def test_what_cannot_be_understood_is_told(store):
    for pairs, message in REFUSED:
        with pytest.raises(BadRequest, match=message):
            await asked(store, *pairs)


async def test_what_one_may_see_is_all_there_is(filled):
    store, records = filled
    own = (Filter("subject", (BO,)),)
    of_app = (Filter("metadata.app", ("bot",)),)

    assert ids(await asked(store, seen=(own,))) == [records[1].request_id]
    assert ids(await asked(store, ("model", "prod/chat"), seen=(own,))) == [records[1].request_id]
    assert ids(await asked(store, ("subject", ANA), seen=(own,))) == []
    assert ids(await asked(store, ("id", records[0].request_id), seen=(own,))) == []
    assert ids(await asked(store, seen=(own, of_app))) == [records[1].request_id, records[0].request_id]
    assert ids(await asked(store, seen=())) == []
    assert (await store.tail(0, Query(seen=(own,)))).records == (records[1],)
    assert (await store.tail(0, Query(seen=()))).records == ()


async def test_what_comes_in_is_told_once(store, record_of):
    """In the order in which it was written, which is not that of the ids: a long request ends late."""
    late, early = record_of(1), record_of(2)
    await store.write([record_of(0)])
    begin = await store.tail(None, Query())

    await store.write([early])
    first = await store.tail(begin.seq, Query())
    await store.write([late])
    second = await store.tail(first.seq, Query())
    third = await store.tail(second.seq, Query())

    assert [first.records, second.records, third.records] == [(early,), (late,), ()]
    assert (begin.records, begin.seq, third.seq) == ((), 1, 3)


async def test_sums_by_group(filled):
    store, _ = filled

    assert [(each.group, each.requests, each.failures, each.cost) for each in await sums(store, by=("model",))] == [
        (("prod/chat",), 5, 2, 151),
        (("mock/m",), 1, 0, 0),
    ]
    found = await sums(store, by=("account",))
    assert [(each.group[0], each.requests) for each in found] == [("openai-main", 4), ("azure", 1), ("", 1)]
    found = await sums(store, by=("subject", "status"), only=(Only("status", ("200",)),))
    assert [(each.group, each.requests) for each in found] == [
        (("virtualaccount:ci", "200"), 1),
        ((ANA, "200"), 2),
        ((BO, "200"), 1),
    ]
    found = await sums(store, by=("team", "type"))
    assert [(each.group, each.requests) for each in found] == [
        (("research", "chat"), 3),
        (("sales", "chat"), 1),
        (("research", "embeddings"), 1),
    ]
    found = await sums(store, by=("metadata.app",))
    assert [(each.group, each.requests) for each in found] == [(("bot",), 1), (("web",), 1)]
    (own,) = await sums(store, subjects=frozenset({BO}), scales=(LATENCY, FIRST_TOKEN))
    assert (own.requests, own.latency_us, own.usage, sum(own.bins["latency"])) == (
        1,
        700_000,
        Usage(input=10, output=5),
        1,
    )
    assert own.count_of(FIRST_TOKEN) == 0
    (rest,) = await sums(store, only=(Only("account", ("azure",), is_not=True),))
    assert rest.requests == 5


async def test_of_groups_those_that_cost_most(filled):
    """With all that is known of them, however their names are made."""
    store, _ = filled

    found = await sums(store, by=("account", "status"), scales=(LATENCY,), most=2)

    everything = await sums(store, by=("account", "status"), scales=(LATENCY,))
    assert [(each.group, each.requests, each.cost, sum(each.bins["latency"])) for each in found] == [
        (("openai-main", "200"), 3, 91, 3),
        (("azure", "502"), 1, 30, 1),
    ]
    assert found == everything[:2]


NOT_KEPT = [
    ({"by": ("team", "subject")}, "not kept together"),
    ({"by": ("team",), "subjects": frozenset({ANA})}, "not kept together"),
    ({"by": ("shoe_size",)}, "not summed up by 'shoe_size'"),
    ({"only": (Only("status", ("bad",)),)}, "a status is a number"),
]


async def test_sums_that_are_not_kept(store):
    for question, message in NOT_KEPT:
        with pytest.raises(BadRequest, match=message):
            await sums(store, **question)


async def test_steps_of_time(store, record_of):
    """Each moment is in one of them, and what is not there is no step."""
    await store.write([record_of(1), record_of(2, at=NOON + timedelta(minutes=5)), record_of(3, at=NOW)])

    found = await sums(store, until=NOW + HOUR, step_s=300)

    noon_s = int(NOON.timestamp())
    assert [(each.at - noon_s, each.requests) for each in found] == [(0, 1), (300, 1), (3600, 1)]


async def test_long_times_are_made_of_days_and_hours(store, record_of):
    """Whole days are read as such; the first and the last in hours, and what is recent to the minute."""
    moments = [NOON - timedelta(days=40), NOON - timedelta(days=9, hours=3), NOON - timedelta(days=1), NOON, NOW - HOUR]
    await store.write([record_of(number, at=at) for number, at in enumerate(moments)])

    async def requests(since, until):
        found = await sums(store, since=since, until=until)
        return sum(each.requests for each in found)

    assert await requests(NOON - timedelta(days=41), NOW) == 5
    assert await requests(NOON - timedelta(days=40), NOON) == 3
    assert await requests(NOON - timedelta(days=9), NOW) == 3
    assert await requests(NOON + timedelta(minutes=1), NOW) == 0
    assert await requests(NOON - timedelta(days=9, hours=3, minutes=1), NOON - timedelta(days=9)) == 1


async def test_who_was_asked_on_the_way_is_in_the_sums(store, record_of):
    """A model that decides who answers costs something, too; it is in the ledger, and so it is here."""
    judge = SideCall("cheap/judge", Usage(input=3, output=1), 7)
    await store.write([record_of(1, side_calls=(judge,))])

    found = await sums(store, by=("resolved_model",))

    assert [(each.group[0], each.requests, each.cost) for each in found] == [
        ("openai-main/gpt-4o", 1, 30),
        ("cheap/judge", 0, 7),
    ]


async def test_an_unknown_cost_is_none_of_zero(store, record_of):
    await store.write([record_of(1, cost_nanousd=None), record_of(2, cost_nanousd=0)])

    (total,) = await sums(store)

    assert (total.requests, total.unpriced, total.cost) == (2, 1, 0)


async def test_made_up_names_do_not_fill_the_disk(store, record_of):
    """Whoever asks for models that do not exist, or sends other metadata each time, gets one row for all of it."""
    records = [record_of(number, model=f"no/{number}", metadata={"app": str(number)}) for number in range(1500)]
    await store.write(records)

    by_model, by_app = await sums(store, by=("model",)), await sums(store, by=("metadata.app",))

    assert (len(by_model), sum(each.requests for each in by_model)) == (1001, 1500)
    assert (len(by_app), by_app[0].group, by_app[0].requests) == (1001, ("(others)",), 500)


async def test_old_records_are_forgotten(store, record_of):
    """Sums of hours stay."""
    await store.write([record_of(number, at=NOON - timedelta(days=number)) for number in range(10)])

    await store.forget(NOON - timedelta(days=4, hours=1), now=NOW, batch=3)

    assert len((await asked(store)).records) == 5
    assert len((await asked(store, ("team", "research"))).records) == 5
    (total,) = await sums(store, since=NOON - timedelta(days=20))
    assert total.requests == 10


async def test_two_write_at_once(store, records_url, record_of):
    """As replicas do: nothing is lost, nobody waits for ever, and all that is written gets a place of its own."""
    other = RecordStore(records_url, metadata=["app"], clock=lambda: NOW, deadline_s=20.0, writing_s=20.0)
    batches = [[record_of(20 * batch + number) for number in range(20)] for batch in range(10)]
    try:
        await asyncio.gather(*(each.write(batch) for batch in batches for each in (store, other)))
    finally:
        await other.close()

    (total,) = await sums(store)
    tail = await store.tail(0, Query())
    assert (total.requests, len(tail.records), tail.seq) == (200, 200, 200)


async def test_a_record_that_is_no_json_costs_only_itself(store, record_of):
    await store.write([record_of(1), record_of(2, path="/\ud800"), record_of(3)])

    assert len((await asked(store)).records) == 2


async def test_days_are_partitions(store, record_of):
    """A day that is over is dropped as a whole, without a look at its rows. Others have a place, too."""
    now = NOW
    await store.write(
        [record_of(1, at=now), record_of(2, at=now - timedelta(days=400)), record_of(3, request_id="odd")]
    )

    if not store.is_sqlite:
        async with connected(store._engine) as connection:
            count = "SELECT count(*) FROM requests_{}"
            assert (await connection.exec_driver_sql(count.format(f"{now:%Y%m%d}"))).scalar() == 1
            assert (await connection.exec_driver_sql(count.format("others"))).scalar() == 2
    assert len((await asked(store)).records) == 3
    await store.forget(now + timedelta(days=2))
    assert ids(await asked(store)) == ["odd"]


async def test_who_may_make_no_tables_can_serve_where_they_are(postgres, record_of):
    """Nor partitions: those of the next days are made with the tables, and all else goes where the others are."""
    with postgres.database() as url:
        owners = RecordStore(url, clock=lambda: NOW, deadline_s=20.0, writing_s=20.0)
        made = await owners.migrate(2)
        again = await owners.migrate(2)
        database = url.partition("@/")[2].partition("?")[0]
        rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
        postgres.sql("CREATE ROLE serving LOGIN", f"GRANT {rights} TO serving", database=database)
        serving = RecordStore(
            url.replace("//postgres@", "//serving@"), clock=lambda: NOW, deadline_s=20.0, writing_s=20.0
        )
        try:
            await serving.write([record_of(1), record_of(2, at=NOON + timedelta(days=1, hours=13))])
            await serving.fold()
            await serving.forget(NOON - timedelta(days=30))
            found = ids(await asked(serving))
            rows = "SELECT tableoid::regclass FROM requests ORDER BY request_id"
            partitions = postgres.sql(rows, database=database).split()
        finally:
            await serving.close()
            await owners.close()
            postgres.sql("DROP OWNED BY serving", "DROP ROLE serving", database=database)

    assert {"requests", "request_days", "request_folds", "requests_20260305", "request_teams_20260306"} <= {*made}
    assert again == []
    assert len(found) == 2
    assert partitions == ["requests_20260305", "requests_others"]


def test_an_id_tells_the_time():
    assert prefix_of(NOON) == "019cbdde7a00"
    assert time_of("019cbdde7a00" + "0" * 20) == NOON
    assert time_of("odd") is None
    assert time_of("z" * 32) is None
