"""Money: integer nano-dollars; prices, and bills that say how they come about.

A `Price` is one row of a price list, compiled: `price.bill(usage, at)` says what a call costs and why, `price.cost`
only how much. Both round alike: each line once, half up, to a whole nano-dollar, after the discount. So the lines sum
up to the cost.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Self

import msgspec

from gateway.contract.usage import AMOUNTS, Usage

REQUESTS = "requests"
CLASSES = (*AMOUNTS, REQUESTS)
"""What can have a price: what `Usage` counts, and the call itself. The lines of a bill stand in this order."""

FALLBACKS: Mapping[str, str] = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
    "citation": "output",
    "annotated_pages": "pages",
}
"""A class without a rate of its own is charged like this one."""

TOKENS = frozenset({*FALLBACKS, *FALLBACKS.values()} - {"pages", "annotated_pages"})
"""The classes that are counted in tokens. Of a picture they tell the same as `images`, in another unit."""

LINE_MAX = 10**15
"""No line is more than a million dollars: a count that comes to that is wrong, and sums must fit into 64 bits."""

_DAY_S = 86400


class BillLine(msgspec.Struct, frozen=True, gc=False):
    """`amount` of a class, such as `cache_read`, at `rate` nano-dollars for each `per` of it.

    The discount is taken off `cost`, not off `rate`.
    """

    name: str
    amount: int
    rate: int
    per: int
    cost: int


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What one request costs, in nano-dollars.

    Args:
        cost: the sum of the lines, from which the discount is already taken.
        row: the row of the price list, as in `openai/gpt-4o`.
        version: of the price list, as in `genai-prices 0.2.3`; `private` when the manifest gives the price, `the
            provider` when that said what the call costs.
        tariff: which of the row's prices, as in `above 272000 input tokens`; empty: the plain one.
        unpriced: classes that were used and that the row has no price for. The true cost is higher.
    """

    cost: int
    row: str
    version: str
    lines: tuple[BillLine, ...] = ()
    discount_percent: float = 0.0
    tariff: str = ""
    unpriced: tuple[str, ...] = ()

    @classmethod
    def stated(cls, row: str, cost: int) -> Self:
        """By what the provider said. That is what is paid, so no discount is taken off."""
        return cls(cost, row, "the provider", (BillLine("stated by the provider", 1, cost, 1, cost),))


class Rate(msgspec.Struct, frozen=True, gc=False):
    """`nano` nano-dollars for each `per`. Who uses any of it pays for at least `least`."""

    nano: int
    per: int
    least: int = 0

    @classmethod
    def of(cls, dollars: Decimal, per: int, *, least: int = 0) -> Self:
        """Exact to 18 digits behind the point: where nano-dollars are too coarse, both numbers grow."""
        exact = round(dollars, 18).normalize()
        more = max(0, -int(exact.as_tuple().exponent) - 9)
        return cls(int(exact.scaleb(9 + more)), per * 10**more, least)


class PictureKind(msgspec.Struct, frozen=True, gc=False):
    """Pictures that have a price of their own: of a size, of a quality, with more than so many pixels; None: of any."""

    size: str | None = None
    quality: str | None = None
    above_pixels: int | None = None

    def fits(self, usage: Usage) -> bool:
        return (
            self.size in (None, usage.image_size)
            and self.quality in (None, usage.image_quality)
            and (self.above_pixels is None or pixels_of(usage.image_size) > self.above_pixels)
        )

    def __str__(self) -> str:
        """As in `pictures of 1024x1536, high, above 1048576 pixels`."""
        above = f"above {self.above_pixels} pixels" if self.above_pixels is not None else None
        of = " of" if self.size or self.quality else ""
        return f"pictures{of} " + ", ".join(filter(None, (self.size, self.quality, above)))


