"""Who of several owners gets a place, and when it is given away."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.batches.files import LocalFiles
from gateway.batches.runner import Runner
from gateway.batches.runs import MemoryRuns
from gateway.batches.work import Answer
from gateway.contract import Caller
from gateway.contract.batches import Batch, Run
from gateway.contract.objects import AccountObject, ObjectKind
from gateway.state.objects import MemoryObjects

GOOD = Answer(200, "id", b"{}")


@pytest.fixture
def files(tmp_path):
    return LocalFiles(tmp_path)


@pytest.fixture
def runs():
    return MemoryRuns()


@pytest.fixture
def objects():
    return MemoryObjects()


@pytest.fixture
async def start(files, runs, objects):
    """`await start(ask)`: one that works on all there is until the test ends."""
    parts = []

    async def start(ask, **options):
        runner = Runner(
            runs,
            files,
            objects=objects,
            caller_of=Caller,
            ask=ask,
            is_stopping=lambda: False,
            poll_s=0.01,
            **options,
        )
        part = runner.running()
        await part.__aenter__()
        parts.append(part)

    yield start
    for part in parts:
        await part.__aexit__(None, None, None)


@pytest.fixture
def add(files, runs):
    """`await add(owner, id)`: a batch of him, with ten lines."""

    async def add(owner, id_):
        await runs.add(await batch_of(files, owner, id_))

    return add


async def batch_of(files, owner, id_):
    lines = b"".join(b'{"custom_id":"r%d","body":{}}\n' % number for number in range(10))
    file = await files.create(lines, filename="in.jsonl", purpose="batch", now_s=1000)
    batch = Batch(id=id_, endpoint="/v1/x", input_file_id=file.id, created_at=1000, expires_at=9_000_000_000)
    return Run(batch, "main", owner)


async def status(runs, id_, within_s=30.0):
    async with asyncio.timeout(within_s):
        while not (batch := await runs.get(id_)).is_over:
            await asyncio.sleep(0.005)
    return batch.status


async def test_who_waits_for_a_limit_keeps_nobody_waiting(start, add, runs):
    """Two batches of one owner, which a limit refused, held up those of all others for a day."""

    async def ask(line, batch, account, caller, begin):
        return Answer(429, "id", b"", again_s=50.0) if caller.subject == "user:ana" else GOOD

    for number in range(3):
        await add("user:ana", f"batch_gwa{number}")
    await add("user:bo", "batch_gwb")
    await start(ask)

    assert await status(runs, "batch_gwb") == "completed"


async def test_a_provider_that_hangs_keeps_nobody_waiting(start, add, runs):
    """What hangs comes to its end beside the turns of others."""
    gate = asyncio.Event()

    async def ask(line, batch, account, caller, begin):
        await begin()
        if caller.subject == "user:ana":
            await gate.wait()
        return GOOD

    for number in range(9):
        await add("user:ana", f"batch_gwa{number}")
    await add("user:bo", "batch_gwb")
    await start(ask, turn_s=0.01)

    assert await status(runs, "batch_gwb") == "completed"
    gate.set()
    assert {await status(runs, f"batch_gwa{number}") for number in range(9)} == {"completed"}


async def test_whose_lease_is_lost_keeps_nobody_waiting(files, objects):
    """What such a batch had under way was never answered, and no other batch was taken up by that process any more."""
    hanging, gate = set(), asyncio.Event()

    class LosingRuns(MemoryRuns):
        async def keep(self, batch, by, *, until_s):
            if batch.id == "batch_gwb":
                return await super().keep(batch, by, until_s=until_s)
            while batch.id not in hanging:
                await asyncio.sleep(0)
            return "lost"

    async def ask(line, batch, account, caller, begin):
        if batch.id != "batch_gwb":
            hanging.add(batch.id)
            await gate.wait()
        return GOOD

    runs = LosingRuns()
    for owner, id_ in (("user:ana", "batch_gwa"), ("user:cy", "batch_gwc"), ("user:bo", "batch_gwb")):
        await runs.add(await batch_of(files, owner, id_))
    runner = Runner(
        runs, files, objects=objects, caller_of=Caller, ask=ask, is_stopping=lambda: False, poll_s=0.01, lease_s=1.0
    )
    async with runner.running():
        assert await status(runs, "batch_gwb") == "completed"
        gate.set()


async def test_of_one_owner_only_some_are_open(start, add, runs, until):
    """So that there is room for others, whatever hangs."""
    gate, open_ = asyncio.Event(), set()

    async def ask(line, batch, account, caller, begin):
        open_.add(batch.id)
        await gate.wait()
        return GOOD

    for number in range(20):
        await add("user:ana", f"batch_gwa{number:02}")
    for number in range(3):
        await add(f"user:{number}", f"batch_gwb{number}")
    await start(ask, turn_s=0.001)

    await until(lambda: {f"batch_gwb{number}" for number in range(3)} <= open_)
    assert len([each for each in open_ if each.startswith("batch_gwa")]) <= 4
    gate.set()


async def test_a_batch_is_taken_up_when_the_one_before_is_counted(files, objects, until):
    """Two were asked for at once, by the same count, and one owner had one more open than its share."""
    asking, at_once = set(), []

    class SlowRuns(MemoryRuns):
        async def claim(self, by, **options):
            me = object()
            asking.add(me)
            at_once.append(len(asking))
            await asyncio.sleep(0.001)
            asking.remove(me)
            return await super().claim(by, **options)

    runs, gate, open_ = SlowRuns(), asyncio.Event(), set()

    async def ask(line, batch, account, caller, begin):
        open_.add(batch.id)
        await gate.wait()
        return GOOD

    for number in range(3):
        await runs.add(await batch_of(files, f"user:{number}", f"batch_gw{number}"))
    runner = Runner(
        runs, files, objects=objects, caller_of=Caller, ask=ask, is_stopping=lambda: False, poll_s=0.01, turn_s=0.001
    )
    async with runner.running():
        await until(lambda: open_ == {"batch_gw0", "batch_gw1", "batch_gw2"})
        gate.set()
    assert max(at_once) == 1


async def test_what_an_earlier_version_has_made_has_an_owner_too(start, add, runs, objects):
    """It is looked up; and what nobody owns ends, instead of being taken up for ever."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    of_ana = AccountObject(
        kind=ObjectKind.BATCH,
        id="batch_gwa",
        provider_id="batch_gwa",
        owner="user:ana",
        account="main",
        created_at=at,
        expires_at=at.replace(year=3000),
    )
    await objects.remember(of_ana)
    subjects = set()

    async def ask(line, batch, account, caller, begin):
        subjects.add(caller.subject)
        return GOOD

    await add("", "batch_gwa")
    await add("", "batch_gwb")
    await start(ask)

    assert [await status(runs, id_) for id_ in ("batch_gwa", "batch_gwb")] == ["completed", "failed"]
    assert subjects == {"user:ana"}
