"""Alerts arrive where they should, and what goes wrong is told without what is secret."""

import asyncio
import json
import ssl
from base64 import b64encode

import pytest

from gateway.contract.egress import Egress, network
from gateway.manifests.notifications import (
    EmailChannel,
    PagerDutyAuth,
    PagerDutyChannel,
    SlackBotAuth,
    SlackBotChannel,
    SlackWebhookAuth,
    SlackWebhookChannel,
    SmtpCredentials,
    TeamsChannel,
    TeamsWebhookAuth,
    ToEmail,
    ToPagerDuty,
    ToSlackBot,
    ToSlackWebhook,
    ToTeams,
    ToWebhook,
    WebhookBasicAuth,
    WebhookBearerAuth,
    WebhookChannel,
)
from gateway.secrecy.secret import Secret
from gateway.state.alerts.delivery import Delivery, Undelivered
from gateway.upstream.outgoing import Ways
from gateway.upstream.proxies import Proxies

FQN = "acme:x:y:notification-channel:z"
CANARY = Secret("canary")


@pytest.fixture
def delivery_to():
    """Makes deliveries that know one channel."""

    def make(channel, **options):
        return Delivery(lambda fqn: channel if fqn == FQN else None, timeout_s=5, **options)

    return make


def webhook_to(url, auth=None):
    return WebhookChannel(name="z", webhook_url=Secret(url), auth_data=auth)


def mail_to(server, **credentials):
    auth = SmtpCredentials(**({"host": "127.0.0.1", "port": server.port, "tls": False} | credentials))
    return EmailChannel(name="z", auth_data=auth, from_email="gateway@example.com")


TO_OPS = ToEmail(notification_channel=FQN, to_emails=("ops@example.com", "ana@example.com"))
TO_WEBHOOK = ToWebhook(notification_channel=FQN)


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (None, None),
        (WebhookBasicAuth(username="ana", password=CANARY), "Basic YW5hOmNhbmFyeQ=="),
        (WebhookBearerAuth(token=CANARY), "Bearer canary"),
        (WebhookBearerAuth(token=CANARY, prefix="Token"), "Token canary"),
    ],
)
async def test_to_a_webhook(delivery_to, listening, http_server, alert_of, auth, header):
    server = await listening(http_server((204, "")))

    await delivery_to(webhook_to(server.url, auth)).send(alert_of(), TO_WEBHOOK)

    ((head, body),) = server.requests
    assert head.startswith("POST /hook/canary HTTP/1.1\r\n")
    assert ("authorization: " + header if header else "content-type: application/json") in head
    assert ("authorization" in head) is (header is not None)
    assert json.loads(body)["text"] == "Budget each of user:ana@example.com has reached 90% of its limit"


@pytest.mark.parametrize(
    ("channel", "target", "part"),
    [
        (
            lambda url: SlackWebhookChannel(name="z", auth_data=SlackWebhookAuth(webhook_url=Secret(url))),
            ToSlackWebhook(notification_channel=FQN),
            "blocks",
        ),
        (
            lambda url: TeamsChannel(name="z", auth_data=TeamsWebhookAuth(webhook_url=Secret(url))),
            ToTeams(notification_channel=FQN),
            "attachments",
        ),
        (
            lambda url: PagerDutyChannel(
                name="z", auth_data=PagerDutyAuth(integration_key=CANARY, integration_url=Secret(url))
            ),
            ToPagerDuty(notification_channel=FQN),
            "routing_key",
        ),
    ],
    ids=["slack", "teams", "pagerduty"],
)
async def test_by_http(delivery_to, listening, http_server, alert_of, channel, target, part):
    server = await listening(http_server((202, "ok")))

    await delivery_to(channel(server.url)).send(alert_of(), target)

    ((_, body),) = server.requests
    assert part in json.loads(body)


