"""One batch, worked on by itself: how it ends, and what stays of it in between."""

import asyncio
import json

import msgspec
import pytest

from gateway.batches.files import LocalFiles
from gateway.batches.progress import Progress
from gateway.batches.work import Answer, Work
from gateway.contract.batches import Batch, RequestCounts, Run
from gateway.errors import GatewayError

GOOD = Answer(200, "id", b'{"ok":true}')


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def files(tmp_path):
    return LocalFiles(tmp_path)


@pytest.fixture
async def batch(files):
    lines = b"".join(b'{"custom_id":"r%d","body":{"n":%d}}\n' % (number, number) for number in range(1, 13))
    file = await files.create(lines, filename="in.jsonl", purpose="batch", now_s=1000)
    return Batch(id="batch_gw" + 32 * "0", endpoint="/v1/x", input_file_id=file.id, created_at=1000, expires_at=2000)


@pytest.fixture
def work_on(files, clock):
    """`work_on(batch, ask)`; what it slept is in `work_on.slept`."""

    def make(batch, ask, may_begin=lambda: True, left=lambda: None):
        async def sleep(seconds):
            make.slept.append(seconds)
            clock.now += seconds

        run = Run(batch, "main")
        return Work(run, files=files, ask=ask, may_begin=may_begin, clock=clock, sleep=sleep, left=left)

    make.slept = []
    return make


def content(files, id_):
    return [json.loads(line) for line in files.path(id_).read_bytes().splitlines()]


async def never(line, begin):
    raise AssertionError("nothing is asked twice")


async def good(line, begin):
    return GOOD


async def test_few_are_under_way_at_once(work_on, batch):
    open_, most, gate = 0, 0, asyncio.Event()

    async def ask(line, begin):
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        if open_ == 8:
            gate.set()
        await gate.wait()
        open_ -= 1
        return GOOD

    work = work_on(batch, ask)

    assert await work.run()
    assert most == 8
    assert work.batch.request_counts == RequestCounts(12, 12, 0)


async def test_the_window_ends(work_on, batch, clock, files):
    async def ask(line, begin):
        if line.custom_id == "r3":
            clock.now = 2000.0
        return GOOD

    work = work_on(batch, ask)

    assert await work.run()
    assert (work.batch.status, work.batch.expired_at) == ("expired", 2000)
    errors = content(files, work.batch.error_file_id)
    assert {line["error"]["code"] for line in errors} == {"batch_expired"}
    assert len(errors) + len(content(files, work.batch.output_file_id)) == 12
    assert errors[-1] == {
        "id": "batch_req_gw" + 32 * "0" + "_12",
        "custom_id": "r12",
        "response": None,
        "error": {
            "code": "batch_expired",
            "message": "this request could not be made before the completion window was over",
        },
    }


async def test_whoever_goes_on_repeats_nothing(work_on, batch, files):
    asked = []

    async def ask(line, begin):
        await begin()
        asked.append(line.custom_id)
        return GOOD

    first = work_on(batch, ask, may_begin=lambda: len(asked) < 4)
    assert not await first.run()
    before = [*asked]
    Progress(files.runs / batch.id).begin(12)  # and then it was killed

    second = work_on(first.so_far(), ask)
    assert await second.run()

    assert len(before) >= 4
    assert sorted(asked) == sorted(f"r{number}" for number in range(1, 12))
    assert (second.batch.status, second.batch.request_counts) == ("completed", RequestCounts(12, 11, 1))
    (lost,) = content(files, second.batch.error_file_id)
    assert (lost["custom_id"], lost["error"]["code"]) == ("r12", "batch_interrupted")


async def test_its_end_can_be_repeated(work_on, batch, files):
    """It was killed when the files were there, and nobody had been told."""
    first = work_on(batch, good)
    await first.run()

    second = work_on(msgspec.structs.replace(batch, request_counts=RequestCounts(12), in_progress_at=1000), never)
    assert await second.run()

    assert second.batch == first.batch


