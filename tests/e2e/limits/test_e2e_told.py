"""What people and programs are told when there is nothing left: OpenAI's SDK, and whoever asked for alerts."""

import asyncio
import json
from datetime import datetime

import openai
import pytest
from aiohttp import web
from openai import AsyncOpenAI

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
def gateway_with(gateway_process, priced):
    """Alone, with SQLite."""
    return lambda *manifests: gateway_process(config=json.dumps([priced("chat"), *manifests]))


@pytest.fixture
async def client_of(token):
    clients = []

    def make(gateway, **options):
        clients.append(AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, **options))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


def create(client, **options):
    return client.chat.completions.create(model="mock/chat", messages=HELLO, max_tokens=10, **options)


def requests(gateway):
    """What the log says of each, in the order in which they ended."""
    return [line for line in gateway.log if line["event"] == "request"]


def statuses(gateway):
    return [request["status"] for request in requests(gateway)]


# --- the SDK ---------------------------------------------------------------------------------------------------------


async def test_a_limit_is_a_rate_limit_error(gateway_with, rules, client_of, provider, reply, until):
    """An hour is longer than an SDK waits: it would come back at once, and is told not to."""
    provider.on("real-chat", [reply(3)])
    gateway = gateway_with(rules.limit("few", requests_per_hour=1))
    client = client_of(gateway)

    first = await client.chat.completions.with_raw_response.create(model="mock/chat", messages=HELLO)
    with pytest.raises(openai.RateLimitError) as refused:
        await create(client)

    assert [first.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")] == ["1", "0"]
    error = refused.value
    assert error.body["message"].startswith(
        "Rate limit exceeded for model: mock/chat with rule: few. It allows 1 request per hour; "
    )
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    headers = error.response.headers
    assert [headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")] == ["1", "0"]
    assert 3540 < int(headers["retry-after"]) <= 3640
    assert headers["x-should-retry"] == "false"
    await until(lambda: len(requests(gateway)) == 2)
    assert statuses(gateway) == [200, 429]


async def test_the_sdk_waits_as_long_as_it_is_told_to(gateway_with, rules, client_of, provider, reply, until):
    """The only place is taken. It comes back a second later, where it would do so after half of one by itself."""
    go_on = asyncio.Event()
    provider.on("real-chat", [go_on, reply(3)])
    gateway = gateway_with(rules.limit("few", concurrent_requests=1))
    client = client_of(gateway, max_retries=5)

    first = asyncio.create_task(create(client))
    await provider.asked()
    second = asyncio.create_task(create(client))
    await until(lambda: 429 in statuses(gateway))
    go_on.set()
    answers = [await first, await second]
    await until(lambda: statuses(gateway).count(200) == 2)

    assert [answer.choices[0].message.content for answer in answers] == ["hello"] * 2
    assert set(statuses(gateway)) == {429, 200}
    came = [datetime.fromisoformat(request["timestamp"]) for request in requests(gateway)]
    assert (came[-1] - came[0]).total_seconds() > 0.99


async def test_nobody_retries_when_the_money_is_gone(gateway_with, rules, client_of, provider, reply, until):
    provider.on("real-chat", [reply(10)])
    gateway = gateway_with(rules.budget("pocket-money", 0.00015))
    client = client_of(gateway, max_retries=5)

    await create(client)
    with pytest.raises(openai.RateLimitError) as refused:
        await create(client)

    assert refused.value.code == "budget_exceeded"
    assert refused.value.response.headers["x-should-retry"] == "false"
    rule = json.loads(refused.value.response.headers["x-tfy-applied-rules"])["budget"]
    assert (rule["rule"], rule["limit"], rule["used"]) == ("pocket-money", 150_000, 109_000)
    await until(lambda: len(requests(gateway)) == 2)
    assert statuses(gateway) == [200, 429]
    assert len(provider.requests) == 1


# --- alerts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def webhook():
    """A URL, and what was sent to it."""
    told = []

    async def keep(request):
        told.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", keep)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", told
    await runner.cleanup()


@pytest.fixture
async def mailbox(tcp_server):
    """The port of a mail server, and the mails it has taken."""
    mails = []

    async def talk(reader, writer):
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            command = line.split()[0].upper()
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")

    async with tcp_server(talk) as port:
        yield port, mails


async def test_an_alert_arrives(gateway_with, rules, client_of, provider, reply, webhook, mailbox, until):
    """Half of the money is gone: whoever wanted to know is told."""
    (url, told), (port, mails) = webhook, mailbox
    hook = {"type": "integration/gateway-request-logger/webhook", "name": "hook", "webhook_url": url}
    smtp = {"type": "smtp-credentials", "host": "127.0.0.1", "port": port, "tls": False}
    mail = {"type": "integration/notification-channel/email", "name": "mail", "from_email": "gateway@example.com"}
    targets = [
        {"type": "webhook", "notification_channel": "acme:webhook:hooks:gateway-request-logger:hook"},
        {
            "type": "email",
            "notification_channel": "acme:custom:mails:notification-channel:mail",
            "to_emails": ["ana@example.com"],
        },
    ]
    gateway = gateway_with(
        {"type": "provider-account/webhook", "name": "hooks", "integrations": [hook]},
        {"type": "provider-account/custom", "name": "mails", "integrations": [mail | {"auth_data": smtp}]},
        rules.budget("pocket-money", 0.0004, alerts={"thresholds": [50], "notification_target": targets}),
    )
    provider.on("real-chat", [reply(10)])
    client = client_of(gateway)

    for _ in range(2):
        await create(client)
    await until(lambda: told and mails)

    [alert] = told
    assert (alert["type"], alert["budget"], alert["threshold"]) == ("budget-alert", "pocket-money", 50.0)
    assert (alert["used"], alert["limit"]) == (218_000, 400_000)
    [text] = mails
    assert "To: ana@example.com\r\n" in text
    assert "Subject: Budget pocket-money" in text
