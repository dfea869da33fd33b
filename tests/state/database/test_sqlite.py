"""The file of a database, whoever else opens, locks, moves or damages it."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from gateway.state.database.migrate import migrate
from gateway.state.database.sqlite import Writer, problem_of
from gateway.state.database.store import Store

ANA = "user:ana@example.com"
WRITER = """
import asyncio, sys
from gateway.state.database.migrate import migrate
from gateway.state.database.store import Store

async def main(url):
    await migrate(url)
    store, other = Store(url), Store(url)
    await asyncio.gather(*[each.versions() for each in (store, other) * 4])  # several connections
    print("ready", flush=True)
    for name in sys.stdin:
        async with store.change("user:ana@example.com") as change:
            await change.put_user(name.strip())
        await other.versions()
        print("confirmed", flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def put_user(store, email):
    async with store.change(ANA) as transaction:
        await transaction.put_user(email)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "gateway.db"


@pytest.fixture
async def store(path):
    await migrate(f"sqlite:///{path}")
    store = Store(f"sqlite:///{path}")
    yield store
    await store.close()


def emails(path):
    with closing(sqlite3.connect(path)) as database:
        return [email for (email,) in database.execute("SELECT email FROM users ORDER BY email")]


def test_what_was_confirmed_outlives_a_kill_whoever_looked_meanwhile(path):
    """A look, a backup or a second gateway closed the file as the last who had it, as far as they could tell, and
    deleted the log that the running one went on writing."""
    command = [sys.executable, "-c", WRITER, f"sqlite:///{path}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:

        def confirmed(name):
            writer.stdin.write(f"{name}\n")
            writer.stdin.flush()
            return writer.stdout.readline()

        assert writer.stdout.readline() == "ready\n"
        assert confirmed("a") == "confirmed\n"
        before = emails(path)
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"VACUUM INTO '{path}.backup'")
        Path(f"{path}.copy").write_bytes(path.read_bytes())
        assert confirmed("b") == "confirmed\n"
        files = [str(file.readlink()) for file in Path(f"/proc/{writer.pid}/fd").iterdir()]
        writer.send_signal(signal.SIGKILL)

    assert before == ["a"]
    assert [file for file in files if file.startswith(str(path)) and "deleted" in file] == []
    assert emails(path) == ["a", "b"]
    assert emails(f"{path}.backup") == ["a"]


def test_two_processes_see_what_either_writes(path):
    command = [sys.executable, "-c", WRITER, f"sqlite:///{path}"]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    seen = []

    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for number, writer in enumerate(writers * 2):
        writer.stdin.write(f"{number}\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "confirmed\n"
        seen.append(emails(path))
    for writer in writers:
        writer.kill()
        writer.communicate()

    assert seen == [["0"], ["0", "1"], ["0", "1", "2"], ["0", "1", "2", "3"]]
    assert emails(path) == ["0", "1", "2", "3"]


async def test_a_file_that_is_gone_is_not_made_anew(store, path):
    """What would be confirmed then would be in a file that nobody finds, or in an empty one."""
    await put_user(store, "a")
    path.rename(f"{path}.moved")

    for call in (store.versions(), put_user(store, "b"), *[store.versions() for _ in range(4)]):
        with pytest.raises(Unavailable, match=f"{path} was deleted or replaced"):
            await call
    assert not path.exists()
    Path(f"{path}.moved").rename(path)

    await put_user(store, "c")
    assert emails(path) == ["a", "c"]


async def test_a_file_that_is_replaced_is_left_alone(store, path):
    await put_user(store, "a")
    other = Path(f"{path}.other")
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE users (email TEXT)")
    other.rename(path)

    with pytest.raises(Unavailable, match=f"{path} was deleted or replaced"):
        await put_user(store, "b")


async def test_a_log_that_is_deleted_is_missed(store, path):
    """The end of the process brings what was in it into the file; what came after would be lost by a kill."""
    await put_user(store, "a")
    Path(f"{path}-wal").unlink()

    with pytest.raises(Unavailable, match=f"{path}-wal was deleted or replaced"):
        await put_user(store, "b")
    await store.close()

    assert emails(path) == ["a"]


def damage(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")  # so that all of it is in the file
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(b"\x89PNG" + b"x" * 5000), "{path} is no SQLite database"),
        (damage, "the database {path} is damaged: database disk image is malformed"),
        (lambda path: (path.unlink(), path.mkdir()), "the database {path} cannot be opened: {path} is a directory"),
        (lambda path: Path(f"{path}-wal").mkdir(), "the database {path} cannot be opened: {path}-wal is a directory"),
    ],
)
async def test_says_what_is_wrong_with_which_file(path, spoil, problem):
    """It said that the database cannot be reached, and to try again in a moment."""
    await migrate(f"sqlite:///{path}")
    spoil(path)
    store = Store(f"sqlite:///{path}")

    with pytest.raises(Unavailable) as raised:
        await store.tokens()
    with pytest.raises(Unavailable) as raised_when_migrating:
        await migrate(f"sqlite:///{path}")
    await store.close()

    assert raised.value.message.startswith(problem.format(path=path))
    assert raised_when_migrating.value.message.startswith(problem.format(path=path))


