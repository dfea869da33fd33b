"""How candidates are put in order, before health is looked at."""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from math import log
from operator import itemgetter
from random import Random
from typing import Protocol

from gateway.contract.route import Candidate, Tier

LEAST_WEIGHT = 1e-300
"""Stands for 0: comes after all others, and is an equal among its like."""
BAND = 1.2
"""Targets within this factor of the fastest are as good as the fastest."""

NEAREST: dict[Tier, tuple[Tier, ...]] = {
    "simple": ("simple", "medium", "complex"),
    "medium": ("medium", "complex", "simple"),
    "complex": ("complex", "medium", "simple"),
}


class Speeds(Protocol):
    def time_per_output_token_s(self, name: str, now_s: float) -> float | None:
        """The mean of the latest calls; None when there were too few."""


def by_weight(candidates: Sequence[Candidate], random: Random) -> list[Candidate]:
    """Drawn without replacement, each time in exact proportion to the weights of those left.

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006; here with the logarithm of
    their keys.
    """
    draw = random.random
    keyed = [(log(1.0 - draw()) / (c.weight if c.weight > 0 else LEAST_WEIGHT), c) for c in candidates]
    keyed.sort(key=_key, reverse=True)
    return [candidate for _, candidate in keyed]


def by_session(candidates: Sequence[Candidate], session: str) -> list[Candidate]:
    """The same draw, with a hash for chance: every replica draws alike.

    A candidate's key depends on nothing but itself and the session. So one that comes, leaves or changes its weight
    only moves the sessions which it wins or loses. (Weighted rendezvous hashing.)
    """
    seed = session.encode()
    keyed = []
    for candidate in candidates:
        digest = blake2b(seed + f"\0{candidate.name}\0{candidate.variant}".encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest, "big") + 1) / 2**64
        keyed.append((log(uniform) / (candidate.weight if candidate.weight > 0 else LEAST_WEIGHT), candidate))
    keyed.sort(key=_key, reverse=True)
    return [candidate for _, candidate in keyed]


def by_latency(
    candidates: Sequence[Candidate], unwell: Collection[Candidate], speeds: Speeds, now_s: float, random: Random
) -> list[Candidate]:
    """Those nobody knows yet, then those near the fastest, then the others, fastest first.

    The fastest is that of the healthy: one that is not asked must not narrow the band for those that are.
    """
    fresh, measured = [], []
    fastest = None
    for candidate in _shuffled(candidates, random):
        mean = speeds.time_per_output_token_s(candidate.name, now_s)
        if mean is None:
            fresh.append(candidate)
            continue
        measured.append((mean, candidate))
        if (fastest is None or mean < fastest) and candidate not in unwell:
            fastest = mean
    if fastest is not None:
        edge = fastest * BAND
        measured = [(0.0 if mean <= edge else mean, candidate) for mean, candidate in measured]
    measured.sort(key=_key)
    return fresh + [candidate for _, candidate in measured]


def by_priority(candidates: Sequence[Candidate], random: Random) -> list[Candidate]:
    draw = random.random
    keyed = [((candidate.priority, draw()), candidate) for candidate in candidates]
    keyed.sort(key=_key)
    return [candidate for _, candidate in keyed]


def by_tier(candidates: Sequence[Candidate], tier: Tier | None) -> list[Candidate]:
    """By nearness to the tier, the more able first. Without a tier it is "medium"; a candidate without one is last."""
    nearest = NEAREST[tier or "medium"]
    return sorted(candidates, key=lambda c: nearest.index(c.tier) if c.tier in nearest else len(nearest))


_key = itemgetter(0)


def _shuffled(candidates: Sequence[Candidate], random: Random) -> list[Candidate]:
    draw = random.random
    return sorted(candidates, key=lambda _: draw())
