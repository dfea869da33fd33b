"""What happened to requests, asked of a real gateway: by its command line, by HTTP and by TrueFoundry's SDK."""

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from openai import OpenAI

from gateway.state.database.ledger import LedgerStore
from gateway.state.requests.asked import Query, Question
from gateway.state.requests.store import RecordStore

CONFIG = """\
type: provider-account/self-hosted-model
name: mock
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: real-chat
    url: {url}
    model_server: openai-compatible
    model_types: [chat]
    cost: {{metric: per_1000_tokens, value: {{input: 0.001, output: 0.002}}}}
"""
HELLO = [{"role": "user", "content": "Say hello"}]
IN_TIME_S = 30


@pytest.fixture
def gateway(gateway_process, provider_url):
    return gateway_process(config=CONFIG.format(url=provider_url))


@pytest.fixture
def told(gateway, token):
    """`told("logs", "-o", "json")`: what the command prints."""

    def run(*command):
        environ = {**os.environ, "GATEWAY_URL": f"http://127.0.0.1:{gateway.port}", "GATEWAY_TOKEN": token}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "gateway", *command],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=IN_TIME_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


async def stored(gateway):
    """The gateway's own databases, of the records and of the ledger."""
    folder = f"sqlite:///{gateway.folder}/.gateway"
    return RecordStore(f"{folder}/gateway-requests.db"), LedgerStore(f"{folder}/gateway.db")


async def test_from_an_sdk_to_the_command_line(gateway, told, token, provider, say):
    """Each request once, with what it cost; its sum is the ledger's, to the last nano-dollar."""
    provider.on("real-chat", [say.completion()])
    client = OpenAI(base_url=gateway.url, api_key=token, max_retries=0, default_headers={"x-tfy-metadata": '{"a":"b"}'})
    with client:
        for _ in range(3):
            await asyncio.to_thread(client.chat.completions.create, model="mock/m", messages=HELLO)
    deadline = time.monotonic() + IN_TIME_S
    while len(lines := (await asyncio.to_thread(told, "logs", "-o", "json")).splitlines()) < 3:
        assert time.monotonic() < deadline
    rows = [json.loads(line) for line in lines]

    filtered = await asyncio.to_thread(told, "logs", "-w", "metadata.a=b", "-w", "status!=500", "-o", "csv")
    one = await asyncio.to_thread(told, "logs", rows[0]["requestId"])
    usage = await asyncio.to_thread(told, "usage", "--by", "subject,model", "--since", "1d", "-o", "csv")
    records, ledger = await stored(gateway)
    today = datetime.now(UTC)
    (total,) = await records.sums(Question(since=today - timedelta(hours=1), until=today + timedelta(hours=1)))
    (booked,) = await ledger.usage("model", today.date(), today.date() + timedelta(days=1))
    await records.close()
    await ledger.close()

    assert {(row["model"], row["status"], row["metadata"]["a"]) for row in rows} == {("mock/m", 200, "b")}
    assert len([*csv.DictReader(io.StringIO(filtered))]) == 3
    assert "mock/m: 200 in" in one
    assert "price" in one
    assert [line.split(",")[:3] for line in usage.splitlines()[1:]] == [["user:admin", "mock/m", "3"]]
    assert (total.requests, total.cost, total.usage) == (3, booked.cost, booked.usage)
    assert booked.cost > 0


async def test_truefoundrys_sdk_reads_spans(gateway, token, provider, say):
    truefoundry_sdk = pytest.importorskip("truefoundry_sdk")
    provider.on("real-chat", [say.completion()])
    ask = {"model": "mock/m", "messages": HELLO}
    host = f"http://127.0.0.1:{gateway.port}"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
        ids = [(await client.post(f"{gateway.url}/chat/completions", json=ask)).headers["x-request-id"] for _ in "123"]

        def spans():
            with httpx.Client() as http:
                sdk = truefoundry_sdk.TrueFoundry(base_url=host, api_key=token, httpx_client=http)
                since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
                found = sdk.traces.query_spans(start_time=since, data_routing_destination="default", limit=2)
                return [*found]  # all pages

        deadline = time.monotonic() + IN_TIME_S
        while len(found := await asyncio.to_thread(spans)) < 6:
            assert time.monotonic() < deadline

    assert sorted({span.trace_id for span in found}) == sorted(ids)
    roots = [span for span in found if not span.parent_span_id]
    assert {span.span_attributes["tfy.model.name"] for span in roots} == {"mock/m"}
    assert {(span.status_code, span.created_by_subject.subject_slug) for span in roots} == {("OK", "admin")}


async def test_a_follower_sees_what_comes_in(gateway, token, provider, say):
    provider.on("real-chat", [say.completion()])
    headers = {"authorization": f"Bearer {token}"}
    stream = f"http://127.0.0.1:{gateway.port}/api/svc/v1/requests/stream?model=mock/m"
    async with httpx.AsyncClient(headers=headers, timeout=IN_TIME_S) as client, client.stream("GET", stream) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == ": records"
        asked = await client.post(f"{gateway.url}/chat/completions", json={"model": "mock/m", "messages": HELLO})
        await client.post(f"{gateway.url}/chat/completions", json={"model": "no/such", "messages": HELLO})
        async with asyncio.timeout(IN_TIME_S):
            while not (line := await anext(lines)).startswith("data: "):
                pass

    assert [row["requestId"] for row in json.loads(line[6:])] == [asked.headers["x-request-id"]]


async def test_a_stop_ends_streams(gateway, token):
    """Nobody who watches keeps the gateway from stopping."""
    stream = f"http://127.0.0.1:{gateway.port}/api/svc/v1/requests/stream"
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=IN_TIME_S) as client, client.stream("GET", stream) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        gateway.process.send_signal(signal.SIGTERM)
        rest = [line async for line in lines]

    assert "event: end" in rest
    assert await gateway.exit_code() == 0


async def test_a_kill_costs_the_last_records_alone(gateway, token, provider, say):
    """What was written before the kill is there, and of each client, what is missing is the last it asked. How long a
    record waits to be written is a matter of the feed: see its test."""
    provider.on("real-chat", [say.completion()])
    asked: list[list[str]] = [[] for _ in range(4)]
    records, ledger = await stored(gateway)

    async def ask_again(client, ids):
        while True:
            answer = await client.post(f"{gateway.url}/chat/completions", json={"model": "mock/m", "messages": HELLO})
            ids.append(answer.headers["x-request-id"])

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=IN_TIME_S) as client:
        asking = [asyncio.create_task(ask_again(client, ids)) for ids in asked]
        async with asyncio.timeout(IN_TIME_S):
            while len(seen := {record.request_id for record in (await records.page(Query(limit=500))).records}) < 20:
                await asyncio.sleep(0.02)
        gateway.process.kill()
        gateway.process.wait()
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    found, before = set(), None
    while True:
        page = await records.page(Query(limit=500, before=before))
        found |= {record.request_id for record in page.records}
        if (before := page.next) is None:
            break
    (booked,) = await ledger.usage("model", date(2000, 1, 1), date(3000, 1, 1))
    await records.close()
    await ledger.close()

    assert seen <= found
    assert booked.requests >= 20
    for ids in asked:
        there = [id_ in found for id_ in ids]
        assert there == sorted(there, reverse=True)
