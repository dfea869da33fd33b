"""From a route to the order in which its candidates are asked."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.route import Candidate, Route, Sla
from gateway.rules.routing import FaultOwner, Health, order


@pytest.fixture
def health(least):
    return Health(least)


def fail(health, *names, now_s=0.0):
    for name in names:
        for _ in range(2):
            health.failed(name, name.partition("/")[0], FaultOwner.TARGET, now_s)


def names(candidates):
    return [candidate.name for candidate in candidates]


def test_a_direct_model_is_its_own_order(health, candidate):
    only = candidate("azure/gpt")
    fail(health, "azure/gpt")

    assert order(Route("azure/gpt", "only", (only,)), health=health, now_s=1.0, random=Random(1)) == [only]


def test_metadata_decides_who_is_considered(health, candidate):
    """All pairs must be equal; a candidate without any always is considered."""
    route = Route(
        "r",
        "priority",
        (
            candidate("eu/a", priority=0, metadata_match={"region": "EU"}),
            candidate("eu/b", priority=1, metadata_match={"region": "EU", "plan": "pro"}),
            candidate("any/c", priority=2),
        ),
    )

    def ordered(**metadata):
        return names(order(route, health=health, now_s=0.0, random=Random(1), metadata=metadata))

    assert ordered() == ["any/c"]
    assert ordered(region="US", plan="pro") == ["any/c"]
    assert ordered(region="EU") == ["eu/a", "any/c"]
    assert ordered(region="EU", plan="pro", more="x") == ["eu/a", "eu/b", "any/c"]


def test_nobody_is_meant_for_it(health, candidate):
    route = Route("r", "weight", (candidate("eu/a", weight=1, metadata_match={"region": "EU"}),))

    assert order(route, health=health, now_s=0.0, random=Random(1), metadata={"region": "US"}) == []


def test_the_unhealthy_are_asked_last_and_keep_their_order(health, candidate):
    route = Route("r", "priority", tuple(candidate(f"p/{number}", priority=number) for number in range(5)))
    fail(health, "p/0", "p/2")

    assert names(order(route, health=health, now_s=1.0, random=Random(1))) == ["p/1", "p/3", "p/4", "p/0", "p/2"]
    assert names(order(route, health=health, now_s=120.0, random=Random(1))) == ["p/0", "p/1", "p/2", "p/3", "p/4"]


def test_when_all_are_unhealthy_the_order_is_that_of_the_strategy(health, candidate):
    route = Route("r", "priority", (candidate("p/1", priority=1), candidate("p/0", priority=0)))
    fail(health, "p/0", "p/1")

    assert names(order(route, health=health, now_s=1.0, random=Random(1))) == ["p/0", "p/1"]


def test_an_account_takes_all_its_models_with_it(health, candidate):
    route = Route(
        "r", "priority", (candidate("a/x", priority=0), candidate("a/y", priority=1), candidate("b/x", priority=2))
    )
    for _ in range(2):
        health.failed("a/x", "a", FaultOwner.ACCOUNT, 0.0)

    assert names(order(route, health=health, now_s=1.0, random=Random(1))) == ["b/x", "a/x", "a/y"]


@pytest.mark.parametrize(
    ("unhealthy", "expected"),
    [
        # B and D take no fallbacks; the strategy's order is A B C D.
        ("", ["p/A", "p/C"]),
        ("C", ["p/A", "p/C"]),
        ("B", ["p/A", "p/C"]),
        # The first healthy one is the one chosen: B may be.
        ("A", ["p/B", "p/C", "p/A"]),
        ("AB", ["p/C", "p/A"]),
        ("ABC", ["p/D", "p/A", "p/C"]),
        ("ABCD", ["p/A", "p/C"]),
    ],
)
def test_who_takes_no_fallbacks_stands_first_or_not_at_all(health, candidate, unhealthy, expected):
    route = Route(
        "r",
        "priority",
        tuple(
            candidate(f"p/{name}", priority=number, takes_fallbacks=name in "AC") for number, name in enumerate("ABCD")
        ),
    )
    fail(health, *(f"p/{name}" for name in unhealthy))

    assert names(order(route, health=health, now_s=1.0, random=Random(1))) == expected


def test_who_takes_no_fallbacks_keeps_its_own_requests_when_its_health_moves_it(health, candidate):
    """They are no fallbacks: the strategy chose it. Two failures in two minutes are no reason never to ask it."""
    route = Route("r", "priority", (candidate("p/0", takes_fallbacks=False), candidate("p/1", priority=1)))
    fail(health, "p/0")

    assert names(order(route, health=health, now_s=1.0, random=Random(1))) == ["p/1", "p/0"]


def test_weighted_shares_of_one_that_takes_no_fallbacks(health, candidate):
    """It gets its share of the first attempts, and stands in no other order."""
    route = Route("r", "weight", (candidate("p/a", weight=1, takes_fallbacks=False), candidate("p/b", weight=3)))
    random = Random(7)

    orders = [tuple(names(order(route, health=health, now_s=0.0, random=random))) for _ in range(100_000)]

    assert set(orders) == {("p/a", "p/b"), ("p/b",)}
    assert orders.count(("p/a", "p/b")) / 100_000 == pytest.approx(0.25, abs=0.01)


STRATEGIES = st.sampled_from(["only", "weight", "latency", "priority", "complexity"])
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        route_target=st.none(),
        name=st.sampled_from(["a/1", "a/2", "b/1", "b/2", "c/1"]),
        account=st.sampled_from("abc"),
        weight=st.sampled_from([0, 0.5, 1, 50, 1e12]),
        priority=st.integers(-2, 2),
        sla=st.none() | st.just(Sla(0.02, 0.5)),
        tier=st.none() | st.sampled_from(["simple", "medium", "complex"]),
        metadata_match=st.just({}) | st.just({"region": "EU"}),
    ),
    max_size=8,
)


@given(
    STRATEGIES,
    CANDIDATES,
    st.sampled_from([{}, {"region": "EU"}]),
    st.none() | st.text(),
    st.none() | st.sampled_from(["simple", "medium", "complex"]),
    st.lists(st.tuples(st.sampled_from(["a/1", "b/2", "c/1"]), st.sampled_from(list(FaultOwner)))),
    st.lists(st.tuples(st.sampled_from(["a/1", "b/1"]), st.floats(0, 1), st.floats(0, 1))),
    st.integers(),
)
def test_an_order_is_a_permutation_of_the_eligible(
    strategy, candidates, metadata, session, tier, failures, speeds, seed
):
    health = Health(Random(seed))
    for name, owner in failures:
        health.failed(name, name[0], owner, 0.0)
    for name, ttft_s, tpot_s in speeds:
        health.observed(name, ttft_s, tpot_s, 0.0)
    route = Route("r", strategy, tuple(candidates))

    ordered = order(
        route,
        health=health,
        now_s=1.0,
        random=Random(seed),
        session=None if session is None else session.encode(errors="replace").decode(),
        metadata=metadata,
        tier=tier,
    )

    eligible = [candidate for candidate in candidates if metadata or not candidate.metadata_match]
    assert sorted(map(id, ordered)) == sorted(map(id, eligible))
