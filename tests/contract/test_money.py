"""Dollars as numbers and as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.money import dollars_text, exact_dollars, nano_dollars


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        (0, 0),
        (0.1, 100_000_000),
        (0.3, 300_000_000),
        (1.1, 1_100_000_000),
        (4999.99, 4_999_990_000_000),
        (1e-9, 1),
        (5e-10, 1),
        (4e-10, 0),
        (123456.123456789, 123_456_123_456_789),
        (9e9, 9_000_000_000_000_000_000),
    ],
)
def test_dollars_are_what_is_written(dollars, nano):
    """0.1 has no exact float, and nobody should lose a nano-dollar by that."""
    assert nano_dollars(dollars) == nano


@given(st.integers(0, 10**8), st.integers(0, 10**6 - 1))
def test_micro_dollars_are_exact(dollars, micro):
    assert nano_dollars(float(f"{dollars}.{micro:06}")) == dollars * 10**9 + micro * 1000


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (232_500, "0.0002325"),
        (12_500_000_000, "12.5"),
        (30_000_000_000, "30"),
        (9_000_000_000_000_000_001, "9000000000.000000001"),
        (-1_500_000_000, "-1.5"),
    ],
)
def test_exact_dollars_have_no_needless_zeros(nano, text):
    assert exact_dollars(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (2_500_000, "$0.0025"),
        (100_000_000, "$0.10"),
        (250_000_000, "$0.25"),
        (999_999_999, "$0.999999999"),
        (1_000_000_000, "$1.00"),
        (1_994_999_999, "$1.99"),
        (1_995_000_000, "$2.00"),
        (9_007_199_000_000_000, "$9007199.00"),
        (-1_500_000_000, "-$1.50"),
    ],
)
def test_dollars(nano, text):
    assert dollars_text(nano) == text
