"""Where alerts may be sent, and by which channels.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.16 of the project's compatibility notes. There,
`provider-account/webhook` gets request logs only and is no target of alerts: `Webhook` is ours.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import AccountName, ModelName, Owner, Text
from gateway.manifests.identity import Email
from gateway.manifests.marks import Mark
from gateway.secrecy.secret import Secret, SecretText

ChannelFqn: TypeAlias = Text
"""`acme:slack:bot:notification-channel:tfy` is the integration `tfy` of the `provider-account/slack` named `bot`. Any
other text is taken too: who writes it wants the budget above all, and is warned that nobody will be told."""

_FQN = re.compile(r"[^:\s]+:([^:\s]+):([^:\s]+):(?:notification-channel|gateway-request-logger):([^:\s]+)")

# --- auth_data ---------------------------------------------------------------


SecretUrl = Annotated[Secret, Mark.URL]
"""Addresses of webhooks are secrets, as who knows one can write there, so no pattern can be asked of them."""


class SmtpCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="smtp-credentials"):
    """`tls` is by STARTTLS, or from the first byte on port 465. Without a username there is no login.

    Args:
        host: of the mail server.
        port: 465 is encrypted from the first byte.
        tls: by STARTTLS, or from the first byte on port 465.
    """

    host: Annotated[Text, Mark.HOST]
    username: str | None = None
    password: Secret | None = None
    port: Annotated[int, Meta(ge=1, le=65535), Mark.PORT] = 587
    tls: bool = True


class SlackWebhookAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="slack-webhook"):
    webhook_url: SecretUrl


class SlackBotAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="slack-bot"):
    """The bot needs the scopes chat:write and chat:write.public."""

    bot_token: Secret


class TeamsWebhookAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ms-teams-webhook"):
    webhook_url: SecretUrl


class PagerDutyAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pagerduty-integration-auth"):
    """Of an integration "Events API V2". PagerDuty shows the URL beside the key; it may hold the key once more."""

    integration_key: Secret
    integration_url: SecretUrl = Secret("https://events.pagerduty.com/v2/enqueue")


class WebhookBasicAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="webhook-basic"):
    username: str
    password: SecretText


class WebhookBearerAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="webhook-bearer"):
    """
    Args:
        prefix: what stands in front of the token.
    """

    token: Secret
    prefix: Annotated[str, Meta(pattern=r"^[!-~][ -~]*\Z", description="a word, such as Bearer")] = "Bearer"


# --- channels ----------------------------------------------------------------


class EmailChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/notification-channel/email"
):
    """
    Args:
        from_email: the sender.
    """

    name: ModelName
    auth_data: SmtpCredentials
    from_email: Email
    authorized_subjects: tuple[str, ...] | None = None


class SlackWebhookChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/notification-channel/slack-webhook"
):
    name: ModelName
    auth_data: SlackWebhookAuth
    authorized_subjects: tuple[str, ...] | None = None


class SlackBotChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/notification-channel/slack-bot"
):
    name: ModelName
    auth_data: SlackBotAuth
    authorized_subjects: tuple[str, ...] | None = None


class TeamsChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/notification-channel/ms-teams-webhook"
):
    name: ModelName
    auth_data: TeamsWebhookAuth
    authorized_subjects: tuple[str, ...] | None = None


class PagerDutyChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/notification-channel/pagerduty"
):
    name: ModelName
    auth_data: PagerDutyAuth
    authorized_subjects: tuple[str, ...] | None = None


class WebhookChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="integration/gateway-request-logger/webhook"
):
    name: ModelName
    webhook_url: SecretUrl
    auth_data: WebhookBasicAuth | WebhookBearerAuth | None = None
    authorized_subjects: tuple[str, ...] | None = None


Channel: TypeAlias = (
    EmailChannel | SlackWebhookChannel | SlackBotChannel | TeamsChannel | PagerDutyChannel | WebhookChannel
)

# --- accounts ----------------------------------------------------------------


class ChannelAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What all accounts of channels have."""

    type: str
    name: AccountName
    integrations: tuple[Channel, ...]
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.integrations]
        if len(set(names)) < len(names):
            raise ValueError("integrations with the same name")


class SlackAccount(ChannelAccount, frozen=True, kw_only=True):
    integrations: tuple[SlackWebhookChannel | SlackBotChannel, ...]


class TeamsAccount(ChannelAccount, frozen=True, kw_only=True):
    integrations: tuple[TeamsChannel, ...]


class PagerDutyAccount(ChannelAccount, frozen=True, kw_only=True):
    integrations: tuple[PagerDutyChannel, ...]


class WebhookAccount(ChannelAccount, frozen=True, kw_only=True):
    integrations: tuple[WebhookChannel, ...]


class CustomAccount(ChannelAccount, frozen=True, kw_only=True):
    """Of the integrations that such an account may have elsewhere, the gateway uses e-mail."""

    integrations: tuple[EmailChannel, ...]


# --- targets -----------------------------------------------------------------


class ToEmail(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="email"):
    notification_channel: ChannelFqn
    to_emails: Annotated[tuple[Email, ...], Meta(min_length=1)]


class ToSlackWebhook(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="slack-webhook"):
    notification_channel: ChannelFqn


class ToSlackBot(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="slack-bot"):
    """
    Args:
        channels: as in `#costs`, or their ids.
    """

    notification_channel: ChannelFqn
    channels: Annotated[tuple[Text, ...], Meta(min_length=1)]


class ToTeams(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ms-teams-webhook"):
    notification_channel: ChannelFqn


class ToPagerDuty(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pagerduty"):
    notification_channel: ChannelFqn


class ToWebhook(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="webhook"):
    notification_channel: ChannelFqn


NotificationTarget: TypeAlias = ToEmail | ToSlackWebhook | ToSlackBot | ToTeams | ToPagerDuty | ToWebhook


_CHANNELS: Mapping[type[NotificationTarget], type[Channel]] = MappingProxyType(
    {
        ToEmail: EmailChannel,
        ToSlackWebhook: SlackWebhookChannel,
        ToSlackBot: SlackBotChannel,
        ToTeams: TeamsChannel,
        ToPagerDuty: PagerDutyChannel,
        ToWebhook: WebhookChannel,
    }
)
"""What a target is reached by."""


class Alerts(msgspec.Struct, frozen=True):
    """When and to whom to tell that a budget is used up. `thresholds` in percent of its limit."""

    thresholds: tuple[float, ...]
    targets: tuple[NotificationTarget, ...] = ()


# --- from one to the other ---------------------------------------------------


def channel_key(fqn: str) -> tuple[str, str, str] | None:
    """(provider, account, name), without the tenant; None when the text names no channel."""
    match = _FQN.fullmatch(fqn)
    return (match[1], match[2], match[3]) if match is not None else None


def why_undelivered(target: NotificationTarget, channels: Mapping[tuple[str, str, str], Channel]) -> str | None:
    """Why nobody will be told; None when somebody will."""
    key = channel_key(target.notification_channel)
    if key is None:
        return "is not the name of a channel, <tenant>:<provider>:<account>:notification-channel:<name>"
    channel = channels.get(key)
    if channel is None:
        return "is no channel of any account"
    if not isinstance(channel, _CHANNELS[type(target)]):
        return "is a channel of another kind"
    return None


def channels_of(accounts: Iterable[ChannelAccount]) -> dict[tuple[str, str, str], Channel]:
    """`channel_key` -> the channel."""
    return {
        (account.type.removeprefix("provider-account/"), account.name, channel.name): channel
        for account in accounts
        for channel in account.integrations
    }
