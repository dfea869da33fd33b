"""Each destination's records are where it has sinks of its own, and nowhere else."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.contract import Outcome, Record
from gateway.errors import ConfigError
from gateway.state.sinks.file import FileSink
from gateway.state.sinks.routed import in_variables, routed
from gateway.state.sinks.webhook import WebhookSink

MAKERS = {"file": FileSink.from_environ, "webhook": WebhookSink.from_environ}
RECORD = Record(
    timestamp=datetime(2026, 3, 5, tzinfo=UTC),
    level="info",
    request_id="0" * 32,
    method="POST",
    path="/",
    status=200,
    outcome=Outcome.COMPLETE,
    duration_ms=1.0,
)


def ids(path):
    return (
        [msgspec.json.decode(line)["request_id"][-1] for line in path.read_bytes().splitlines()]
        if path.exists()
        else []
    )


async def test_who_gets_which(tmp_path):
    sinks = routed(
        MAKERS,
        {
            "GATEWAY_RECORDS_FILE": str(tmp_path / "all.jsonl"),
            "GATEWAY_RECORDS_FILE__EU_BUCKET": str(tmp_path / "eu.jsonl"),
            "GATEWAY_RECORDS_FILE_BYTES__EU_BUCKET": "5000",
            "GATEWAY_RECORDS_FILE__DEFAULT": str(tmp_path / "default.jsonl"),
        },
    )
    records = [
        msgspec.structs.replace(RECORD, request_id=f"{number:032x}", destination=destination)
        for number, destination in enumerate(("eu-bucket", "default", "us", None))
    ]

    for sink in sinks.values():
        await sink.write(records)
        await sink.close()

    assert sorted(sinks) == ["file", "file-default", "file-eu_bucket"]
    assert sinks["file-eu_bucket"].sink.max_bytes == 5000
    assert ids(tmp_path / "eu.jsonl") == ["0"]
    assert ids(tmp_path / "default.jsonl") == ["1"]
    assert ids(tmp_path / "all.jsonl") == ["2", "3"]


async def test_without_any_of_their_own_all_is_as_it_was(tmp_path):
    sinks = routed(MAKERS, {"GATEWAY_RECORDS_FILE": str(tmp_path / "all.jsonl")})

    assert {name: type(sink) for name, sink in sinks.items()} == {"file": FileSink}


def test_what_is_wrong_with_one_is_said():
    with pytest.raises(ConfigError, match="GATEWAY_RECORDS_WEBHOOK"):
        routed(MAKERS, {"GATEWAY_RECORDS_WEBHOOK__EU": "nowhere"})


@pytest.mark.parametrize(
    ("name", "written"), [("eu-bucket", "EU_BUCKET"), ("EU bucket 1", "EU_BUCKET_1"), ("-x-", "X"), ("", "")]
)
def test_names_in_variables(name, written):
    assert in_variables(name) == written
