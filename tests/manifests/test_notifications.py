"""Channels of alerts: as manifests have them, and what is wrong with others."""

import msgspec
import pytest

from gateway.errors import ConfigError
from gateway.manifests import Secrets, loads, read
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.notifications import (
    Alerts,
    CustomAccount,
    EmailChannel,
    NotificationTarget,
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
    channel_key,
    channels_of,
    why_undelivered,
)
from gateway.manifests.secret_fields import change_secrets
from gateway.secrecy.secret import Secret

MAIL = """
type: provider-account/custom
name: smtp
ownedBy: {account: acme}
integrations:
  - type: integration/notification-channel/email
    name: mail
    from_email: gateway@example.com
    auth_data: {type: smtp-credentials, host: smtp.example.com, username: gateway, password: canary-mail}
    authorized_subjects: ["team:platform"]
"""
SLACK = """
type: provider-account/slack
name: slack
integrations:
  - type: integration/notification-channel/slack-webhook
    name: w
    auth_data: {type: slack-webhook, webhook_url: "https://hooks.slack.com/services/canary-slack"}
  - type: integration/notification-channel/slack-bot
    name: tfy
    auth_data: {type: slack-bot, bot_token: canary-bot}
"""
OTHERS = """
type: provider-account/ms-teams
name: t
integrations:
  - type: integration/notification-channel/ms-teams-webhook
    name: m
    auth_data: {type: ms-teams-webhook, webhook_url: "https://example.com/canary-teams"}
---
type: provider-account/pagerduty
name: pd
integrations:
  - type: integration/notification-channel/pagerduty
    name: p
    auth_data:
      type: pagerduty-integration-auth
      integration_key: canary-pager
      integration_url: https://events.pagerduty.com/integration/canary-pager-url/enqueue
  - type: integration/notification-channel/pagerduty
    name: p2
    auth_data: {type: pagerduty-integration-auth, integration_key: canary-pager}
---
type: provider-account/webhook
name: hooks
integrations:
  - type: integration/gateway-request-logger/webhook
    name: open
    webhook_url: http://127.0.0.1/canary-hook
  - type: integration/gateway-request-logger/webhook
    name: basic
    webhook_url: http://127.0.0.1/canary-hook
    auth_data: {type: webhook-basic, username: ana, password: canary-basic}
  - type: integration/gateway-request-logger/webhook
    name: bearer
    webhook_url: http://127.0.0.1/canary-hook
    auth_data: {type: webhook-bearer, token: canary-bearer, prefix: Token}
"""


def read_all(text):
    return [read(manifest, STRUCTS[manifest.type], Secrets({})) for manifest in loads(text, "gateway.yaml")]


def faults_of(text):
    with pytest.raises(ConfigError) as refused:
        read_all(text)
    return [f"{fault.path}: {fault.message}" for fault in refused.value.faults]


def test_a_mail_server():
    ((account, warnings),) = read_all(MAIL)

    assert warnings == []
    assert isinstance(account, CustomAccount)
    assert account.integrations == (
        EmailChannel(
            name="mail",
            auth_data=SmtpCredentials(
                host="smtp.example.com", username="gateway", password=Secret("canary-mail"), port=587, tls=True
            ),
            from_email="gateway@example.com",
            authorized_subjects=("team:platform",),
        ),
    )


def test_all_channels_by_name():
    """Targets name them with the tenant in front, which is not looked at."""
    accounts = [account for account, _ in read_all(f"{SLACK}---{OTHERS}")]

    pager, hook = Secret("canary-pager"), Secret("http://127.0.0.1/canary-hook")
    basic = WebhookBasicAuth(username="ana", password=Secret("canary-basic"))
    bearer = WebhookBearerAuth(token=Secret("canary-bearer"), prefix="Token")
    slack = SlackWebhookAuth(webhook_url=Secret("https://hooks.slack.com/services/canary-slack"))
    teams = TeamsWebhookAuth(webhook_url=Secret("https://example.com/canary-teams"))
    pager_url = Secret("https://events.pagerduty.com/integration/canary-pager-url/enqueue")
    default_url = Secret("https://events.pagerduty.com/v2/enqueue")
    assert channels_of(accounts) == {
        ("slack", "slack", "w"): SlackWebhookChannel(name="w", auth_data=slack),
        ("slack", "slack", "tfy"): SlackBotChannel(name="tfy", auth_data=SlackBotAuth(bot_token=Secret("canary-bot"))),
        ("ms-teams", "t", "m"): TeamsChannel(name="m", auth_data=teams),
        ("pagerduty", "pd", "p"): PagerDutyChannel(
            name="p", auth_data=PagerDutyAuth(integration_key=pager, integration_url=pager_url)
        ),
        ("pagerduty", "pd", "p2"): PagerDutyChannel(
            name="p2", auth_data=PagerDutyAuth(integration_key=pager, integration_url=default_url)
        ),
        ("webhook", "hooks", "open"): WebhookChannel(name="open", webhook_url=hook),
        ("webhook", "hooks", "basic"): WebhookChannel(name="basic", webhook_url=hook, auth_data=basic),
        ("webhook", "hooks", "bearer"): WebhookChannel(name="bearer", webhook_url=hook, auth_data=bearer),
    }
    assert channel_key("acme:slack:slack:notification-channel:tfy") == ("slack", "slack", "tfy")