def pixels_of(size: str | None) -> int:
    """Of `1024x1536`; 0: it is no such size."""
    width, _, height = (size or "").partition("x")
    is_size = len(width + height) < 12 and all(side.isascii() and side.isdecimal() for side in (width, height))
    return int(width) * int(height) if is_size else 0


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """What the classes cost from a moment on, from a time of the UTC day on, in calls of some size, and for some kind
    of pictures.

    Args:
        rates: class -> rate.
        starts_s: in seconds since 1970.
        day_s: in seconds since midnight; until the next tariff of that day, or midnight.
        above: input tokens. A call with more is charged by this tariff as a whole, not just for what is above.
        pictures: of calls that made such ones; None: of all calls.
    """

    rates: Mapping[str, Rate]
    starts_s: int = 0
    day_s: int = 0
    above: int = -1
    pictures: PictureKind | None = None

    def __str__(self) -> str:
        """For people, as in `since 2026-08-21, from 00:30 UTC, above 200000 input tokens`."""
        parts = []
        if self.starts_s:
            parts.append(f"since {datetime.fromtimestamp(self.starts_s, UTC):%Y-%m-%d}")
        if self.day_s:
            parts.append(f"from {datetime.fromtimestamp(self.day_s, UTC):%H:%M} UTC")
        if self.above >= 0:
            parts.append(f"above {self.above} input tokens")
        if self.pictures is not None:
            parts.append(str(self.pictures))
        return ", ".join(parts)


class _Charge(msgspec.Struct, frozen=True, gc=False):
    """A rate less the discount, in whole numbers: `add` is half of `divide`, so that dividing rounds half up."""

    name: str
    rate: Rate
    least: int
    multiply: int
    add: int
    divide: int

    @classmethod
    def of(cls, name: str, rate: Rate, share: Fraction) -> Self:
        nano = Fraction(rate.nano, rate.per) * share
        return cls(name, rate, rate.least, 2 * nano.numerator, nano.denominator, 2 * nano.denominator)

    def cost(self, amount: int) -> int:
        # With min and max this takes twice as long, and each request is estimated before it is sent.
        if amount < self.least:
            amount = self.least
        cost = (amount * self.multiply + self.add) // self.divide
        if cost > LINE_MAX:
            return LINE_MAX
        return cost

    def line(self, amount: int) -> BillLine:
        rate = self.rate
        if amount < self.least:
            amount = self.least
        return BillLine(self.name, amount, rate.nano, rate.per, self.cost(amount))


