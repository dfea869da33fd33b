"""Records -> spans: one for the request, and one for each model and each guardrail that it waited for."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtelSpan

from gateway.contract import Record, Span
from gateway.contract.usage import Usage
from gateway.manifests.telemetry import TraceWhen
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.attributes import SCOPE, integer, listed, number, resource_of, text, truth
from gateway.state.telemetry.tally import VERDICTS, Described
from gateway.wire.trace_context import Sampling, TraceContext, context_of, span_id

NANO = 10**9
SPAN_TYPES = {
    "chat": "ChatCompletion",
    "messages": "ChatCompletion",
    "completions": "Completion",
    "embeddings": "Embedding",
    "rerank": "Rerank",
    "responses": "CreateModelResponse",
}
"""API of the caller -> how TrueFoundry's gateway calls such a request."""


class Spans:
    """Makes them, for one place that they are sent to.

    Args:
        described: of a model.
        when: all has to fit what is said of the request; only then its trace is sent.
    """

    def __init__(
        self,
        described: Described,
        resource: Mapping[str, str],
        *,
        sampling: Sampling = Sampling(),  # noqa: B008 - it is frozen
        when: Sequence[TraceWhen] = (),
    ) -> None:
        self.described = described
        self.resource = resource_of(resource)
        self.sampling = sampling
        self.when = when

    def encode(self, records: Sequence[Record]) -> ExportTraceServiceRequest:
        spans = [span for record in records for span in self.of(record)]
        return ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(resource=self.resource, scope_spans=[ScopeSpans(scope=SCOPE, spans=spans)])]
        )

    def wants(self, record: Record) -> bool:
        """Whether the trace of that request is kept."""
        return self.sampling.keeps(context_of(record.traceparent, record.request_id))

    def of(self, record: Record) -> Iterator[OtelSpan]:
        attributes = [*_of_request(record)]
        if self.when and not all(_fits(when, attributes) for when in self.when):
            return
        context = context_of(record.traceparent, record.request_id)
        start = int(record.timestamp.timestamp() * NANO)
        root = span_id(record.request_id, 0)
        yield OtelSpan(
            trace_id=context.trace_id.to_bytes(16),
            span_id=root.to_bytes(8),
            parent_span_id=context.parent_id.to_bytes(8) if context.parent_id is not None else b"",
            name=f"{record.method} {record.request_type}" if record.request_type is not None else record.method,
            kind=OtelSpan.SPAN_KIND_SERVER,
            start_time_unix_nano=start,
            end_time_unix_nano=start + int(record.duration_ms * 1e6),
            attributes=attributes,
            status=_status(record.status, record.error_message),
        )
        yield from self._inner(record, context, start, root)

    def _inner(self, record: Record, context: TraceContext, start: int, root: int) -> Iterator[OtelSpan]:
        """What it waited for. Of a single attempt, the record says nothing but that it was all there was."""
        spans = record.spans
        if not any(span.kind == "model" for span in spans) and record.resolved_model is not None:
            ended = max((span.started_ms + span.duration_ms for span in spans), default=0.0)
            only = Span("model", record.resolved_model, record.status, None, ended, record.duration_ms - ended)
            spans = (*spans, only)
        attempts = 0
        for number_, span in enumerate(spans, 1):
            is_model = span.kind == "model"
            attempts += is_model
            is_last = is_model and number_ == len(spans)
            begun = start + int(span.started_ms * 1e6)
            yield OtelSpan(
                trace_id=context.trace_id.to_bytes(16),
                span_id=span_id(record.request_id, attempts if is_model else GUARDS + number_).to_bytes(8),
                parent_span_id=root.to_bytes(8),
                name=_name(record, span) if is_model else f"{span.kind} {span.name}",
                kind=OtelSpan.SPAN_KIND_CLIENT if is_model else OtelSpan.SPAN_KIND_INTERNAL,
                start_time_unix_nano=begun,
                end_time_unix_nano=begun + int(span.duration_ms * 1e6),
                attributes=[*(self._of_attempt(record, span, attempts, is_last) if is_model else _of_guardrail(span))],
                status=_status(span.status if span.reason is not None else 200, span.reason),
            )

    def _of_attempt(self, record: Record, span: Span, attempt: int, is_last: bool) -> Iterator[KeyValue]:
        _, account_type = self.described(span.name)
        yield text(names.OPERATION, names.operation_of(record.request_type or ""))
        yield text(names.PROVIDER, names.provider_of(account_type))
        yield text(names.REQUEST_MODEL, span.name.partition("/")[2])
        yield truth(names.REQUEST_STREAM, record.stream)
        yield text("tfy.span_type", "Model")
        yield text("tfy.model.name", span.name)
        yield integer("gateway.attempt", attempt)
        if span.reason is not None:
            yield text(names.ERROR_TYPE, span.reason)
        if is_last:
            yield from _of_usage(record)


