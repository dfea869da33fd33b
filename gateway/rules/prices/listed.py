"""Prices as lists give them: dollars, and other dollars in larger calls."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gateway.contract.price import Rate, Tariff


class Listed(msgspec.Struct, frozen=True):
    """Dollars for each `per` of a class.

    Args:
        base: None when only the tiers are given.
        tiers: (input tokens, dollars in calls with more), in any order.
        least: see `Rate`.
    """

    base: Decimal | None
    per: int
    tiers: tuple[tuple[int, Decimal], ...] = ()
    least: int = 0

    def above(self, tokens: int) -> Rate | None:
        """The rate just above that many input tokens; None: there is none yet."""
        reached = [(start, dollars) for start, dollars in self.tiers if start <= tokens]
        dollars = max(reached)[1] if reached else self.base
        return Rate.of(dollars, self.per, least=self.least) if dollars is not None else None


def tariffs_of(listed: Mapping[str, Listed], *, starts_s: int = 0, day_s: int = 0) -> tuple[Tariff, ...]:
    """Class -> price, as one tariff for each size of calls that any of the prices tells apart."""
    starts = sorted({-1, *(start for price in listed.values() for start, _ in price.tiers)})
    return tuple(
        Tariff(
            rates={name: rate for name, price in listed.items() if (rate := price.above(start)) is not None},
            starts_s=starts_s,
            day_s=day_s,
            above=start,
        )
        for start in starts
    )
