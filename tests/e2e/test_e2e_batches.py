"""Batches that the gateway runs itself: OpenAI's SDK makes them, and no crash makes a request twice."""

import asyncio
import json

import pytest
from openai import AsyncOpenAI

SHORT_LEASES = """\
from functools import partial

import gateway.batches.setup
from gateway.cli import main

gateway.batches.setup.Runner = partial(gateway.batches.setup.Runner, lease_s=2.0, poll_s=0.1)
main(prog_name="gateway")
"""
LINES = 20
AT_ONCE = 8


@pytest.fixture
def start(gateway_process, provider_url, tmp_path):
    """`start()`: one more process with the same database and directory."""
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "chat",
        "hosted_model_name": "real-chat",
        "url": provider_url,
        "model_server": "vllm-openai",
        "model_types": ["chat"],
    }
    account = {"type": "provider-account/self-hosted-model", "name": "main", "integrations": [model]}
    environ = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_PEPPER": "pepper-0123456789abcdef",
        "GATEWAY_FILES_DIR": str(tmp_path / "kept"),
    }
    return lambda: gateway_process(config=json.dumps([account]), environ=environ, small_numbers=SHORT_LEASES)


def client_of(gateway, token):
    return AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0)


async def made(client):
    lines = [
        {
            "custom_id": f"r{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "chat", "messages": [{"role": "user", "content": str(number)}]},
        }
        for number in range(LINES)
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    file = await client.files.create(file=("in.jsonl", data), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


async def reached(client, batch, condition):
    async with asyncio.timeout(30):
        while not condition(told := await client.batches.retrieve(batch.id)):
            await asyncio.sleep(0.05)
    return told


async def content(client, id_):
    return [json.loads(line) for line in (await client.files.content(id_)).content.splitlines()]


def questions(provider):
    return [asked.fields["messages"][0]["content"] for asked in provider.requests]


async def test_a_killed_process_repeats_nothing(start, provider, say, token):
    """What was under way may have been answered, so it is told, and not sent again."""
    good = [say.completion()]
    provider.on("real-chat", *5 * [good], [provider.STALL])
    first = start()
    async with client_of(first, token) as client:
        batch = await made(client)
        await provider.asked(5 + AT_ONCE)
        await reached(client, batch, lambda told: told.request_counts.completed == 5)
    first.process.kill()
    await first.exit_code()
    provider.on("real-chat", good)

    second = start()
    async with client_of(second, token) as client:
        done = await reached(client, batch, lambda told: told.status == "completed")
        output, errors = [await content(client, id_) for id_ in (done.output_file_id, done.error_file_id)]
        listed = [each async for each in client.batches.list()]

    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (LINES, LINES - AT_ONCE, AT_ONCE)
    assert {line["error"]["code"] for line in errors} == {"batch_interrupted"}
    assert {line["response"]["body"]["choices"][0]["message"]["content"] for line in output} == {"hello"}
    assert sorted(line["custom_id"] for line in output + errors) == sorted(f"r{number}" for number in range(LINES))
    assert sorted(questions(provider), key=int) == [str(number) for number in range(LINES)]
    assert listed == [done]
    second.assert_sound()


async def test_replicas_do_not_do_the_same_work(start, provider, say, token):
    """And each of them tells how far it is."""
    gate = asyncio.Event()
    provider.on("real-chat", [gate, say.completion()])
    one, other = start(), start()
    async with client_of(one, token) as client, client_of(other, token) as client_of_other:
        batches = [await made(client), await made(client_of_other)]
        await provider.asked(2 * AT_ONCE)
        gate.set()
        for batch in batches:
            for each in (client, client_of_other):
                done = await reached(each, batch, lambda told: told.status == "completed")
                assert done.request_counts.completed == LINES
                assert len(await content(each, done.output_file_id)) == LINES

    assert sorted(questions(provider), key=int) == sorted(2 * [str(number) for number in range(LINES)], key=int)
    one.assert_sound()
    other.assert_sound()


async def test_a_process_that_stops_hands_its_work_over(start, provider, say, token):
    """What is under way is brought to its end, and nothing is begun any more."""
    gate = asyncio.Event()
    provider.on("real-chat", [gate, say.completion()])
    first = start()
    async with client_of(first, token) as client:
        batch = await made(client)
        await provider.asked(AT_ONCE)
        first.process.terminate()
        while first.ready()[0] == 200:
            await asyncio.sleep(0.02)
        gate.set()
        assert await first.exit_code() == 0
    assert len(provider.requests) == AT_ONCE

    second = start()
    async with client_of(second, token) as client:
        done = await reached(client, batch, lambda told: told.status == "completed")
    assert (done.request_counts.completed, done.error_file_id) == (LINES, None)
    assert len(provider.requests) == LINES
