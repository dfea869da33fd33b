"""Records as lines of JSON in files that are rotated."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.contract import Outcome, Record
from gateway.errors import ConfigError
from gateway.state.sinks.file import FileSink


def record_of(number):
    return Record(
        timestamp=datetime(2026, 3, 5, tzinfo=UTC),
        level="info",
        request_id=f"r{number}",
        method="POST",
        path="/",
        status=200,
        outcome=Outcome.COMPLETE,
        duration_ms=1.0,
    )


def ids(path):
    return [msgspec.json.decode(line)["request_id"] for line in path.read_bytes().splitlines()]


async def test_a_line_for_each(tmp_path):
    path = tmp_path / "logs" / "requests.jsonl"
    sink = FileSink(path)

    await sink.write([record_of(1), record_of(2)])
    await sink.write([record_of(3)])

    assert ids(path) == ["r1", "r2", "r3"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_full_files_are_put_aside(tmp_path):
    """And of those, the oldest goes."""
    path = tmp_path / "requests.jsonl"
    sink = FileSink(path, max_bytes=400, kept=2)

    for number in range(8):
        await sink.write([record_of(2 * number), record_of(2 * number + 1)])

    assert [ids(tmp_path / name) for name in ("requests.jsonl", "requests.jsonl.1", "requests.jsonl.2")] == [
        ["r14", "r15"],
        ["r12", "r13"],
        ["r10", "r11"],
    ]
    assert len([*tmp_path.iterdir()]) == 3


async def test_without_older_ones_it_begins_anew(tmp_path):
    sink = FileSink(tmp_path / "requests.jsonl", max_bytes=10, kept=0)

    await sink.write([record_of(1)])
    await sink.write([record_of(2)])

    assert ids(tmp_path / "requests.jsonl") == ["r2"]
    assert len([*tmp_path.iterdir()]) == 1


async def test_who_moves_it_away_gets_a_new_one(tmp_path):
    """As logrotate does."""
    path = tmp_path / "requests.jsonl"
    sink = FileSink(path)
    await sink.write([record_of(1)])

    path.rename(tmp_path / "old")
    await sink.write([record_of(2)])

    assert (ids(tmp_path / "old"), ids(path)) == (["r1"], ["r2"])


async def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        await FileSink(tmp_path / "file" / "requests.jsonl").write([record_of(1)])


def test_from_the_environment(tmp_path):
    sink = FileSink.from_environ({"GATEWAY_RECORDS_FILE": str(tmp_path / "x"), "GATEWAY_RECORDS_FILE_BYTES": "7"})

    assert (sink.path, sink.max_bytes, sink.kept) == (tmp_path / "x", 7, 5)
    assert FileSink.from_environ({}) is None
    with pytest.raises(ConfigError, match="GATEWAY_RECORDS_FILE_KEPT: has to be a number"):
        FileSink.from_environ({"GATEWAY_RECORDS_FILE": "x", "GATEWAY_RECORDS_FILE_KEPT": "-1"})
