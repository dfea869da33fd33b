"""Figures -> metrics, as OpenTelemetry has them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import time_ns

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from gateway.contract.part import Distribution, Figure, Spread
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.attributes import SCOPE, resource_of, text

UNITS = {"_ms": "ms", "_seconds": "s", "_ratio": "1", "_bytes": "By"}
"""Ending of a name -> unit, in the code that OpenTelemetry takes: UCUM."""
Values = tuple[str, ...]


class Metrics:
    """Remembers what was told last, so that what is new can be told alone.

    Args:
        is_delta: it is.
        clock: nanoseconds since 1970.
    """

    def __init__(
        self, resource: Mapping[str, str], *, is_delta: bool = False, clock: Callable[[], int] = time_ns
    ) -> None:
        self.resource = resource_of(resource)
        self.is_delta = is_delta
        self._clock = clock
        self._since = clock()
        self._told: dict[tuple[str, Values], float | Spread] = {}

    def encode(self, figures: Iterable[Figure | Distribution]) -> ExportMetricsServiceRequest:
        """Each time with figures that are as high as before, or higher."""
        now = self._clock()
        metrics = [self._metric(figure, now) for figure in figures if figure.values]
        if self.is_delta:
            self._since = now
        return ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(resource=self.resource, scope_metrics=[ScopeMetrics(scope=SCOPE, metrics=metrics)])
            ]
        )

    def _metric(self, figure: Figure | Distribution, now: int) -> Metric:
        metric = Metric(name=figure.name, description=figure.help, unit=unit_of(figure.name))
        if isinstance(figure, Distribution):
            points = [*self._spreads(figure, now)]
            metric.histogram.CopyFrom(Histogram(data_points=points, aggregation_temporality=self._temporality))
        elif figure.kind == "counter":
            sums = [*self._counts(figure, now)]
            metric.sum.CopyFrom(Sum(data_points=sums, aggregation_temporality=self._temporality, is_monotonic=True))
        else:
            gauges = [
                NumberDataPoint(attributes=_attributes(figure.labels, of), time_unix_nano=now, as_double=value)
                for of, value in figure.values.items()
            ]
            metric.gauge.CopyFrom(Gauge(data_points=gauges))
        return metric

    @property
    def _temporality(self) -> AggregationTemporality.ValueType:
        return AGGREGATION_TEMPORALITY_DELTA if self.is_delta else AGGREGATION_TEMPORALITY_CUMULATIVE

    def _counts(self, figure: Figure, now: int) -> Iterator[NumberDataPoint]:
        for of, value in figure.values.items():
            before = self._before(figure.name, of, value)
            new = value - before if isinstance(before, int | float) else value
            yield NumberDataPoint(
                attributes=_attributes(figure.labels, of),
                start_time_unix_nano=self._since,
                time_unix_nano=now,
                as_double=new,
            )

    def _spreads(self, figure: Distribution, now: int) -> Iterator[HistogramDataPoint]:
        for of, spread in figure.values.items():
            before = self._before(figure.name, of, spread)
            counts, total = [*spread.counts], spread.total
            if isinstance(before, Spread):
                counts = [new - old for new, old in zip(counts, before.counts, strict=True)]
                total -= before.total
            yield HistogramDataPoint(
                attributes=_attributes(figure.labels, of),
                start_time_unix_nano=self._since,
                time_unix_nano=now,
                count=sum(counts),
                sum=total,
                bucket_counts=counts,
                explicit_bounds=figure.bounds,
            )

    def _before(self, name: str, of: Values, value: float | Spread) -> float | Spread | None:
        """What was told before of the same; None: nothing, or all is told each time."""
        if not self.is_delta:
            return None
        before = self._told.get((name, of))
        self._told[name, of] = value
        return before


def unit_of(name: str) -> str:
    if name in names.METRICS:
        return names.METRICS[name]
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def _attributes(labels: Values, of: Values) -> list[KeyValue]:
    """An empty value is as one that is not there."""
    return [text(name, value) for name, value in zip(labels, of, strict=True) if value]
