"""What orchestrators and monitors ask: alive, ready, and in numbers."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway._version import __version__
from gateway.contract.part import Figure, Part, counter
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.drain import Drain


class AliveEndpoint:
    """200 as long as the event loop turns; it asks nothing of anybody else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 200, msgspec.json.encode({"status": "ok", "version": __version__}))


class ReadyEndpoint:
    """503 while the gateway stops, and until all its parts are ready: it has to have read its database once.

    What it can do without is told, but does not make it unready: a configuration that could not be reloaded, because
    the old one still serves; a database that is away, because all tokens that were known still work; and counters that
    cannot be reached, because each limit says what it does then.

    Args:
        config: tells which configuration is in force.
    """

    def __init__(self, parts: Sequence[Part], *, drain: Drain, config: Callable[[], Mapping[str, object]]) -> None:
        self.parts = parts
        self.drain = drain
        self.config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_starting = any(part.status is not None and not part.status.is_ready for part in self.parts)
        status = "stopping" if self.drain.is_stopping else "starting" if is_starting else "ready"
        state: dict[str, object] = {"status": status, "open_requests": len(self.drain), "config": self.config()}
        for name, problem in problems(self.parts).items():
            state[name] = {"status": "ok" if problem is None else "degraded", "problem": problem}
        await send_body(send, 200 if status == "ready" else 503, msgspec.json.encode(state))


class MetricsEndpoint:
    """The Prometheus text format."""

    def __init__(self, parts: Sequence[Part], *, drain: Drain) -> None:
        self.parts = parts
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from prometheus_client import CollectorRegistry, generate_latest  # only now: nobody may ever ask

        registry = CollectorRegistry()
        registry.register(self)
        await send_body(send, 200, generate_latest(registry), b"text/plain; version=0.0.4; charset=utf-8")

    def collect(self) -> Any:
        """What prometheus_client calls a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        yield InfoMetricFamily("gateway_build", "What is running.", value={"version": __version__})
        yield GaugeMetricFamily("gateway_open_requests", "Requests being served.", value=len(self.drain))
        kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
        for part in self.parts:
            for figure in part.figures():
                family = kinds[figure.kind](figure.name, figure.help, labels=figure.labels)
                for labels, value in figure.values.items():
                    family.add_metric(labels, value)
                yield family
        degraded = GaugeMetricFamily("gateway_degraded", "1: a part does not work as it should.", labels=["component"])
        for name, problem in problems(self.parts).items():
            degraded.add_metric([name], 0 if problem is None else 1)
        yield degraded


class LimitFigures(Part):
    """What the rules did to requests."""

    name = "limits"

    def __init__(self, admission: Admission) -> None:
        self.admission = admission

    def figures(self) -> Iterable[Figure]:
        yield by_rule("gateway_limit_refusals", "Requests refused by a rule.", self.admission.refused)
        yield by_rule("gateway_limit_audits", "Requests a rule only watches.", self.admission.audited)
        unpriced = self.admission.unpriced
        yield counter("gateway_unpriced_requests", "Requests whose cost nobody knows.", unpriced)


def by_rule(name: str, about: str, counts: Counter[str]) -> Figure:
    return Figure(name, about, "counter", {(rule,): count for rule, count in counts.items()}, labels=("rule",))


def problems(parts: Iterable[Part]) -> dict[str, str | None]:
    """Name of a part that has a status -> what is wrong with it; None: nothing."""
    found: dict[str, str | None] = {}
    for part in parts:
        if part.status is not None:
            found[part.name] = found.get(part.name) or part.status.problem
    return found
