"""Leaves a target alone that answers nobody."""

from random import Random
from typing import Literal

State = Literal["closed", "open", "half_open"]

FAILURES = 5
"""In a row; then it opens."""
SHORTEST_S = 5.0
LONGEST_S = 60.0
JITTER = 0.2
"""Each time is shortened by up to this part, so that replicas do not probe together."""
PROBE_S = 30.0
"""A probe nobody has heard of for so long is given up."""


class Breaker:
    """Closed, it lets all through; open, none; after a while, half-open, one at a time, whose fate decides.

    One success ends it: whoever keeps breakers drops this one then, and the next failure begins a new one.
    """

    __slots__ = ("_is_open", "_length_s", "_probe_until_s", "failures", "until_s")

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self.until_s = 0.0
        """When it is half-open; 0 while it is closed."""
        self._is_open = False
        self._length_s = 0.0
        self._probe_until_s = 0.0

    def state(self, now_s: float) -> State:
        if not self._is_open:
            return "closed"
        return "open" if now_s < self.until_s else "half_open"

    def lets_through(self, now_s: float) -> bool:
        return not self._is_open or now_s >= max(self.until_s, self._probe_until_s)

    def asked(self, now_s: float) -> bool:
        """A call was let through; True when it is the probe."""
        if not self._is_open or not self.lets_through(now_s):
            return False
        self._probe_until_s = now_s + PROBE_S
        return True

    def released(self) -> None:
        """The probe ended and showed nothing."""
        self._probe_until_s = 0.0

    def failed(self, now_s: float, random: Random) -> None:
        """While it is open, failures of calls that were sent before change nothing."""
        self.failures += 1
        if self.failures < FAILURES or (self._is_open and now_s < self.until_s):
            return
        self._is_open = True
        self._length_s = min(max(SHORTEST_S, 2 * self._length_s), LONGEST_S)
        self.until_s = now_s + self._length_s * (1.0 - JITTER * random.random())
        self._probe_until_s = 0.0