def test_secrets_are_not_shown():
    """Neither when an account is printed, nor when its manifest is listed."""
    manifests = loads(f"{MAIL}---{SLACK}---{OTHERS}", "gateway.yaml")

    masked = [change_secrets(STRUCTS[m.type], m.data, lambda *_: "***") for m in manifests]

    assert "canary" not in repr(read_all(f"{MAIL}---{SLACK}---{OTHERS}"))
    assert "canary" not in repr(masked)
    assert masked[0]["integrations"][0]["auth_data"]["host"] == "smtp.example.com"


SLACK_TYPE = "type: integration/notification-channel/slack-webhook, name: w"


@pytest.mark.parametrize(
    ("integration", "fault"),
    [
        (f"{SLACK_TYPE}, auth_data: {{type: slack-webhook}}", "auth_data: missing required field `webhook_url`"),
        (
            f"{SLACK_TYPE}, auth_data: {{type: slack-bot, webhook_url: x}}",
            "auth_data.type: must be one of: slack-webhook",
        ),
        (
            "type: integration/notification-channel/email, name: w",
            "type: must be one of: integration/notification-channel/slack-webhook, "
            "integration/notification-channel/slack-bot",
        ),
    ],
)
def test_what_is_wrong_is_told(integration, fault):
    """Where it is, and without what it says there."""
    text = f"{{type: provider-account/slack, name: s, integrations: [{{{integration}}}]}}"

    assert [told for told in faults_of(text) if told.startswith(f"integrations[0].{fault}")] != []
    assert "canary" not in str(faults_of(text))


def test_names_are_told_apart():
    webhook = f"{{{SLACK_TYPE}, auth_data: {{type: slack-webhook, webhook_url: 'https://x'}}}}"

    assert faults_of(f"{{type: provider-account/slack, name: s, integrations: [{webhook}, {webhook}]}}") == [
        ": integrations with the same name"
    ]


FQN = "acme:slack:bot:notification-channel:tfy"


@pytest.mark.parametrize(
    ("data", "target"),
    [
        (
            {"type": "email", "to_emails": ["a@example.com"]},
            ToEmail(notification_channel=FQN, to_emails=("a@example.com",)),
        ),
        ({"type": "slack-bot", "channels": ["#costs"]}, ToSlackBot(notification_channel=FQN, channels=("#costs",))),
        ({"type": "slack-webhook"}, ToSlackWebhook(notification_channel=FQN)),
        ({"type": "ms-teams-webhook"}, ToTeams(notification_channel=FQN)),
        ({"type": "pagerduty"}, ToPagerDuty(notification_channel=FQN)),
        ({"type": "webhook"}, ToWebhook(notification_channel=FQN)),
    ],
)
def test_targets(data, target):
    """They are kept as JSON until they are reached."""
    data = {**data, "notification_channel": FQN}

    assert msgspec.convert(data, NotificationTarget) == target
    assert msgspec.json.decode(msgspec.json.encode(Alerts((75.0,), (target,))), type=Alerts) == Alerts(
        (75.0,), (target,)
    )


@pytest.mark.parametrize(
    "fqn", ["tfy", "acme:slack:bot:tfy", "acme:slack:bot:model:tfy", "a:b:c:notification-channel:", "budget-alerts"]
)
def test_a_channel_has_its_full_name(fqn):
    """A target with another is read all the same, because the budget around it has to hold."""
    target = msgspec.convert({"type": "pagerduty", "notification_channel": fqn}, NotificationTarget)

    assert channel_key(fqn) is None
    assert why_undelivered(target, {}) == (
        "is not the name of a channel, <tenant>:<provider>:<account>:notification-channel:<name>"
    )


def test_a_target_needs_a_channel_of_its_kind():
    teams = TeamsChannel(name="c", auth_data=TeamsWebhookAuth(webhook_url=Secret("https://ops.example")))
    channels, fqn = {("ms-teams", "a", "c"): teams}, "acme:ms-teams:a:notification-channel:c"

    assert why_undelivered(ToTeams(notification_channel=fqn), channels) is None
    assert why_undelivered(ToSlackWebhook(notification_channel=fqn), channels) == "is a channel of another kind"
    assert why_undelivered(ToTeams(notification_channel=fqn + "x"), channels) == "is no channel of any account"
