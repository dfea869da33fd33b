"""What was uploaded yesterday is there today, whatever became of the process."""

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI

from gateway.state.database.migrate import migrate

HASTY = """\
from functools import partial

import gateway.batches.setup
import gateway.batches.watching
from gateway.cli import main

gateway.batches.watching.FIRST_S = gateway.batches.watching.MOST_S = 0.5
gateway.batches.setup.Watching = partial(gateway.batches.setup.Watching, lease_s=2.0, poll_s=0.1)
main(prog_name="gateway")
"""

LINE = {"custom_id": "1", "url": "/v1/chat/completions", "body": {"model": "real-chat", "messages": []}}
FILE = ("a.jsonl", json.dumps(LINE).encode(), "application/jsonl")


def client_of(gateway, token):
    return AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0)


async def test_whose_it_is_outlives_the_process(gateway_process, provider, config, environ, tmp_path, tokens):
    environ = {
        **environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_PEPPER": "pepper-0123456789abcdef",
    }
    first = gateway_process(config=config, environ=environ)
    async with client_of(first, tokens["ana"]) as client:
        file = await client.files.create(file=FILE, purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    first.process.kill()
    await first.exit_code()
    provider.finish_batch(batch.id, b"done\n")

    second = gateway_process(config=config, environ=environ)
    async with client_of(second, tokens["ana"]) as client, client_of(second, tokens["bo"]) as other:
        assert [each async for each in client.files.list()] == [file]
        done = await client.batches.retrieve(batch.id)
        assert (done.status, (await client.files.content(done.output_file_id)).content) == ("completed", b"done\n")
        with pytest.raises(openai.NotFoundError):
            await other.files.content(done.output_file_id)
        assert [each async for each in other.files.list()] == []
    second.assert_sound()


async def test_what_a_batch_has_cost_is_in_the_ledger(gateway_process, provider, config, environ, tmp_path, tokens):
    """As `gateway usage` asks for it. What it has made may also be the first that somebody looks at."""
    [account] = json.loads(config)
    cost = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}}
    account["integrations"][0]["cost"] = cost
    environ = {
        **environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_PEPPER": "pepper-0123456789abcdef",
    }
    gateway = gateway_process(config=json.dumps([account]), environ=environ)
    used = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 50},
        "total_tokens": 1200,
    }

    async with client_of(gateway, tokens["ana"]) as client:
        file = await client.files.create(file=FILE, purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        provider.finish_batch(batch.id, b"done\n")
        provider.batches[batch.id] |= {"model": "real-chat-2026-01-01", "usage": used}
        assert await client.get(f"/batches/{batch.id}/output", cast_to=str) == "done\n"
        assert (await client.batches.retrieve(batch.id)).usage.total_tokens == 1200
        usage = gateway.url.removesuffix("/v1") + "/api/svc/v1/llm-gateway/usage"
        async with asyncio.timeout(30):
            while not (rows := await rows_of(client, usage, "main/chat")):
                await asyncio.sleep(0.02)
        bill = (await client.get(f"{usage}/requests/{batch.id}@main", cast_to=object))["data"]["bill"]

    assert [(row["requests"], row["costNanoUsd"]) for row in rows] == [(1, 3_000_000)]
    assert [line["sum"] for line in bill["lines"]] == [
        "1000 x $0.001 / 1000 = $0.001",
        "150 x $0.01 / 1000 = $0.0015",
        "50 x $0.01 / 1000 = $0.0005",
    ]
    gateway.assert_sound()


async def rows_of(client, url, model):
    said = await client.get(url, cast_to=object)
    return [row for row in said["data"] if row["group"] == model]


@pytest.fixture
def hasty(gateway_process, postgres, provider, config, environ):
    """`hasty()`: one more replica, which looks at batches all the time; all of them share one PostgreSQL."""
    [account] = json.loads(config)
    account["integrations"][0]["cost"] = {"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.01}}
    with postgres.database() as url:
        asyncio.run(migrate(url))
        of_database = {"GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}
        how = {"config": json.dumps([account]), "environ": environ | of_database, "small_numbers": HASTY}
        yield lambda: gateway_process(**how)


def output_of(count):
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    body = {"model": "real-chat", "usage": usage}
    lines = [{"custom_id": str(n), "response": {"status_code": 200, "body": body}} for n in range(count)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def test_a_batch_that_nobody_asks_for_is_billed_once(hasty, provider, tokens):
    """One replica is killed while it reads the output, and the other goes on."""
    one, other = hasty(), hasty()
    async with client_of(one, tokens["ana"]) as client:
        file = await client.files.create(file=FILE, purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    before = len(provider.seen)
    provider.hangs = True
    provider.finish_batch(batch.id, output_of(500))
    async with asyncio.timeout(30):
        while not [path for _, path, _ in provider.seen[before:] if path.endswith("/content")]:
            await asyncio.sleep(0.02)
    # Which of the two it is, nobody knows: the first goes, and later the second, and a third one comes.
    one.process.kill()
    await one.exit_code()
    third = hasty()
    other.process.kill()
    await other.exit_code()
    provider.hangs = False

    async with client_of(third, tokens["ana"]) as client:
        usage = third.url.removesuffix("/v1") + "/api/svc/v1/llm-gateway/usage"
        async with asyncio.timeout(30):
            while not (rows := await rows_of(client, usage, "main/chat")):
                await asyncio.sleep(0.02)
        await asyncio.sleep(1)  # nobody bills it again
        rows = await rows_of(client, usage, "main/chat")

    assert [(row["requests"], row["costNanoUsd"]) for row in rows] == [(1, 500 * 3_000_000)]
    third.assert_sound()