async def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    store = Store(f"sqlite:///{tmp_path}/file/gateway.db")

    with pytest.raises(Unavailable, match=f"the database {tmp_path}/file/gateway.db cannot be made: File exists"):
        await store.versions()


async def test_an_empty_file_is_a_new_one(path):
    """As `touch`, mktemp or a mounted file leaves it."""
    path.parent.mkdir()
    path.touch(mode=0o640)

    assert await migrate(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("PRAGMA max_page_count = 2", "the database a.db cannot be written: the disk is full"),
        ("PRAGMA query_only = ON", "the database a.db cannot be written: the file system does not allow it"),
    ],
)
def test_a_disk_that_takes_nothing(tmp_path, monkeypatch, setting, problem):
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute(setting)
        with pytest.raises(sqlite3.OperationalError) as raised:
            database.execute("INSERT INTO t VALUES (randomblob(10000))")

    monkeypatch.chdir(tmp_path)
    assert problem_of(raised.value, "a.db") == problem


def test_what_is_wrong_with_a_statement_is_not_the_file():
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.OperationalError) as raised:
        database.execute("SELECT x FROM nothing")

    assert problem_of(raised.value, "a.db") is None


async def test_waits_for_whoever_has_the_lock(store, path):
    """Another program, in the midst of a change of its own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writing = asyncio.create_task(put_user(store, "a"))
        assert await store.users() == []  # meanwhile it can be read
        other.execute("COMMIT")
        await writing

    assert emails(path) == ["a"]


# --- what is written often ---------------------------------------------------


def add_user(email):
    def add(connection):
        connection.execute("INSERT INTO users VALUES (?, 1, '2026-01-01 00:00:00.000000', 'user:ana')", (email,))
        return email

    return add


@pytest.fixture
async def writer(store, path):
    writer = Writer(str(path), busy_s=0.1)
    yield writer
    await writer.close()


async def test_a_job_is_done_as_a_whole_or_not_at_all(writer, path):
    def fail(connection):
        add_user("b")(connection)
        raise KeyError("b")

    assert await writer.run(add_user("a")) == "a"
    with pytest.raises(KeyError):
        await writer.run(fail)
    assert await writer.run(add_user("c")) == "c"

    assert emails(path) == ["a", "c"]


async def test_a_job_gives_up_when_somebody_else_has_the_lock(writer, path):
    """It can be done again later: nothing of it was written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another writer"):
            await writer.run(add_user("a"))
        other.execute("ROLLBACK")

    await writer.run(add_user("a"))

    assert emails(path) == ["a"]


async def test_a_job_that_is_cancelled_is_over(writer, path):
    """Whoever looks then sees what became of it."""
    may_end = threading.Event()
    is_begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection):
        loop.call_soon_threadsafe(is_begun.set)
        may_end.wait(5)
        return add_user("a")(connection)

    running = asyncio.create_task(writer.run(slow))
    await is_begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    is_over = running.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not is_over
    assert emails(path) == ["a"]


async def test_a_job_writes_into_no_file_that_is_gone(writer, path):
    await writer.run(add_user("a"))
    path.rename(f"{path}.moved")

    with pytest.raises(Unavailable, match=f"{path} was deleted or replaced"):
        await writer.run(add_user("b"))
    Path(f"{path}.moved").rename(path)
    await writer.run(add_user("c"))

    assert emails(path) == ["a", "c"]


async def test_a_file_that_is_none_can_be_put_right(path):
    """Nothing has to be started again."""
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG" + b"x" * 5000)
    writer = Writer(str(path), busy_s=0.1)
    with pytest.raises(Unavailable, match="is no SQLite database"):
        await writer.run(add_user("a"))

    path.write_bytes(b"")
    await migrate(f"sqlite:///{path}")
    await writer.run(add_user("a"))
    await writer.close()

    assert emails(path) == ["a"]
