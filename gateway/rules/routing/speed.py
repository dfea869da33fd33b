"""How fast a target answers. Time to first token and time per output token are never mixed."""

from gateway.contract.route import Sla
from gateway.rules.routing.window import Window

LATENCY_WINDOW_S = 20 * 60.0
LATENCY_CALLS = 100
SLA_WINDOW_S = 3 * 60.0
SLA_SLOT_S = 5.0
LEAST_CALLS = 3
"""Fewer say nothing."""
SLOWEST_S = 3600.0
"""What is above was measured wrongly."""


class Speed:
    """The speed of one target: over 20 minutes or 100 calls to compare targets by, over 3 minutes for its SLA."""

    __slots__ = ("_first", "_latency", "_output")

    def __init__(self) -> None:
        self._latency = Window(LATENCY_WINDOW_S, max_calls=LATENCY_CALLS)
        self._output = Window(SLA_WINDOW_S, slot_s=SLA_SLOT_S)
        self._first = Window(SLA_WINDOW_S, slot_s=SLA_SLOT_S)

    def observed_output(self, total_s: float, now_s: float, calls: int = 1) -> None:
        """Time per output token, summed over these calls."""
        self._latency.add(total_s, now_s, calls)
        self._output.add(total_s, now_s, calls)

    def observed_first(self, total_s: float, now_s: float, calls: int = 1) -> None:
        """Time to first token, summed over these calls."""
        self._first.add(total_s, now_s, calls)

    def latency_s(self, now_s: float) -> float | None:
        """Mean time per output token, to compare targets by."""
        return self._latency.mean(now_s, least=LEAST_CALLS)

    def time_per_output_token_s(self, now_s: float) -> float | None:
        return self._output.mean(now_s, least=LEAST_CALLS)

    def time_to_first_token_s(self, now_s: float) -> float | None:
        return self._first.mean(now_s, least=LEAST_CALLS)

    def misses(self, sla: Sla, now_s: float) -> bool:
        return _is_above(self.time_per_output_token_s(now_s), sla.time_per_output_token_s) or _is_above(
            self.time_to_first_token_s(now_s), sla.time_to_first_token_s
        )


def is_credible(total_s: float, calls: int = 1) -> bool:
    return 0.0 <= total_s <= calls * SLOWEST_S


def _is_above(mean: float | None, cutoff: float | None) -> bool:
    return mean is not None and cutoff is not None and mean > cutoff
