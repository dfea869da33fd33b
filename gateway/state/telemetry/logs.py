"""Records -> lines of a log, as OpenTelemetry has them: the fields are those of the log on standard output."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_ERROR,
    SEVERITY_NUMBER_INFO,
    LogRecord,
    ResourceLogs,
    ScopeLogs,
)

from gateway.contract import Record
from gateway.state.telemetry.attributes import SCOPE, integer, number, resource_of, text, truth
from gateway.wire.trace_context import context_of, span_id

NANO = 10**9
_BODY = AnyValue(string_value="request")
_OWN_PLACES = frozenset({"event", "timestamp", "level"})
"""What has a place of its own in OpenTelemetry."""


class Logs:
    def __init__(self, resource: Mapping[str, str]) -> None:
        self.resource = resource_of(resource)

    def encode(self, records: Sequence[Record]) -> ExportLogsServiceRequest:
        lines = [_line(record) for record in records]
        return ExportLogsServiceRequest(
            resource_logs=[ResourceLogs(resource=self.resource, scope_logs=[ScopeLogs(scope=SCOPE, log_records=lines)])]
        )


def _line(record: Record) -> LogRecord:
    context = context_of(record.traceparent, record.request_id)
    is_error = record.level == "error"
    ended = int(record.timestamp.timestamp() * NANO) + int(record.duration_ms * 1e6)
    return LogRecord(
        time_unix_nano=ended,
        observed_time_unix_nano=ended,
        severity_number=SEVERITY_NUMBER_ERROR if is_error else SEVERITY_NUMBER_INFO,
        severity_text="ERROR" if is_error else "INFO",
        event_name="gateway.request",
        body=_BODY,
        attributes=[*_attributes(record)],
        trace_id=context.trace_id.to_bytes(16),
        span_id=span_id(record.request_id, 0).to_bytes(8),
    )


def _attributes(record: Record) -> Iterator[KeyValue]:
    """What has a structure of its own is written as JSON."""
    for name, value in msgspec.to_builtins(record).items():
        match value:
            case _ if name in _OWN_PLACES or value is None:
                continue
            case str():
                yield text(name, value)
            case bool():
                yield truth(name, value)
            case int():
                yield integer(name, value)
            case float():
                yield number(name, value)
            case _:
                yield text(name, msgspec.json.encode(value).decode())