def _name(record: Record, span: Span) -> str:
    return f"{names.operation_of(record.request_type or '')} {span.name.partition('/')[2]}"


GUARDS = 1000
"""Spans of guardrails are numbered from here on, and those of attempts from 1, as who passes on a trace does."""


def _of_request(record: Record) -> Iterator[KeyValue]:
    yield text(names.HTTP_METHOD, record.method)
    yield text(names.URL_PATH, record.path)
    yield text(names.URL_SCHEME, "http")
    yield integer(names.HTTP_STATUS, record.status)
    yield text("gateway.request_id", record.request_id)
    yield text("gateway.outcome", record.outcome)
    for name, value in (
        (names.USER_AGENT, record.user_agent),
        (names.CLIENT_ADDRESS, record.client),
        ("tfy.span_type", SPAN_TYPES.get(record.request_type or "")),
        ("tfy.request.model_name", record.model),
        ("tfy.request.created_by_subject", record.subject),
        ("tfy.model.name", record.resolved_model),
        ("tfy.model.request_type", record.request_type),
        ("tfy.error_message", record.error_message),
        ("gateway.token_id", record.token_id),
        ("gateway.destination", record.destination),
        (names.ERROR_TYPE, record.error_code or record.error_type if record.status >= 500 else None),
    ):
        if value is not None:
            yield text(name, value)
    if record.metadata:
        yield text("tfy.request.metadata", msgspec.json.encode(record.metadata).decode())
    if record.over_limits:
        yield listed("gateway.over_limits", record.over_limits)
    if record.applied is not None and (rule := record.applied.get("rule")) is not None:
        yield listed("applied_loadbalance_rule_ids", (rule,))
    if record.request_type is not None:
        yield truth("tfy.model.streaming", record.stream)
        yield number("tfy.model.metric.latency_in_ms", record.duration_ms)
    if record.usage is not None:
        yield integer("tfy.model.metric.input_tokens", record.usage.input_tokens)
        yield integer("tfy.model.metric.output_tokens", record.usage.output_tokens)
    if record.cost_nanousd is not None:
        yield number("tfy.model.metric.cost_in_usd", record.cost_nanousd / NANO)
    if record.time_to_first_token_ms is not None:
        yield number("tfy.model.metric.time_to_first_token_in_ms", record.time_to_first_token_ms)
    if record.time_per_output_token_ms is not None:
        yield number("tfy.model.metric.inter_token_latency_in_ms", record.time_per_output_token_ms)


def _of_usage(record: Record) -> Iterator[KeyValue]:
    usage = record.usage
    if usage is not None:
        yield integer(names.INPUT_TOKENS, usage.input_tokens)
        yield integer(names.OUTPUT_TOKENS, usage.output_tokens)
        for name, count in _parts(usage):
            if count:
                yield integer(name, count)
    if record.stream and record.time_to_first_token_ms is not None:
        yield number(names.FIRST_CHUNK, record.time_to_first_token_ms / 1000)


def _parts(usage: Usage) -> tuple[tuple[str, int], ...]:
    return (
        (names.CACHE_READ_TOKENS, usage.cache_read),
        (names.CACHE_WRITE_TOKENS, usage.cache_write + usage.cache_write_1h),
        (names.REASONING_TOKENS, usage.reasoning),
    )


def _of_guardrail(span: Span) -> Iterator[KeyValue]:
    yield text("tfy.span_type", span.kind.capitalize())
    yield text("tfy.guardrail.name", span.name)
    yield text("tfy.guardrail.result", VERDICTS.get(span.reason, "error"))
    yield number("tfy.guardrail.metric.latency_in_ms", span.duration_ms)


def _status(status: int, message: str | None) -> Status:
    """Of a server, what is the caller's fault is no error. Source: the conventions for HTTP spans, "Status"."""
    return _FINE if status < 500 else Status(code=Status.STATUS_CODE_ERROR, message=message or "")


_FINE = Status()


def _fits(when: TraceWhen, attributes: Sequence[KeyValue]) -> bool:
    return any(each.key == when.key and each.value.string_value in when.value for each in attributes)
