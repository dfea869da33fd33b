"""All that is sent, to one set of places."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.contract import Record
from gateway.contract.part import Distribution, Figure
from gateway.state.telemetry.counts import Counts
from gateway.state.telemetry.exporter import Exporter
from gateway.state.telemetry.genai import GenAi
from gateway.state.telemetry.logs import Logs
from gateway.state.telemetry.metrics import Metrics
from gateway.state.telemetry.settings import Signal
from gateway.state.telemetry.spans import Spans
from gateway.state.telemetry.tally import Described
from gateway.state.telemetry.transports import Transport, Unsent
from gateway.state.telemetry.wanted import Wanted
from gateway.state.telemetry.words import Words
from gateway.wire.trace_context import Sampling


class Sending:
    """
    Args:
        transports: of those signals that are sent.
        counts: where it is written down what arrived.
        words: what was asked and answered; None: no trace says it.
    """

    def __init__(
        self,
        wants: Wanted,
        transports: Mapping[Signal, Transport],
        *,
        counts: Counts,
        sampling: Sampling,
        described: Described,
        words: Words | None = None,
    ) -> None:
        self.exporters: list[Exporter] = []
        self._counts = counts
        self._genai: GenAi | None = None
        self._metrics = Metrics(wants.resource, is_delta=wants.is_delta)
        self._telling = asyncio.Lock()
        self._to_metrics = transports.get("metrics")
        if to_traces := transports.get("traces"):
            spans = Spans(described, wants.traced_resource, sampling=sampling, when=wants.when, words=words)
            self.exporters.append(Exporter("traces", to_traces, spans, counts=counts, wants=spans.wants))
        if to_logs := transports.get("logs"):
            self.exporters.append(Exporter("logs", to_logs, Logs(wants.resource), counts=counts))
        if self._to_metrics is not None:
            self._genai = GenAi(described)

    def add(self, records: Sequence[Record]) -> None:
        for exporter in self.exporters:
            exporter.add(records)
        if self._genai is not None:
            self._genai.count(records)

    async def send_metrics(self, measured: Callable[[], Iterable[Figure | Distribution]]) -> None:
        """Once; what does not arrive is told with the next, unless only what is new is told."""
        if self._to_metrics is None or self._genai is None:
            return
        async with self._telling:  # what was told last is remembered
            figures = [*measured(), *self._genai.figures()]
            message = await asyncio.to_thread(self._metrics.encode, figures)
            try:
                await self._to_metrics.send(message)
            except Unsent as error:
                self._counts.lost("metrics", error.reason, 1)
            else:
                self._counts.arrived("metrics", 1)

    async def flush(self) -> None:
        await asyncio.gather(*(exporter.flush() for exporter in self.exporters))

    async def close(self, deadline_s: float) -> None:
        await asyncio.gather(*(exporter.close(deadline_s) for exporter in self.exporters))
        if self._to_metrics is not None:
            await self._to_metrics.close()
