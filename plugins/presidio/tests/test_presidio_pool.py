"""Workers that hang, die and talk nonsense, as processes that are really there."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from gateway_presidio.config import PresidioConfig
from gateway_presidio.frames import Answer, Ready, receive, send
from gateway_presidio.pool import Pool

from gateway.errors import UpstreamError

FAKE = Path(__file__).parent / "fake_worker.py"


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def starts(tmp_path):
    return tmp_path / "starts"


@pytest.fixture
def command(starts):
    return [sys.executable, "-P", str(FAKE), str(starts)]


@pytest.fixture
def pool_of(command):
    """`pool_of("why it cannot work")`."""
    return lambda *problem, timeout_ms=60_000, **how: Pool(
        PresidioConfig(timeout_ms=timeout_ms), command=[*command, *problem], **how
    )


async def pid_of(pool):
    return (await pool.check(["hello"])).found["PID"]


async def test_one_process_does_it_all(pool_of, starts):
    """And is started by the first request, not before."""
    pool = pool_of()
    assert not starts.exists()

    answers = [await pool.check([text, ""]) for text in ("a", "print b")]

    assert [answer.texts for answer in answers] == [["A", ""], ["PRINT B", ""]]
    assert answers[0].found == answers[1].found
    assert starts.read_text() == "start\n"


async def test_one_that_hangs_is_ended(pool_of, starts):
    """A pattern may take for ever for some texts. Whoever comes next gets another process."""
    pool = pool_of(timeout_ms=1000)
    before = await pid_of(pool)

    with pytest.raises(UpstreamError, match="presidio took longer than 1000 ms"):
        await pool.check(["hang"])

    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert await pid_of(pool) != before
    assert starts.read_text() == "start\n" * 2


async def test_one_that_dies_is_replaced(pool_of):
    pool = pool_of()
    before = await pid_of(pool)

    with pytest.raises(UpstreamError, match="a worker of presidio died: EOFError"):
        await pool.check(["die"])

    assert await pid_of(pool) != before


async def test_one_that_was_killed_while_it_had_nothing_to_do(pool_of):
    """By whoever looks for memory, say. The next request need not know."""
    pool = pool_of()
    before = await pid_of(pool)
    os.kill(before, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, before, os.WEXITED | os.WNOWAIT)

    assert await pid_of(pool) != before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fail with my-secret", "presidio failed with RuntimeError"),
        ("lose", "presidio did not answer with one text for each"),
    ],
)
async def test_what_is_no_answer(pool_of, text, why):
    """Nothing of the text is in the reason, and the process lives on."""
    pool = pool_of()
    before = await pid_of(pool)

    with pytest.raises(UpstreamError) as failed:
        await pool.check([text])

    assert failed.value.message == why
    assert await pid_of(pool) == before


async def test_one_that_cannot_be_started_is_left_alone_for_a_while(pool_of, starts):
    clock = Clock()
    pool = pool_of("no model", clock=clock)
    for now_s in (100.0, 109.0, 111.0):
        clock.now_s = now_s
        with pytest.raises(UpstreamError, match="presidio cannot be started: ValueError: no model"):
            await pool.check(["hello"])

    assert starts.read_text() == "start\n" * 2


async def test_no_such_command(pool_of):
    pool = Pool(PresidioConfig(), command=["/nowhere/python"])

    with pytest.raises(UpstreamError, match="presidio cannot be started: FileNotFoundError while it started"):
        await pool.check(["hello"])


async def test_more_than_there_is_room_for(pool_of, tmp_path):
    """Refused at once. Who gives up makes no room before it is his turn: what waits would have no limit."""
    pool, fifo = pool_of(max_waiting=1), tmp_path / "fifo"
    os.mkfifo(fifo)
    first = asyncio.create_task(pool.check([f"wait {fifo}"]))
    file = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)  # returns when the worker reads it
    second = asyncio.create_task(pool.check(["b"]))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])

    with pytest.raises(UpstreamError, match="presidio has too much to do"):
        await pool.check(["c"])

    os.close(file)
    assert (await first).texts == [f"WAIT {fifo}".upper()]
    assert (await _once_there_is_room(pool, "d")).texts == ["D"]


async def _once_there_is_room(pool, text):
    """It comes when it was the turn of who gave up."""
    async with asyncio.timeout(30):
        while True:
            with suppress(UpstreamError):
                return await pool.check([text])
            await asyncio.to_thread(os.sched_yield)


async def test_who_hangs_up_does_not_end_the_worker(pool_of, tmp_path):
    """To load models takes seconds, and anybody could have it done again and again."""
    pool, fifo = pool_of(), tmp_path / "fifo"
    os.mkfifo(fifo)
    before = await pid_of(pool)
    task = asyncio.create_task(pool.check([f"wait {fifo}"]))
    file = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)

    task.cancel()
    await asyncio.wait([task])
    os.close(file)

    assert await pid_of(pool) == before


async def test_keys_of_the_gateway_are_not_passed_on(pool_of, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")

    names = (await pool_of().check(["environ"])).found

    assert "PATH" in names
    assert "OPENAI_API_KEY" not in names


async def test_a_pool_that_nobody_needs_ends_its_processes(pool_of):
    """As after a change of the configuration."""
    others = set(threading.enumerate())
    pool = pool_of()
    pid = await pid_of(pool)
    [thread] = [each for each in threading.enumerate() if each not in others and each.name == "presidio"]

    del pool
    gc.collect()
    await asyncio.to_thread(thread.join, 30)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def process(command):
    """`process.sock`: what the gateway has of a worker, which is ready."""
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen(command, stdin=theirs, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as made:
        theirs.close()
        ours.settimeout(60)
        send(ours, PresidioConfig(timeout_ms=1))
        assert receive(ours, Ready) == Ready()
        made.sock = ours
        yield made
        made.kill()


def test_a_worker_ends_with_the_gateway(process):
    process.sock.close()

    assert process.wait(60) == 0


def test_a_worker_that_hangs_ends_without_the_gateway(process):
    """Which was killed, and cannot end anybody. None must be left behind that needs a whole core."""
    send(process.sock, ["hang"])

    assert process.wait(60) == -signal.SIGALRM


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{]"])
def test_frames_that_are_none(sent):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)

        with pytest.raises(ValueError, match=r"a frame of|malformed|expected"):
            receive(ours, Answer)


def test_frames_that_come_in_pieces():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(theirs, Answer({"A": 1}, ["ä"]))
        whole = ours.recv(1000)
    for cut in range(len(whole)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(whole[:cut])
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(EOFError):
                receive(ours, Answer)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        rest = [whole[at : at + 1] for at in reversed(range(len(whole)))]
        assert receive(ours, Answer, before=lambda: theirs.sendall(rest.pop())) == Answer({"A": 1}, ["ä"])
