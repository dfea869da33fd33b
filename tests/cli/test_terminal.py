from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.cli.terminal import printable, table, when


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpt-4o für 名前", "gpt-4o für 名前"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_printable(text, shown):
    """Escape sequences move the cursor, set titles and more; other characters turn the direction of text around."""
    assert printable(text) == shown


def test_columns_are_as_wide_as_needed():
    assert table(("NAME", "TEAMS"), [("ana", ""), ("benedict", "a, b")]) == [
        "NAME      TEAMS",
        "ana       -",
        "benedict  a, b",
    ]


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (datetime(2026, 11, 22, 17, 3, 59, 123456, UTC), "2026-11-22 17:03 UTC"),
        (datetime(2026, 11, 22, 17, 3, 59, tzinfo=timezone(timedelta(hours=2))), "2026-11-22 15:03 UTC"),
        (None, "-"),
    ],
)
def test_when(time, shown):
    assert when(time) == shown
