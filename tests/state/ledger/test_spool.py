"""What is in the spool survives the process, and what is damaged of it takes nothing else along."""

import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.contract.price import Price, Rate, Tariff
from gateway.state.ledger.spool import Spool, records_of

LEAVE_AND_DIE = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.contract.entry import Entry
from gateway.state.ledger.spool import Spool

spool = Spool(Path(sys.argv[1]))
at = datetime(2026, 3, 5, tzinfo=UTC)
spool.append([Entry(request_id=f"left-{n}", at=at, subject="s", model="m", outcome="complete") for n in range(3)])
print("spooled", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def spool_of(tmp_path):
    """Opens the spool as one of several processes; it is closed at the end."""
    opened = []

    def make(**options):
        opened.append(Spool(tmp_path / "deep" / "spool", **options))
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def ids(entries):
    return [entry.request_id for entry in entries]


def emptied(spool):
    found = []
    while (oldest := spool.oldest()) is not None:
        path, entries = oldest
        found += ids(entries)
        spool.remove(path)
    return found


def test_entries_come_back_as_they_were(spool_of, entry_of):
    spool = spool_of()
    assert spool.oldest() is None

    assert spool.append([entry_of("r1"), entry_of("r2")]) == 2
    assert spool.append([entry_of("r3")]) == 1

    path, entries = spool.oldest()
    assert entries == [entry_of("r1"), entry_of("r2"), entry_of("r3")]
    spool.remove(path)
    assert spool.oldest() is None
    assert list(spool.directory.iterdir()) == []


def test_entries_get_their_bills(spool_of, entry_of):
    """The price may be another one by the time they are written."""
    price = Price(row="m/x", version="private", tariffs=(Tariff(rates={"input": Rate(10, 1)}),))
    spool = spool_of()

    spool.append([msgspec.structs.replace(entry_of(1), price=price)])

    _, (entry,) = spool.oldest()
    assert (entry.price, entry.bill.cost) == (None, 30)


def test_is_for_nobody_elses_eyes(spool_of, entry_of):
    spool = spool_of()
    spool.append([entry_of("r1")])

    (file,) = spool.directory.iterdir()
    assert (file.stat().st_mode & 0o777, spool.directory.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_comes_while_a_file_is_read_goes_into_the_next(spool_of, entry_of):
    spool = spool_of()
    spool.append([entry_of("r1")])
    path, entries = spool.oldest()
    spool.append([entry_of("r2")])
    spool.remove(path)

    assert ids(entries) == ["r1"]
    assert emptied(spool) == ["r2"]


def test_files_are_small_enough_to_be_read_as_a_whole(spool_of, entry_of):
    spool = spool_of(segment_bytes=1)
    for number in range(3):
        spool.append([entry_of(number)])

    assert len(list(spool.directory.iterdir())) == 3
    assert emptied(spool) == ["0", "1", "2"]


def test_has_a_size(spool_of, entry_of):
    """What does not fit is said, not written; there is room again once something was taken out."""
    one = spool_of().append([entry_of(0)])
    (file,) = spool_of().directory.iterdir()
    spool = spool_of(max_bytes=file.stat().st_size * 3)

    assert (one, spool.append([entry_of(number) for number in range(1, 5)])) == (1, 2)
    assert spool.append([entry_of(9)]) == 0

    path, entries = spool.oldest()
    spool.remove(path)
    assert ids(entries) == ["1", "2"]
    assert spool.append([entry_of(9)]) == 1


def test_the_files_of_others_who_live_are_left_alone(spool_of, entry_of):
    mine, other = spool_of(), spool_of()
    other.append([entry_of("theirs")])
    mine.append([entry_of("mine")])

    assert emptied(mine) == ["mine"]
    other.close()
    assert emptied(mine) == ["theirs"]


def test_what_a_killed_process_left_is_found(spool_of):
    spool = spool_of()
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVE_AND_DIE, spool.directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"spooled\n"
    while_alive = spool.oldest()

    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert while_alive is None
    assert emptied(spool) == ["left-0", "left-1", "left-2"]


def test_a_file_may_end_anywhere(spool_of, entry_of):
    """The power may go at any byte; all records before it are whole."""
    spool = spool_of()
    spool.append([entry_of("r1"), entry_of("r2")])
    (file,) = spool.directory.iterdir()
    data = file.read_bytes()
    half = len(data) // 2

    for cut in range(len(data)):
        entries, unread = records_of(data[:cut])
        assert (ids(entries), unread) == (["r1"], cut - half) if cut >= half else ([], cut)
    assert records_of(data) == ([entry_of("r1"), entry_of("r2")], 0)


def test_any_changed_byte_is_noticed(spool_of, entry_of):
    """Nothing that is damaged is taken for an entry, and what is not lies aside for somebody to look at."""
    spool = spool_of()
    spool.append([entry_of("r1"), entry_of("r2")])
    (file,) = spool.directory.iterdir()
    data = file.read_bytes()

    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x41
        entries, unread = records_of(changed)
        assert entry_of("r1" if at >= len(data) // 2 else "r2") in entries or at % (len(data) // 2) < 4
        assert len(entries) < 2
        assert unread > 0


def test_a_damaged_file_is_kept_aside(spool_of, entry_of, capsys):
    """All else in it is used."""
    spool = spool_of()
    spool.append([entry_of("r1"), entry_of("r2"), entry_of("r3")])
    (file,) = spool.directory.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    assert emptied(spool) == ["r1", "r3"]

    assert [path.name for path in spool.directory.iterdir()] == [file.with_suffix(".damaged").name]
    assert "spool is damaged" in capsys.readouterr().out


@contextmanager
def files_end_at(size):
    """As on a disk that is full: what goes beyond is refused, after a part of it was written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_half_record(spool_of, entry_of):
    spool = spool_of()
    spool.append([entry_of("r1")])
    (file,) = spool.directory.iterdir()

    with files_end_at(file.stat().st_size * 2 + 10), pytest.raises(OSError, match="File too large"):
        spool.append([entry_of("r2"), entry_of("r3")])
    spool.append([entry_of("r4")])

    assert emptied(spool) == ["r1", "r4"]


def test_a_directory_that_cannot_be_made(tmp_path, entry_of):
    Path(tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool")

    with pytest.raises(NotADirectoryError):
        spool.append([entry_of("r1")])
    assert spool.oldest() is None
