"""A store of records of either kind for each test, and records to put into it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract import Outcome, Record
from gateway.contract.usage import Usage
from gateway.state.requests.store import RecordStore

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=1)


async def no_pause(_):
    await asyncio.sleep(0)


@pytest.fixture(params=["sqlite", "postgres"])
def records_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/requests.db"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
async def store(records_url):
    store = RecordStore(
        records_url, metadata=["app"], clock=lambda: NOW, deadline_s=20.0, writing_s=20.0, pause=no_pause
    )
    yield store
    await store.close()


@pytest.fixture(scope="session")
def record_of():
    """`record_of(3, status=500)`: the third, 3 s after noon."""

    def make(number, **fields):
        at = fields.pop("at", NOON + timedelta(seconds=number))
        told = {
            "timestamp": at,
            "level": "info",
            "request_id": f"{int(at.timestamp() * 1000):012x}{number:020x}",
            "method": "POST",
            "path": "/v1/chat/completions",
            "status": 200,
            "outcome": Outcome.COMPLETE,
            "duration_ms": 100.0,
            "request_type": "chat",
            "subject": "user:ana@example.com",
            "token_id": "t1",
            "model": "prod/chat",
            "resolved_model": "openai-main/gpt-4o",
            "usage": Usage(input=10, output=5),
            "cost_nanousd": 30,
            "teams": ("research",),
        }
        return Record(**(told | fields))

    return make