async def test_by_a_bot_of_slack(delivery_to, listening, http_server, alert_of):
    server = await listening(http_server((200, '{"ok": true, "ts": "1"}')))
    bot = SlackBotChannel(name="z", auth_data=SlackBotAuth(bot_token=CANARY))
    target = ToSlackBot(notification_channel=FQN, channels=("#costs", "C1"))

    await delivery_to(bot, slack_url=server.url).send(alert_of(), target)

    assert ["authorization: Bearer canary" in head for head, _ in server.requests] == [True, True]
    assert [json.loads(body)["channel"] for _, body in server.requests] == ["#costs", "C1"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, '{"ok": false, "error": "channel_not_found"}'), "Slack refuses it: channel_not_found"),
        ((200, '{"ok": false, "error": "no canary"}'), r"Slack refuses it: \?"),
        ((200, "<html>"), "Slack answered what it never should"),
        ((429, ""), "it answered 429"),
    ],
)
async def test_slack_says_no(delivery_to, listening, http_server, alert_of, answer, problem):
    """It does so with status 200."""
    server = await listening(http_server(answer))
    bot = SlackBotChannel(name="z", auth_data=SlackBotAuth(bot_token=CANARY))

    with pytest.raises(Undelivered, match=problem):
        await delivery_to(bot, slack_url=server.url).send(
            alert_of(), ToSlackBot(notification_channel=FQN, channels=("#costs",))
        )


async def test_redirects_are_not_followed(delivery_to, listening, http_server, alert_of):
    """The address and what goes along are meant for one receiver."""
    other = await listening(http_server((200, "")))
    server = await listening(http_server((307, ""), headers=f"location: {other.url}\r\n"))

    with pytest.raises(Undelivered, match="it answered 307"):
        await delivery_to(webhook_to(server.url)).send(alert_of(), TO_WEBHOOK)

    assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/hook/canary",
        "http://canary:99999/x",
        "http://[canary/x",
    ],
)
async def test_what_cannot_be_reached_is_not_named(delivery_to, alert_of, url):
    """Who knows the address of a webhook can write there."""
    with pytest.raises(Undelivered, match=r"it cannot be reached: [A-Za-z]+$") as raised:
        await delivery_to(webhook_to(url)).send(alert_of(), TO_WEBHOOK)

    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_one_who_never_answers_is_given_up(listening, http_server, alert_of):
    class Silent(http_server):
        async def talk(self, reader, writer):
            await asyncio.Event().wait()

    server = await listening(Silent((200, "")))
    delivery = Delivery(lambda _: webhook_to(server.url), timeout_s=0.05)

    with pytest.raises(Undelivered, match="TimeoutError"):
        await delivery.send(alert_of(), TO_WEBHOOK)


@pytest.mark.parametrize(
    ("channel", "problem"),
    [(None, "there is no such channel"), (webhook_to("http://x"), "of another kind than the target")],
)
async def test_without_a_channel(delivery_to, alert_of, channel, problem):
    """It may have been deleted since the budget was written."""
    with pytest.raises(Undelivered, match=problem):
        await delivery_to(channel).send(alert_of(), TO_OPS)


# --- e-mail ------------------------------------------------------------------


async def test_by_mail(delivery_to, listening, smtp_server, alert_of):
    server = await listening(smtp_server())

    await delivery_to(mail_to(server)).send(alert_of(), TO_OPS)

    ((recipients, text),) = server.mails
    assert recipients == ["ops@example.com", "ana@example.com"]
    assert "Subject: Budget each of user:ana@example.com has reached 90% of its limit\n" in text
    assert "\nUsed: $912.35 of $1,000.00 (91.2%)\n" in text
    assert "\nDate: " in text


async def test_nothing_is_said_in_the_open(delivery_to, listening, smtp_server, alert_of, certified, trusting):
    """With STARTTLS, neither the password nor the mail."""
    server = await listening(smtp_server(starttls=certified))
    channel = mail_to(server, tls=True, username="gateway", password=CANARY)

    await delivery_to(channel, tls=trusting).send(alert_of(), TO_OPS)

    said = [command.split()[:2] for command in server.commands]
    assert [words[1] for words in said if words[0] == "open"] == ["ehlo", "STARTTLS"]
    assert "sealed AUTH PLAIN AGdhdGV3YXkAY2FuYXJ5" in server.commands
    assert len(server.mails) == 1


async def test_without_starttls_nothing_is_sent(delivery_to, listening, smtp_server, alert_of):
    """Somebody in between may have taken the offer out."""
    server = await listening(smtp_server())
    channel = mail_to(server, tls=True, username="gateway", password=CANARY)

    with pytest.raises(Undelivered, match="does not take it: SMTPNotSupportedError"):
        await delivery_to(channel).send(alert_of(), TO_OPS)

    assert [command.split()[1].upper() for command in server.commands] == ["EHLO", "QUIT"]


