"""The order in which the candidates of a route are asked."""

from collections.abc import Mapping
from random import Random

from gateway.contract.route import NO_METADATA, Candidate, Route, Tier
from gateway.rules.routing.health import Health
from gateway.rules.routing.strategies import by_latency, by_priority, by_session, by_tier, by_weight


def order(
    route: Route,
    *,
    health: Health,
    now_s: float,
    random: Random,
    session: str | None = None,
    metadata: Mapping[str, str] = NO_METADATA,
    tier: Tier | None = None,
    prefers: str | None = None,
) -> list[Candidate]:
    """Best first; empty when no candidate is meant for such metadata.

    The strategy's order, with the unhealthy moved to the end. A candidate that takes no fallbacks stays in when it
    stands first then, and also when the strategy had put it first and its health moved it: the request is its own, and
    an unhealthy target is never removed. Else it is left out.

    Args:
        session: from `session_of`, when the route is sticky.
        tier: what `classify` says of the request, when the strategy is "complexity".
        prefers: an account whose targets come before all others.
        now_s: of the same clock as that of `health`.
    """
    candidates = list(route.candidates)
    if route.is_conditional:
        candidates = [candidate for candidate in candidates if _fits(candidate, metadata)]
    if len(candidates) < 2:
        return candidates
    unwell = health.unwell(candidates, now_s)
    if route.strategy == "weight":
        candidates = by_weight(candidates, random) if session is None else by_session(candidates, session)
    elif route.strategy == "latency":
        candidates = by_latency(candidates, unwell, health, now_s, random)
    elif route.strategy == "priority":
        candidates = by_priority(candidates, random)
    elif route.strategy == "complexity":
        candidates = by_tier(candidates, tier)
    if prefers is not None:
        candidates.sort(key=lambda candidate: candidate.account != prefers)
    chosen = candidates[0]
    if unwell:
        candidates.sort(key=unwell.__contains__)  # stable: False, then True
    if route.is_choosy:
        kept = (chosen, candidates[0])
        candidates = [candidate for candidate in candidates if candidate.takes_fallbacks or candidate in kept]
    return candidates


def _fits(candidate: Candidate, metadata: Mapping[str, str]) -> bool:
    return all(metadata.get(key) == value for key, value in candidate.metadata_match.items())
