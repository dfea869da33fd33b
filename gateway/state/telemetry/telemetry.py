"""What is made of the records of requests, besides lines of a log: metrics, and what is sent to OpenTelemetry."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import structlog

from gateway._version import __version__
from gateway.contract import Record
from gateway.contract.part import Distribution, Figure, Part, Status
from gateway.errors import ConfigError, Fault
from gateway.logs import traceback_text
from gateway.manifests.telemetry import OtelConfig
from gateway.state.background import background
from gateway.state.contents import Kept
from gateway.state.telemetry.conventions import SERVICE_INSTANCE, SERVICE_VERSION
from gateway.state.telemetry.counts import Counts
from gateway.state.telemetry.settings import TelemetrySettings
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.wanted import Wanted, missing_for, wanted
from gateway.state.telemetry.words import Words
from gateway.upstream.outgoing import Ways

if TYPE_CHECKING:
    from gateway.state.telemetry.sending import Sending

CLOSE_S = 5.0
Measured = Callable[[], Iterable[Figure | Distribution]]

log = structlog.get_logger(__name__)


class Telemetry(Part):
    """A sink for records: they are counted, and handed on to whoever is to be sent them.

    Where that is may change with the configuration: it is looked at with each batch, and before metrics are sent. What
    is under way to the place before still gets there.

    Args:
        config: the manifest in force; None: there is none.

    Raises:
        ConfigError: the environment asks for what is not installed.
    """

    name = "telemetry"

    def __init__(
        self,
        tally: Tally,
        settings: TelemetrySettings = TelemetrySettings(),  # noqa: B008 - it is frozen
        *,
        config: Callable[[], OtelConfig | None] = lambda: None,
        ways: Ways = Ways(),  # noqa: B008 - it is frozen
    ) -> None:
        if missing := missing_for(settings.destinations):
            raise ConfigError([Fault("the environment", 0, "OTEL_EXPORTER_OTLP_ENDPOINT", missing)])
        self.tally = tally
        own = {SERVICE_VERSION: __version__, SERVICE_INSTANCE: uuid4().hex}
        self.settings = msgspec.structs.replace(settings, resource=own | dict(settings.resource))
        self.ways = ways
        self.measured: Measured = tally.figures
        """All that is measured. Set by whoever knows the other parts."""
        self.counts = Counts()
        self._config = config
        self._wanted: Wanted | None = None
        self._of: OtelConfig | None = None
        self._sending: Sending | None = None
        self._words: Words | None = None
        self._missing: str | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def status(self) -> Status | None:
        """None: nothing is sent."""
        if self._missing is None and self._sending is None:
            return None
        return Status(self._missing or self.counts.problem)

    def figures(self) -> Iterable[Figure | Distribution]:
        yield from self.tally.figures()
        yield from self.counts.figures()

    def keep(self, kept: Kept) -> None:
        """What was asked and answered, of a request whose record comes next; nothing, if no trace is to say it."""
        self._look()
        if self._words is not None:
            self._words.add(kept)

    async def write(self, records: Sequence[Record]) -> None:
        self.tally.count(records)
        if (sending := self._look()) is not None:
            sending.add(records)

    async def flush(self) -> None:
        """Sends what waits, and the metrics."""
        if (sending := self._look()) is not None:
            await sending.flush()
            await sending.send_metrics(self.measured)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background(self._send_metrics()):
            yield
        sending, self._sending, self._wanted = self._sending, None, None
        if sending is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await sending.send_metrics(self.measured)
            await sending.close(CLOSE_S)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _send_metrics(self) -> None:
        while True:
            await asyncio.sleep(self.settings.every_s)
            try:
                if (sending := self._look()) is not None:
                    await sending.send_metrics(self.measured)
            except Exception:
                log.error("metrics not sent", traceback=traceback_text())

    def _look(self) -> "Sending | None":
        """To where it is sent now."""
        config = self._config()
        if self._wanted is None or config is not self._of:
            self._of = config
            wants = wanted(self.settings, config)
            if wants != self._wanted:
                self._wanted = wants
                self._change(wants)
        return self._sending

    def _change(self, wants: Wanted) -> None:
        before, self._sending, self._words = self._sending, None, None
        if before is not None:
            leaving = asyncio.create_task(before.close(CLOSE_S))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        self._missing = missing_for(wants.destinations)
        if self._missing is not None:
            log.error("telemetry not sent", reason=self._missing)
        elif wants.destinations:
            from gateway.state.telemetry.sending import Sending  # with protobuf, which takes a tenth of a second
            from gateway.state.telemetry.transports import transport_to

            self._words = Words() if wants.tells_content and "traces" in wants.destinations else None
            transports = {
                signal: transport_to(destination, signal, self.ways)
                for signal, destination in wants.destinations.items()
            }
            self._sending = Sending(
                wants,
                transports,
                counts=self.counts,
                sampling=self.settings.sampling,
                described=self.tally.described,
                words=self._words,
            )