async def test_what_is_refused_for_now_is_asked_again_and_not_for_ever(work_on, batch, files, clock):
    """A long wait is not waited here: whoever goes on knows how often it was asked."""
    asked, turns = [], 0

    async def ask(line, begin):
        asked.append(line.custom_id)
        again = line.custom_id == "r1" or (line.custom_id == "r2" and asked.count("r2") < 3)
        return Answer(429, "id", b'"no json', again_s=50.0 if line.custom_id == "r1" else 3.0) if again else GOOD

    batch = msgspec.structs.replace(batch, expires_at=9000)
    is_over = False
    while not is_over:
        work = work_on(batch, ask)
        is_over = await work.run()
        batch, turns = work.so_far(), turns + 1
        clock.now += work.wait_s

    assert (asked.count("r1"), asked.count("r2"), asked.count("r3")) == (20, 3, 1)
    assert (sorted(set(work_on.slept)), turns, clock.now) == ([3.0], 18, 1856.0)
    (error,) = content(files, work.batch.error_file_id)
    assert (error["custom_id"], error["response"]) == (
        "r1",
        {"status_code": 429, "request_id": "id", "body": '"no json'},
    )


async def test_a_batch_that_is_refused_as_a_whole_asks_no_further(work_on, batch, files):
    """Its place is for others meanwhile, as soon as that is known."""
    lines = b"".join(b'{"custom_id":"r%d","body":{}}\n' % number for number in range(100))
    file = await files.create(lines, filename="in.jsonl", purpose="batch", now_s=1000)
    batch = msgspec.structs.replace(batch, input_file_id=file.id)
    asked, left = [], []

    async def ask(line, begin):
        asked.append(line.custom_id)
        return Answer(429, "id", b"", again_s=500.0)

    work = work_on(batch, ask, left=lambda: left.append(len(asked)))

    assert not await work.run()
    assert len(asked) <= 16
    assert (left, work.wait_s, work_on.slept) == ([len(asked)], 60.0, [])


async def test_who_leaves_brings_to_its_end_what_is_under_way(work_on, batch):
    gate, asked, left = asyncio.Event(), [], []

    async def ask(line, begin):
        await begin()
        asked.append(line.custom_id)
        if len(asked) == 8:
            work.leave()
            gate.set()
        await gate.wait()
        return GOOD

    work = work_on(batch, ask, left=lambda: left.append(len(work.progress.done)))

    assert not await work.run()
    assert (left, len(asked), len(work.progress.done)) == ([0], 8, 8)


async def test_what_was_not_sent_is_made_after_a_crash(work_on, batch, files):
    """It was waiting for limits, guardrails or a place at the provider, and nobody has answered it."""
    asked, begun, both = [], [], asyncio.Event()

    class Killed(BaseException):
        pass

    async def first(line, begin):
        if line.custom_id in ("r1", "r2"):
            await begin()
            begun.append(line)
            if len(begun) == 2:
                both.set()
        await both.wait()
        raise Killed

    async def second(line, begin):
        asked.append(line.custom_id)
        return GOOD

    with pytest.raises(BaseException):  # noqa: B017, PT011
        await work_on(batch, first).run()
    work = work_on(msgspec.structs.replace(batch, request_counts=RequestCounts(12)), second)
    assert await work.run()

    assert sorted(asked) == sorted(f"r{number}" for number in range(3, 13))
    errors = content(files, work.batch.error_file_id)
    assert [line["custom_id"] for line in errors] == ["r1", "r2"]


async def test_its_owner_may_have_it_repeated(work_on, batch, files):
    """But a line that kills whoever asks for it is not made for ever."""
    batch = msgspec.structs.replace(batch, metadata={"on_interruption": "repeat"})
    progress = Progress(files.runs / batch.id)
    progress.open()
    for number in (1, 1, 2, 2, 2):
        progress.begin(number)

    work = work_on(batch, good)
    await work.run()

    (lost,) = content(files, work.batch.error_file_id)
    assert (lost["custom_id"], lost["error"]["code"]) == ("r2", "batch_interrupted")
    assert work.batch.request_counts == RequestCounts(12, 11, 1)


