"""Hours of traffic against providers that misbehave, in a moment: every decision together, on a clock of its own."""

from bisect import bisect_left, bisect_right
from collections import Counter
from heapq import heappop, heappush
from random import Random

import pytest

from gateway.contract.route import Retry, Route, Sla
from gateway.rules.routing import Attempts, Failure, GiveUp, Health, RetryBudget, order, retry_after_s

HOUR = 3600


class World:
    """Requests that overlap, providers that are functions of time: (now_s) -> a failure or None, after `takes_s`."""

    def __init__(self, route, providers, *, random=None, takes_s=0.05):
        self.route = route
        self.providers = providers
        self.random = random or Random(3)
        self.takes_s = takes_s
        self.health = Health(self.random)
        self.budget = RetryBudget()
        self.asked = []  # (now_s, name)
        self.ends = []  # (now_s, "ok" or the reason for giving up)

    def run(self, arrivals):
        due = []
        for number, now_s in enumerate(arrivals):
            heappush(due, (now_s, number, self._request()))
        while due:
            now_s, number, request = heappop(due)
            self.now_s = now_s
            after_s = next(request, None)
            if after_s is not None:
                heappush(due, (now_s + after_s, number, request))

    def _request(self):
        candidates = order(self.route, health=self.health, now_s=self.now_s, random=self.random)
        attempts = Attempts(candidates, health=self.health, budget=self.budget, deadline_s=self.now_s + 30)
        failure = None
        while True:
            step = attempts.next(failure, self.now_s, self.random)
            if isinstance(step, GiveUp):
                self.ends.append((self.now_s, step.reason))
                return
            if step.after_s:
                yield step.after_s
            self.asked.append((round(self.now_s, 2), step.candidate.name))
            failure = self.providers[step.candidate.name](self.now_s)
            yield self.takes_s
            if failure is None:
                attempts.answered()
                self.ends.append((self.now_s, "ok"))
                return

    def calls(self, name):
        return [now_s for now_s, asked in self.asked if asked == name]

    def counts(self):
        return dict(sorted(Counter(end for _, end in self.ends).items()))


def every(interval_s, until_s):
    return [number * interval_s for number in range(int(until_s / interval_s))]


def fine(now_s):
    return None


def down(now_s):
    return Failure(502)


@pytest.fixture
def two(candidate):
    return Route("r", "priority", (candidate("p/a"), candidate("q/b", priority=1)))


@pytest.fixture
def direct(candidate):
    return Route("p/a", "only", (candidate("p/a"),))


def test_a_target_that_is_down_costs_almost_nobody_anything(two, least):
    """One request a second for a quarter of an hour, of which 15 reach it: two every two minutes, until its breaker
    opens at 242 s; from then on one probe at a time, each after a longer pause, and a minute apart in the end.
    """
    world = World(two, {"p/a": down, "q/b": fine}, random=least)

    world.run(every(1.0, 900))

    probes = [248.0, 363.0, 384.0, 484.0, 545.0, 606.0, 667.0, 728.0, 789.0, 850.0]
    assert world.calls("p/a") == [0.0, 0.1, 121.0, 121.1, 242.0, *probes]
    assert world.counts() == {"ok": 900}


def test_a_target_that_comes_back_is_first_again_two_minutes_after_its_failures(two, least):
    """The last ones were at 242 and 248 s; at 363 s it is asked again, answers, and has all requests from then on."""

    def back_at_300(now_s):
        return Failure(503) if now_s < 300 else None

    world = World(two, {"p/a": back_at_300, "q/b": fine}, random=least)

    world.run(every(1.0, 600))

    assert world.calls("p/a") == [0.0, 0.1, 121.0, 121.1, 242.0, 248.0, *every(1.0, 600)[363:]]
    assert world.counts() == {"ok": 600}


def test_a_direct_model_that_is_down_is_asked_once_by_each_request(direct):
    """There is nobody else to ask. But once the breaker is open, nothing is tried again."""
    world = World(direct, {"p/a": down})

    world.run(every(0.1, 600))

    assert world.counts() == {"exhausted": 6000}
    assert len(world.asked) == 6003


def test_everything_is_down(two):
    """An hour: three attempts more than requests, all of them in the first second."""
    world = World(two, {"p/a": down, "q/b": down})

    world.run(every(0.1, HOUR))

    assert world.counts() == {"budget": 6, "exhausted": 35_994}
    assert len(world.asked) == 36_003


def test_half_of_all_calls_fail(two):
    """As many are saved as a fifth more attempts can save: 0.6 of the requests at most."""
    random = Random(11)

    def half(now_s):
        return Failure(500) if random.random() < 0.5 else None

    world = World(two, {"p/a": half, "q/b": half})

    world.run(every(0.1, HOUR))

    assert len(world.asked) == 43_087
    assert world.counts() == {"budget": 11_102, "exhausted": 3_485, "ok": 21_413}


def test_a_burst_of_failures_is_no_storm(candidate):
    """A thousand requests within a second, all refused; five tries are allowed on each of ten targets."""
    wide = Route("r", "weight", tuple(candidate(f"p/{number}", retry=Retry(attempts=5)) for number in range(10)))
    world = World(wide, {f"p/{number}": down for number in range(10)}, takes_s=2.0)

    world.run(every(0.001, 1))

    assert len(world.asked) == 1070
    assert world.counts() == {"exhausted": 1000}


def test_a_target_that_flaps(two):
    """Half a minute up, half a minute down, for an hour: it is seldom first, and one request pays for it."""

    def flaps(now_s):
        return Failure(503) if now_s % 60 < 30 else None

    world = World(two, {"p/a": flaps, "q/b": fine})

    world.run(every(0.1, HOUR))

    assert world.counts() == {"budget": 1, "ok": 35_999}
    assert len(world.calls("p/a")) == 218
    assert len(world.asked) == 36_061


