"""Records -> lines of a log, as OpenTelemetry has them: each with the very JSON that stands on standard output."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_ERROR, SEVERITY_NUMBER_INFO

from gateway.contract import Record
from gateway.state.telemetry.attributes import SCOPE, resource_of
from gateway.wire.trace_context import context_of, span_id

NANO = 10**9

_encode = msgspec.json.Encoder().encode


class Logs:
    def __init__(self, resource: Mapping[str, str]) -> None:
        self.resource = resource_of(resource)

    def size_of(self, _: Record) -> int:
        return 0

    async def prepare(self, _: Sequence[Record]) -> None:
        """There is nothing to be done."""

    def message(self) -> ExportLogsServiceRequest:
        """An empty one."""
        message = ExportLogsServiceRequest()
        message.resource_logs.add(resource=self.resource).scope_logs.add(scope=SCOPE)
        return message

    def add(self, records: Sequence[Record], message: ExportLogsServiceRequest) -> None:
        lines = message.resource_logs[0].scope_logs[0].log_records
        for record in records:
            _tell(record, lines.add())


def _tell(record: Record, line: Any) -> None:
    ended = int(record.timestamp.timestamp() * NANO) + int(record.duration_ms * 1e6)
    is_error = record.level == "error"
    line.time_unix_nano = line.observed_time_unix_nano = ended
    line.severity_number = SEVERITY_NUMBER_ERROR if is_error else SEVERITY_NUMBER_INFO
    line.severity_text = "ERROR" if is_error else "INFO"
    line.event_name = "gateway.request"
    line.body.string_value = _encode(record).decode()
    line.trace_id = context_of(record.traceparent, record.request_id).trace_id.to_bytes(16)
    line.span_id = span_id(record.request_id, 0).to_bytes(8)