async def test_who_has_lost_the_batch_sends_nothing(work_on, batch, files, clock):
    """A line may wait long for its turn at the provider; meanwhile another process has made it."""
    is_mine, sent = True, []

    async def ask(line, begin):
        nonlocal is_mine
        is_mine = False
        try:
            await begin()
        except GatewayError:
            return Answer(503, "id", b"{}", again_s=1.0)
        sent.append(line)
        return GOOD

    work = Work(Run(batch, "main"), files=files, ask=ask, may_begin=lambda: True, is_mine=lambda: is_mine, clock=clock)

    assert not await work.run()
    assert (sent, [*work.progress.folder.iterdir()]) == ([], [])


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{\r\n "n": 1.50,\n "text": "a\\nb \xc3\xa9"\n}\n', b'{   "n": 1.50,  "text": "a\\nb \xc3\xa9" } '),
        (b"<html>\n", b'"<html>\\n"'),
        (b'{"cut":"\xff"}', '"{\\"cut\\":\\"\ufffd\\"}"'.encode()),
    ],
)
async def test_an_answer_stays_as_it_came_on_one_line(work_on, batch, files, body, line):
    """Decoding a large one would hold everybody up."""

    async def ask(_, begin):
        return Answer(200, "id", body)

    work = work_on(batch, ask)
    await work.run()

    lines = files.path(work.batch.output_file_id).read_bytes().split(b"\n")
    assert len(lines) == 13
    assert b'"body":' + line + b"}" in lines[0]
    assert json.loads(lines[0])["error"] is None


async def test_cancelled_before_it_began(work_on, batch):
    work = work_on(msgspec.structs.replace(batch, status="cancelling", cancelling_at=1000), good)

    assert await work.run()
    assert (work.batch.status, work.batch.request_counts, work.batch.output_file_id) == (
        "cancelled",
        RequestCounts(12, 0, 0),
        None,
    )


async def test_without_its_file_it_fails(work_on, batch, files):
    files.delete(batch.input_file_id)
    work = work_on(batch, good)

    assert await work.run()
    assert (work.batch.status, work.batch.errors.data[0].code) == ("failed", "file_not_found")


async def test_a_file_that_is_deleted_ends_it_with_what_there_is(work_on, batch, files):
    """Else it would be taken up again and again."""
    first = work_on(batch, good, may_begin=lambda: len(first.progress.done) < 1)
    assert not await first.run()
    files.delete(batch.input_file_id)

    second = work_on(first.so_far(), never)

    assert await second.run()
    assert (second.batch.status, second.batch.errors.data[0].code) == ("failed", "file_not_found")
    assert len(content(files, second.batch.output_file_id)) == second.batch.request_counts.completed > 0


async def test_whoever_has_lost_it_writes_nothing(work_on, batch, files, clock):
    """Another works on it by then, and has told of this line as interrupted."""
    is_mine = True

    async def ask(line, begin):
        nonlocal is_mine
        is_mine = False
        return GOOD

    work = Work(Run(batch, "main"), files=files, ask=ask, may_begin=lambda: True, is_mine=lambda: is_mine, clock=clock)

    assert not await work.run()
    assert work.progress.done == set()
    assert not (work.progress.folder / "output.jsonl").exists()


@pytest.mark.parametrize("id_", ["", "..", "../x", "file-gw", "file-gw" + 32 * "g", "file-gw" + 31 * "0" + "/"])
def test_ids_that_are_none_lead_nowhere(files, id_):
    assert files.get(id_) is None


async def test_old_files_go(files):
    file = await files.create(b"x", filename="x", purpose="batch", now_s=0)

    assert files.forget(0.0) == 0
    assert files.get(file.id) == file
    assert files.forget(4e9) == 1
    assert files.get(file.id) is None
