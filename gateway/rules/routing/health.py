"""How targets and accounts are doing, from what became of the calls to them."""

from collections.abc import Sequence
from random import Random

import msgspec

from gateway.contract.route import Candidate
from gateway.rules.routing.breaker import Breaker, State
from gateway.rules.routing.failures import FaultOwner, RecentFailures
from gateway.rules.routing.gossip import Gossip, Item
from gateway.rules.routing.names import Names
from gateway.rules.routing.speed import Speed, is_credible


class Condition(msgspec.Struct, frozen=True):
    """How one target is doing, for metrics. Means are those of three minutes, None after too few calls."""

    name: str
    breaker: State
    failures: int
    """Of the last two minutes; two are too many, and more are not counted."""
    cooldown_s: float
    time_per_output_token_s: float | None
    time_to_first_token_s: float | None


class _Target:
    __slots__ = ("recent", "speed")

    def __init__(self) -> None:
        self.speed = Speed()
        self.recent = RecentFailures()


class Health:
    """Two failures within two minutes, or a rest which the provider asked for, put a target behind the others. Above
    that, a breaker keeps it from being asked at all.

    All times are of one monotonic clock. Each call costs the same however much was seen before. Of more than
    `max_names` names, those heard of least lately are forgotten. Breakers are this replica's own, the rest is shared.

    Args:
        random: for the breakers' jitter, and to tell this replica from others.
    """

    def __init__(self, random: Random, *, max_names: int = 10_000) -> None:
        self._random = random
        self._targets = Names(_Target, max_names)
        self._accounts = Names(RecentFailures, max_names)
        self._breakers = Names(Breaker, max_names)  # of targets whose last call failed
        self._gossip = Gossip(random.getrandbits(63), max_names)
        self._trouble_until_s = 0.0  # when the last trouble of all will be over

    def answered(self, name: str) -> None:
        """A good answer has begun."""
        self._breakers.pop(name, None)

    def failed(self, name: str, account: str, owner: FaultOwner, now_s: float, cooldown_s: float | None = None) -> None:
        """`cooldown_s`: the provider's Retry-After."""
        if owner is FaultOwner.NOBODY:
            return
        if owner is FaultOwner.TARGET:
            recent, seen = self._targets.at(name).recent, self._gossip.targets.at(name)
            breaker = self._breakers.at(name)
            breaker.failed(now_s, self._random)
            self._expect_trouble(breaker.until_s)
        else:
            recent, seen = self._accounts.at(account), self._gossip.accounts.at(account)
        recent.failed(now_s)
        if cooldown_s is not None:
            recent.cool_down(cooldown_s, now_s)
        self._expect_trouble(recent.until_s)
        seen.failed(now_s, recent.cooldown_until_s)

    def observed(self, name: str, ttft_s: float | None, tpot_s: float | None, now_s: float) -> None:
        """Time to first token and time per output token of one call; None was not measured."""
        target, seen = self._targets.at(name), self._gossip.targets.at(name)
        if tpot_s is not None and is_credible(tpot_s):
            target.speed.observed_output(tpot_s, now_s)
            seen.observed_output(tpot_s)
        if ttft_s is not None and is_credible(ttft_s):
            target.speed.observed_first(ttft_s, now_s)
            seen.observed_first(ttft_s)

    def unwell(self, candidates: Sequence[Candidate], now_s: float) -> list[Candidate]:
        """Those that should be asked last: failing, resting, behind an open breaker, or missing their SLA."""
        is_troubled = now_s < self._trouble_until_s
        return [
            candidate
            for candidate in candidates
            if (is_troubled and self._is_troubled(candidate, now_s))
            or (candidate.sla is not None and self._misses_sla(candidate, now_s))
        ]

    def time_per_output_token_s(self, name: str, now_s: float) -> float | None:
        """To compare targets by; None after too few calls."""
        target = self._targets.get(name)
        return None if target is None else target.speed.latency_s(now_s)

    def may_ask(self, name: str, now_s: float) -> bool:
        """False: its breaker is open, or half-open with a probe under way."""
        breaker = self._breakers.get(name)
        return breaker is None or breaker.lets_through(now_s)

    def may_ask_at_s(self, name: str) -> float:
        """When its breaker will be half-open; in the past when it is no longer open."""
        breaker = self._breakers.get(name)
        return 0.0 if breaker is None else breaker.until_s

    def asked(self, name: str, now_s: float) -> bool:
        """A call is about to be sent. True: it is a probe; `answered`, `failed` or `released` must tell its fate."""
        breaker = self._breakers.get(name)
        return breaker is not None and breaker.asked(now_s)

    def released(self, name: str) -> None:
        """A probe ended and showed nothing: the fault was the caller's, or the caller left."""
        breaker = self._breakers.get(name)
        if breaker is not None:
            breaker.released()

    def conditions(self, now_s: float) -> list[Condition]:
        """Of all targets that were heard of and not forgotten."""
        return [
            Condition(
                name=name,
                breaker=self._state(name, now_s),
                failures=target.recent.failures(now_s),
                cooldown_s=max(0.0, target.recent.cooldown_until_s - now_s),
                time_per_output_token_s=target.speed.time_per_output_token_s(now_s),
                time_to_first_token_s=target.speed.time_to_first_token_s(now_s),
            )
            for name, target in self._targets.items()
        ]

    def take_news(self, now_s: float) -> bytes:
        """What was seen since the last call, for `hear` of other replicas; empty when there is nothing to tell."""
        return self._gossip.take(now_s)

    def hear(self, data: bytes, now_s: float) -> None:
        """Adds what another replica has seen. Its own news, old news, and what is not news, change nothing.

        Nor does what is heard displace what was seen here.
        """
        news = self._gossip.listen(data)
        if news is None:
            return
        for item in news.targets:
            if self._targets.has_room_for(item.name):
                target = self._targets.at(item.name)
                self._hear(item, target.recent, now_s)
                if item.output_calls and is_credible(item.output_total_s, item.output_calls):
                    target.speed.observed_output(item.output_total_s, now_s, item.output_calls)
                if item.first_calls and is_credible(item.first_total_s, item.first_calls):
                    target.speed.observed_first(item.first_total_s, now_s, item.first_calls)
        for item in news.accounts:
            if self._accounts.has_room_for(item.name):
                self._hear(item, self._accounts.at(item.name), now_s)

    def _hear(self, item: Item, recent: RecentFailures, now_s: float) -> None:
        for ago_s in item.failed_ago_s:
            recent.failed(now_s - ago_s)
        if item.cooldown_s:
            recent.cool_down(item.cooldown_s, now_s)
        self._expect_trouble(recent.until_s)

    def _is_troubled(self, candidate: Candidate, now_s: float) -> bool:
        target = self._targets.get(candidate.name)
        account = self._accounts.get(candidate.account)
        return (
            (target is not None and now_s < target.recent.until_s)
            or (account is not None and now_s < account.until_s)
            or now_s < self.may_ask_at_s(candidate.name)
        )

    def _state(self, name: str, now_s: float) -> State:
        breaker = self._breakers.get(name)
        return "closed" if breaker is None else breaker.state(now_s)

    def _misses_sla(self, candidate: Candidate, now_s: float) -> bool:
        target = self._targets.get(candidate.name)
        return target is not None and candidate.sla is not None and target.speed.misses(candidate.sla, now_s)

    def _expect_trouble(self, until_s: float) -> None:
        self._trouble_until_s = max(self._trouble_until_s, until_s)
