"""What failures, rests and slowness do to a target, and for how long."""

from random import Random

import pytest

from gateway.contract.route import Sla
from gateway.rules.routing import Condition, FaultOwner, Health, owner_of


@pytest.fixture
def health(least):
    return Health(least)


@pytest.fixture
def unwell(health, candidate):
    """`unwell(now_s)`: which of p/a, p/b (of one account) and q/a are."""
    candidates = [candidate(name) for name in ("p/a", "p/b", "q/a")]

    def at(now_s):
        return [one.name for one in health.unwell(candidates, now_s)]

    return at


@pytest.mark.parametrize(
    ("status", "owner", "with_callers_key"),
    [
        (400, "nobody", "nobody"),
        (401, "account", "nobody"),
        (402, "nobody", "nobody"),
        (403, "account", "nobody"),
        (404, "nobody", "nobody"),
        (408, "target", "target"),
        (413, "nobody", "nobody"),
        (422, "nobody", "nobody"),
        (429, "target", "nobody"),
        (500, "target", "target"),
        (502, "target", "target"),
        (503, "target", "target"),
        (529, "target", "target"),
    ],
)
def test_whose_failure_it_is(status, owner, with_callers_key):
    """A caller who brings a bad key, or uses its own up, must not spoil the target for the others."""
    assert owner_of(status) == owner
    assert owner_of(status, callers_key=True) == with_callers_key


def test_two_failures_within_two_minutes_until_they_are_old(health, unwell):
    health.failed("p/a", "p", FaultOwner.TARGET, 100.0)
    assert unwell(100.0) == []

    health.failed("p/a", "p", FaultOwner.TARGET, 219.9)
    assert unwell(219.9) == ["p/a"]
    assert unwell(220.0) == []

    health.failed("p/a", "p", FaultOwner.TARGET, 221.0)
    assert unwell(221.0) == ["p/a"]
    assert unwell(339.8) == ["p/a"]
    assert unwell(339.9) == []


def test_two_failures_further_apart_are_forgiven(health, unwell):
    health.failed("p/a", "p", FaultOwner.TARGET, 100.0)
    health.failed("p/a", "p", FaultOwner.TARGET, 220.0)

    assert unwell(220.0) == []


def test_an_answer_in_between_does_not_make_up_for_them(health, unwell):
    """Half of the calls failing is unhealthy too."""
    health.failed("p/a", "p", FaultOwner.TARGET, 0.0)
    health.answered("p/a")
    health.failed("p/a", "p", FaultOwner.TARGET, 1.0)

    assert unwell(1.0) == ["p/a"]


def test_a_refused_key_is_the_matter_of_all_models_of_the_account(health, unwell):
    health.failed("p/a", "p", FaultOwner.ACCOUNT, 0.0)
    health.failed("p/b", "p", FaultOwner.ACCOUNT, 60.0)

    assert unwell(60.0) == ["p/a", "p/b"]
    assert unwell(120.0) == []


def test_what_is_nobodys_failure_changes_nothing(health, unwell):
    for _ in range(10):
        health.failed("p/a", "p", FaultOwner.NOBODY, 0.0, cooldown_s=60.0)

    assert unwell(0.0) == []
    assert health.conditions(0.0) == []


@pytest.mark.parametrize(
    ("cooldown_s", "until_s"), [(1.0, 11.0), (60.0, 70.0), (86400.0, 310.0), (float("inf"), 310.0)]
)
def test_rests_as_long_as_the_provider_asks_but_not_for_ever(health, unwell, cooldown_s, until_s):
    health.failed("p/a", "p", FaultOwner.TARGET, 10.0, cooldown_s=cooldown_s)

    assert unwell(10.0) == ["p/a"]
    assert unwell(until_s - 0.001) == ["p/a"]
    assert unwell(until_s) == []


@pytest.mark.parametrize("cooldown_s", [0.0, -5.0, None])
def test_no_rest_is_none(health, unwell, cooldown_s):
    health.failed("p/a", "p", FaultOwner.TARGET, 10.0, cooldown_s=cooldown_s)

    assert unwell(10.0) == []


def test_a_shorter_rest_does_not_end_a_longer_one(health, unwell):
    health.failed("p/a", "p", FaultOwner.TARGET, 0.0, cooldown_s=200.0)
    health.failed("p/a", "p", FaultOwner.TARGET, 1.0, cooldown_s=1.0)

    assert unwell(199.9) == ["p/a"]
    assert unwell(200.0) == []


