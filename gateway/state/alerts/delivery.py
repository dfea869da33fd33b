"""Sends alerts: by HTTP to Slack, Teams, PagerDuty and webhooks, by SMTP as e-mail."""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from smtplib import SMTP, SMTPException, SMTPResponseException
from typing import Any

import msgspec
import structlog
from aiohttp import ClientError

from gateway.manifests.notifications import (
    Channel,
    EmailChannel,
    NotificationTarget,
    PagerDutyChannel,
    SlackBotChannel,
    SlackWebhookChannel,
    TeamsChannel,
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
from gateway.state.alerts.message import email, pagerduty, slack, teams, webhook
from gateway.state.database.ledger_rows import Alert
from gateway.upstream.outgoing import NoWay, Refusal, Ways, connected

SLACK_URL = "https://slack.com/api/chat.postMessage"
SMTPS_PORT = 465
MAX_ANSWER_BYTES = 65536

log = structlog.get_logger(__name__)


class Undelivered(Exception):
    """It was not sent, or nobody can say. The message tells why, and holds no address and no secret."""


class SlackAnswer(msgspec.Struct, frozen=True):
    ok: bool
    error: str = ""


class Delivery:
    """Opens on first use.

    Args:
        channel_of: the channel of that name, as targets have it; None: there is none.
        timeout_s: of one delivery over HTTP, and of each answer of a mail server.
        tls: how certificates are checked; None: by the system's authorities.
        slack_url: where bots of Slack write to.
        trusts: whether the channel of that name may be in a private network.
        ways: where it may connect to; over HTTP, through which proxy.
    """

    def __init__(
        self,
        channel_of: Callable[[str], Channel | None],
        *,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        slack_url: str = SLACK_URL,
        trusts: Callable[[str], bool] = lambda _: True,
        ways: Ways | None = None,
    ) -> None:
        self._channel_of = channel_of
        self._trusts = trusts
        self._ways = ways or Ways()
        self._timeout_s = timeout_s
        self._tls = tls
        self._slack_url = slack_url

    async def send(self, alert: Alert, target: NotificationTarget) -> None:
        """Raises Undelivered."""
        trusted = self._trusts(target.notification_channel)
        match target, self._channel_of(target.notification_channel):
            case ToEmail(), EmailChannel() as channel:
                await self._mail(channel, email(alert, channel.from_email, target.to_emails), trusted)
            case ToSlackWebhook(), SlackWebhookChannel() as channel:
                await self._post(channel.auth_data.webhook_url.reveal(), slack(alert), trusted)
            case ToSlackBot(), SlackBotChannel() as channel:
                for name in target.channels:
                    await self._post_to_slack(channel.auth_data.bot_token.reveal(), name, alert)
            case ToTeams(), TeamsChannel() as channel:
                await self._post(channel.auth_data.webhook_url.reveal(), teams(alert), trusted)
            case ToPagerDuty(), PagerDutyChannel() as channel:
                auth = channel.auth_data
                event = pagerduty(alert, auth.integration_key.reveal())
                await self._post(auth.integration_url.reveal(), event, trusted)
            case ToWebhook(), WebhookChannel() as channel:
                headers = {"authorization": value} if (value := _authorization(channel)) else {}
                await self._post(channel.webhook_url.reveal(), webhook(alert), trusted, headers)
            case _, None:
                raise Undelivered("there is no such channel")
            case _:
                raise Undelivered("the channel is of another kind than the target")

    async def _post_to_slack(self, token: str, channel: str, alert: Alert) -> None:
        body = {"channel": channel, **slack(alert)}
        data = await self._post(self._slack_url, body, True, {"authorization": f"Bearer {token}"})
        try:
            answer = msgspec.json.decode(data, type=SlackAnswer)
        except ValueError:
            raise Undelivered("Slack answered what it never should") from None
        if not answer.ok:  # with status 200
            raise Undelivered(f"Slack refuses it: {answer.error if re.fullmatch('[a-z_]+', answer.error) else '?'}")

    async def _post(
        self, url: str, body: Mapping[str, Any], trusted: bool, headers: Mapping[str, str] | None = None
    ) -> bytes:
        headers = {"content-type": "application/json", **(headers or {})}
        data = msgspec.json.encode(body)
        try:
            # Not to follow redirects: what goes along is meant for nobody else.
            async with (
                self._ways.session(url, is_trusted=trusted, timeout_s=self._timeout_s, tls=self._tls) as session,
                session.post(url, data=data, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status >= 300:
                    raise Undelivered(f"it answered {answer.status}")
                return await answer.content.read(MAX_ANSWER_BYTES)
        except (ClientError, OSError, ValueError) as error:
            # Not `from` it: its text may hold the URL, which is a secret.
            raise Undelivered(f"it cannot be reached: {_reason(error)}") from None

    async def _mail(self, channel: EmailChannel, mail: EmailMessage, trusted: bool) -> None:
        mail["Date"] = formatdate(usegmt=True)
        try:
            async with asyncio.timeout(6 * self._timeout_s):
                refused = await asyncio.to_thread(self._send_mail, channel, mail, trusted)
        except SMTPResponseException as error:
            raise Undelivered(f"the mail server answered {error.smtp_code}") from None
        except (SMTPException, OSError, ValueError) as error:
            raise Undelivered(f"the mail server does not take it: {_reason(error)}") from None
        if refused:
            log.warning("recipients refused", channel=channel.name, recipients=len(refused))

    def _send_mail(self, channel: EmailChannel, mail: EmailMessage, trusted: bool) -> Mapping[str, object]:
        """The recipients that were refused, if others were not."""
        auth = channel.auth_data
        tls = self._tls or ssl.create_default_context()
        is_smtps = auth.tls and auth.port == SMTPS_PORT
        with GuardedSmtp(
            auth.host,
            auth.port,
            refusal=self._ways.refusal(is_trusted=trusted),
            tls=tls if is_smtps else None,
            local_hostname=socket.gethostname(),
            timeout=self._timeout_s,
        ) as server:
            if auth.tls and not is_smtps:
                server.starttls(context=tls)  # or raises: nothing is sent in the open then
            if auth.username is not None:
                server.login(auth.username, auth.password.reveal() if auth.password else "")
            return server.send_message(mail)


class GuardedSmtp(SMTP):
    """Connects to addresses that are not refused. With `tls` it is spoken from the first byte on."""

    def __init__(self, host: str, port: int, *, refusal: Refusal, tls: ssl.SSLContext | None, **options: Any) -> None:
        self._refusal = refusal
        self._tls = tls
        super().__init__(host, port, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = connected(host, port, timeout, refusal=self._refusal)
        return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=host)


def _reason(error: Exception) -> str:
    """Without what it says: that may hold the URL, which is a secret."""
    cause = getattr(error, "os_error", error)
    return str(cause) if isinstance(cause, NoWay) else type(error).__name__


def _authorization(channel: WebhookChannel) -> str | None:
    match channel.auth_data:
        case WebhookBasicAuth(username=username, password=password):
            return "Basic " + b64encode(f"{username}:{password.reveal()}".encode()).decode()
        case WebhookBearerAuth(token=token, prefix=prefix):
            return f"{prefix} {token.reveal()}"
        case None:
            return None
