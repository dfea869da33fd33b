"""Records -> spans: one for the request, and one for each model and each guardrail that it waited for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtelSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from gateway.contract import Record, Span
from gateway.manifests.telemetry import TraceWhen
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.attributes import SCOPE, listed, resource_of, tell, text
from gateway.state.telemetry.tally import VERDICTS, Described
from gateway.state.telemetry.words import Told, Words
from gateway.wire.trace_context import Sampling, context_of, span_id

NANO = 10**9
SPAN_TYPES = {
    "chat": "ChatCompletion",
    "messages": "ChatCompletion",
    "gemini": "ChatCompletion",
    "completions": "Completion",
    "embeddings": "Embedding",
    "gemini_embeddings": "Embedding",
    "rerank": "Rerank",
    "responses": "CreateModelResponse",
}
"""API of the caller -> how TrueFoundry's gateway calls such a request."""
MOST_CHARS = 4096
"""Of the message of an error."""
GUARDS = 1000
"""Spans of guardrails are numbered from here on, and those of attempts from 1, as who passes on a trace does."""


class Spans:
    """Makes them, for one place that they are sent to.

    What many requests have in common is made once and copied, which takes a third of the time.

    Args:
        described: of a model.
        when: all has to fit what is said of the request; only then its trace is sent.
        words: what was asked and answered; None: no trace says it.
    """

    def __init__(
        self,
        described: Described,
        resource: Mapping[str, str],
        *,
        sampling: Sampling = Sampling(),  # noqa: B008 - it is frozen
        when: Sequence[TraceWhen] = (),
        words: Words | None = None,
    ) -> None:
        self.described = described
        self.resource = resource_of(resource)
        self.sampling = sampling
        self.when = when
        self.words = words

    def wants(self, record: Record) -> bool:
        """Whether the trace of that request is kept."""
        if self.sampling.keeps(context_of(record.traceparent, record.request_id)):
            return True
        if self.words is not None:
            self.words.forget((record.request_id,))
        return False

    def size_of(self, record: Record) -> int:
        return self.words.size_of(record.request_id) if self.words is not None else 0

    async def prepare(self, records: Sequence[Record]) -> None:
        if self.words is not None:
            await self.words.prepare(record.request_id for record in records)

    def message(self) -> ExportTraceServiceRequest:
        """An empty one."""
        message = ExportTraceServiceRequest()
        message.resource_spans.add(resource=self.resource).scope_spans.add(scope=SCOPE)
        return message

    def add(self, records: Sequence[Record], message: ExportTraceServiceRequest) -> None:
        spans = message.resource_spans[0].scope_spans[0].spans
        for record in records:
            self._add(record, spans)

    def _add(self, record: Record, spans: Any) -> None:
        """`spans`: of a message, which grows by those of the request."""
        context = context_of(record.traceparent, record.request_id)
        start = int(record.timestamp.timestamp() * NANO)
        root = spans.add()
        root.CopyFrom(_request_like(*_in_common(record)))
        _tell_of_request(record, root)
        if self.when and not all(_fits(when, root) for when in self.when):
            del spans[-1]
            return
        trace_id, root_id = context.trace_id.to_bytes(16), span_id(record.request_id, 0).to_bytes(8)
        root.trace_id, root.span_id = trace_id, root_id
        if context.parent_id is not None:
            root.parent_span_id = context.parent_id.to_bytes(8)
        root.start_time_unix_nano = start
        root.end_time_unix_nano = start + int(record.duration_ms * 1e6)
        attempts = 0
        waited_for = _waited_for(record)
        for place, each in enumerate(waited_for, 1):
            inner = spans.add()
            if each.kind == "model":
                attempts += 1
                inner.CopyFrom(self._attempt_like(record, each, attempts))
                if place == len(waited_for):
                    _tell_of_usage(record, inner)
                    if self.words is not None and (told := self.words.take(record.request_id)) is not None:
                        _tell_words(told, inner)
            else:
                inner.CopyFrom(_guardrail_like(each.kind, each.name, each.status, each.reason))
                tell(inner, "tfy.guardrail.metric.latency_in_ms", each.duration_ms)
            number = attempts if each.kind == "model" else GUARDS + place
            inner.trace_id, inner.parent_span_id = trace_id, root_id
            inner.span_id = span_id(record.request_id, number).to_bytes(8)
            begun = start + int(each.started_ms * 1e6)
            inner.start_time_unix_nano, inner.end_time_unix_nano = begun, begun + int(each.duration_ms * 1e6)

    def _attempt_like(self, record: Record, span: Span, attempt: int) -> OtelSpan:
        _, account_type = self.described(span.name)
        kind = record.request_type or ""
        return _attempt_like(kind, span.name, account_type, record.stream, attempt, span.status, span.reason)


