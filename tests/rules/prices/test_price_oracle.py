"""Our bills against what genai-prices itself computes, for every model it knows."""

from datetime import UTC, datetime, time, timedelta
from fractions import Fraction

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices

from gateway.contract.usage import Usage
from gateway.rules.prices.public import price_from

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXACT = Fraction(1, 10**6)
"""The library divides with 28 digits, and not every hour ends within them."""

MIXED = Usage(
    input=9973,
    cache_read=5003,
    cache_write=2503,
    cache_write_1h=1279,
    audio_input=613,
    image_input=311,
    output=4001,
    reasoning=1999,
    audio_output=977,
    image_output=479,
    citation=233,
    searches=7,
)
OTHER = Usage(characters=1234, audio_seconds=3, pages=5, annotated_pages=2)
LONGER = Usage(audio_seconds=3601)


def theirs(usage):
    """Their classes include each other: what is cached is input too."""
    cache_write = usage.cache_write + usage.cache_write_1h
    reported = {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.audio_input,
        "input_image_tokens": usage.image_input,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning,
        "output_audio_tokens": usage.audio_output,
        "output_image_tokens": usage.image_output,
        "output_citation_tokens": usage.citation,
        "web_searches": usage.searches,
        "input_characters": usage.characters,
        "audio_seconds": usage.audio_seconds,
        "input_audio_seconds": usage.audio_seconds,
        "input_document_pages": usage.pages + usage.annotated_pages,
        "input_annotated_document_pages": usage.annotated_pages,
    }
    return TheirUsage(**{key: reported.get(key, 0) for key in unit_data if key != "requests"})


def moments(model):
    """Now, and just before and at every change of the price."""
    conditional = [] if isinstance(model.prices, ModelPrice) else model.prices
    constraints = [each.constraint for each in (*conditional, *(model.price_variants or ())) if each.constraint]
    changes = [NOON]
    for constraint in constraints:
        if isinstance(constraint, StartDateConstraint):
            changes.append(datetime.combine(constraint.start_date, time(), UTC))
        else:
            changes += [datetime.combine(NOON, edge) for edge in (constraint.start_time, constraint.end_time)]
    return sorted({moment - timedelta(seconds=early) for moment in changes for early in (0, 1)})


def usages(model):
    """Something of everything, and for prices with tiers just below and just above each."""
    listed = [model.prices] if isinstance(model.prices, ModelPrice) else [each.prices for each in model.prices]
    prices = [price for row in listed for price in vars(row).values() if isinstance(price, TieredPrices)]
    edges = {tier.start for price in prices for tier in price.tiers}
    tiered = [Usage(input=edge - 1 + more, cache_read=1, output=100) for edge in sorted(edges) for more in (0, 1)]
    return [MIXED, OTHER, LONGER, Usage(), *tiered]


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_every_model_costs_what_the_library_says(provider):
    """Tiers, caches, audio, dates, hours, fees per call and per search: each is converted, and none is forgotten."""
    wrong = []
    for model in provider.models:
        price = price_from(provider.id, model)
        contexts = {"": {}} | {
            ",".join(f"{key}={value}" for key, value in variant.when.items()): variant.when
            for variant in model.price_variants or ()
        }
        cases = [(at, usage, context) for at in moments(model) for usage in usages(model) for context in contexts]
        for at, usage, context in cases:
            bill = price.for_variant(context).bill(usage, at)
            expected = model.calc_price(
                theirs(usage), provider, genai_request_timestamp=at, price_context=contexts[context]
            )
            nano = Fraction(expected.total_price) * 10**9
            unrounded = sum((Fraction(line.amount * line.rate, line.per) for line in bill.lines), Fraction(0))
            if abs(unrounded - nano) > EXACT or abs(bill.cost - nano) > Fraction(len(bill.lines), 2):
                wrong.append((model.id, at, usage, context, float(nano), bill))

    assert wrong == []
