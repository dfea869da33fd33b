"""A bill, put so that people can check it."""

import msgspec

from gateway.contract.money import exact_dollars
from gateway.contract.price import Bill, BillLine


class ExplainedLine(msgspec.Struct, frozen=True):
    """`sum` is the calculation, as in `93 x $2.5 / 1000000 = $0.0002325`."""

    name: str
    sum: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Which row of which list, which classes, which sum. The rest is as in `Bill`."""

    row: str
    version: str
    tariff: str
    discount_percent: float
    lines: tuple[ExplainedLine, ...]
    unpriced: tuple[str, ...]
    cost_usd: str


def explained(bill: Bill) -> Explanation:
    return Explanation(
        row=bill.row,
        version=bill.version,
        tariff=bill.tariff,
        discount_percent=bill.discount_percent,
        lines=tuple(ExplainedLine(line.name, _sum(line, bill.discount_percent)) for line in bill.lines),
        unpriced=bill.unpriced,
        cost_usd=exact_dollars(bill.cost),
    )


def _sum(line: BillLine, discount_percent: float) -> str:
    less = f" - {discount_percent:g} %" if discount_percent else ""
    return f"{line.amount} x ${exact_dollars(line.rate)} / {line.per}{less} = ${exact_dollars(line.cost)}"
