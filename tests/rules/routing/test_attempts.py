"""One request, attempt by attempt."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.route import Candidate, Retry
from gateway.rules.routing import Attempts, Failure, FaultOwner, GiveUp, Health, RetryBudget, Try

ONCE = Retry(attempts=1)


@pytest.fixture
def health(least):
    return Health(least)


@pytest.fixture
def budget():
    """Of somebody with enough traffic."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.requested(0.0)
    return budget


@pytest.fixture
def attempts(health, budget):
    def make(*candidates, **options):
        return Attempts(candidates, health=health, budget=options.pop("budget", budget), **options)

    return make


@pytest.fixture
def told(attempts):
    """What is done about each failure in turn: (name, after_s), and at the end the reason for giving up.

    Each attempt takes a tenth of a second; chance is in the middle, so that a pause is its delay.
    """

    class Half(Random):
        def random(self):
            return 0.5

    def run(candidates, *failures, **options):
        asked, now_s = attempts(*candidates, **options), 0.0
        steps = []
        for failure in (None, *failures):
            step = asked.next(failure, now_s, Half())
            if isinstance(step, GiveUp):
                return [*steps, step.reason]
            steps.append((step.candidate.name, step.after_s))
            now_s += step.after_s + 0.1
        return steps

    return run


@pytest.fixture
def three(candidate):
    return [candidate(f"{account}/m") for account in "abc"]


def test_all_is_well(attempts, three, least):
    """The first, at once; nothing of it costs the budget."""
    budget = RetryBudget()
    for _ in range(20):
        asked = attempts(*three, budget=budget)
        assert asked.next(None, 0.0, least) == Try(three[0], 0.0)
        asked.answered()

    extras = 0
    while budget.allows(0.0):
        budget.spend(0.0)
        extras += 1
    assert extras == 4


def test_the_same_once_more_and_then_the_next(told, three):
    assert told(three, *[Failure(503)] * 6) == [
        ("a/m", 0.0),
        ("a/m", 0.1),
        ("b/m", 0.0),
        ("b/m", 0.1),
        ("c/m", 0.0),
        ("c/m", 0.1),
        "exhausted",
    ]


def test_the_pause_is_between_half_and_one_and_a_half_of_the_delay(attempts, candidate):
    slow = candidate("a/m", retry=Retry(attempts=1000, delay_s=0.2))
    asked, random = attempts(slow), Random(5)
    asked.next(None, 0.0, random)

    pauses = [asked.next(Failure(503, retry_after_s=0.0), 0.0, random).after_s for _ in range(3)]

    assert pauses == pytest.approx([0.2246, 0.2484, 0.2590], abs=1e-4)


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        (400, ["final"]),
        (409, ["final"]),
        (422, ["final"]),
        (504, ["final"]),
        (401, [("b/m", 0.0)]),
        (403, [("b/m", 0.0)]),
        (404, [("b/m", 0.0)]),
        (408, [("b/m", 0.0)]),
        (429, [("a/m", 0.1)]),
        (500, [("a/m", 0.1)]),
        (502, [("a/m", 0.1)]),
        (503, [("a/m", 0.1)]),
    ],
)
def test_what_each_status_leads_to(told, three, status, steps):
    assert told(three, Failure(status)) == [("a/m", 0.0), *steps]


def test_lists_of_statuses_are_the_candidates_own(told, candidate):
    strict = candidate("a/m", retry=Retry(statuses=frozenset({418})), fallback_statuses=frozenset({451}))

    assert told([strict, candidate("b/m")], Failure(503)) == [("a/m", 0.0), "final"]
    assert told([strict, candidate("b/m")], Failure(418), Failure(451)) == [("a/m", 0.0), ("a/m", 0.1), ("b/m", 0.0)]
    assert told([strict, candidate("b/m")], Failure(418), Failure(418)) == [("a/m", 0.0), ("a/m", 0.1), "final"]


def test_the_first_token_that_is_late_falls_back_whatever_the_lists_say(told, candidate):
    strict = candidate("a/m", fallback_statuses=frozenset())

    assert told([strict, candidate("b/m")], Failure(408)) == [("a/m", 0.0), "final"]
    assert told([strict, candidate("b/m")], Failure(408, is_ttft_timeout=True)) == [("a/m", 0.0), ("b/m", 0.0)]


@pytest.mark.parametrize(
    ("own", "status", "steps"),
    [
        ({"attempts": 3, "statuses": frozenset({504})}, 504, [("a/m", 0.1), ("a/m", 0.1), "final"]),
        ({"attempts": 3, "statuses": frozenset({504})}, 503, [("b/m", 0.0), ("c/m", 0.0), "exhausted"]),
        ({"statuses": frozenset({504})}, 504, [("a/m", 0.1), "final"]),
        ({"attempts": 1}, 503, [("b/m", 0.0), ("c/m", 0.0), "exhausted"]),
        ({"attempts": -7}, 503, [("b/m", 0.0), ("c/m", 0.0), "exhausted"]),
        ({"attempts": 3}, 503, [("a/m", 0.1), ("a/m", 0.1), ("b/m", 0.0)]),
    ],
)
def test_the_request_may_say_itself_what_is_retried(told, three, own, status, steps):
    assert told(three, *[Failure(status)] * 3, **own) == [("a/m", 0.0), *steps]


