"""Request records as lines."""

import io
import json
from datetime import UTC, datetime

import pytest

from gateway.contract import Outcome, Record
from gateway.contract.usage import Usage
from gateway.state.sinks.log import LogSink, printable

SHORT = {
    "timestamp": datetime(2026, 11, 22, 14, 5, 6, 789000, UTC),
    "level": "info",
    "request_id": "id-1",
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "outcome": Outcome.COMPLETE,
    "duration_ms": 12.5,
}
LONG = {
    **SHORT,
    "request_type": "chat",
    "subject": "user:ana@example.com",
    "model": "mock/m",
    "resolved_model": "mock/m",
    "stream": True,
    "usage": Usage(input=5, cache_read=2, output=3),
    "time_to_first_token_ms": 3.25,
    "time_per_output_token_ms": 1.5,
    "overhead_ms": 0.2,
    "upstream_status": 200,
    "dropped_params": ("user",),
    "client": "127.0.0.1",
    "user_agent": "tests/1",
}
FAILED = {
    **SHORT,
    "level": "error",
    "status": 502,
    "outcome": Outcome.UPSTREAM_BROKE,
    "error_type": "upstream_error",
    "error_code": "stream_interrupted",
    "error_message": "it broke",
}


class Terminal(io.BytesIO):
    def isatty(self):
        return True


async def lines(stream, *records):
    await LogSink(stream).write([Record(**record) for record in records])
    return stream.getvalue().decode().removesuffix("\n").split("\n")


async def test_json_lines_have_all_fields():
    short, long, failed = await lines(io.BytesIO(), SHORT, LONG, FAILED)

    common = {
        "event": "request",
        "timestamp": "2026-11-22T14:05:06.789000Z",
        "level": "info",
        "request_id": "id-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": "complete",
        "duration_ms": 12.5,
    }
    assert json.loads(short) == common
    assert json.loads(long) == common | {
        "request_type": "chat",
        "subject": "user:ana@example.com",
        "model": "mock/m",
        "resolved_model": "mock/m",
        "stream": True,
        "usage": {"input": 5, "cache_read": 2, "output": 3},
        "time_to_first_token_ms": 3.25,
        "time_per_output_token_ms": 1.5,
        "overhead_ms": 0.2,
        "upstream_status": 200,
        "dropped_params": ["user"],
        "client": "127.0.0.1",
        "user_agent": "tests/1",
    }
    assert json.loads(failed) == common | {
        "level": "error",
        "status": 502,
        "outcome": "upstream_broke",
        "error_type": "upstream_error",
        "error_code": "stream_interrupted",
        "error_message": "it broke",
    }


async def test_in_a_terminal_people_read_them():
    assert await lines(Terminal(), SHORT, LONG, FAILED) == [
        "14:05:06  200 POST /v1/chat/completions  -  12 ms",
        "14:05:06  200 POST /v1/chat/completions  mock/m  12 ms  first token 3 ms  7 -> 3 tokens",
        "14:05:06  502 POST /v1/chat/completions  -  12 ms  upstream_broke: it broke",
    ]


@pytest.mark.parametrize("stream", [io.BytesIO, Terminal])
async def test_nothing_a_caller_sends_begins_a_line(stream):
    """A model name must not forge an entry, or move the cursor."""
    evil = "x\n14:05:06 200 POST /\r\x1b[2J\x00\x85\u2028\u202e"

    [line] = await lines(stream(), {**SHORT, "path": evil, "model": evil, "error_message": evil})

    assert not {c for c in line if ord(c) < 32}


def test_control_characters_are_escaped():
    assert printable("a\n\x1b[2J\u202e\u2028é\U0001f600") == "a\\n\\x1b[2J\\u202e\\u2028é\U0001f600"


async def test_a_batch_is_written_at_once():
    class Counting(io.BytesIO):
        writes = 0

        def write(self, data):
            self.writes += 1
            return super().write(data)

    stream = Counting()

    assert len(await lines(stream, *[SHORT] * 100)) == 100
    assert stream.writes == 1
