"""Money: integer nano-dollars, and bills that say how they come about."""

import msgspec


class BillLine(msgspec.Struct, frozen=True, gc=False):
    """`amount` of a class, such as `cache_read`, at `rate` nano-dollars for each `per` of it."""

    name: str
    amount: int
    rate: int
    per: int
    cost: int


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What one request costs, in nano-dollars.

    Args:
        cost: the sum of the lines, less the discount.
        row: the row of the price list, as in `openai/gpt-4o`.
        version: of the price list, as in `genai-prices 0.2.3`; `private` when the manifest gives the price.
    """

    cost: int
    row: str
    version: str
    lines: tuple[BillLine, ...] = ()
    discount_percent: float = 0.0