@pytest.mark.parametrize(
    ("retry_after_s", "step"),
    [
        (None, ("a/m", 0.1)),
        (0.0, ("a/m", 0.1)),
        (0.05, ("a/m", 0.1)),
        (1.0, ("a/m", 1.0)),
        (5.0, ("a/m", 5.0)),
        (5.1, ("b/m", 0.0)),
        (300.0, ("b/m", 0.0)),
        (86400.0, ("b/m", 0.0)),
    ],
)
def test_waits_as_long_as_the_provider_says_or_not_at_all(told, three, retry_after_s, step):
    """ "At once" means the delay of the manifest; more than five seconds, that another is asked."""
    assert told(three, Failure(429, retry_after_s)) == [("a/m", 0.0), step]


def test_does_not_wait_when_the_deadline_would_pass(told, three):
    """The first attempt took a tenth of a second."""
    assert told(three, Failure(429, 1.0), deadline_s=1.11) == [("a/m", 0.0), ("a/m", 1.0)]
    assert told(three, Failure(429, 1.0), deadline_s=1.1) == [("a/m", 0.0), ("b/m", 0.0)]
    assert told(three, Failure(503), deadline_s=0.2) == [("a/m", 0.0), ("b/m", 0.0)]
    assert told(three[:1], Failure(503), deadline_s=0.2) == [("a/m", 0.0), "exhausted"]
    assert told(three, Failure(503), deadline_s=0.1) == [("a/m", 0.0), "deadline"]


def test_nobody_is_asked_after_the_deadline_or_when_there_is_nobody(attempts, three, least):
    assert attempts(*three, deadline_s=0.0).next(None, 0.0, least) == GiveUp(None, "deadline")
    assert attempts().next(None, 0.0, least) == GiveUp(None, "empty")


def test_nobody_is_asked_beyond_the_budget(told, three):
    """Three attempts are always free; the budget is shared by retries and fallbacks."""
    budget = RetryBudget()

    assert told(three, *[Failure(503)] * 9, budget=budget) == [
        ("a/m", 0.0),
        ("a/m", 0.1),
        ("b/m", 0.0),
        ("b/m", 0.1),
        "budget",
    ]
    assert told(three, Failure(503), budget=budget) == [("a/m", 0.0), "budget"]


def test_a_request_that_is_final_or_exhausted_anyway_does_not_blame_the_budget(told, three):
    budget = RetryBudget()
    for _ in range(3):
        budget.spend(0.0)

    assert told(three, Failure(400), budget=budget) == [("a/m", 0.0), "final"]
    assert told(three[:1], Failure(401), budget=budget) == [("a/m", 0.0), "exhausted"]


def break_open(health, *names, now_s=0.0):
    for name in names:
        for _ in range(5):
            health.failed(name, "x", FaultOwner.TARGET, now_s)


def test_whose_breaker_is_open_is_passed_over(told, three, health):
    break_open(health, "a/m", "c/m")

    assert told(three, *[Failure(503)] * 9) == [("b/m", 0.0), ("b/m", 0.1), "exhausted"]


def test_no_second_try_when_the_first_one_opened_the_breaker(told, three, health):
    for _ in range(4):
        health.failed("a/m", "a", FaultOwner.TARGET, 0.0)

    assert told(three, Failure(503)) == [("a/m", 0.0), ("b/m", 0.0)]


def test_when_all_are_open_the_one_that_opens_soonest_is_asked_and_no_other(told, three, health):
    break_open(health, "a/m", now_s=-1.0)
    break_open(health, "b/m", now_s=-2.0)
    break_open(health, "c/m", now_s=-1.5)

    assert told(three, *[Failure(503)] * 9) == [("b/m", 0.0), "exhausted"]


def test_who_was_passed_over_has_its_turn_when_its_time_has_come(attempts, three, health, least):
    break_open(health, "a/m")
    asked = attempts(*three)

    assert asked.next(None, 4.9, least).candidate is three[1]
    assert asked.next(Failure(401), 5.0, least).candidate is three[0]


def test_one_probe_at_a_time(attempts, three, health, least):
    """It opens the breaker again when it fails; that is no reason for the same request not to go on."""
    break_open(health, "a/m")
    probe, other = attempts(*three), attempts(*three)

    assert probe.next(None, 5.0, least).candidate is three[0]
    assert other.next(None, 5.0, least).candidate is three[1]
    assert probe.next(Failure(503), 6.0, least).candidate is three[1]
    assert health.may_ask_at_s("a/m") == 16.0


@pytest.mark.parametrize("end", ["answered", "abandoned", "refused"])
def test_every_end_of_a_probe_makes_room(attempts, three, health, least, end):
    break_open(health, "a/m")
    probe = attempts(*three)
    probe.next(None, 5.0, least)
    assert not health.may_ask("a/m", 6.0)

    if end == "refused":
        assert probe.next(Failure(400), 6.0, least).reason == "final"
    else:
        getattr(probe, end)()

    assert health.may_ask("a/m", 6.0)
    assert health.conditions(6.0)[0].breaker == ("closed" if end == "answered" else "half_open")


