"""Which hold refuses a request, and when it may come again: the same for all counters."""

from collections.abc import Sequence
from math import inf

from gateway.contract.limits import Hold, Mode

BUCKETS = 100
"""A sliding window counts in buckets of this part of it, aligned to the clock. A whole bucket counts until all of it
has left the window: never more than the limit in any span of the window's length, and up to 1 % less."""
OPEN_RETRY_S = 1.0
"""Nobody knows when an open request ends, so whoever waits for its place may ask again so soon."""


def refusing(holds: Sequence[Hold], fits: Sequence[bool]) -> int | None:
    """The place of the hold that refuses; None: the request passes.

    The first that is enforced and does not fit. Else the first soft one that does not, if no budget has room; a budget
    is all holds of one rule. One of which nothing is taken fits, however full it is.
    """
    soft = None
    for place, hold in enumerate(holds):
        if not fits[place]:
            if hold.mode is Mode.ENFORCE:
                return place
            if hold.mode is Mode.SOFT and soft is None:
                soft = place
    if soft is None:
        return None
    has_room: dict[str, bool] = {}
    for hold, fit in zip(holds, fits, strict=True):
        if is_budget(hold):
            has_room[hold.rule] = fit and has_room.get(hold.rule, True)
    return None if any(has_room.values()) else soft


def retry_after_s(holds: Sequence[Hold], waits_s: Sequence[float]) -> float | None:
    """When a refused request would pass if nothing else came, in seconds; None: never.

    Args:
        waits_s: until each hold has room: 0 if it has, infinite if it never will.
    """
    waited = list(zip(holds, waits_s, strict=True))
    longest = max((wait for hold, wait in waited if hold.mode is Mode.ENFORCE), default=0.0)
    if any(wait for hold, wait in waited if hold.mode is Mode.SOFT):
        of_rule: dict[str, float] = {}
        for hold, wait in waited:
            if is_budget(hold):
                of_rule[hold.rule] = max(wait, of_rule.get(hold.rule, 0.0))
        longest = max(longest, min(of_rule.values()))
    return None if longest == inf else longest


def is_budget(hold: Hold) -> bool:
    """Whether `Mode.SOFT` asks it; a soft hold asks itself too."""
    return hold.is_budget or hold.mode is Mode.SOFT
