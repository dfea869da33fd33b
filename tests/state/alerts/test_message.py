"""What people read is right, and is text: nobody can put markup into it."""

import msgspec
import pytest

from gateway.contract.limits import Mode, Unit
from gateway.contract.windows import Window
from gateway.state.alerts import message


def test_says_all_there_is_to_know(alert_of):
    assert message.text_of(alert_of()) == (
        "Budget each of user:ana@example.com has reached 90% of its limit\n"
        "\n"
        "Budget: each\n"
        "Who: user:ana@example.com\n"
        "Used: $912.35 of $1,000.00 (91.2%)\n"
        "Window: month, 2026-03-01 00:00 to 2026-04-01 00:00 UTC\n"
        "Mode: blocks: requests beyond the limit are refused"
    )


def test_of_tokens_of_all_together(alert_of):
    alert = alert_of(
        scope="", unit=Unit.TOKENS, window=Window.CALENDAR_DAY, used=1234567, limit=1000000, threshold=99.5
    )

    assert message.title_of(alert) == "Budget each has reached 99.5% of its limit"
    assert message.facts_of(alert) == {
        "Budget": "each",
        "Who": "all together",
        "Used": "1,234,567 tokens of 1,000,000 tokens (123.4%)",
        "Window": "calendar day, 2026-03-01 00:00 to 2026-04-01 00:00 UTC",
        "Mode": "blocks: requests beyond the limit are refused",
    }


@pytest.mark.parametrize(
    ("used", "limit", "shown"),
    [
        (1, 4, "$0.000000001 of $0.000000004 (25.0%)"),
        (9_999_999, 10_000_000, "$0.009999999 of $0.01 (99.9%)"),
        (0, 10**18, "$0.00 of $1,000,000,000.00 (0.0%)"),
    ],
)
def test_amounts_are_as_exact_as_they_have_to_be(alert_of, used, limit, shown):
    """The percentage is rounded down: 100 is only said when it is used up."""
    assert message.facts_of(alert_of(used=used, limit=limit))["Used"] == shown


@pytest.mark.parametrize(
    ("mode", "effect"),
    [
        (Mode.AUDIT, "only tracks: nothing is refused"),
        (Mode.SOFT, "blocks when no other budget has room for a request"),
    ],
)
def test_says_what_happens_then(alert_of, mode, effect):
    assert message.facts_of(alert_of(mode=mode))["Mode"] == effect


def test_a_lifetime_has_no_end(alert_of):
    alert = alert_of(window=Window.LIFETIME, begins_s=0, ends_s=32503680000)

    assert message.facts_of(alert)["Window"] == "lifetime"
    assert message.webhook(alert)["window"] == {"name": "lifetime", "begins": "1970-01-01T00:00:00+00:00", "ends": None}


def test_the_id_is_that_of_the_window_and_threshold(alert_of):
    """So that whoever gets an alert twice can tell."""
    ids = {
        message.id_of(alert_of()),
        message.id_of(alert_of(used=950_000_000_000)),
        message.id_of(alert_of(threshold=100.0)),
        message.id_of(alert_of(begins_s=0)),
        message.id_of(alert_of(key="other")),
    }

    assert len(ids) == 4


def test_for_slack(alert_of):
    assert message.slack(alert_of(rule="<!channel> & *co*")) == {
        "text": "Budget &lt;!channel&gt; &amp; *co* of user:ana@example.com has reached 90% of its limit",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "plain_text",
                    "text": "Budget <!channel> & *co* of user:ana@example.com has reached 90% of its limit",
                },
            },
            {
                "type": "section",
                "fields": [
                    {"type": "plain_text", "text": "Budget: <!channel> & *co*"},
                    {"type": "plain_text", "text": "Who: user:ana@example.com"},
                    {"type": "plain_text", "text": "Used: $912.35 of $1,000.00 (91.2%)"},
                    {"type": "plain_text", "text": "Window: month, 2026-03-01 00:00 to 2026-04-01 00:00 UTC"},
                    {"type": "plain_text", "text": "Mode: blocks: requests beyond the limit are refused"},
                ],
            },
        ],
    }


def test_for_teams(alert_of):
    """All of it in runs of text, which know no markup."""
    (attachment,) = message.teams(alert_of(rule="[x](http://evil)"))["attachments"]

    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["body"][:2] == [
        {
            "type": "RichTextBlock",
            "inlines": [
                {
                    "type": "TextRun",
                    "text": "Budget [x](http://evil) of user:ana@example.com has reached 90% of its limit",
                    "weight": "Bolder",
                }
            ],
        },
        {
            "type": "RichTextBlock",
            "inlines": [
                {"type": "TextRun", "text": "Budget: ", "weight": "Bolder"},
                {"type": "TextRun", "text": "[x](http://evil)"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("used", "mode", "severity"),
    [
        (90, Mode.ENFORCE, "warning"),
        (100, Mode.ENFORCE, "critical"),
        (100, Mode.SOFT, "critical"),
        (100, Mode.AUDIT, "error"),
    ],
)
def test_for_pagerduty(alert_of, used, mode, severity):
    alert = alert_of(used=used, limit=100, mode=mode)

    event = message.pagerduty(alert, "key")

    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == ("key", "trigger", message.id_of(alert))
    assert event["payload"]["severity"] == severity
    assert event["payload"]["summary"] == "Budget each of user:ana@example.com has reached 90% of its limit"
    assert event["payload"]["custom_details"]["Who"] == "user:ana@example.com"


def test_for_a_webhook(alert_of):
    alert = alert_of(used=950_000_000_001)

    assert message.webhook(alert) == {
        "type": "budget-alert",
        "id": message.id_of(alert),
        "text": "Budget each of user:ana@example.com has reached 90% of its limit",
        "budget": "each",
        "scope": "user:ana@example.com",
        "threshold": 90.0,
        "percentage": 95.0,
        "unit": "nano_usd",
        "used": 950_000_000_001,
        "limit": 1_000_000_000_000,
        "used_usd": "950.000000001",
        "limit_usd": "1000",
        "window": {"name": "month", "begins": "2026-03-01T00:00:00+00:00", "ends": "2026-04-01T00:00:00+00:00"},
        "mode": "enforce",
    }


def test_as_e_mail(alert_of):
    mail = message.email(alert_of(), "gateway@example.com", ["ops@example.com", "ana@example.com"])

    assert mail["Subject"] == "Budget each of user:ana@example.com has reached 90% of its limit"
    assert (mail["From"], mail["To"]) == ("gateway@example.com", "ops@example.com, ana@example.com")
    assert mail["Message-ID"] == f"<{message.id_of(alert_of())}@example.com>"
    assert mail.get_content() == message.text_of(alert_of()) + "\n"


@pytest.mark.parametrize("name", ["a\r\nBcc: evil@example.com", "a\0b", "\u202eevil", "x" * 5000, "😀" * 500])
def test_names_stay_on_their_line(alert_of, name):
    """A scope may hold what a caller wrote into metadata."""
    alert = alert_of(rule=name, scope=f"metadata.app:{name}")

    mail = message.email(alert, "gateway@example.com", ["ops@example.com"])

    assert len(message.text_of(alert).splitlines()) == 7
    assert mail.keys().count("Bcc") == 0
    assert all(line.isprintable() for line in message.text_of(alert).splitlines())
    for payload in (message.slack(alert), message.teams(alert), message.pagerduty(alert, "k"), message.webhook(alert)):
        assert len(msgspec.json.encode(payload)) < 40_000
    assert len(message.slack(alert)["text"]) < 300