def test_a_direct_model_that_flaps_is_back_at_once(direct):
    """Where there is no other target an open breaker refuses nobody: all who come while it is up are answered."""

    def flaps(now_s):
        return Failure(503) if now_s % 60 < 30 else None

    world = World(direct, {"p/a": flaps})

    world.run(every(0.1, HOUR))

    assert world.counts() == {"exhausted": 18_000, "ok": 18_000}
    assert len(world.asked) == 36_180


@pytest.mark.parametrize(
    ("headers", "calls"),
    [
        # Waited for: the second try comes when the provider says.
        ({"retry-after": "1"}, [0.0, 1.05, 130.0, 131.05, 260.0, 270.0, 390.0, 420.0, 520.0, 590.0]),
        ({"retry-after-ms": "1500"}, [0.0, 1.55, 130.0, 131.55, 260.0, 270.0, 390.0, 420.0, 520.0, 590.0]),
        # Too long to wait for: no second try, and it rests for as long; five minutes are the most.
        ({"retry-after": "300"}, [0.0, 310.0]),
        ({"retry-after": "9999999"}, [0.0, 310.0]),
        # Until 20 s; afterwards the date has passed, and means nothing.
        (
            {"retry-after": "Thu, 01 Jan 1970 00:00:20 GMT"},
            [0.0, 30.0, 30.1, 160.0, 160.1, 290.0, 310.0, 420.0, 470.0, 550.0],
        ),
        ({"retry-after": "garbage"}, [0.0, 0.1, 130.0, 130.1, 260.0, 270.0, 390.0, 420.0, 520.0, 590.0]),
    ],
)
def test_a_target_that_limits_its_rate(two, least, headers, calls):
    """A request every ten seconds for ten minutes; the first target has had enough for all of them."""
    world = World(two, {"p/a": lambda now_s: Failure(429, retry_after_s(headers, now_s)), "q/b": fine}, random=least)

    world.run(every(10.0, 600))

    assert world.calls("p/a") == calls
    assert world.counts() == {"ok": 60}


def firsts(route, times_per_token, seconds):
    """Which target the request of each second goes to."""
    random = Random(2)
    health, names = Health(random), []
    for second in range(seconds):
        name = order(route, health=health, now_s=float(second), random=random)[0].name
        health.observed(name, 0.2, times_per_token[name](second), float(second))
        names.append(name)
    return names


def test_a_target_that_becomes_slow_loses_its_share(candidate):
    """Alike at first, a fifth apart at most; from 600 s on one takes five times as long. It is forgotten after twenty
    minutes, and asked three times to see whether it still is.
    """
    route = Route("r", "latency", (candidate("p/a"), candidate("q/b")))

    names = firsts(route, {"p/a": lambda now_s: 0.010 if now_s < 600 else 0.050, "q/b": lambda now_s: 0.011}, 3600)

    assert names[:600].count("p/a") == 310
    assert [second for second in range(600, 3600) if names[second] == "p/a"] == [
        *[601, 602, 603, 606, 607, 608, 611, 613],
        *[1808, 1811, 1813],
        *[3008, 3011, 3013],
    ]


def test_a_target_that_misses_its_sla_is_spared_until_that_is_forgotten(candidate):
    """Slow from 300 to 500 s. The mean of three minutes passes 50 ms per token at 330 s; three minutes later what it
    was measured by has grown old.
    """
    route = Route("r", "priority", (candidate("p/a", sla=Sla(0.05)), candidate("q/b", priority=1)))

    names = firsts(route, {"p/a": lambda now_s: 0.2 if 300 <= now_s < 500 else 0.02, "q/b": lambda now_s: 0.1}, 900)

    assert names == ["p/a"] * 330 + ["q/b"] * 175 + ["p/a"] * 395


class Ledger(RetryBudget):
    """Remembers in which tenth of a second everything was."""

    def __init__(self):
        super().__init__()
        self.requests = []
        self.extras = []

    def requested(self, now_s):
        super().requested(now_s)
        self.requests.append(int(now_s * 10))

    def spend(self, now_s):
        super().spend(now_s)
        self.extras.append(int(now_s * 10))

    def amplification(self):
        """The highest, over all windows of ten seconds that end with an extra attempt and have over 15 requests."""
        highest = 1.0
        for number, slot in enumerate(self.extras, 1):
            extras = number - bisect_left(self.extras, slot - 99)
            requests = bisect_right(self.requests, slot) - bisect_left(self.requests, slot - 99)
            if requests > 15:
                highest = max(highest, 1 + extras / requests)
        return highest


@pytest.mark.parametrize("seed", range(8))
def test_attempts_never_pass_requests_by_more_than_a_fifth(candidate, seed):
    """Three targets that fail at random, in every way, under traffic that comes in bursts and lulls."""
    random = Random(seed)
    rates = {f"p/{name}": random.random() for name in "abc"}

    def provider(rate):
        def answer(now_s):
            if random.random() < rate:
                return Failure(random.choice([429, 500, 503, 401, 408]), random.choice([None, None, 0.2, 2.0, 60.0]))
            return None

        return answer

    wide = Route("r", "weight", tuple(candidate(name, weight=1) for name in rates))
    world = World(wide, {name: provider(rate) for name, rate in rates.items()})
    world.budget = Ledger()
    arrivals, now_s = [], 0.0
    while len(arrivals) < 8_000:
        arrivals.append(now_s)
        now_s += random.expovariate(5 if int(now_s / 20) % 2 else 100)

    world.run(arrivals)

    assert world.budget.amplification() <= 1.2
    assert len(world.asked) <= 1.2 * 8_000
    assert len(world.ends) == 8_000