def test_an_end_that_was_no_probe_leaves_the_probe_alone(attempts, three, health, least):
    before, probe = attempts(*three), attempts(*three)
    before.next(None, 0.0, least)
    break_open(health, "a/m")
    probe.next(None, 5.0, least)

    before.abandoned()

    assert not health.may_ask("a/m", 5.0)


def test_health_hears_of_each_failure(attempts, three, health, least):
    asked = attempts(*three)
    for failure in (None, Failure(429, 60.0), Failure(401), Failure(400)):
        asked.next(failure, 1.0, least)

    assert [(condition.name, condition.cooldown_s) for condition in health.conditions(1.0)] == [("a/m", 60.0)]
    assert health.unwell(three, 1.0) == [three[0]]
    health.failed("b/m", "b", FaultOwner.ACCOUNT, 1.0)
    assert health.unwell(three, 1.0) == three[:2]


def test_health_does_not_hear_of_a_key_that_is_the_callers(attempts, three, health, least):
    for status in (401, 403, 429, 401, 403, 429):
        asked = attempts(*three, callers_key=True)
        asked.next(None, 1.0, least)
        asked.next(Failure(status, 60.0), 1.0, least)

    assert health.unwell(three, 1.0) == []


@pytest.mark.parametrize(
    ("failures", "final"),
    [
        ([Failure(500), Failure(401)], 1),
        ([Failure(429, 10.0), Failure(500)], 1),
        ([Failure(429), Failure(503)], 1),
        ([Failure(429, 10.0), Failure(503)], 0),
        ([Failure(429, 30.0), Failure(503, 10.0), Failure(429, 20.0)], 1),
        ([Failure(429, 0.0), Failure(503, 10.0)], 0),
        ([Failure(429, 10.0), Failure(400)], 1),
    ],
)
def test_the_last_error_or_the_one_that_gives_hope(attempts, three, least, failures, final):
    """When all refused for load, the caller hears from the one that takes it soonest; else from the last."""
    asked = attempts(*three[: len(failures)], attempts=1)
    for failure in (None, *failures):
        step = asked.next(failure, 0.0, least)

    assert step.failure is failures[final]


STATUSES = st.sampled_from([400, 401, 404, 408, 429, 500, 502, 503, 504, 529])
SETS = st.frozensets(STATUSES)
FAILURES = st.builds(Failure, STATUSES, st.none() | st.floats(0, 10) | st.just(86400.0), is_ttft_timeout=st.booleans())


@given(
    st.lists(
        st.builds(
            Candidate,
            route_target=st.none(),
            name=st.sampled_from(["a/1", "a/2", "b/1", "b/2", "c/1"]),
            account=st.sampled_from("abc"),
            retry=st.builds(Retry, st.integers(1, 4), st.floats(0, 2), SETS),
            fallback_statuses=SETS,
        ),
        max_size=6,
    ),
    st.lists(st.tuples(FAILURES, st.floats(0, 3)), min_size=1),
    st.none() | st.floats(0, 20),
    st.none() | st.integers(0, 5),
    st.none() | SETS,
    st.integers(0, 100),
    st.lists(st.sampled_from(["a/1", "b/1"]), max_size=12),
    st.integers(),
)
def test_ends_in_time_and_asks_nobody_too_often(
    candidates, fates, deadline_s, own_attempts, own_statuses, requests, failed_before, seed
):
    """Whatever providers do: an end, no attempt at or after the deadline, none beyond the candidates' own number, none
    back to one that was left, and no more extra attempts than the budget has.
    """
    random, budget = Random(seed), RetryBudget()
    health = Health(random)
    for name in failed_before:
        health.failed(name, name[0], FaultOwner.TARGET, 0.0)
    for _ in range(requests):
        budget.requested(0.0)
    asked = Attempts(
        candidates, health=health, budget=budget, deadline_s=deadline_s, attempts=own_attempts, statuses=own_statuses
    )

    tried, now_s = [], 0.0
    step = asked.next(None, now_s, random)
    while isinstance(step, Try):
        assert len(tried) < 100
        tried.append(id(step.candidate))
        assert step.after_s == 0.0 or len(tried) > 1
        now_s += step.after_s
        assert deadline_s is None or now_s < deadline_s
        failure, took_s = fates[len(tried) % len(fates)]
        now_s += took_s
        step = asked.next(failure, now_s, random)

    assert step.failure is None or tried
    for candidate in candidates:
        assert tried.count(id(candidate)) <= max(1, candidate.retry.attempts if own_attempts is None else own_attempts)
    turns = [one for one, before in zip(tried, [None, *tried], strict=False) if one != before]
    assert len(turns) == len(set(turns))
    if now_s < 10.0:
        assert len(tried) - 1 <= max(3, (requests + 1) // 5)
