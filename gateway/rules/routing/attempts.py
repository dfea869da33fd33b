"""What to do next for one request, attempt by attempt."""

from collections.abc import Sequence
from random import Random

from gateway.contract.route import Candidate
from gateway.rules.routing.budget import RetryBudget
from gateway.rules.routing.failures import FaultOwner, owner_of
from gateway.rules.routing.health import Health
from gateway.rules.routing.step import Failure, GiveUp, Reason, Try

LONGEST_PAUSE_S = 5.0
"""A provider that wants a longer one is not waited for."""


class Attempts:
    """The attempts of one request: `next`, with None to begin and then after each that failed, until one is `answered`
    or all are `abandoned`.

    It tells health and the budget of all that, so nobody else should. Only what breaks after a good answer has begun is
    for others to tell: `health.failed`.

    Args:
        candidates: in the order in which they are to be asked.
        deadline_s: no attempt begins at or after it; of the clock of `health`.
        attempts, statuses: the request's own, instead of those of each candidate's `retry`.
        callers_key: the caller brought the key for the provider.
    """

    __slots__ = (
        "_attempts",
        "_budget",
        "_callers_key",
        "_candidate",
        "_deadline_s",
        "_failures",
        "_health",
        "_is_probe",
        "_left",
        "_statuses",
        "_tries",
    )

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        health: Health,
        budget: RetryBudget,
        deadline_s: float | None = None,
        attempts: int | None = None,
        statuses: frozenset[int] | None = None,
        callers_key: bool = False,
    ) -> None:
        self._left = list(candidates)
        self._health = health
        self._budget = budget
        self._deadline_s = float("inf") if deadline_s is None else deadline_s
        self._attempts = attempts
        self._statuses = statuses
        self._callers_key = callers_key
        self._candidate: Candidate | None = None
        self._tries = 0
        self._is_probe = False
        self._failures: list[Failure] = []

    def next(self, failure: Failure | None, now_s: float, random: Random) -> Try | GiveUp:
        """The same target again, while its `retry` allows; else, if its `fallback_statuses` do, the next one.

        Targets whose breaker is open are passed over, and may still have their turn if it closes in time. Only a
        request that finds all of them open asks one nevertheless: the one which opens soonest.
        """
        candidate = self._candidate
        if failure is None or candidate is None:
            return self._first(now_s)
        self._tell(candidate, failure, now_s)
        statuses = candidate.retry.statuses if self._statuses is None else self._statuses
        attempts = candidate.retry.attempts if self._attempts is None else self._attempts
        may_retry = failure.was_asked and failure.status in statuses and self._tries < attempts
        may_fall_back = (
            failure.status in candidate.fallback_statuses or failure.is_ttft_timeout or not failure.was_asked
        )
        if not may_retry and not may_fall_back:
            return GiveUp(failure, "final")
        if now_s >= self._deadline_s:
            return self._give_up("deadline")
        following = self._again(candidate, failure, now_s, random) if may_retry else None
        if following is None and may_fall_back:
            following = self._other(now_s)
        if following is None:
            return self._give_up("exhausted")
        if failure.was_asked:  # else the next attempt is no traffic more
            if not self._budget.allows(now_s):
                return self._give_up("budget")
            self._budget.spend(now_s)
        return self._ask(*following, now_s)

    def answered(self) -> None:
        """The one asked last has begun a good answer."""
        if self._candidate is not None:
            self._health.answered(self._candidate.name)

    def abandoned(self) -> None:
        """The caller left, or the gateway stops, before there was an answer."""
        if self._candidate is not None and self._is_probe:
            self._health.released(self._candidate.name)

    def _first(self, now_s: float) -> Try | GiveUp:
        self._budget.requested(now_s)
        if not self._left:
            return GiveUp(None, "empty")
        if now_s >= self._deadline_s:
            return GiveUp(None, "deadline")
        health = self._health
        for candidate in self._left:
            if health.may_ask(candidate.name, now_s):
                return self._ask(candidate, 0.0, now_s)
        return self._ask(min(self._left, key=lambda c: health.may_ask_at_s(c.name)), 0.0, now_s)

    def _again(
        self, candidate: Candidate, failure: Failure, now_s: float, random: Random
    ) -> tuple[Candidate, float] | None:
        after_s = _pause_s(candidate, failure, random)
        if after_s is None or now_s + after_s >= self._deadline_s:
            return None
        return (candidate, after_s) if self._health.may_ask(candidate.name, now_s) else None

    def _other(self, now_s: float) -> tuple[Candidate, float] | None:
        may_ask = self._health.may_ask
        return next(((other, 0.0) for other in self._left if may_ask(other.name, now_s)), None)

    def _ask(self, candidate: Candidate, after_s: float, now_s: float) -> Try:
        if candidate is not self._candidate:
            self._left.remove(candidate)
            self._candidate = candidate
            self._tries = 0
        self._tries += 1
        self._is_probe = self._health.asked(candidate.name, now_s)
        return Try(candidate, after_s)

    def _tell(self, candidate: Candidate, failure: Failure, now_s: float) -> None:
        self._failures.append(failure)
        owner = owner_of(failure.status, callers_key=self._callers_key) if failure.was_asked else FaultOwner.NOBODY
        self._health.failed(candidate.name, candidate.account, owner, now_s, failure.retry_after_s)
        if self._is_probe and owner is not FaultOwner.TARGET:
            self._health.released(candidate.name)

    def _give_up(self, reason: Reason) -> GiveUp:
        """With the last failure. But if all refused for load, the one that says the soonest when to come back: that is
        when there is hope for the caller.
        """
        failures = self._failures
        if all(failure.status in (429, 503) for failure in failures):
            waits = [failure for failure in failures if failure.retry_after_s is not None]
            if waits:
                return GiveUp(min(waits, key=lambda failure: failure.retry_after_s or 0.0), reason)
        return GiveUp(failures[-1], reason)


def _pause_s(candidate: Candidate, failure: Failure, random: Random) -> float | None:
    """Until the same target is asked again; None: not in this request.

    The provider's Retry-After counts, but "at once", or a date that has passed, means the delay of the manifest.
    """
    delay_s = candidate.retry.delay_s * (0.5 + random.random())
    if failure.retry_after_s is None:
        return delay_s
    return max(failure.retry_after_s, delay_s) if failure.retry_after_s <= LONGEST_PAUSE_S else None


class Once:
    """A model that was named directly is asked once: what more it takes, the caller knows best.

    To be used like `Attempts`. It is asked whatever its health, and what becomes of that is told.
    """

    __slots__ = ("_callers_key", "_candidate", "_health")

    def __init__(self, candidate: Candidate, *, health: Health, callers_key: bool = False) -> None:
        self._candidate = candidate
        self._health = health
        self._callers_key = callers_key

    def next(self, failure: Failure | None, now_s: float, random: Random) -> Try | GiveUp:
        candidate = self._candidate
        if failure is None:
            return Try(candidate)
        owner = owner_of(failure.status, callers_key=self._callers_key) if failure.was_asked else FaultOwner.NOBODY
        self._health.failed(candidate.name, candidate.account, owner, now_s, failure.retry_after_s)
        return GiveUp(failure, "final")

    def answered(self) -> None:
        self._health.answered(self._candidate.name)

    def abandoned(self) -> None:
        """It was no probe, so nothing waits for its fate."""
