"""What was uploaded yesterday is there today, whatever became of the process."""

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI

FILE = ("a.jsonl", b"{}\n", "application/jsonl")


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
