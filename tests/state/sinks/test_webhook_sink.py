"""Records to a server that is really there."""

import hashlib
import hmac
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from aiohttp import web

from gateway.contract import Outcome, Record
from gateway.errors import ConfigError, Unavailable
from gateway.state.sinks.webhook import WebhookSink


def record_of(number):
    return Record(
        timestamp=datetime(2026, 3, 5, tzinfo=UTC),
        level="info",
        request_id=f"r{number}",
        method="POST",
        path="/",
        status=200,
        outcome=Outcome.COMPLETE,
        duration_ms=1.0,
    )


@pytest.fixture
async def server():
    """`server.url`, what it was sent in `server.calls`, and the `status` it answers with."""

    server = SimpleNamespace(calls=[], status=204, url="")

    async def take(request):
        server.calls.append((request.headers, await request.read()))
        return web.Response(status=server.status, headers={"location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/{any}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"
    yield server
    await runner.cleanup()


def sink_of(server, **more):
    return WebhookSink.from_environ({"GATEWAY_RECORDS_WEBHOOK": server.url, **more})


async def test_batches_are_posted_and_signed(server):
    await sink_of(server, GATEWAY_RECORDS_WEBHOOK_SECRET="s3cret").write([record_of(n) for n in range(250)])

    assert [len(msgspec.json.decode(body)["records"]) for _, body in server.calls] == [200, 50]
    headers, body = server.calls[0]
    assert headers["x-gateway-signature"] == f"sha256={hmac.new(b's3cret', body, hashlib.sha256).hexdigest()}"
    assert msgspec.json.decode(body)["records"][0]["request_id"] == "r0"


@pytest.mark.parametrize("status", [302, 307, 401, 503])
async def test_who_does_not_take_them_is_asked_again(server, status):
    """By the feed. A redirect is none: what goes along is meant for nobody else."""
    server.status = status

    with pytest.raises(Unavailable, match=f"the webhook answered {status}"):
        await sink_of(server).write([record_of(1)])

    assert len(server.calls) == 1
    assert "x-gateway-signature" not in server.calls[0][0]


async def test_nobody_there():
    sink = WebhookSink.from_environ({"GATEWAY_RECORDS_WEBHOOK": "http://127.0.0.1:1/secret-path"})

    with pytest.raises(Unavailable) as refused:
        await sink.write([record_of(1)])

    assert str(refused.value) == "the webhook cannot be reached: ClientConnectorError"


def test_from_the_environment():
    assert WebhookSink.from_environ({}) is None
    with pytest.raises(ConfigError) as refused:
        WebhookSink.from_environ({"GATEWAY_RECORDS_WEBHOOK": "secret-word"})
    assert "secret-word" not in str(refused.value)
