"""How a bill comes about, so that people can check it with a pocket calculator."""

from gateway.contract.money import exact_dollars
from gateway.contract.price import BillLine


def sum_text(line: BillLine, discount_percent: float) -> str:
    """As in `93 x $2.5 / 1000000 - 20 % = $0.000186`."""
    less = f" - {discount_percent:g} %" if discount_percent else ""
    return f"{line.amount} x ${exact_dollars(line.rate)} / {line.per}{less} = ${exact_dollars(line.cost)}"
