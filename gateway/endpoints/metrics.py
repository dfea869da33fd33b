"""Numbers for Prometheus."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from gateway.contract.part import Distribution, Figure
from gateway.proxy.asgi import Receive, Scope, Send, send_body

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class MetricsEndpoint:
    """The Prometheus text format.

    Args:
        figures: gives all there is, as it stands now.
    """

    def __init__(self, figures: Callable[[], Iterable[Figure | Distribution]]) -> None:
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Thousands of lines take a while to write.
        text = await asyncio.to_thread(prometheus_text, tuple(self.figures()))
        await send_body(send, 200, text, CONTENT_TYPE)


def prometheus_text(figures: Sequence[Figure | Distribution]) -> bytes:
    """With what the operating system knows of the process."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest  # only now: nobody may ever ask
    from prometheus_client.registry import Collector

    class Collected(Collector):
        def collect(self) -> "Iterator[Metric]":
            return map(family_of, figures)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def family_of(figure: Figure | Distribution) -> "Metric":
    """As prometheus_client has it."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if isinstance(figure, Distribution):
        histogram = HistogramMetricFamily(figure.name, figure.help, labels=figure.labels)
        bounds = [*(str(float(bound)) for bound in figure.bounds), "+Inf"]
        for labels, spread in figure.values.items():
            buckets = [*zip(bounds, accumulate(spread.counts), strict=True)]
            histogram.add_metric(labels, buckets, spread.total)
        return histogram
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = kind(figure.name, figure.help, labels=figure.labels)
    for labels, value in figure.values.items():
        family.add_metric(labels, value)
    return family
