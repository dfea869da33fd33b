"""What is said of requests is found again with them, once for each giver and name; on both databases alike."""

from datetime import timedelta

import pytest

from gateway.errors import BadRequest
from gateway.state.requests.asked import Filter, Query, filters_of
from gateway.state.requests.feedback import AT_ONCE, MOST_NAMES, MOST_PENDING, Feedbacks, TooEarly, TooMany
from gateway.state.requests.feedback_rows import Feedback

ANA, BO = "user:ana@example.com", "user:bo@example.com"


@pytest.fixture
def feedbacks(store):
    return Feedbacks(store)


@pytest.fixture
def said(record_of):
    """`said(3, value="up")`: of the third request, by Ana."""

    def make(number, **fields):
        record = record_of(number)
        value = fields.get("value", "up")
        kinds = {"up": ("thumbs", 1.0), "down": ("thumbs", 0.0)}
        kind, score = kinds.get(value, ("category", None))
        told = {
            "request_id": record.request_id,
            "subject": ANA,
            "name": "helpful",
            "kind": kind,
            "value": value,
            "score": score,
            "created_at": record.timestamp,
            "updated_at": record.timestamp,
        }
        return Feedback(**(told | fields))

    return make


def number(value, **fields):
    return {"kind": "number", "value": repr(value), "score": float(value), **fields}


async def found(feedbacks, *pairs, **query):
    page = await feedbacks.page(Query(filters=filters_of(pairs), **query))
    return [int(record.request_id[12:], 16) for record in page.records]


async def test_what_is_said_again_takes_the_place_of_what_was_said(feedbacks, said):
    first = said(1, comment="wrong", metadata={"page": "ä"})
    later = first.created_at + timedelta(seconds=5)

    await feedbacks.give(first)
    second = await feedbacks.give(said(1, value="down", created_at=later, updated_at=later))
    other = await feedbacks.give(said(1, subject=BO, comment="right"))

    assert await feedbacks.of_request(first.request_id) == [second, other]
    assert (second.value, second.comment, second.metadata) == ("down", None, {})
    assert (second.created_at, second.updated_at) == (first.created_at, later)
    assert second.id == first.id != other.id


async def test_what_comes_before_the_record_counts_once_that_is_there(store, feedbacks, record_of, said):
    """For the giver's own requests: of others, nobody has looked whether it may see them."""
    await feedbacks.give(said(1, is_checked=False))
    await feedbacks.give(said(1, subject=BO, is_checked=False))
    await store.write([record_of(1)])

    [counted] = (await feedbacks.of([record_of(1)]))[record_of(1).request_id]
    assert counted.subject == ANA
    assert await found(feedbacks, ("feedback.helpful", "up")) == [1]
    await store.write([record_of(2, subject="user:cy@example.com")])
    await feedbacks.give(said(2, subject=BO, is_checked=False))
    assert await found(feedbacks, ("feedback.helpful", "up")) == [1]


async def test_once_looked_at_it_stays_so(feedbacks, said):
    await feedbacks.give(said(1))

    assert (await feedbacks.give(said(1, is_checked=False))).is_checked


@pytest.mark.parametrize(
    ("pairs", "numbers"),
    [
        ([("feedback.helpful", "up")], [4, 1]),
        ([("feedback.helpful", "up"), ("feedback.helpful", "down")], [4, 2, 1]),
        ([("not.feedback.helpful", "up")], [5, 3, 2]),
        ([("feedback.rating", ">=4")], [4]),
        ([("feedback.rating", ">1"), ("feedback.rating", "<5")], [3]),
        ([("feedback.rating", "5.0")], [4]),
        ([("feedback.topic", "5")], [5]),
        ([("feedback.topic", "*")], [5]),
        ([("feedback", "*")], [5, 4, 3, 2, 1]),
        ([("feedback", "rating"), ("feedback", "topic")], [5, 4, 3]),
        ([("feedback.helpful", "up"), ("feedback.rating", "5")], [4]),
        ([("feedback.helpful", "up"), ("duration_ms", ">150")], [4]),
        ([("feedback.nothing", "up")], []),
    ],
)
async def test_requests_by_what_was_said_of_them(store, feedbacks, record_of, said, pairs, numbers):
    await store.write([record_of(number, duration_ms=100.0 + 20 * number) for number in range(1, 6)])
    for given in (
        said(1),
        said(2, value="down"),
        said(3, name="rating", **number(2)),
        said(4, name="rating", **number(5)),
        said(4),
        said(4, subject=BO),
        said(5, name="topic", value="5"),
    ):
        await feedbacks.give(given)

    assert await found(feedbacks, *pairs) == numbers