async def test_a_mail_server_has_to_be_the_right_one(delivery_to, listening, smtp_server, alert_of, certified):
    server = await listening(smtp_server(starttls=certified))

    with pytest.raises(Undelivered, match="does not take it: SSLCertVerificationError"):
        await delivery_to(mail_to(server, tls=True), tls=ssl.create_default_context()).send(alert_of(), TO_OPS)

    assert server.mails == []


@pytest.mark.parametrize(
    ("command", "answer", "problem"),
    [
        ("AUTH", "535 canary is wrong", "the mail server answered 535$"),
        ("MAIL", "451 canary", "the mail server answered 451$"),
        ("DATA", "554 canary", "the mail server answered 554$"),
        ("RCPT", "550 canary", "does not take it: SMTPRecipientsRefused$"),
    ],
)
async def test_what_a_mail_server_says_is_not_repeated(
    delivery_to, listening, smtp_server, alert_of, command, answer, problem
):
    """It may say the password back."""
    server = await listening(smtp_server(refused={command: answer}))

    with pytest.raises(Undelivered, match=problem):
        await delivery_to(mail_to(server, username="gateway", password=CANARY)).send(alert_of(), TO_OPS)


async def test_one_recipient_who_is_unknown_does_not_keep_it_from_the_others(
    delivery_to, listening, smtp_server, alert_of, capsys
):
    server = await listening(smtp_server(refused={"RCPT TO:<OPS@EXAMPLE.COM>": "550 unknown"}))

    await delivery_to(mail_to(server)).send(alert_of(), TO_OPS)

    assert [recipients for recipients, _ in server.mails] == [["ana@example.com"]]
    assert "recipients refused" in capsys.readouterr().out


PRIVATE = "it is on this machine or in a private network"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_manager_sends_no_alerts_into_the_own_network(delivery_to, listening, http_server, alert_of, host):
    """Whoever may make a channel could reach whatever listens there. Looked at is the address that is connected to."""
    server = await listening(http_server((200, "")))
    channel = webhook_to(server.url.replace("127.0.0.1", host))
    asked = []

    with pytest.raises(Undelivered, match=PRIVATE):
        await delivery_to(channel, trusts=asked.append).send(alert_of(), TO_WEBHOOK)
    assert server.requests == []
    assert asked == [FQN]


async def test_nobody_sends_alerts_to_a_metadata_service(delivery_to, alert_of):
    channel = webhook_to("http://169.254.169.254/latest")

    with pytest.raises(Undelivered, match="which the gateway never calls"):
        await delivery_to(channel).send(alert_of(), TO_WEBHOOK)


async def test_a_network_for_all_is_open_to_channels(delivery_to, listening, http_server, alert_of):
    server = await listening(http_server((200, "")))
    ways = Ways(Egress((network("127.0.0.0/8"),)))

    await delivery_to(webhook_to(server.url), trusts=lambda _: False, ways=ways).send(alert_of(), TO_WEBHOOK)

    assert len(server.requests) == 1


@pytest.mark.parametrize("tls", [False, True])
async def test_a_manager_sends_no_mail_into_the_own_network(delivery_to, listening, smtp_server, alert_of, tls):
    server = await listening(smtp_server())
    channel = mail_to(server, host="localhost", tls=tls)

    with pytest.raises(Undelivered, match=PRIVATE):
        await delivery_to(channel, trusts=lambda _: False).send(alert_of(), TO_OPS)
    assert server.commands == []


async def test_a_webhook_is_called_through_the_proxy(delivery_to, listening, http_server, alert_of):
    """The proxy looks up the name; what is asked of it is the whole URL."""
    proxy = await listening(http_server((200, "")))
    ways = Ways(proxies=Proxies(http=Secret(proxy.url.replace("http://", "http://ana:pa%40ss@"))))

    await delivery_to(webhook_to("http://hooks.example/x?y=1"), trusts=lambda _: False, ways=ways).send(
        alert_of(), TO_WEBHOOK
    )

    [(head, _)] = proxy.requests
    assert "http://hooks.example/x?y=1" in str(head)
    assert b64encode(b"ana:pa@ss").decode() in str(head)
