"""Batches on their way to somebody who may not take them."""

import asyncio

import pytest

from gateway.state.telemetry.counts import Counts
from gateway.state.telemetry.exporter import Exporter
from gateway.state.telemetry.logs import Logs
from gateway.state.telemetry.transports import Unsent


class Scripted:
    """A transport that does what it is told to, and then takes all. It waits where there is an event."""

    def __init__(self, *script):
        self.script = [*script]
        self.sent = []
        self.is_closed = False

    async def send(self, message):
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await step.wait()
        self.sent.append(len(message.resource_logs[0].scope_logs[0].log_records) if message.resource_logs else 0)

    async def close(self):
        self.is_closed = True


@pytest.fixture
def exporter_to():
    def make(transport, **how):
        counts = Counts()
        how = {"encoding": Logs({}), "flush_s": 0.001, "pauses_s": (0.0, 0.0), **how}
        return Exporter("logs", transport, counts=counts, **how), counts

    return make


def ends(counts):
    return {figure.name: figure.values for figure in counts.figures()}["gateway_logs_exported"]


async def test_many_records_are_one_message(exporter_to, record):
    """Each few of them are encoded in a turn of their own, so that nobody is held up; they arrive together."""
    transport = Scripted()
    encoding = InPieces({})
    exporter, counts = exporter_to(transport, encoding=encoding)

    exporter.add([record()] * 70)
    await exporter.close(1.0)

    assert (transport.is_closed, ends(counts)) == (True, {("success", ""): 70})
    assert (transport.sent, encoding.pieces) == ([70], [20, 20, 20, 10])


class InPieces(Logs):
    """Notes how many it is given at once."""

    def __init__(self, resource):
        super().__init__(resource)
        self.pieces = []

    def add(self, records, message):
        self.pieces.append(len(records))
        super().add(records, message)


async def test_what_may_be_sent_again_is(exporter_to, record):
    transport = Scripted(Unsent("http_503", may_retry=True, after_s=0.0), Unsent("timeout", may_retry=True))
    exporter, counts = exporter_to(transport)

    exporter.add([record()])
    await exporter.flush()

    assert (transport.sent, ends(counts), counts.problem) == ([1], {("success", ""): 1}, None)


async def test_but_not_for_ever(exporter_to, record):
    transport = Scripted(*[Unsent("http_503", may_retry=True)] * 3)
    exporter, counts = exporter_to(transport)

    exporter.add([record()])
    await exporter.flush()

    assert (transport.script, ends(counts)) == ([], {("failure", "http_503"): 1})


async def test_what_cannot_be_encoded_takes_nothing_else_along(exporter_to, record):
    """A fault of ours is in the log, with its place."""
    transport = Scripted()
    exporter, counts = exporter_to(transport)

    exporter.add([record(request_id="no number")])
    await exporter.flush()
    exporter.add([record()])
    await exporter.flush()

    assert (transport.sent, ends(counts)) == ([1], {("failure", "error"): 1, ("success", ""): 1})


async def test_there_is_room_for_so_many(exporter_to, record, until):
    """Of what comes while it is being sent; the oldest tell how it began."""
    blocked = asyncio.Event()
    transport = Scripted(blocked)
    exporter, counts = exporter_to(transport, max_waiting=5)

    exporter.add([record()])
    await until(lambda: not transport.script)
    exporter.add([record()] * 7)
    blocked.set()
    await exporter.close(1.0)

    assert ends(counts) == {("failure", "queue_full"): 3, ("success", ""): 5}


async def test_closing_ends_though_nothing_is_taken(exporter_to, record):
    transport = Scripted(asyncio.Event())
    exporter, counts = exporter_to(transport)

    exporter.add([record(), record()])
    await exporter.close(0.01)

    assert (transport.is_closed, ends(counts)) == (True, {("failure", "shutdown"): 2})


async def test_what_is_not_wanted_is_not_counted(exporter_to, record):
    exporter, counts = exporter_to(Scripted(), wants=lambda each: each.status != 200)

    exporter.add([record(), record(status=502)])
    await exporter.close(1.0)

    assert ends(counts) == {("success", ""): 1}
