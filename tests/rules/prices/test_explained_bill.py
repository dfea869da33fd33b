"""A bill that people can check with a pocket calculator."""

import pytest

from gateway.contract.price import BillLine
from gateway.rules.prices.explain import sum_text


@pytest.mark.parametrize(
    ("line", "discount_percent", "text"),
    [
        (BillLine("input", 93, 2_500_000_000, 1_000_000, 232_500), 0.0, "93 x $2.5 / 1000000 = $0.0002325"),
        (BillLine("cache_read", 1024, 1_250_000_000, 1_000_000, 1_280_000), 0.0, "1024 x $1.25 / 1000000 = $0.00128"),
        (
            BillLine("input", 10**12, 600_000_000_000, 1_000_000, 480_000_000_000_000_000),
            20.0,
            "1000000000000 x $600 / 1000000 - 20 % = $480000000",
        ),
    ],
)
def test_says_which_sum_it_is_and_what_was_taken_off(line, discount_percent, text):
    assert sum_text(line, discount_percent) == text
