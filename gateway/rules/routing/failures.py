"""Whose a failure is, and for how long it is held against them."""

from enum import StrEnum

FAILURES = 2
WINDOW_S = 120.0
"""So many failures within so long are too many."""
LONGEST_COOLDOWN_S = 300.0
"""A provider may ask for no more."""


class FaultOwner(StrEnum):
    """Whose a failure is: the target's, its account's (and so that of all its models), or neither's."""

    TARGET = "target"
    ACCOUNT = "account"
    NOBODY = "nobody"


def owner_of(status: int, *, callers_key: bool = False) -> FaultOwner:
    """408 stands for a timeout, 502 for no connection.

    Args:
        callers_key: the caller brought the key for the provider: what is wrong with it, or used up, is the caller's.
    """
    if status in (401, 403):
        return FaultOwner.NOBODY if callers_key else FaultOwner.ACCOUNT
    if status == 429:
        return FaultOwner.NOBODY if callers_key else FaultOwner.TARGET
    return FaultOwner.TARGET if status == 408 or status >= 500 else FaultOwner.NOBODY


class RecentFailures:
    """The failures of one name. It is over by itself at `until_s`, as they grow old."""

    __slots__ = ("cooldown_until_s", "failed_at_s", "until_s")

    def __init__(self) -> None:
        self.failed_at_s: tuple[float, ...] = ()
        """The latest, oldest first; no more than are too many."""
        self.cooldown_until_s = 0.0
        self.until_s = 0.0

    def failed(self, at_s: float) -> None:
        """News from elsewhere may come late, so times are put in order."""
        self.failed_at_s = tuple(sorted((*self.failed_at_s, at_s))[-FAILURES:])
        if len(self.failed_at_s) == FAILURES:
            self.until_s = max(self.until_s, self.failed_at_s[0] + WINDOW_S)

    def cool_down(self, cooldown_s: float, now_s: float) -> None:
        self.cooldown_until_s = max(self.cooldown_until_s, now_s + min(max(cooldown_s, 0.0), LONGEST_COOLDOWN_S))
        self.until_s = max(self.until_s, self.cooldown_until_s)

    def failures(self, now_s: float) -> int:
        """How many count just now."""
        return sum(at_s > now_s - WINDOW_S for at_s in self.failed_at_s)
