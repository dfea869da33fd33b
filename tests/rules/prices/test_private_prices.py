"""Prices that manifests give, in dollars and in odd units."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.config.compile.prices import price_of
from gateway.contract.usage import Usage
from gateway.manifests.costs import Cost

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIERED = """{"metric": "per_1000_tokens", "value": {"input": 0.00125, "output": 0.01, "cache_read": 0.000125,
    "input_tiers": [{"from": 500000, "cost_per_token": 0.005}, {"from": 200000, "cost_per_token": 0.0025}],
    "output_tiers": [{"from": 200000, "cost_per_token": 0.015}],
    "cache_write_tiers": [{"from": 200000, "cost_per_token": 0.004}]}}"""

PICTURES = """{"metric": "per_image", "value": {"image": 0.04, "variants": [
    {"size": "1024x1792", "quality": "hd", "cost": 0.12}, {"size": "1024x1792", "cost": 0.08},
    {"quality": "hd", "cost": 0.08}, {"above_pixels": 1048576, "cost": 0.06}]}}"""


def bill(text, usage, discount_percent=None):
    cost = msgspec.json.decode(text, type=Cost)
    return price_of(cost, "provider-account/openai", "my-model", discount_percent).bill(usage, NOON)


def lines(text, usage):
    return [(line.name, line.amount, line.rate, line.per, line.cost) for line in bill(text, usage).lines]


@pytest.mark.parametrize(
    ("text", "usage", "expected"),
    [
        (
            '{"metric": "per_1000_tokens", "value": {"input": 0.0025, "output": 0.01}}',
            Usage(input=7, cache_read=2, output=3, reasoning=1),
            [
                ("input", 7, 2_500_000, 1000, 17_500),
                ("cache_read", 2, 2_500_000, 1000, 5000),
                ("output", 3, 10_000_000, 1000, 30_000),
                ("reasoning", 1, 10_000_000, 1000, 10_000),
            ],
        ),
        (
            '{"metric": "per_1000_tokens", "value": {"input": 3, "output": 0, "cache_read": 0.3, "cache_write": 3.75}}',
            Usage(input=1, cache_read=1, cache_write=1, cache_write_1h=1),
            [
                ("input", 1, 3_000_000_000, 1000, 3_000_000),
                ("cache_read", 1, 300_000_000, 1000, 300_000),
                ("cache_write", 1, 3_750_000_000, 1000, 3_750_000),
                ("cache_write_1h", 1, 3_750_000_000, 1000, 3_750_000),
            ],
        ),
        (
            '{"metric": "per_1000_embedding_tokens", "value": 0.00002}',
            Usage(input=1001),
            [("input", 1001, 20_000, 1000, 20_020)],
        ),
        (
            '{"metric": "per_million_characters", "value": {"input": 15}}',
            Usage(characters=11),
            [("characters", 11, 15_000_000_000, 1_000_000, 165_000)],
        ),
        (
            '{"metric": "per_minute_of_audio", "value": {"input": 0.006}}',
            Usage(audio_seconds=61),
            [("audio_seconds", 61, 6_000_000, 60, 6_100_000)],
        ),
        (
            '{"metric": "per_1000_pages", "value": {"pages": 1, "annotated_pages": 3}}',
            Usage(pages=2, annotated_pages=5),
            [("pages", 2, 1_000_000_000, 1000, 2_000_000), ("annotated_pages", 5, 3_000_000_000, 1000, 15_000_000)],
        ),
        (
            '{"metric": "per_1000_pages", "value": {"pages": 1}}',
            Usage(annotated_pages=5),
            [("annotated_pages", 5, 1_000_000_000, 1000, 5_000_000)],
        ),
        (PICTURES, Usage(images=2), [("images", 2, 40_000_000, 1, 80_000_000)]),
        (PICTURES, Usage(images=1, image_size="1024x1024", image_quality="hd"), [
            ("images", 1, 80_000_000, 1, 80_000_000),
        ]),
        (PICTURES, Usage(images=3, image_size="1024x1792", image_quality="hd"), [
            ("images", 3, 120_000_000, 1, 360_000_000),
        ]),
        (PICTURES, Usage(images=1, image_size="1024x1792", image_quality="standard"), [
            ("images", 1, 80_000_000, 1, 80_000_000),
        ]),
        (PICTURES, Usage(images=1, image_size="2048x2048"), [("images", 1, 60_000_000, 1, 60_000_000)]),
        (PICTURES, Usage(images=1, image_size="1024x1024"), [("images", 1, 40_000_000, 1, 40_000_000)]),
        (PICTURES, Usage(images=1, image_size="2K"), [("images", 1, 40_000_000, 1, 40_000_000)]),
        (PICTURES, Usage(input=9, image_output=4160, images=1), [("images", 1, 40_000_000, 1, 40_000_000)]),
        (TIERED, Usage(input=200_000, output=1), [
            ("input", 200_000, 1_250_000, 1000, 250_000_000),
            ("output", 1, 10_000_000, 1000, 10_000),
        ]),
        (TIERED, Usage(input=199_999, cache_read=1, cache_write=1, output=1), [
            ("input", 199_999, 2_500_000, 1000, 499_997_500),
            ("cache_read", 1, 125_000, 1000, 125),
            ("cache_write", 1, 4_000_000, 1000, 4000),
            ("output", 1, 15_000_000, 1000, 15_000),
        ]),
        (TIERED, Usage(input=500_001), [("input", 500_001, 5_000_000, 1000, 2_500_005_000)]),
        (TIERED, Usage(input=1, output=500_000), [
            ("input", 1, 1_250_000, 1000, 1250),
            ("output", 500_000, 10_000_000, 1000, 5_000_000_000),
        ]),
    ],
)  # fmt: skip
def test_bills_by_every_metric(text, usage, expected):
    assert lines(text, usage) == expected


def test_says_where_the_price_comes_from():
    answer = bill('{"metric": "per_1000_embedding_tokens", "value": 1}', Usage(input=1), discount_percent=20.0)

    assert (answer.row, answer.version, answer.discount_percent, answer.cost) == (
        "openai/my-model",
        "private",
        20.0,
        800_000,
    )


def test_an_embedding_model_that_talks_is_noticed():
    assert bill('{"metric": "per_1000_embedding_tokens", "value": 1}', Usage(input=1, output=9)).unpriced == ("output",)


def test_no_cost_is_no_price():
    """The manifest does not say what it costs, so nobody can."""
    assert price_of(None, "provider-account/openai", "gpt-4o", None) is None


@pytest.mark.parametrize("dollars", ["-0.1", "1e7"])
def test_a_price_nobody_can_mean_is_refused(dollars):
    """A typing error of that size would let the first call use up every budget."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"metric": "per_1000_embedding_tokens", "value": {dollars}}}', type=Cost)


