"""Of several processes one works on a batch; one suite for all stores."""

import asyncio

import msgspec
import pytest

from gateway.batches.runs import MemoryRuns
from gateway.contract.batches import Batch, RequestCounts, Run
from gateway.state.database.batch_runs import StoredRuns


def batch(id_="batch_gw1", at=100, **fields):
    return Batch(id=id_, endpoint="/v1/embeddings", input_file_id="file-gw1", created_at=at, expires_at=200, **fields)


@pytest.fixture
async def runs(url):
    runs = StoredRuns(url, deadline_s=20.0) if url is not None else MemoryRuns()
    yield runs
    await runs.close()


async def test_a_batch_from_its_begin_to_its_end(runs):
    one = batch(metadata={"a": "b"})
    await runs.add(Run(one, "main"))
    assert await runs.get("batch_gw1") == one
    assert await runs.get("batch_gw2") is None

    # One works on it, and the other does not get it,
    assert await runs.claim("me", now_s=10, lease_s=5) == Run(one, "main")
    assert await runs.claim("other", now_s=14, lease_s=5) is None
    counted = msgspec.structs.replace(one, status="in_progress", request_counts=RequestCounts(3, 1, 0))
    assert await runs.keep(counted, "me", until_s=20) == "held"
    assert await runs.get("batch_gw1") == counted
    # until the first has not been heard of for too long.
    assert await runs.claim("other", now_s=20, lease_s=5) == Run(counted, "main")
    assert await runs.keep(one, "me", until_s=30) == "lost"
    assert await runs.get("batch_gw1") == counted

    # Somebody cancels it; whoever works on it hears of that, and brings it to its end.
    await runs.cancel("batch_gw1", 21)
    await runs.cancel("batch_gw1", 22)
    told = await runs.get("batch_gw1")
    assert (told.status, told.cancelling_at) == ("cancelling", 21)
    assert await runs.keep(counted, "other", until_s=25) == "cancelled"
    over = msgspec.structs.replace(counted, status="cancelled", cancelling_at=21, cancelled_at=23)
    await runs.keep(over, "other", until_s=0)
    assert await runs.get("batch_gw1") == over
    assert await runs.claim("me", now_s=99, lease_s=5) is None
    await runs.cancel("batch_gw1", 99)
    assert await runs.get("batch_gw1") == over


async def test_who_was_first_is_first(runs):
    for number in (1, 2, 3):
        await runs.add(Run(batch(f"batch_gw{number}", at=number), "main"))

    claimed = await asyncio.gather(*[runs.claim(f"process-{number}", now_s=10, lease_s=5) for number in range(4)])

    assert sorted(run.batch.id for run in claimed if run is not None)[:1] == ["batch_gw1"]
    names = [run.batch.id for run in claimed if run is not None]
    assert len(names) == len(set(names))


async def next_of(runs, at, **options):
    run = await runs.claim("me", now_s=at, lease_s=1000, **options)
    return run and run.batch.id


async def test_owners_take_turns(runs):
    """Somebody's thousand batches do not keep all others waiting."""
    for number in range(4):
        await runs.add(Run(batch(f"batch_gwa{number}", at=number), "main", "user:ana"))
    await runs.add(Run(batch("batch_gwb1", at=10), "main", "user:bo"))
    await runs.add(Run(batch("batch_gwb2", at=11), "main", "user:bo"))
    await runs.add(Run(batch("batch_gwc1", at=12), "main", "user:cy"))

    assert [await next_of(runs, 20) for _ in range(3)] == ["batch_gwa0", "batch_gwb1", "batch_gwc1"]
    # Ana's waits for a limit, Bo's has had its turn, and Cy's is over.
    await runs.leave(batch("batch_gwa0", at=0), "me", due_s=90)
    await runs.leave(batch("batch_gwb1", at=10), "me", due_s=30)
    await runs.leave(batch("batch_gwc1", at=12, status="completed"), "me", due_s=31)

    assert await runs.is_wanted("user:cy", now_s=40)
    assert await next_of(runs, 40) == "batch_gwb1"
    assert await next_of(runs, 40, without=["user:bo"]) == "batch_gwa1"
    assert not await runs.is_wanted("user:nobody", now_s=5 - 100)
    assert await next_of(runs, 40, without=["user:ana", "user:bo"]) is None


async def test_what_waits_is_cancelled_at_once(runs):
    """And not only when its limit has room again; but nobody takes it from whoever works on it."""
    await runs.add(Run(batch(), "main", "user:ana"))
    await runs.claim("me", now_s=10, lease_s=5)
    await runs.leave(batch(), "me", due_s=60)
    assert await next_of(runs, 20) is None

    await runs.cancel("batch_gw1", 21)

    taken = await runs.claim("other", now_s=22, lease_s=5)
    assert (taken.batch.status, taken.owner) == ("cancelling", "user:ana")
    assert await next_of(runs, 23) is None


async def test_memory_is_bounded():
    runs = MemoryRuns(max_runs=2)
    for number in range(3):
        await runs.add(Run(batch(f"batch_gw{number}"), "main"))

    assert [await runs.get(f"batch_gw{number}") is None for number in range(3)] == [True, False, False]