def test_the_breaker_keeps_a_target_from_being_asked(health, unwell):
    """Five in a row, however far apart. Its other models and what is slow go on."""
    for now_s in (0.0, 200.0, 400.0, 600.0):
        health.failed("p/a", "p", FaultOwner.TARGET, now_s)
        assert health.may_ask("p/a", now_s)
    health.failed("p/a", "p", FaultOwner.TARGET, 800.0)

    assert [health.may_ask(name, 800.0) for name in ("p/a", "p/b", "q/a")] == [False, True, True]
    assert unwell(804.9) == ["p/a"]
    assert (health.may_ask("p/a", 804.9), health.may_ask("p/a", 805.0)) == (False, True)
    assert unwell(805.0) == []


def test_a_success_closes_the_breaker_and_the_next_time_is_short_again(health):
    for now_s in (0.0, 5.0, 15.0):  # open for 5, 10, 20 s
        for _ in range(5):
            health.failed("p/a", "p", FaultOwner.TARGET, now_s)
    assert health.may_ask_at_s("p/a") == 35.0
    assert health.asked("p/a", 35.0)
    assert not health.may_ask("p/a", 35.0)

    health.answered("p/a")

    assert health.may_ask("p/a", 35.0)
    for _ in range(5):
        health.failed("p/a", "p", FaultOwner.TARGET, 40.0)
    assert health.may_ask_at_s("p/a") == 45.0


def test_nobody_is_a_probe_while_all_is_well(health):
    assert health.may_ask("p/a", 0.0)
    assert not health.asked("p/a", 0.0)
    health.released("p/a")
    health.answered("p/a")
    assert health.may_ask_at_s("p/a") == 0.0


def test_says_how_targets_are(health):
    health.failed("p/a", "p", FaultOwner.TARGET, 0.0, cooldown_s=30.0)
    for now_s in (1.0, 2.0, 3.0):
        health.observed("p/b", 0.5, 0.02, now_s)
    for _ in range(5):
        health.failed("q/a", "q", FaultOwner.TARGET, 4.0)

    assert health.conditions(8.0) == [
        Condition("p/a", "closed", 1, 22.0, None, None),
        Condition("p/b", "closed", 0, 0.0, pytest.approx(0.02), 0.5),
        Condition("q/a", "open", 2, 0.0, None, None),
    ]
    assert health.conditions(9.0)[2] == Condition("q/a", "half_open", 2, 0.0, None, None)
    assert health.conditions(200.0)[1] == Condition("p/b", "closed", 0, 0.0, None, None)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), 3600.1, None])
def test_a_time_that_cannot_be_is_not_counted(health, candidate, value):
    for _ in range(3):
        health.observed("p/a", value, value, 0.0)

    assert health.time_per_output_token_s("p/a", 0.0) is None
    assert health.unwell([candidate("p/a", sla=Sla(0.01, 0.01))], 0.0) == []


def test_forgets_those_heard_of_least_lately(candidate):
    health = Health(Random(1), max_names=3)
    for name in ("a", "b", "c"):
        health.failed(f"{name}/m", name, FaultOwner.TARGET, 0.0)
        health.failed(f"{name}/m", name, FaultOwner.ACCOUNT, 0.0)
        health.failed(f"{name}/m", name, FaultOwner.ACCOUNT, 0.0)
    health.failed("a/m", "a", FaultOwner.TARGET, 1.0)
    health.failed("a/m", "a", FaultOwner.ACCOUNT, 1.0)

    health.failed("d/m", "d", FaultOwner.TARGET, 2.0)
    health.failed("d/m", "d", FaultOwner.ACCOUNT, 2.0)

    assert [condition.name for condition in health.conditions(2.0)] == ["c/m", "a/m", "d/m"]
    others = [candidate(f"{name}/other") for name in "abcd"]
    assert [one.account for one in health.unwell(others, 2.0)] == ["a", "c"]


def test_takes_no_more_room_however_much_it_sees(health, held_more):
    """A window of calls is bounded by their number, one of time by its slots. All calls would take megabytes."""

    def see():
        for number in range(50_000):
            health.observed("p/a", 0.5, 0.02, number / 100)
            health.failed("p/a", "p", FaultOwner.TARGET, number / 100)

    assert held_more(see) < 100_000
    assert health.conditions(500.0)[0].time_per_output_token_s == pytest.approx(0.02)
