"""What orchestrators and monitors ask: alive, ready, and in numbers."""

from typing import Any

import msgspec

from gateway._version import __version__
from gateway.config.live import Config
from gateway.config.replica import Replica
from gateway.control.control import Control
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.drain import Drain
from gateway.state.accounting import Accounting
from gateway.state.records import Records
from gateway.state.stalls import Stalls


class AliveEndpoint:
    """200 as long as the event loop turns; it asks nothing of anybody else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 200, msgspec.json.encode({"status": "ok", "version": __version__}))


class ReadyEndpoint:
    """503 while the gateway stops, and until it has read its database for the first time.

    What it can do without is told, but does not make it unready: a configuration that could not be reloaded, because
    the old one still serves; a database that is away, because all tokens that were known still work; and counters that
    cannot be reached, because each limit says what it does then.
    """

    def __init__(
        self,
        *,
        config: Config,
        drain: Drain,
        records: Records,
        accounting: Accounting,
        control: Control | None = None,
    ) -> None:
        self.config = config
        self.drain = drain
        self.records = records
        self.accounting = accounting
        self.replica = control.replica if control is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        config, drain, replica = self.config, self.drain, self.replica
        is_starting = replica is not None and not replica.is_loaded
        status = "stopping" if drain.is_stopping else "starting" if is_starting else "ready"
        state: dict[str, object] = {
            "status": status,
            "open_requests": len(drain),
            "config": {
                "generation": config.generation,
                "models": len(config.snapshot.targets),
                "reload_failures": config.reload_failures,
                "faults": [str(fault) for fault in config.faults],
            },
        }
        for part, problem in _problems(self.accounting, self.records, replica).items():
            state[part] = {"status": "ok" if problem is None else "degraded", "problem": problem}
        await send_body(send, 200 if status == "ready" else 503, msgspec.json.encode(state))


def _problems(accounting: Accounting, records: Records, replica: Replica | None) -> dict[str, str | None]:
    """Part -> what is wrong with it; None: nothing."""
    database = {"database": replica.problem} if replica is not None else {}
    return database | accounting.problems | {"log": records.status.problem}


class MetricsEndpoint:
    """The Prometheus text format. Everything is read when it is asked for, so that counting costs requests nothing."""

    def __init__(
        self,
        *,
        config: Config,
        drain: Drain,
        records: Records,
        admission: Admission,
        accounting: Accounting,
        stalls: Stalls,
        control: Control | None = None,
    ) -> None:
        self.config = config
        self.drain = drain
        self.records = records
        self.admission = admission
        self.accounting = accounting
        self.stalls = stalls
        self.replica = control.replica if control is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from prometheus_client import CollectorRegistry, generate_latest  # only now: nobody may ever ask

        registry = CollectorRegistry()
        registry.register(self)
        await send_body(send, 200, generate_latest(registry), b"text/plain; version=0.0.4; charset=utf-8")

    def collect(self) -> Any:
        """What prometheus_client calls a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        generation, failures = self.config.generation, self.config.reload_failures
        yield InfoMetricFamily("gateway_build", "What is running.", value={"version": __version__})
        yield GaugeMetricFamily("gateway_open_requests", "Requests being served.", value=len(self.drain))
        yield GaugeMetricFamily("gateway_config_generation", "Configurations in force so far.", value=generation)
        yield CounterMetricFamily("gateway_config_reload_failures", "Configurations refused.", value=failures)
        lost = self.records.dropped
        yield CounterMetricFamily("gateway_records_dropped", "Request records that no sink took.", value=lost)
        stalls = self.stalls
        yield CounterMetricFamily("gateway_loop_stalls", "Times the event loop stood still.", value=stalls.count)
        yield CounterMetricFamily("gateway_loop_stall_seconds", "How long in all.", value=stalls.seconds)
        refused = CounterMetricFamily("gateway_limit_refusals", "Requests refused by a rule.", labels=["rule"])
        audited = CounterMetricFamily("gateway_limit_audits", "Requests a rule only watches.", labels=["rule"])
        for family, counts in ((refused, self.admission.refused), (audited, self.admission.audited)):
            for rule, count in counts.items():
                family.add_metric([rule], count)
            yield family
        unpriced = self.admission.unpriced
        yield CounterMetricFamily("gateway_unpriced_requests", "Requests whose cost nobody knows.", value=unpriced)
        degraded = GaugeMetricFamily("gateway_degraded", "1: a part does not work as it should.", labels=["component"])
        for part, problem in _problems(self.accounting, self.records, self.replica).items():
            degraded.add_metric([part], 0 if problem is None else 1)
        yield degraded
        for name, figure in self.accounting.figures.items():
            yield GaugeMetricFamily(name, "Of limits, budgets and the ledger.", value=figure)