async def test_a_bound_is_a_number(feedbacks):
    with pytest.raises(BadRequest, match=r"feedback\.rating is compared with a number"):
        await found(feedbacks, ("feedback.rating", ">many"))


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_of_little_feedback_among_many_requests(store, feedbacks, record_of, said, oldest_first):
    """As far back as there is any, without looking through all that lies between."""
    await store.write([record_of(number) for number in range(20_000)])
    for at in (3, 17, 12_000):
        await feedbacks.give(said(at))
    query = Query(filters=(Filter("feedback.helpful", ("up",)),), limit=2, oldest_first=oldest_first)

    first = await feedbacks.page(query, budget_s=0.0)
    second = await feedbacks.page(Query(**{**_fields(query), "before": first.next}), budget_s=0.0)

    shown = [int(record.request_id[12:], 16) for record in (*first.records, *second.records)]
    assert shown == ([3, 17, 12_000] if oldest_first else [12_000, 17, 3])
    assert second.next is None


def _fields(query):
    return {name: getattr(query, name) for name in query.__struct_fields__}


async def test_pages_of_more_feedback_than_is_looked_for_at_once(store, feedbacks, record_of, said):
    records = [record_of(number) for number in range(AT_ONCE + 20)]
    await store.write(records)
    for at in range(len(records)):
        await feedbacks.give(said(at))
    query, shown = Query(filters=(Filter("feedback", ("*",)),), limit=200), []

    while True:
        page = await feedbacks.page(query)
        shown += page.records
        if page.next is None:
            break
        query = Query(**{**_fields(query), "before": page.next})

    assert shown == records[::-1]


async def test_it_goes_with_its_request(store, feedbacks, record_of, said):
    await store.write([record_of(1), record_of(5000)])
    await feedbacks.give(said(1))
    await feedbacks.give(said(5000))

    await store.forget(record_of(5000).timestamp)

    assert await feedbacks.of_request(record_of(1).request_id) == []
    assert len(await feedbacks.of_request(record_of(5000).request_id)) == 1


async def test_it_can_be_taken_back(feedbacks, said):
    await feedbacks.give(said(1))
    await feedbacks.give(said(1, name="other"))

    await feedbacks.take_back(said(1))
    await feedbacks.take_back(said(1))

    assert [each.name for each in await feedbacks.of_request(said(1).request_id)] == ["other"]


async def test_one_giver_has_so_many_names(feedbacks, said):
    for at in range(MOST_NAMES):
        await feedbacks.give(said(1, name=f"n{at}"))

    with pytest.raises(TooMany):
        await feedbacks.give(said(1, name="one-more"))

    await feedbacks.give(said(1, name="n0", value="down"))
    await feedbacks.give(said(1, name="n0", subject=BO))
    assert len(await feedbacks.of_request(said(1).request_id)) == MOST_NAMES + 1


async def test_ids_that_are_made_up_do_not_fill_the_disk(store, feedbacks, record_of, said):
    """Where the record has come meanwhile, it counts no more as one of these."""
    for at in range(MOST_PENDING):
        await feedbacks.give(said(at, is_checked=False))

    with pytest.raises(TooEarly):
        await feedbacks.give(said(MOST_PENDING, is_checked=False))

    await store.write([record_of(0)])
    await feedbacks.give(said(MOST_PENDING, is_checked=False))
    assert len(await feedbacks.of_request(said(MOST_PENDING).request_id)) == 1


async def test_a_request_is_found_by_its_id_however_old_it_is(store, record_of):
    """It was looked for along all newer ones, and given up after a moment: 404 for what is there."""
    await store.write([record_of(number) for number in range(12_000)])

    page = await store.page(Query(filters=(Filter("id", (record_of(0).request_id,)),), limit=1), budget_s=0.0)

    assert page.records == (record_of(0),)
