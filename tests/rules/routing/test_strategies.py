"""Shares, bands and places, over many draws."""

from collections import Counter
from random import Random

import pytest

from gateway.contract.route import Route, Sla
from gateway.rules.routing import FaultOwner, Health, order

DRAWS = 100_000


@pytest.fixture
def health(least):
    return Health(least)


@pytest.fixture
def route(candidate):
    """`route("weight", {"p/a": 80, "p/b": 20})`"""

    def make(strategy, values, **shared):
        field = {"weight": "weight", "priority": "priority", "complexity": "tier"}.get(strategy)
        candidates = [candidate(name, **({field: value} if field else {}), **shared) for name, value in values.items()]
        return Route("r", strategy, tuple(candidates))

    return make


def drawn(route, health, *, place=0, now_s=0.0, draws=DRAWS):
    """Name -> its share of the draws in which it stood at that place."""
    random = Random(20)
    counts = Counter(order(route, health=health, now_s=now_s, random=random)[place].name for _ in range(draws))
    return {name: count / draws for name, count in sorted(counts.items())}


def near(**shares):
    return {f"p/{name}": pytest.approx(share, abs=0.01) for name, share in shares.items()}


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({"p/a": 80, "p/b": 20}, {"a": 0.8, "b": 0.2}),
        ({"p/a": 3, "p/b": 1}, {"a": 0.75, "b": 0.25}),
        ({"p/a": 0.0003, "p/b": 0.0001}, {"a": 0.75, "b": 0.25}),
        ({"p/a": 0, "p/b": 0, "p/c": 0}, {"a": 0.333, "b": 0.333, "c": 0.333}),
        ({"p/a": 1, "p/b": 0}, {"a": 1.0}),
    ],
)
def test_first_by_weight(route, health, weights, shares):
    """Weights need not add up to 100; all zero means all alike."""
    assert drawn(route("weight", weights), health) == near(**shares)


def test_second_by_weight_among_those_left(route, health):
    """0.339 = 0.3 * 50/70 + 0.2 * 50/80, and so on: what a draw without replacement gives."""
    weighted = route("weight", {"p/a": 50, "p/b": 30, "p/c": 20})

    assert drawn(weighted, health, place=1) == near(a=0.339, b=0.375, c=0.286)


def test_no_weight_comes_after_the_others_and_as_often_as_its_like(route, health):
    weighted = route("weight", {"p/a": 0, "p/b": 1, "p/c": 0})

    assert drawn(weighted, health, place=0, draws=1000) == near(b=1.0)
    assert drawn(weighted, health, place=1) == near(a=0.5, c=0.5)


def test_what_an_unhealthy_target_loses_goes_to_the_others_by_weight(route, health):
    weighted = route("weight", {"p/a": 60, "p/b": 30, "p/c": 10})
    for _ in range(2):
        health.failed("p/a", "p", FaultOwner.TARGET, 0.0)

    assert drawn(weighted, health, now_s=1.0) == near(b=0.75, c=0.25)
    assert drawn(weighted, health, now_s=1.0, place=2, draws=1000) == near(a=1.0)
    assert drawn(weighted, health, now_s=120.0) == near(a=0.6, b=0.3, c=0.1)


def observe(health, speeds, *, calls=3, now_s=0.0):
    for name, tpot_s in speeds.items():
        for _ in range(calls):
            health.observed(name, None, tpot_s, now_s)


def test_all_within_the_band_are_as_good_as_the_fastest(route, health):
    fastest = route("latency", dict.fromkeys(["p/a", "p/b", "p/c", "p/d"]))
    observe(health, {"p/a": 0.010, "p/b": 0.0119, "p/c": 0.0121, "p/d": 0.05})

    assert drawn(fastest, health) == near(a=0.5, b=0.5)
    assert drawn(fastest, health, place=2, draws=1000) == near(c=1.0)
    assert drawn(fastest, health, place=3, draws=1000) == near(d=1.0)


def test_who_is_not_known_yet_is_asked_first(route, health):
    """Until there are three calls; several of them alike."""
    fastest = route("latency", dict.fromkeys(["p/a", "p/b", "p/c"]))
    observe(health, {"p/a": 0.001})
    observe(health, {"p/b": 9.0}, calls=2)

    assert drawn(fastest, health) == near(b=0.5, c=0.5)
    assert drawn(fastest, health, place=2, draws=1000) == near(a=1.0)

    observe(health, {"p/b": 9.0}, calls=1)

    assert drawn(fastest, health, draws=100) == {"p/c": 1.0}
    assert drawn(fastest, health, draws=100, place=1) == {"p/a": 1.0}


