"""What lines of an output file say, summed."""

from datetime import UTC, datetime

import msgspec

from gateway.batches.output import Model, Output
from gateway.contract.price import LINE_MAX, Price, Rate, Tariff
from gateway.contract.usage import Usage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BATCH = Price(
    row="x",
    version="1",
    variant="processing=batch",
    tariffs=(Tariff(rates={"input": Rate(1000, 1)}), Tariff(rates={"input": Rate(2000, 1)}, above=200_000)),
)
PRICE = Price(row="x", version="1", tariffs=(Tariff(rates={"input": Rate(9, 1)}),), variants={BATCH.variant: BATCH})


def line(tokens, model="m"):
    body = {"model": model, "usage": {"prompt_tokens": tokens, "completion_tokens": 0}}
    return msgspec.json.encode({"response": {"status_code": 200, "body": body}})


def tabs(*lines, price=PRICE):
    output = Output(lambda name: Model(f"a/{name}", price), NOON)
    output.look(lines)
    return output.tabs


def test_each_line_has_the_tariff_of_its_own_length():
    """Taken together all of them would be long ones."""
    (tab,) = tabs(*[line(150_000)] * 3, line(300_000))

    bill = tab.bill()
    assert tab.usage == Usage(input=750_000)
    assert [(each.name, each.amount, each.rate, each.cost) for each in bill.lines] == [
        ("input", 450_000, 1000, 450_000_000),
        ("input", 300_000, 2000, 600_000_000),
    ]
    assert (bill.cost, bill.tariff) == (
        1_050_000_000,
        "processing=batch; processing=batch, above 200000 input tokens",
    )


def test_models_are_told_apart_up_to_a_number():
    """And in the order of their names, whoever reads it."""
    found = tabs(*[line(1, f"m{number:03}") for number in reversed(range(150))])

    assert len(found) == 101
    assert [tab.model.name for tab in found[:3]] == ["a/", "a/m050", "a/m051"]
    assert found[0].usage == Usage(input=50)


def test_what_a_broken_provider_counts_fits_into_the_ledger():
    (tab,) = tabs(*[line(10**30)] * 50_000)

    assert (tab.bill().cost, tab.usage.input) == (LINE_MAX, 50_000 * 10**9)


def test_what_has_no_price_has_no_bill():
    (tab,) = tabs(line(5), price=None)

    assert (tab.usage, tab.bill()) == (Usage(input=5), None)
