"""Ledger, counters and alerts, as they run in a gateway with a database."""

import json
import sqlite3
from contextlib import closing

import pytest

from gateway import build_app
from gateway.errors import ConfigError
from gateway.testing import FakeUpstream, get, post

CHAT = "/v1/chat/completions"
ASK = {"model": "a/m", "messages": [], "max_tokens": 3}
OK = (200, [b'{"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'])
TOKEN = "gw-test-0123456789abcdef"

ACCOUNT = {
    "type": "provider-account/self-hosted-model",
    "name": "a",
    "integrations": [
        {
            "type": "integration/model/self-hosted-model",
            "name": "m",
            "hosted_model_name": "m",
            "url": "http://a.internal/v1",
            "model_server": "openai-compatible",
            "model_types": ["chat"],
            "cost": {"metric": "per_1000_tokens", "value": {"input": 1, "output": 1}},
        }
    ],
}


def budget(dollars, **fields):
    limits, whole = {"cost_per_quarter": dollars}, {"type": "aggregate"}
    return {
        "type": "tenant-budget-config",
        "name": "b",
        "limits": limits,
        "applies_to": whole,
        "mode": "enforce",
        **fields,
    }


@pytest.fixture
def started(tmp_path):
    """`await started(FakeUpstream(...), manifests...)`: a gateway as it is after a restart with this configuration."""

    async def start(upstream, *manifests, **environ):
        path = tmp_path / "gateway.yaml"
        path.write_text(json.dumps([ACCOUNT, *manifests]))
        app = build_app(
            path,
            network=upstream,
            environ={
                "GATEWAY_ADMIN_TOKEN": TOKEN,
                "GATEWAY_PEPPER": "pepper-of-the-tests-0123456789",
                "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db",
                **environ,
            },
        )
        await app.open()
        return app

    return start


async def statuses(app, auth, number):
    return [(await post(app, CHAT, ASK, headers=auth)).status for _ in range(number)]


async def test_a_budget_survives_a_restart(started, auth):
    """Each answer costs a cent."""
    upstream = FakeUpstream(OK)
    app = await started(upstream, budget(0.05))
    before = await statuses(app, auth, 3)
    await app.close()

    app = await started(upstream, budget(0.05))
    after = await statuses(app, auth, 3)
    await app.close()

    assert (before, after) == ([200, 200, 200], [200, 200, 429])
    assert len(upstream.requests) == 5


@pytest.fixture
async def webhook(tcp_server):
    """The port it listens at, and what it was told."""
    heard = []

    async def hear(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
        heard.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")

    async with tcp_server(hear) as port:
        yield port, heard


async def test_alerts_are_sent_once_for_a_threshold(started, auth, until, webhook):
    port, heard = webhook
    channel = {
        "type": "provider-account/webhook",
        "name": "ops",
        "integrations": [
            {
                "type": "integration/gateway-request-logger/webhook",
                "name": "costs",
                "webhook_url": f"http://127.0.0.1:{port}/hook",
            }
        ],
    }
    target = {"type": "webhook", "notification_channel": "acme:webhook:ops:notification-channel:costs"}
    alerts = {"thresholds": [50, 100], "notification_target": [target]}
    app = await started(FakeUpstream(OK), budget(0.04, alerts=alerts), channel)
    [outbox] = [part for part in app.parts if part.name == "alerts"]

    await statuses(app, auth, 3)
    await until(lambda: app.admission.ledger.waiting == 0)
    await outbox.send_due()
    await statuses(app, auth, 2)
    await until(lambda: app.admission.ledger.waiting == 0)
    await outbox.send_due()
    await app.close()

    assert [(told["budget"], told["threshold"]) for told in heard] == [("b", 50), ("b", 100)]


async def test_metrics_say_who_refused(started, auth):
    app = await started(FakeUpstream(OK), budget(0.01))
    await statuses(app, auth, 3)

    answer = await get(app, "/metrics")
    await app.close()

    lines = answer.body.decode().splitlines()
    assert 'gateway_limit_refusals_total{rule="b"} 2.0' in lines
    assert 'gateway_degraded{component="ledger"} 0.0' in lines


@pytest.mark.parametrize("days", ["0", "-1", "soon"])
async def test_days_have_to_be_days(started, days):
    with pytest.raises(ConfigError, match="has to be a number of days above 0"):
        await started(FakeUpstream(OK), GATEWAY_LEDGER_DAYS=days)


async def test_old_requests_are_forgotten(started, auth, until, tmp_path):
    app = await started(FakeUpstream(OK), budget(1))
    await statuses(app, auth, 1)
    await app.close()
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database, database:
        database.execute("UPDATE ledger SET at = '2020-01-01 00:00:00.000000'")

    app = await started(FakeUpstream(OK), budget(1), GATEWAY_LEDGER_DAYS="30")

    def left():
        with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
            return database.execute("SELECT count(*) FROM ledger").fetchone()[0]

    await until(lambda: left() == 0)
    await app.close()