def _waited_for(record: Record) -> Sequence[Span]:
    """Of a single attempt, the record says nothing but that it was all there was."""
    spans = record.spans
    if record.resolved_model is None or any(span.kind == "model" for span in spans):
        return spans
    ended = max((span.started_ms + span.duration_ms for span in spans), default=0.0)
    return (*spans, Span("model", record.resolved_model, record.status, None, ended, record.duration_ms - ended))


# --- what many requests have in common -------------------------------------------------------------------------------


def _in_common(record: Record) -> tuple[Any, ...]:
    error = (record.error_code or record.error_type) if record.status >= 500 else None
    return (
        *(record.method, record.path, record.status, record.request_type, record.stream, record.outcome, error),
        *(record.model, record.resolved_model, record.subject, record.token_id, record.client, record.user_agent),
        record.destination,
    )


@lru_cache(maxsize=1024)
def _request_like(
    method: str,
    path: str,
    status: int,
    request_type: str | None,
    stream: bool,
    outcome: str,
    error: str | None,
    model: str | None,
    resolved_model: str | None,
    subject: str | None,
    token_id: str | None,
    client: str | None,
    user_agent: str | None,
    destination: str | None,
) -> OtelSpan:
    texts = {
        names.HTTP_METHOD: method,
        names.URL_PATH: path,
        names.URL_SCHEME: "http",
        "gateway.outcome": outcome,
        names.USER_AGENT: user_agent,
        names.CLIENT_ADDRESS: client,
        names.ERROR_TYPE: error,
        "tfy.span_type": SPAN_TYPES.get(request_type or ""),
        "tfy.request.model_name": model,
        "tfy.request.created_by_subject": subject,
        "tfy.model.name": resolved_model,
        "tfy.model.request_type": request_type,
        "gateway.token_id": token_id,
        "gateway.destination": destination,
    }
    span = OtelSpan(
        name=f"{method} {request_type}" if request_type is not None else method,
        kind=OtelSpan.SPAN_KIND_SERVER,
        attributes=[text(name, value) for name, value in texts.items() if value is not None],
        status=_status(status),
    )
    tell(span, names.HTTP_STATUS, status)
    if request_type is not None:
        tell(span, "tfy.model.streaming", stream)
    return span


@lru_cache(maxsize=1024)
def _attempt_like(
    request_type: str, name: str, account_type: str, stream: bool, attempt: int, status: int, reason: str | None
) -> OtelSpan:
    operation, model = names.operation_of(request_type), name.partition("/")[2]
    texts = {
        names.OPERATION: operation,
        names.PROVIDER: names.provider_of(account_type),
        names.REQUEST_MODEL: model,
        names.ERROR_TYPE: reason,
        "tfy.span_type": "Model",
        "tfy.model.name": name,
    }
    span = OtelSpan(
        name=f"{operation} {model}",
        kind=OtelSpan.SPAN_KIND_CLIENT,
        attributes=[text(name, value) for name, value in texts.items() if value is not None],
        status=_status(status if reason is not None else 200, reason),
    )
    tell(span, names.REQUEST_STREAM, stream)
    tell(span, "gateway.attempt", attempt)
    return span


