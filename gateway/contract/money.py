"""Nano-dollars, and dollars as people write them. All is exact: no float is calculated with."""

from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")


def nano_dollars(dollars: float) -> int:
    """Of the number as it is written, so 0.1 is a tenth to the last digit. Half a nano-dollar is rounded up."""
    return int(Decimal(str(dollars)).scaleb(9).to_integral_value(ROUND_HALF_UP))


def exact_dollars(nano: int) -> str:
    """Without needless zeros: `0.0002325`, `12.5`, `30`."""
    return f"{Decimal(nano).scaleb(-9).normalize():f}"


def dollars_text(nano: int) -> str:
    """To the cent, small sums as exact as they are: `$12.35`, `$0.10`, `-$0.0002325`."""
    dollars = Decimal(abs(nano)).scaleb(-9)
    cents = dollars.quantize(_CENT, ROUND_HALF_UP)
    sign = "-" if nano < 0 else ""
    return f"{sign}${cents if dollars >= 1 or dollars == cents else exact_dollars(abs(nano))}"
