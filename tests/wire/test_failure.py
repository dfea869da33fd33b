"""JSON of servers that write it badly."""

import pytest

from gateway.wire.failure import lenient_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'["\ud83d", NaN]', ["\ufffd", pytest.approx(float("nan"), nan_ok=True)]),
        (rb'["\ud83d\ude00", "\ud83d"]', ["\U0001f600", "\ufffd"]),
        (rb'["\ud83d\ud83d\uDE00\ude00"]', ["\ufffd\U0001f600\ufffd"]),
        (rb'["\ude00\ud83d"]', ["\ufffd\ufffd"]),
        (rb'["\ud83d\\ude00"]', ["\ufffd\\ude00"]),
        (rb'["\\ud83d", "\\\ud83d", "\uD83D"]', ["\\ud83d", "\\\ufffd", "\ufffd"]),
        (b'\xef\xbb\xbf["\\ud83d\\ude00"]', ["\U0001f600"]),
    ],
)
def test_only_halves_of_pairs_are_replaced(data, value):
    """Whole ones were, too, and what only looked like one behind a backslash, wherever another fault was."""
    assert lenient_json(data) == value