@lru_cache(maxsize=1024)
def _guardrail_like(kind: str, name: str, status: int, reason: str | None) -> OtelSpan:
    texts = {
        "tfy.span_type": kind.capitalize(),
        "tfy.guardrail.name": name,
        "tfy.guardrail.result": VERDICTS.get(reason, "error"),
    }
    return OtelSpan(
        name=f"{kind} {name}",
        kind=OtelSpan.SPAN_KIND_INTERNAL,
        attributes=[text(name, value) for name, value in texts.items()],
        status=_status(status if reason is not None else 200, reason),
    )


def _status(status: int, message: str | None = None) -> Status:
    """Of a server, what is the caller's fault is no error. Source: the conventions for HTTP spans, "Status"."""
    return Status() if status < 500 else Status(code=Status.STATUS_CODE_ERROR, message=message or "")


# --- what each has of its own ----------------------------------------------------------------------------------------


def _tell_of_request(record: Record, span: OtelSpan) -> None:
    tell(span, "gateway.request_id", record.request_id)
    if record.error_message is not None:
        message = record.error_message[:MOST_CHARS]
        tell(span, "tfy.error_message", message)
        if record.status >= 500:
            span.status.message = message
    if record.metadata:
        tell(span, "tfy.request.metadata", msgspec.json.encode(record.metadata).decode())
    if record.over_limits:
        span.attributes.append(listed("gateway.over_limits", record.over_limits))
    if record.applied is not None and (rule := record.applied.get("rule")) is not None:
        span.attributes.append(listed("applied_loadbalance_rule_ids", (rule,)))
    if record.request_type is not None:
        tell(span, "tfy.model.metric.latency_in_ms", record.duration_ms)
    if record.usage is not None:
        tell(span, "tfy.model.metric.input_tokens", record.usage.input_tokens)
        tell(span, "tfy.model.metric.output_tokens", record.usage.output_tokens)
    if record.cost_nanousd is not None:
        tell(span, "tfy.model.metric.cost_in_usd", record.cost_nanousd / NANO)
    if record.time_to_first_token_ms is not None:
        tell(span, "tfy.model.metric.time_to_first_token_in_ms", record.time_to_first_token_ms)
    if record.time_per_output_token_ms is not None:
        tell(span, "tfy.model.metric.inter_token_latency_in_ms", record.time_per_output_token_ms)


def _tell_of_usage(record: Record, span: OtelSpan) -> None:
    usage = record.usage
    if usage is not None:
        tell(span, names.INPUT_TOKENS, usage.input_tokens)
        tell(span, names.OUTPUT_TOKENS, usage.output_tokens)
        if usage.cache_read:
            tell(span, names.CACHE_READ_TOKENS, usage.cache_read)
        if written := usage.cache_write + usage.cache_write_1h:
            tell(span, names.CACHE_WRITE_TOKENS, written)
        if usage.reasoning:
            tell(span, names.REASONING_TOKENS, usage.reasoning)
    if record.stream and record.time_to_first_token_ms is not None:
        tell(span, names.FIRST_CHUNK, record.time_to_first_token_ms / 1000)


def _tell_words(told: Told, span: OtelSpan) -> None:
    """What could not be read as messages, as it came, under TrueFoundry's names."""
    texts = {
        names.INPUT_MESSAGES: told.input,
        names.OUTPUT_MESSAGES: told.output,
        "tfy.input": told.raw_input,
        "tfy.output": told.raw_output,
    }
    for name, value in texts.items():
        if value is not None:
            tell(span, name, value)


def _fits(when: TraceWhen, span: OtelSpan) -> bool:
    return any(each.key == when.key and each.value.string_value in when.value for each in span.attributes)
