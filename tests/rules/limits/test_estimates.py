"""What a request will probably use."""

import pytest

from gateway.contract import Ask, Target
from gateway.contract.limits import Amounts
from gateway.contract.price import Price, Rate, Tariff
from gateway.contract.usage import Usage
from gateway.rules.limits.estimates import Estimates


def target(name="a/m", input_nano=None, output_nano=0):
    price = None
    if input_nano is not None:
        rates = {"input": Rate(input_nano, 1), "output": Rate(output_nano, 1)}
        price = Price(row="a/m", version="private", tariffs=(Tariff(rates=rates),))
    return Target(name=name, model="m", model_types=frozenset({"chat"}), provider=None, price=price)


def learned(ask, *usages):
    estimates = Estimates()
    for usage in usages:
        estimates.learn(ask, target(), usage)
    return estimates


def test_a_model_nobody_knows_yet():
    assert Estimates().usage(Ask("a/m", input_tokens=99), target()) == Usage(input=100, output=500, estimated=True)


@pytest.mark.parametrize(
    ("ask", "output"),
    [
        (Ask("a/m", max_output_tokens=20), 20),
        (Ask("a/m", max_output_tokens=20, choices=3), 60),
        (Ask("a/m", max_output_tokens=0), 500),
        (Ask("a/m", max_output_tokens=-5, choices=2), 1000),
        (Ask("a/m", choices=2), 1000),
        (Ask("a/m", max_output_tokens=10**9, choices=10**9), 10**9),
        (Ask("a/m", has_output=False), 0),
    ],
)
def test_the_callers_limit_counts_for_each_choice(ask, output):
    assert Estimates().usage(ask, target()).output == output


def test_what_is_usual_is_learned():
    """Halfway after eleven requests, nearly all the way after a hundred."""
    ask = Ask("a/m", input_tokens=100)
    said = Usage(input=200, output=50)

    few, many = learned(ask, *[said] * 11), learned(ask, *[said] * 100)

    assert few.usage(ask, target()) == Usage(input=151, output=271, estimated=True)
    assert many.usage(ask, target()) == Usage(input=200, output=50, estimated=True)
    assert many.usage(ask, target("b/m")) == Usage(input=101, output=500, estimated=True)


def test_cached_input_is_input():
    estimates = learned(Ask("a/m", input_tokens=100), *[Usage(input=20, cache_read=80)] * 50)

    assert estimates.usage(Ask("a/m", input_tokens=100), target()).input == 101


def test_estimates_teach_nothing():
    ask = Ask("a/m", input_tokens=100)

    estimates = learned(ask, Usage(input=5000, output=5000, estimated=True))

    assert estimates.usage(ask, target()) == Usage(input=101, output=500, estimated=True)


def test_one_odd_answer_changes_little():
    """A request that only names a stored prompt has nearly no text and a large input."""
    ask = Ask("a/m", input_tokens=1)

    assert learned(ask, Usage(input=100_000)).usage(Ask("a/m", input_tokens=1000), target()).input == 1438


def test_padding_does_not_teach_that_text_is_for_nothing():
    """A caller who sends megabytes that the provider ignores would let the next one's text seem small."""
    estimates = learned(Ask("a/m", input_tokens=1_000_000), *[Usage(input=10)] * 200)

    assert estimates.usage(Ask("a/m", input_tokens=1000), target()).input == 251


@pytest.mark.parametrize("ask", [Ask("a/m", max_output_tokens=1), Ask("a/m", choices=1000)])
def test_callers_do_not_make_short_answers_usual(ask):
    """Who asks for one token gets one; and many providers give one answer, however many were asked for."""
    estimates = learned(ask, *[Usage(input=10, output=1)] * 200)

    assert estimates.usage(Ask("a/m"), target()).output == 500


def test_the_most_expensive_target_counts():
    ask = Ask("v/m", input_tokens=99, max_output_tokens=10)
    targets = [target("a/m", 5, 100), target("b/m", 20, 30), target("c/m")]

    assert Estimates().need(ask, targets, 0.0) == Amounts(tokens=110, cost=2300)


def test_what_has_no_price_is_not_free():
    """What is free passes budgets that are overdrawn."""
    free, unknown = target("a/m", 0), target("b/m")

    assert Estimates().need(Ask("v/m", input_tokens=99), [free], 0.0) == Amounts(tokens=600, cost=0)
    assert Estimates().need(Ask("v/m", input_tokens=99), [unknown], 0.0) == Amounts(tokens=600, cost=1)


def test_what_is_counted_while_it_passes_is_corrected_alike():
    estimates = learned(Ask("a/m", input_tokens=100), *[Usage(input=200, output=50)] * 100)

    corrected = estimates.corrected(Ask("a/m", input_tokens=10).so_far(8), target())

    assert corrected == Usage(input=19, output=7, estimated=True)


def test_what_a_provider_told_of_the_input_is_not_corrected():
    """Of a stream of Anthropic's that broke off: the exact count was multiplied by what is usual for text."""
    estimates = learned(Ask("a/m", input_tokens=100), *[Usage(input=200, output=50)] * 100)

    assert estimates.corrected(Usage(input=10, output=7, estimated=True), target()).input == 10


@pytest.mark.parametrize(
    ("rates", "usage", "need"),
    [
        ({"audio_seconds": Rate(100, 1)}, Usage(audio_seconds=60, estimated=True), Amounts(0, 6000)),
        (
            {"input": Rate(2, 1), "output": Rate(3, 1)},
            Usage(audio_input=600, output=240, estimated=True),
            Amounts(840, 1920),
        ),
        ({"characters": Rate(100, 1)}, Usage(audio_seconds=60, estimated=True), Amounts(0, 1)),
        (None, Usage(audio_seconds=60, estimated=True), Amounts(0, 1)),
    ],
)
def test_what_is_no_text_is_expected_in_the_unit_that_has_a_price(rates, usage, need):
    """Without any it is not free."""
    ask = Ask("a/m", has_output=False, expected=(Usage(audio_seconds=60), Usage(audio_input=600, output=240)))
    price = Price(row="a/m", version="private", tariffs=(Tariff(rates=rates),)) if rates else None
    ears = Target(name="a/m", model="m", model_types=frozenset(), provider=None, price=price)

    assert Estimates().usage(ask, ears) == usage
    assert Estimates().need(ask, [ears], 0) == need