def test_infinity_is_no_price():
    """YAML can say `.inf`."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"metric": "per_1000_embedding_tokens", "value": float("inf")}, Cost)


@pytest.mark.parametrize(
    ("text", "usage", "tariff", "unpriced"),
    [
        (PICTURES, Usage(images=1), "", ()),
        (PICTURES, Usage(images=1, image_size="1024x1792", image_quality="hd"), "pictures of 1024x1792, hd", ()),
        (PICTURES, Usage(images=1, image_size="4096x4096"), "pictures above 1048576 pixels", ()),
        (PICTURES, Usage(images=1, input=5, image_output=4160), "", ()),
        (PICTURES, Usage(images=1, searches=1), "", ("searches",)),
        ('{"metric": "per_1000_tokens", "value": {"input": 1, "output": 2}}', Usage(images=1, image_output=9), "", ()),
        ('{"metric": "per_1000_embedding_tokens", "value": 1}', Usage(images=1, input=9), "", ("images",)),
        ('{"metric": "per_million_characters", "value": {"input": 1}}', Usage(images=1), "", ("images",)),
    ],
)
def test_a_bill_says_which_pictures_and_nothing_twice(text, usage, tariff, unpriced):
    """Tokens and pictures are of the same, so what is paid for as one is not missing as the other."""
    answer = bill(text, usage)

    assert (answer.tariff, answer.unpriced) == (tariff, unpriced)


def test_estimates_know_that_pictures_are_not_tokens():
    """Else tokens that nobody pays for would be reserved, and cost nothing."""
    pictures = price_of(msgspec.json.decode(PICTURES, type=Cost), "provider-account/openai", "m", 50.0)
    tokens = price_of(msgspec.json.decode(TIERED, type=Cost), "provider-account/openai", "m", None)

    assert [pictures.knows(Usage(images=1)), pictures.knows(Usage(input=1, image_output=1))] == [True, False]
    assert [tokens.knows(Usage(images=1)), tokens.knows(Usage(input=1, image_output=1))] == [False, True]
    assert pictures.cost(Usage(images=2, image_quality="hd"), NOON.timestamp()) == 80_000_000
    assert pictures.text_cost(5, 5, NOON.timestamp()) == 0