class _Compiled(msgspec.Struct, frozen=True):
    """A tariff, ready to be used. `amounts_of`: a usage -> what it has of each of `charges`; `input` and `output` are
    two of those. `others_of`: the same of the `others`, which have no price. `call_cost`: what each call costs,
    whatever it uses."""

    starts_s: int
    day_s: int
    above: int
    pictures: PictureKind | None
    label: str
    charges: tuple[_Charge, ...]
    amounts_of: Callable[[Usage], tuple[int, ...]]
    others: tuple[str, ...]
    others_of: Callable[[Usage], tuple[int, ...]]
    input: _Charge | None
    output: _Charge | None
    call: _Charge | None
    call_cost: int


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a price list.

    Args:
        row, version: as in `Bill`.
        tariffs: in the order of their conditions; the last whose conditions all hold applies, else the first.
        discount_percent: the account's.
        variant: what calls it is for, as in `processing=batch`; empty: all others.
        variants: the prices for such calls.
    """

    row: str
    version: str
    tariffs: tuple[Tariff, ...]
    discount_percent: float = 0.0
    variant: str = ""
    variants: Mapping[str, "Price"] = {}
    compiled: tuple[_Compiled, ...] = ()
    """Derived: the tariffs, the last first."""

    def __post_init__(self) -> None:
        share = 1 - Fraction(str(self.discount_percent)) / 100
        compiled = tuple(_compiled(tariff, share, self.variant) for tariff in reversed(self.tariffs))
        msgspec.structs.force_setattr(self, "compiled", compiled)

    def for_variant(self, variant: str) -> "Price":
        """The price for calls such as `service_tier=flex`; this one when they have none of their own."""
        return self.variants.get(variant, self)

    def cost(self, usage: Usage, at_s: float) -> int:
        """What `bill` comes to, in nano-dollars; `at_s` in seconds since 1970."""
        tariff = self._in_force(usage.input_tokens, at_s, usage) if len(self.compiled) > 1 else self.compiled[0]
        total = tariff.call_cost
        for charge, amount in zip(tariff.charges, tariff.amounts_of(usage), strict=True):
            if amount > 0:
                total += charge.cost(amount)
        return total

    def text_cost(self, input_tokens: int, output_tokens: int, at_s: float) -> int:
        """What so many plain tokens cost; for estimates, which are made for every request."""
        tariff = self._in_force(input_tokens, at_s) if len(self.compiled) > 1 else self.compiled[0]
        total = tariff.call_cost
        if tariff.input is not None and input_tokens > 0:
            total += tariff.input.cost(input_tokens)
        if tariff.output is not None and output_tokens > 0:
            total += tariff.output.cost(output_tokens)
        return total

    def knows(self, usage: Usage) -> bool:
        """Whether there is a rate for any of this, or there is none of it."""
        plain = self.compiled[-1]
        return plain.call is not None or any(plain.amounts_of(usage)) or not any(plain.others_of(usage))

    def bill(self, usage: Usage, at: datetime) -> Bill:
        """What a call costs that used this much and began at `at`, which knows its time zone. Never below 0."""
        many = len(self.compiled) > 1
        tariff = self._in_force(usage.input_tokens, at.timestamp(), usage) if many else self.compiled[0]
        used = zip(tariff.charges, tariff.amounts_of(usage), strict=True)
        lines = [charge.line(amount) for charge, amount in used if amount > 0]
        if tariff.call is not None:
            lines.append(tariff.call.line(1))
        others = tariff.others_of(usage)
        return Bill(
            sum([line.cost for line in lines]),
            self.row,
            self.version,
            tuple(lines),
            self.discount_percent,
            tariff.label,
            _unpriced(tariff, others) if any(others) else (),
        )

    def _in_force(self, input_tokens: int, at_s: float, usage: Usage | None = None) -> _Compiled:
        """`usage`: what else a tariff may be for."""
        day_s = at_s % _DAY_S
        for tariff in self.compiled:
            if input_tokens > tariff.above and at_s >= tariff.starts_s and day_s >= tariff.day_s:
                if tariff.pictures is not None and (usage is None or not tariff.pictures.fits(usage)):
                    continue
                return tariff
        return self.compiled[-1]


def _compiled(tariff: Tariff, share: Fraction, variant: str) -> _Compiled:
    charges = [_Charge.of(name, rate, share) for name in CLASSES if (rate := _rate(name, tariff.rates)) is not None]
    call = next((charge for charge in charges if charge.name == REQUESTS), None)
    used = tuple(charge for charge in charges if charge.name != REQUESTS)
    by_name = {charge.name: charge for charge in used}
    others = tuple(name for name in AMOUNTS if name not in by_name)
    return _Compiled(
        starts_s=tariff.starts_s,
        day_s=tariff.day_s,
        above=tariff.above,
        pictures=tariff.pictures,
        label=", ".join(filter(None, (variant, str(tariff)))),
        charges=used,
        amounts_of=_amounts_of([*by_name]),
        others=others,
        others_of=_amounts_of(others),
        input=by_name.get("input"),
        output=by_name.get("output"),
        call=call,
        call_cost=call.cost(1) if call is not None else 0,
    )


def _unpriced(tariff: _Compiled, amounts: Sequence[int]) -> tuple[str, ...]:
    """Of the `others`, those that were used; not those that tell of pictures in another unit than the price does."""
    names = [name for name, amount in zip(tariff.others, amounts, strict=True) if amount > 0]
    if "images" not in tariff.others:
        return tuple(name for name in names if name not in TOKENS)
    if "image_output" not in tariff.others:
        return tuple(name for name in names if name != "images")
    return tuple(names)


def _amounts_of(names: Sequence[str]) -> Callable[[Usage], tuple[int, ...]]:
    """All of them in one call, which takes half as long as one call for each."""
    if len(names) < 2:  # with a single name, `attrgetter` gives no tuple
        return lambda usage: tuple(getattr(usage, name) for name in names)
    return attrgetter(*names)


def _rate(name: str | None, rates: Mapping[str, Rate]) -> Rate | None:
    while name is not None and name not in rates:
        name = FALLBACKS.get(name)
    return rates[name] if name is not None else None
