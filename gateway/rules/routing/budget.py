"""How many attempts may be added to those of the requests themselves."""

from collections import deque

SLOTS_PER_S = 10
SLOTS = 100
SHARE = 5
"""One extra attempt for so many requests."""
LEAST = 3
"""Extra attempts that are always free, so that little traffic can fall back too."""


class RetryBudget:
    """Retries and fallbacks within ten seconds: at most a fifth of the requests in the same ten seconds, or three.

    So attempts never pass 1.2 times the requests, however many fail, as soon as there are 15 requests in ten seconds.
    Time is counted in slots of 0.1 s: the window is the slot which `now_s` is in, and the 99 before it.
    """

    __slots__ = ("_extras", "_requests", "_slots")

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()  # [slot, requests, extras], oldest first
        self._requests = 0
        self._extras = 0

    def requested(self, now_s: float) -> None:
        """A request came in; its first attempt is free."""
        self._slot(now_s)[1] += 1
        self._requests += 1

    def allows(self, now_s: float) -> bool:
        """Whether there is room for one more extra attempt."""
        self._slot(now_s)
        return self._extras < max(LEAST, self._requests // SHARE)

    def spend(self, now_s: float) -> None:
        """An extra attempt is made."""
        self._slot(now_s)[2] += 1
        self._extras += 1

    def _slot(self, now_s: float) -> list[int]:
        slots = self._slots
        number = int(now_s * SLOTS_PER_S)
        if slots and slots[-1][0] >= number:
            return slots[-1]
        while slots and slots[0][0] <= number - SLOTS:
            _, requests, extras = slots.popleft()
            self._requests -= requests
            self._extras -= extras
        slots.append([number, 0, 0])
        return slots[-1]
