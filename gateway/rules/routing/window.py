"""A mean over what was measured lately."""

from collections import deque


class Window:
    """The mean of the calls of the last `window_s` seconds, or of the last `max_calls` of them when there were more.

    Bounded by `max_calls` or, with slots, by their number: calls of one slot are kept together, and grow old as its
    first call does.
    """

    __slots__ = ("_calls", "_entries", "_max_calls", "_slot_s", "_total", "_window_s")

    def __init__(self, window_s: float, *, max_calls: float = float("inf"), slot_s: float = 0.0) -> None:
        self._window_s = window_s
        self._max_calls = max_calls
        self._slot_s = slot_s
        self._entries: deque[tuple[float, int, float]] = deque()  # (at_s, calls, total), oldest first
        self._calls = 0
        self._total = 0.0

    def add(self, total: float, now_s: float, calls: int = 1) -> None:
        """`total` is the sum over these calls."""
        entries = self._entries
        self._calls += calls
        self._total += total
        if entries and now_s - entries[-1][0] < self._slot_s:
            at_s, other_calls, other_total = entries.pop()
            entries.append((at_s, other_calls + calls, other_total + total))
        else:
            entries.append((now_s, calls, total))
        while self._calls - entries[0][1] >= self._max_calls:
            self._forget_oldest()
        self._forget_old(now_s)

    def mean(self, now_s: float, *, least: int) -> float | None:
        """None when there were fewer than `least` calls."""
        self._forget_old(now_s)
        return self._total / self._calls if self._calls >= least else None

    def _forget_old(self, now_s: float) -> None:
        while self._entries and self._entries[0][0] <= now_s - self._window_s:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, calls, total = self._entries.popleft()
        self._calls -= calls
        self._total = self._total - total if self._entries else 0.0  # so that rounding errors do not add up
