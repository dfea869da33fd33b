"""Planted secrets, once more: none is found in what is told of requests, whoever it is told."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from aiohttp import web

KEY = "canary-provider-key-8a2c"
IN_URL = "canary-in-the-url-51f0"
HEADER = "canary-of-a-header-77b1"
OTLP_KEY = "canary-of-the-receiver-c0de"
HOOK = "canary-of-the-webhook-1b9d"
TOKEN = "canary-caller-token-5d1f"
PASTED = "sk-canarypasted0123456789"
PLANTED = (KEY, IN_URL, HEADER, OTLP_KEY, HOOK, TOKEN, PASTED)
MORE = """\
---
type: gateway-global-settings
name: global
logging_settings: {type: always}
---
type: gateway-otel-config
otel_traces_exporter_config:
  {type: http, endpoint: "@/v1/traces", encoding: json, headers: {x-key: KEY}, exclude_request_data: false}
otel_metrics_exporter_config: {type: http, endpoint: "@/v1/metrics", encoding: json, headers: {x-key: KEY}}
"""


@pytest.fixture
async def heard():
    """What whoever is sent telemetry and records gets, as bytes."""
    found = []

    async def take(request):
        found.append(await request.read())
        return web.Response()

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    take.found, take.url = found, f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield take
    await runner.cleanup()


@pytest.fixture
async def process(gateway_process, account, provider_url, nowhere_url, heard, tmp_path):
    mock, nowhere = account("mock", f"{provider_url}?key={IN_URL}", KEY), account("nowhere", nowhere_url, KEY)
    for each in (mock, nowhere):
        each["integrations"] = [{**model, "headers": {"x-own": HEADER}} for model in each["integrations"]]
    config = "\n---\n".join(json.dumps(each) for each in (mock, nowhere))
    config += "\n" + MORE.replace("@", heard.url).replace("KEY", OTLP_KEY)
    environ = {
        "GATEWAY_ADMIN_TOKEN": TOKEN,
        "GATEWAY_RECORDS_FILE": str(tmp_path / "records.jsonl"),
        "GATEWAY_RECORDS_WEBHOOK": f"{heard.url}/hook?key={HOOK}",
        "GATEWAY_RECORDS_WEBHOOK_SECRET": HOOK,
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{heard.url}/v1/logs",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"x-key={OTLP_KEY}",
    }
    return await asyncio.to_thread(gateway_process, config=config, environ=environ)


async def test_no_secret_is_told(process, provider, say, heard, tmp_path, terminate):
    """A provider that tells what it was sent, in errors, streams and answers, and people who paste keys into words."""
    says = f"Incorrect API key provided: {KEY}, {IN_URL}, x-own: {HEADER}"
    echo = {"error": {"message": says, "type": "invalid_request_error", "code": says, "param": says}}
    provider.on(
        "real-chat",
        [say.whole(echo, 401)],
        [say.whole(says.encode(), 500)],
        [say.STREAM, say.chunk(say.event("hi")), say.chunk(say.data(echo)), say.END],
        [b"\x16\x03\x01 not HTTP " + says.encode() + b"\r\n\r\n", provider.CLOSE],
        say.stream("fine"),
    )
    base = process.url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {TOKEN}", "user-agent": PASTED, "x-tfy-metadata": json.dumps({"app": PASTED})}
    ids = []
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
        for model, is_stream in (
            ("mock/chat", False),
            ("mock/chat", False),
            ("mock/chat", True),
            ("mock/chat", False),
            ("mock/chat", True),
            ("nowhere/chat", False),
            (PASTED, False),
        ):
            body = {"model": model, "stream": is_stream, "messages": [{"role": "user", "content": f"I am {PASTED}"}]}
            answer = await client.post("/v1/chat/completions", json=body)
            ids.append(answer.headers["x-request-id"])
        path = "/api/svc/v1"
        async with asyncio.timeout(30):
            while len((await client.get(f"{path}/requests")).json()["data"]) < len(ids):
                await asyncio.sleep(0.05)
        for id_ in ids:
            said = {"value": PASTED, "comment": f"mine is {PASTED}", "metadata": {PASTED: PASTED}}
            assert (await client.put(f"{path}/requests/{id_}/feedback/note", json=said)).status_code == 200
        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        told = [
            await client.get(f"{path}/requests"),
            *[await client.get(f"{path}/requests/{id_}") for id_ in ids],
            *[await client.get(f"{path}/requests/{id_}/feedback") for id_ in ids],
            *[await client.get(f"{path}/requests/export?format={kind}") for kind in ("csv", "jsonl")],
            await client.get(f"{path}/requests/facets"),
            await client.post(f"{path}/spans/query", json={"startTime": since, "includeFeedbacks": True}),
            await client.post(f"{path}/llm-gateway/metrics/query", json={"startTs": since, "groupBy": ["modelName"]}),
            *[await client.get(each) for each in ("/metrics", "/readyz", "/openapi.json", f"{path}/manifests")],
        ]
    terminate(process)
    assert await process.exit_code() == 0

    assert [answer.status_code for answer in told] == [200] * len(told)
    places = {str(answer.url): answer.content for answer in told}
    places |= {f"sent {number}": body for number, body in enumerate(heard.found)}
    places["file"] = (tmp_path / "records.jsonl").read_bytes()
    places["log"] = (process.out + process.err).encode()
    places |= {file.name: file.read_bytes() for file in (process.folder / ".gateway").glob("gateway*.db*")}
    found = [
        (secret, place)
        for place, text in places.items()
        for secret in PLANTED
        if secret.encode() in text and not (secret == IN_URL and place.endswith("/manifests"))  # as admins wrote it
    ]
    assert found == []
    assert b"gen_ai.input.messages" in b"".join(heard.found)
    assert b'"records"' in b"".join(heard.found)
