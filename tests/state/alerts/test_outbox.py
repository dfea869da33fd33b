"""An alert goes to each of its targets, once if it can be helped, and nobody is asked in vain for ever."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.manifests.notifications import (
    Alerts,
    ToPagerDuty,
    ToSlackBot,
    ToWebhook,
    WebhookBearerAuth,
    WebhookChannel,
)
from gateway.secrecy.secret import Secret
from gateway.state.alerts.delivery import Delivery, Undelivered
from gateway.state.alerts.outbox import MAX_ATTEMPTS, Outbox, retry_delay_s
from gateway.state.database.ledger import LedgerStore
from gateway.state.database.migrate import migrate

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOLD = Hold(key="k", rule="org-cap", unit=Unit.COST, window=Window.MONTH, limit=1000)
HOOK = ToWebhook(notification_channel="acme:webhook:a:notification-channel:hook")
PAGER = ToPagerDuty(notification_channel="acme:pagerduty:a:notification-channel:pager")
BOT = ToSlackBot(notification_channel="acme:slack:a:notification-channel:bot", channels=("#a", "#b"))


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/gateway.db"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
async def crossed(database_url):
    """`await crossed(target, ...)`: a ledger in which a budget has just come to 80 % of its limit."""
    await migrate(database_url)
    ledgers = []

    async def cross(*targets):
        ledgers.append(LedgerStore(database_url, alerts_of=lambda _: Alerts((75.0,), targets), deadline_s=20))
        entry = Entry(request_id="r", at=NOW, subject="s", model="m", outcome="complete", charges=(Charge(HOLD, 800),))
        await ledgers[-1].write([entry], at=NOW)
        return ledgers[-1]

    yield cross
    for ledger in ledgers:
        await ledger.close()


class Receiver:
    """Sends by keeping what it is given, unless that target has problems: as many as there are."""

    def __init__(self, **problems):
        self.problems = problems
        self.sent = []

    async def __call__(self, alert, target):
        name = target.notification_channel.rpartition(":")[2] + "".join(getattr(target, "channels", ()))
        if self.problems.get(name):
            raise self.problems[name].pop(0)
        self.sent.append((alert.rule, name))


def outbox_of(store, send, clock):
    return Outbox(store, send, clock=clock, random=lambda: 1.0, poll_s=0.001)


async def test_goes_to_all_and_never_again(crossed, clock):
    receiver = Receiver()
    outbox = outbox_of(await crossed(HOOK, BOT), receiver, clock)

    assert await outbox.send_due() == 1
    clock.now += timedelta(days=30)
    assert await outbox.send_due() == 0

    assert receiver.sent == [("org-cap", "hook"), ("org-cap", "bot#a"), ("org-cap", "bot#b")]


async def test_only_who_did_not_get_it_is_tried_again(crossed, clock):
    """Each channel of Slack is one for itself."""
    receiver = Receiver(**{"pager": [Undelivered("it answered 500")], "bot#b": [Undelivered("it answered 429")]})
    outbox = outbox_of(await crossed(HOOK, PAGER, BOT), receiver, clock)

    first = await outbox.send_due()
    too_early = await outbox.send_due()
    clock.now += timedelta(seconds=10)
    second = await outbox.send_due()

    assert (first, too_early, second) == (0, 0, 1)
    assert [name for _, name in receiver.sent] == ["hook", "bot#a", "pager", "bot#b"]


async def test_is_given_up_after_about_a_day(crossed, clock, capsys):
    """A channel that was deleted is not asked for for ever; what is said of it holds no secret."""
    tries = []

    async def refuse(alert, target):
        tries.append(clock.now)
        raise Undelivered("there is no such channel")

    outbox = outbox_of(await crossed(HOOK), refuse, clock)

    while clock.now < NOW + timedelta(days=3):
        await outbox.send_due()
        clock.now += timedelta(minutes=20)

    assert len(tries) == MAX_ATTEMPTS
    assert timedelta(hours=20) < tries[-1] - NOW < timedelta(hours=36)
    assert capsys.readouterr().out.count("alert given up") == 1


@pytest.mark.parametrize(("attempts", "shortest_s", "longest_s"), [(1, 5, 10), (4, 40, 80), (99, 7200, 14400)])
def test_waits_longer_and_longer(attempts, shortest_s, longest_s):
    assert (retry_delay_s(attempts, 0.0), retry_delay_s(attempts, 1.0)) == (shortest_s, longest_s)


async def test_is_sent_by_one_of_several_replicas(crossed, clock):
    receiver = Receiver()
    store = await crossed(HOOK)

    await asyncio.gather(*[outbox_of(store, receiver, clock).send_due() for _ in range(5)])

    assert receiver.sent == [("org-cap", "hook")]


async def test_is_sent_by_another_when_the_first_dies(crossed, clock):
    """Which does not take for ever, and counts as an attempt: one that kills who sends it must not kill all."""
    store = await crossed(HOOK)

    async def die(alert, target):
        raise asyncio.CancelledError

    with contextlib.suppress(asyncio.CancelledError):
        await outbox_of(store, die, clock).send_due()
    receiver = Receiver()
    at_once = await outbox_of(store, receiver, clock).send_due()
    clock.now += timedelta(minutes=2)
    later = await outbox_of(store, receiver, clock).send_due()

    assert (at_once, later) == (0, 1)


async def test_a_fault_of_one_target_is_no_concern_of_the_others(crossed, clock, capsys):
    receiver = Receiver(pager=[KeyError("oh")])
    outbox = outbox_of(await crossed(PAGER, HOOK), receiver, clock)

    await outbox.send_due()

    assert receiver.sent == [("org-cap", "hook")]
    assert "KeyError" in capsys.readouterr().out


async def test_goes_on_when_the_database_is_back(until):
    class Store:
        asked = 0

        async def claim_alerts(self, at, *, lease_s, limit):
            self.asked += 1
            if self.asked == 1:
                raise Unavailable("the database cannot be reached")
            return []

    store = Store()
    outbox = Outbox(store, Receiver(), poll_s=0.001)
    running = asyncio.create_task(outbox.run())

    await until(lambda: outbox.problem)
    problem = outbox.problem
    await until(lambda: outbox.problem is None)
    running.cancel()
    await asyncio.wait([running])

    assert problem == "the database cannot be reached"


async def test_a_receiver_that_fails_at_first_gets_it_in_the_end(crossed, clock, listening, http_server, capsys):
    """All of it together, and no secret is in the log."""
    server = await listening(http_server((500, "canary"), (503, ""), (200, "")))
    auth = WebhookBearerAuth(token=Secret("canary"))
    channel = WebhookChannel(name="hook", webhook_url=Secret(server.url), auth_data=auth)
    delivery = Delivery(lambda _: channel)
    store = await crossed(HOOK)
    outbox = outbox_of(store, delivery.send, clock)

    sent = []
    for _ in range(3):
        sent.append(await outbox.send_due())
        clock.now += timedelta(minutes=1)

    assert sent == [0, 0, 1]
    assert [msgspec.json.decode(body)["budget"] for _, body in server.requests] == ["org-cap"] * 3
    out = capsys.readouterr().out
    assert "it answered 500" in out
    assert "canary" not in out
