"""Bills: classes, tariffs, rounding, discounts."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.price import AMOUNTS, LINE_MAX, Bill, BillLine, Price, Rate, Tariff
from gateway.contract.usage import Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOON_S = 1795176000
AUGUST_S = 1785542400  # 2026-08-01
RATES = {"input": Rate(2_500_000_000, 1_000_000), "output": Rate(10_000_000_000, 1_000_000)}


def price_with(*tariffs, **fields):
    return Price(row="openai/gpt-4o", version="private", tariffs=tariffs or (Tariff(rates=RATES),), **fields)


def costs(bill):
    return [(line.name, line.cost) for line in bill.lines]


# --- rates -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dollars", "rate"),
    [
        ("2.5", Rate(2_500_000_000, 1_000_000)),
        ("0", Rate(0, 1_000_000)),
        ("30", Rate(30_000_000_000, 1_000_000)),
        ("0.000000001", Rate(1, 1_000_000)),
        ("0.0833333333333333", Rate(833_333_333_333_333, 10_000_000_000_000)),
        ("1e-18", Rate(1, 10**15)),
        ("1e-19", Rate(0, 1_000_000)),
        ("123456.78901234567", Rate(12_345_678_901_234_567, 100_000_000)),
    ],
)
def test_keeps_dollars_exactly(dollars, rate):
    """A tenth has no exact float, and some lists give sixteen digits."""
    assert Rate.of(Decimal(dollars), 1_000_000) == rate


# --- bills -------------------------------------------------------------------


def test_bills_each_class_once():
    price = price_with(Tariff(rates=RATES | {"cache_read": Rate(1_250_000_000, 1_000_000)}))

    bill = price.bill(Usage(input=93, cache_read=1024, output=16, reasoning=30), NOON)

    assert bill == Bill(
        cost=1_972_500,
        row="openai/gpt-4o",
        version="private",
        lines=(
            BillLine("input", 93, 2_500_000_000, 1_000_000, 232_500),
            BillLine("cache_read", 1024, 1_250_000_000, 1_000_000, 1_280_000),
            BillLine("output", 16, 10_000_000_000, 1_000_000, 160_000),
            BillLine("reasoning", 30, 10_000_000_000, 1_000_000, 300_000),
        ),
    )


def test_charges_a_class_without_a_rate_like_the_one_it_belongs_to():
    bill = price_with().bill(
        Usage(cache_read=1, cache_write=1, cache_write_1h=1, audio_input=1, image_input=1, reasoning=1, image_output=1),
        NOON,
    )

    assert costs(bill) == [
        ("cache_read", 2500),
        ("cache_write", 2500),
        ("cache_write_1h", 2500),
        ("audio_input", 2500),
        ("image_input", 2500),
        ("reasoning", 10000),
        ("image_output", 10000),
    ]


def test_charges_a_long_cache_write_like_a_short_one_before_it_charges_it_like_input():
    price = price_with(Tariff(rates=RATES | {"cache_write": Rate(3000, 1)}))

    assert costs(price.bill(Usage(cache_write_1h=2), NOON)) == [("cache_write_1h", 6000)]


def test_names_what_it_has_no_price_for():
    """Speech that is billed by the minute, and a reply that counts tokens: that must not look free."""
    price = price_with(Tariff(rates={"audio_seconds": Rate(6_000_000, 60)}))

    bill = price.bill(Usage(input=50, output=7, audio_seconds=30), NOON)

    assert costs(bill) == [("audio_seconds", 3_000_000)]
    assert bill.unpriced == ("input", "output")


@pytest.mark.parametrize(
    ("usage", "is_known"),
    [
        (Usage(audio_seconds=30), True),
        (Usage(input=50, audio_seconds=30), True),
        (Usage(input=50, output=7), False),
        (Usage(), True),
    ],
)
def test_knows_whether_it_knows_anything_of_it(usage, is_known):
    """What costs 0 because nothing of it has a price does not cost nothing."""
    assert price_with(Tariff(rates={"audio_seconds": Rate(6_000_000, 60)})).knows(usage) is is_known
    assert price_with(Tariff(rates={"requests": Rate(1, 1)})).knows(usage) is True


def test_shows_what_is_free():
    bill = price_with(Tariff(rates={"input": Rate(0, 1)})).bill(Usage(input=5), NOON)

    assert bill.lines == (BillLine("input", 5, 0, 1, 0),)
    assert bill.unpriced == ()


def test_charges_for_the_call_itself():
    price = price_with(Tariff(rates=RATES | {"requests": Rate(14_000_000_000, 1000)}))

    bill = price.bill(Usage(input=20), NOON)

    assert costs(bill) == [("input", 50_000), ("requests", 14_000_000)]
    assert bill.unpriced == ()
    assert price.cost(Usage(input=20), NOON_S) == 14_050_000


def test_charges_for_a_least_amount_of_what_is_used():
    """Ten seconds of audio, however short it is; nothing when there was none."""
    price = price_with(Tariff(rates={"audio_seconds": Rate(111_000_000_000, 3600, least=10)}))

    assert price.bill(Usage(audio_seconds=3), NOON).lines == (
        BillLine("audio_seconds", 10, 111_000_000_000, 3600, 308_333_333),
    )
    assert price.cost(Usage(audio_seconds=3), NOON_S) == 308_333_333
    assert price.cost(Usage(), NOON_S) == 0


# --- rounding ----------------------------------------------------------------


@pytest.mark.parametrize(("amount", "cost"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2)])
def test_rounds_half_up(amount, cost):
    """A quarter of a nano-dollar each: 0.25, 0.5, 0.75, 1, 1.25, 1.5."""
    price = price_with(Tariff(rates={"input": Rate(1, 4)}))

    assert price.bill(Usage(input=amount), NOON).cost == cost


def test_rounds_each_line_once():
    """Two halves are two, not one: what the lines show is what they sum up to."""
    price = price_with(Tariff(rates={"input": Rate(1, 2), "output": Rate(1, 2)}))

    bill = price.bill(Usage(input=1, output=1), NOON)

    assert (costs(bill), bill.cost) == ([("input", 1), ("output", 1)], 2)


def test_takes_the_discount_off_before_it_rounds():
    price = price_with(discount_percent=12.5)

    bill = price.bill(Usage(input=3, output=1), NOON)

    # 7500 less an eighth is 6562.5
    assert bill.lines == (
        BillLine("input", 3, 2_500_000_000, 1_000_000, 6563),
        BillLine("output", 1, 10_000_000_000, 1_000_000, 8750),
    )
    assert (bill.cost, bill.discount_percent) == (15_313, 12.5)


def test_a_discount_of_all_is_free():
    assert price_with(discount_percent=100.0).bill(Usage(input=10**6, output=10**6), NOON).cost == 0


def test_no_line_grows_beyond_all_bounds():
    """A broken count must not stop the ledger, which has 64 bits."""
    bill = price_with().bill(Usage(input=10**30), NOON)

    assert bill.cost == LINE_MAX == 10**15
    assert price_with().cost(Usage(input=10**30), NOON_S) == 10**15


# --- tariffs -----------------------------------------------------------------

LONG = price_with(
    Tariff(rates={"input": Rate(1, 1), "output": Rate(10, 1)}),
    Tariff(rates={"input": Rate(2, 1), "output": Rate(15, 1)}, above=200_000),
)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(input=200_000), 200_000),
        (Usage(input=200_001), 400_002),
        (Usage(input=1, cache_read=150_000, image_input=50_000, output=1), 400_017),
        (Usage(input=1, output=300_000), 3_000_001),
    ],
)
def test_a_tier_goes_by_all_input_and_charges_for_all_of_the_call(usage, cost):
    assert LONG.bill(usage, NOON).cost == cost
    assert LONG.cost(usage, NOON_S) == cost


DEARER = price_with(
    Tariff(rates={"input": Rate(1, 1)}),
    Tariff(rates={"input": Rate(2, 1)}, day_s=30600),
    Tariff(rates={"input": Rate(3, 1)}, starts_s=AUGUST_S),
    Tariff(rates={"input": Rate(4, 1)}, starts_s=AUGUST_S, above=10),
    Tariff(rates={"input": Rate(5, 1)}, starts_s=AUGUST_S, day_s=30600),
)


@pytest.mark.parametrize(
    ("at", "tokens", "each", "tariff"),
    [
        (datetime(1960, 1, 1, 8, 29, tzinfo=UTC), 1, 1, ""),
        (datetime(2026, 7, 31, 8, 29, 59, tzinfo=UTC), 1, 1, ""),
        (datetime(2026, 7, 31, 8, 30, tzinfo=UTC), 99, 2, "from 08:30 UTC"),
        (datetime(2026, 7, 31, 23, 59, 59, tzinfo=UTC), 1, 2, "from 08:30 UTC"),
        (datetime(2026, 8, 1, tzinfo=UTC), 10, 3, "since 2026-08-01"),
        (
            datetime(2026, 8, 1, 3, tzinfo=timezone(timedelta(hours=2))),
            11,
            4,
            "since 2026-08-01, above 10 input tokens",
        ),
        (datetime(2026, 8, 2, 8, 30, tzinfo=UTC), 99, 5, "since 2026-08-01, from 08:30 UTC"),
    ],
)
def test_the_last_tariff_that_applies_counts(at, tokens, each, tariff):
    bill = DEARER.bill(Usage(input=tokens), at)

    assert (bill.cost, bill.tariff) == (tokens * each, tariff)
    assert DEARER.cost(Usage(input=tokens), at.timestamp()) == tokens * each


def test_calls_of_a_kind_may_have_a_price_of_their_own():
    batch = price_with(Tariff(rates={"input": Rate(1, 2)}), variant="processing=batch")
    price = price_with(Tariff(rates={"input": Rate(1, 1)}), variants={"processing=batch": batch})

    bill = price.for_variant("processing=batch").bill(Usage(input=10), NOON)

    assert (bill.cost, bill.tariff) == (5, "processing=batch")
    assert price.for_variant("service_tier=flex") is price


# --- what holds for all ------------------------------------------------------

amounts = st.integers(-(10**12), 10**12)
usages = st.builds(Usage, **dict.fromkeys(AMOUNTS, amounts))
rates = st.builds(Rate, nano=st.integers(0, 10**12), per=st.sampled_from([1, 60, 1000, 10**6, 10**13]))
classes = st.dictionaries(st.sampled_from([*AMOUNTS, "requests"]), rates)


@given(usages, classes, classes, st.floats(0, 100), st.integers(0, 2 * NOON_S))
def test_lines_sum_up_to_what_an_estimate_says_and_nothing_is_negative(usage, low, high, discount, at_s):
    """Negative costs of streams were seen in another gateway; an estimate that differs from the bill is a leak."""
    price = price_with(Tariff(rates=low), Tariff(rates=high, above=1000), discount_percent=discount)

    bill = price.bill(usage, datetime.fromtimestamp(at_s, UTC))

    assert bill.cost == sum(line.cost for line in bill.lines) == price.cost(usage, at_s)
    assert all(line.cost >= 0 and line.amount > 0 for line in bill.lines)
    assert len({line.name for line in bill.lines}) == len(bill.lines)


def test_a_bill_is_readable_as_json():
    bill = price_with().bill(Usage(input=3), NOON)

    assert msgspec.json.encode(bill) == (
        b'{"cost":7500,"row":"openai/gpt-4o","version":"private","lines":[{"name":"input","amount":3,'
        b'"rate":2500000000,"per":1000000,"cost":7500}],"discount_percent":0.0,"tariff":"","unpriced":[]}'
    )
    assert msgspec.json.decode(msgspec.json.encode(bill), type=Bill) == bill
