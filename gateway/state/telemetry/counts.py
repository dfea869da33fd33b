"""What became of what was sent."""

from collections import Counter
from collections.abc import Iterable

import structlog

from gateway.contract.part import Figure, counter
from gateway.state.telemetry.settings import Signal

SUCCESS, FAILURE = "success", "failure"

log = structlog.get_logger(__name__)


class Counts:
    """For as long as the gateway lives, wherever it is sent. Of traces and logs, each request counts; of metrics, each
    time that all of them are sent."""

    def __init__(self) -> None:
        self.accepted: Counter[Signal] = Counter()
        self._ends: Counter[tuple[Signal, str, str]] = Counter()
        self._problems: dict[Signal, str] = {}

    @property
    def problem(self) -> str | None:
        """Why the last of a signal did not arrive; None: all did."""
        return "; ".join(f"{signal} do not arrive: {reason}" for signal, reason in self._problems.items()) or None

    def arrived(self, signal: Signal, count: int) -> None:
        self._ends[signal, SUCCESS, ""] += count
        self._problems.pop(signal, None)

    def lost(self, signal: Signal, reason: str, count: int) -> None:
        """Logged when it begins, and not with each batch."""
        self._ends[signal, FAILURE, reason] += count
        if signal not in self._problems:
            log.warning("telemetry lost", signal=signal, reason=reason, count=count)
        self._problems[signal] = reason

    def stopped(self, signals: Iterable[Signal]) -> None:
        """They are not sent any longer, so nothing is wrong with that."""
        for signal in signals:
            self._problems.pop(signal, None)

    def figures(self) -> Iterable[Figure]:
        yield counter("ai_gateway_spans_accepted", "Traces that were to be sent.", self.accepted["traces"])
        yield self._exported("ai_gateway_spans_exported", "traces")
        drops: dict[tuple[str, ...], float] = {
            (why,): count for (signal, end, why), count in self._ends.items() if (signal, end) == ("traces", FAILURE)
        }
        yield Figure("ai_gateway_span_drops", "Traces that did not arrive.", "counter", drops, ("reason",))
        yield self._exported("gateway_metrics_exported", "metrics")
        yield self._exported("gateway_logs_exported", "logs")

    def _exported(self, name: str, signal: Signal) -> Figure:
        ends: dict[tuple[str, ...], float] = {
            (end, why): count for (of, end, why), count in self._ends.items() if of == signal
        }
        return Figure(
            name, f"How often {signal} were sent, by what came of it.", "counter", ends, ("outcome", "reason")
        )