def test_an_unhealthy_fastest_does_not_narrow_the_band(route, health):
    """Else all would go to the next one, however near the others are to it."""
    fastest = route("latency", dict.fromkeys(["p/a", "p/b", "p/c"]))
    observe(health, {"p/a": 0.010, "p/b": 0.013, "p/c": 0.014})
    for _ in range(2):
        health.failed("p/a", "p", FaultOwner.TARGET, 0.0)

    assert drawn(fastest, health, now_s=1.0) == near(b=0.5, c=0.5)
    assert drawn(fastest, health, now_s=1.0, place=2, draws=100) == {"p/a": 1.0}


def test_only_the_last_hundred_calls_and_twenty_minutes_count(route, health):
    fastest = route("latency", {"p/a": None, "p/b": None})
    observe(health, {"p/b": 0.02})
    observe(health, {"p/a": 9.0}, calls=500)
    observe(health, {"p/a": 0.01}, calls=99)
    assert drawn(fastest, health, draws=100) == {"p/b": 1.0}

    observe(health, {"p/a": 0.01}, calls=1)
    assert drawn(fastest, health, draws=100) == {"p/a": 1.0}

    observe(health, {"p/a": 0.05}, now_s=1199.0)
    assert drawn(fastest, health, now_s=1199.9, draws=100) == {"p/a": 1.0}
    assert drawn(fastest, health, now_s=1200.0, draws=100) == {"p/b": 1.0}  # its calls are too old: not known again


def test_lowest_priority_number_first_and_equal_ones_alike(route, health):
    ranked = route("priority", {"p/a": 1, "p/b": 0, "p/c": 1, "p/d": -1})

    assert drawn(ranked, health, draws=1000) == near(d=1.0)
    assert drawn(ranked, health, place=1, draws=1000) == near(b=1.0)
    assert drawn(ranked, health, place=2) == near(a=0.5, c=0.5)


@pytest.mark.parametrize(
    ("sla", "ttft_s", "tpot_s"), [(Sla(0.05, 1.5), 0.1, 0.06), (Sla(0.05, 1.5), 1.6, 0.01), (Sla(None, 1.5), 1.6, None)]
)
def test_too_slow_for_its_sla_is_asked_last_until_it_is_not(candidate, health, sla, ttft_s, tpot_s):
    ranked = Route("r", "priority", (candidate("p/a", sla=sla), candidate("p/b", priority=1)))

    def first(now_s):
        return order(ranked, health=health, now_s=now_s, random=Random(1))[0].name

    health.observed("p/a", ttft_s, tpot_s, 0.0)
    health.observed("p/a", ttft_s, tpot_s, 10.0)
    assert first(10.0) == "p/a"  # two calls say nothing

    health.observed("p/a", ttft_s, tpot_s, 20.0)
    assert first(20.0) == "p/b"
    assert first(179.9) == "p/b"
    assert first(180.0) == "p/a"  # the first of the three has grown too old


def test_keeps_its_sla_again_when_the_mean_drops(candidate, health):
    ranked = Route("r", "priority", (candidate("p/a", sla=Sla(0.05)), candidate("p/b", priority=1)))

    def first():
        return order(ranked, health=health, now_s=30.0, random=Random(1))[0].name

    for _ in range(3):
        health.observed("p/a", 99.0, 0.049, 0.0)
    assert first() == "p/a"

    health.observed("p/a", None, 0.093, 10.0)
    assert first() == "p/b"  # 0.06

    health.observed("p/a", None, 0.0, 20.0)
    assert first() == "p/a"  # 0.048


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("simple", ["p/s", "p/m", "p/c", "p/none"]),
        ("medium", ["p/m", "p/c", "p/s", "p/none"]),
        ("complex", ["p/c", "p/m", "p/s", "p/none"]),
        (None, ["p/m", "p/c", "p/s", "p/none"]),
    ],
)
def test_its_tier_first_then_the_nearest(route, health, tier, expected):
    tiers = route("complexity", {"p/none": None, "p/c": "complex", "p/s": "simple", "p/m": "medium"})

    ordered = order(tiers, health=health, now_s=0.0, random=Random(1), tier=tier)

    assert [one.name for one in ordered] == expected
