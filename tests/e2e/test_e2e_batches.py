"""Batches that the gateway runs itself: OpenAI's SDK makes them, and no crash makes a request twice."""

import asyncio
import json
import signal

import pytest
from openai import AsyncOpenAI

from gateway.state.database.migrate import migrate

SHORT_LEASES = """\
from functools import partial

import gateway.batches.setup
from gateway.cli import main

gateway.batches.setup.Runner = partial(gateway.batches.setup.Runner, lease_s=LEASE_S, poll_s=0.1, turn_s=0.5)
main(prog_name="gateway")
"""
LONGER_S = 8.0
"""A lease that no process loses, however busy the machine is."""
BO = "gw-bo-0123456789abcdef"
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
    narrow = {**account, "name": "narrow", "concurrency": {"max_requests": 1, "queue_timeout_ms": 60_000}}
    environ = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_PEPPER": "pepper-0123456789abcdef",
        "GATEWAY_FILES_DIR": str(tmp_path / "kept"),
        "GATEWAY_TOKENS": f"user:bo@example.com={BO}",
    }
    everyone = [{"subject": "team:everyone", "role_id": "provider-account-access"}]
    config = json.dumps([{**each, "collaborators": everyone} for each in (account, narrow)])

    def start(database_url=None, lease_s=2.0):
        own = environ | ({"GATEWAY_DATABASE_URL": database_url} if database_url is not None else {})
        return gateway_process(config=config, environ=own, small_numbers=SHORT_LEASES.replace("LEASE_S", str(lease_s)))

    return start


@pytest.fixture
def shared_database(postgres):
    with postgres.database() as url:
        asyncio.run(migrate(url))
        yield url


def client_of(gateway, token):
    return AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0)


async def made(client, account="main", **fields):
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
    named = {"x-tfy-provider-name": account}
    file = await client.files.create(file=("in.jsonl", data), purpose="batch", extra_headers=named)
    return await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **fields
    )


async def reached(client, batch, condition):
    async with asyncio.timeout(60):
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
        listed = [each async for each in client.batches.list(extra_headers={"x-tfy-provider-name": "main"})]

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


async def test_what_waits_for_its_turn_at_the_provider_is_not_lost(start, provider, say, token):
    """Of eight lines under way the account takes one at a time, and seven were told as interrupted."""
    provider.on("real-chat", [provider.STALL])
    first = start()
    async with client_of(first, token) as client:
        batch = await made(client, "narrow")
        await provider.asked(1)
    first.process.kill()
    await first.exit_code()
    provider.on("real-chat", [say.completion()])

    second = start()
    async with client_of(second, token) as client:
        done = await reached(client, batch, lambda told: told.status == "completed")
        (lost,) = await content(client, done.error_file_id)

    assert (done.request_counts.completed, lost["error"]["code"]) == (LINES - 1, "batch_interrupted")
    assert sorted(questions(provider), key=int) == [str(number) for number in range(LINES)]


async def test_its_owner_may_have_repeated_what_was_under_way(start, provider, say, token):
    """Each is answered; what was asked twice may be paid twice."""
    provider.on("real-chat", [provider.STALL])
    first = start()
    async with client_of(first, token) as client:
        batch = await made(client, metadata={"on_interruption": "repeat"})
        await provider.asked(AT_ONCE)
    first.process.kill()
    await first.exit_code()
    provider.on("real-chat", [say.completion()])

    second = start()
    async with client_of(second, token) as client:
        done = await reached(client, batch, lambda told: told.status == "completed")

    assert (done.request_counts.completed, done.error_file_id) == (LINES, None)
    assert len(questions(provider)) == LINES + AT_ONCE


async def test_of_two_replicas_one_is_killed(start, shared_database, provider, say, token):
    """The other brings its batches to their end, and each line has one answer and one bill at most."""
    good = [say.completion()]
    provider.on("real-chat", *2 * AT_ONCE * [good], [provider.STALL])
    one, other = start(shared_database, LONGER_S), start(shared_database, LONGER_S)
    async with client_of(one, token) as client:
        batches = [await made(client) for _ in range(4)]
    await provider.asked(2 * AT_ONCE + 2 * AT_ONCE)
    one.process.kill()
    await one.exit_code()
    other.process.kill()
    await other.exit_code()
    provider.on("real-chat", good)

    third = start(shared_database)
    async with client_of(third, token) as client:
        done = [await reached(client, batch, lambda told: told.status == "completed") for batch in batches]
        lines = [[*await content(client, each.output_file_id)] for each in done]
        lost = [await content(client, each.error_file_id) for each in done if each.error_file_id]

    answered, errors = sum(map(len, lines)), sum(map(len, lost))
    assert answered + errors == 4 * LINES
    assert {line["error"]["code"] for each in lost for line in each} <= {"batch_interrupted"}
    # What was answered was asked for once; what was lost, at most once.
    assert answered <= len(questions(provider)) <= 4 * LINES
    ids = [line["response"]["request_id"] for each in lines for line in each]
    assert len(ids) == len(set(ids))
    # That a busy database was not read in time is told as an error, and mended by the next look.
    assert (third.process.poll(), third.err.count("Traceback")) == (None, 0)


async def test_of_two_replicas_one_is_held_up(start, shared_database, provider, say, token):
    """For longer than its lease, with answers on their way to it. The other goes on, and each line is told of once."""
    gate = asyncio.Event()
    provider.on("real-chat", *AT_ONCE * [[gate, say.completion()]], [say.completion()])
    one = start(shared_database)
    async with client_of(one, token) as client:
        batch = await made(client)
        await provider.asked(AT_ONCE)
        one.process.send_signal(signal.SIGSTOP)
    gate.set()

    other = start(shared_database)
    async with client_of(other, token) as client:
        try:
            done = await reached(client, batch, lambda told: told.status == "completed")
        finally:
            one.process.send_signal(signal.SIGCONT)
        told = [await content(client, id_) for id_ in (done.output_file_id, done.error_file_id)]
    async with client_of(one, token) as client:
        again = await made(client)
        another = await reached(client, again, lambda told: told.status == "completed")

    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (LINES, LINES - AT_ONCE, AT_ONCE)
    assert [len(lines) for lines in told] == [LINES - AT_ONCE, AT_ONCE]
    assert another.request_counts.completed == LINES
    assert len(questions(provider)) == 2 * LINES
    assert one.process.poll() is None


async def test_a_provider_that_hangs_for_one_hangs_for_nobody_else(start, provider, say, token):
    """Three batches of somebody whose lines are never answered, and one of another's."""
    provider.on("real-chat", *3 * AT_ONCE * [[provider.STALL]], [say.completion()])
    gateway = start()
    async with client_of(gateway, token) as hanging, client_of(gateway, BO) as client:
        stuck = [await made(hanging, "main") for _ in range(2)]
        await provider.asked(2 * AT_ONCE)
        provider.on("real-chat", [say.completion()])
        done = await reached(client, await made(client), lambda told: told.status == "completed")
        cancelled = await hanging.batches.cancel(stuck[0].id)

    assert (done.request_counts.completed, cancelled.status) == (LINES, "cancelling")
