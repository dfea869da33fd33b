"""What an alert says, in the form that each kind of target takes. Rules and scopes are shown as text, never as markup:
a scope may hold what a caller wrote into metadata."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from hashlib import blake2b
from typing import Any

from gateway.contract.limits import Mode, Unit
from gateway.contract.money import exact_dollars
from gateway.contract.windows import Window
from gateway.state.database.ledger_rows import Alert

MAX_NAME_CHARS = 120
CENT = 10_000_000
"""In nano-dollars."""

_EFFECTS = {
    Mode.ENFORCE: "blocks: requests beyond the limit are refused",
    Mode.SOFT: "blocks when no other budget has room for a request",
    Mode.AUDIT: "only tracks: nothing is refused",
    Mode.COUNT: "only tracks: nothing is refused",
}


def id_of(alert: Alert) -> str:
    """The same whenever the same alert is sent."""
    return blake2b(f"{alert.key}\0{alert.begins_s}\0{alert.threshold}".encode(), digest_size=16).hexdigest()


def title_of(alert: Alert) -> str:
    whose = f" of {_name(alert.scope)}" if alert.scope else ""
    return f"Budget {_name(alert.rule)}{whose} has reached {alert.threshold:g}% of its limit"


def facts_of(alert: Alert) -> dict[str, str]:
    used, limit = _amount(alert.used, alert.unit), _amount(alert.limit, alert.unit)
    return {
        "Budget": _name(alert.rule),
        "Who": _name(alert.scope) or "all together",
        "Used": f"{used} of {limit} ({_percentage(alert)}%)",
        "Window": _window(alert),
        "Mode": _EFFECTS[alert.mode],
    }


def text_of(alert: Alert) -> str:
    return "\n".join([title_of(alert), "", *(f"{name}: {fact}" for name, fact in facts_of(alert).items())])


def slack(alert: Alert) -> dict[str, Any]:
    """Source: docs.slack.dev, Block Kit, header and section; `text` is what notifications show, and is markup."""
    title = title_of(alert)
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    facts = [{"type": "plain_text", "text": f"{name}: {fact}"} for name, fact in facts_of(alert).items()]
    return {
        "text": escaped,
        "blocks": [
            {"type": "section", "text": {"type": "plain_text", "text": title}},
            {"type": "section", "fields": facts},
        ],
    }


def teams(alert: Alert) -> dict[str, Any]:
    """An adaptive card, as workflows and the webhooks before them take it. Other blocks than this would read markup.

    Source: learn.microsoft.com, Teams, "Create incoming webhooks with Workflows"; adaptivecards.io, RichTextBlock.
    """
    lines = [[_run(title_of(alert), weight="Bolder")]]
    lines += [[_run(f"{name}: ", weight="Bolder"), _run(fact)] for name, fact in facts_of(alert).items()]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "RichTextBlock", "inlines": line} for line in lines],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def pagerduty(alert: Alert, routing_key: str) -> dict[str, Any]:
    """One incident for each threshold: an open one that only grew would wake nobody.

    Source: developer.pagerduty.com, Events API v2, "Send an alert event".
    """
    blocks = alert.mode in (Mode.ENFORCE, Mode.SOFT)
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": id_of(alert),
        "payload": {
            "summary": title_of(alert),
            "source": "llm-asgi-gateway",
            "severity": "warning" if alert.used < alert.limit else "critical" if blocks else "error",
            "component": _name(alert.rule),
            "custom_details": facts_of(alert),
        },
    }


def webhook(alert: Alert) -> dict[str, Any]:
    """Amounts of cost in nano-dollars as `used` and `limit`, and in dollars as text besides."""
    is_cost = alert.unit == Unit.COST
    return {
        "type": "budget-alert",
        "id": id_of(alert),
        "text": title_of(alert),
        "budget": alert.rule,
        "scope": alert.scope or None,
        "threshold": alert.threshold,
        "percentage": float(_percentage(alert)),
        "unit": "nano_usd" if is_cost else alert.unit.value,
        "used": alert.used,
        "limit": alert.limit,
        **({"used_usd": exact_dollars(alert.used), "limit_usd": exact_dollars(alert.limit)} if is_cost else {}),
        "window": {
            "name": alert.window.value,
            "begins": _moment(alert.begins_s).isoformat(),
            "ends": None if alert.window == Window.LIFETIME else _moment(alert.ends_s).isoformat(),
        },
        "mode": alert.mode.value,
    }


def email(alert: Alert, sender: str, recipients: Sequence[str]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = title_of(alert)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Message-ID"] = f"<{id_of(alert)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text_of(alert) + "\n")
    return message


def _run(text: str, **style: str) -> dict[str, str]:
    return {"type": "TextRun", "text": text, **style}


def _name(text: str) -> str:
    """On one line, and not too long for it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= MAX_NAME_CHARS else shown[: MAX_NAME_CHARS - 1] + "…"


def _amount(amount: int, unit: Unit) -> str:
    if unit != Unit.COST:
        return f"{amount:,} {unit}"
    if 0 < amount < CENT:
        return f"${exact_dollars(amount)}"
    return f"${Decimal(amount).scaleb(-9):,.2f}"


def _percentage(alert: Alert) -> str:
    """Rounded down: what is not used up must not look as if it were."""
    tenths = alert.used * 1000 // alert.limit
    return f"{tenths // 10}.{tenths % 10}"


def _window(alert: Alert) -> str:
    if alert.window == Window.LIFETIME:
        return "lifetime"
    begin, end = (f"{_moment(at_s):%Y-%m-%d %H:%M}" for at_s in (alert.begins_s, alert.ends_s))
    return f"{alert.window.replace('_', ' ')}, {begin} to {end} UTC"


def _moment(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
