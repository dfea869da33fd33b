"""The outermost step: gives each request its id, and writes down how it ended."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import lru_cache
from random import getrandbits
from time import perf_counter

import structlog
from msgspec import structs

from gateway.contract import Outcome, Record, SideCall, Span
from gateway.contract.route import NO_METADATA
from gateway.errors import ClientLeft, GatewayError, Unexpected
from gateway.logs import redact_text, traceback_text
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send, route_path
from gateway.proxy.exchange import ACCEPTED, Attempt, Exchange, outcome_of
from gateway.rules.logging import LoggingRules
from gateway.wire.trace_context import traceparent_of

MAX_CHARS = 500
"""Of what callers choose: names of models, paths, their own user agent."""
NO_RULES = LoggingRules()

log = structlog.get_logger(__name__)


class LogMiddleware:
    """Hands one `Record` of each request, or WebSocket, to `record`, which must not wait.

    Args:
        quiet: paths of probes, which would only fill the log; they are recorded when they fail.
        rules: gives those in force, of how records are written down.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        record: Callable[[Record], None],
        quiet: Collection[str] = (),
        rules: Callable[[], LoggingRules] = lambda: NO_RULES,
    ) -> None:
        self.app = app
        self.record = record
        self.rules = rules
        self.quiet = frozenset(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange.of(scope)
        # In the order of time, so that what is kept by id is added at one end, and not all over the place.
        exchange.id = (int(exchange.at * 1000) << 80 | getrandbits(80)).to_bytes(16).hex()
        try:
            await self.app(scope, receive, exchange.noting(send))
        except GatewayError as error:
            exchange.error = error
            raise
        except asyncio.CancelledError:
            exchange.error = exchange.error or ClientLeft("the server cancelled the request: the client has gone")
            raise
        except Exception:
            exchange.error = exchange.error or Unexpected("the app failed")
            raise
        finally:
            self._end(exchange, scope)

    def _end(self, exchange: Exchange, scope: Scope) -> None:
        exchange.outcome = outcome_of(exchange.error) if exchange.error is not None else Outcome.COMPLETE
        for observer in exchange.observers:
            try:
                observer.end(exchange.outcome)
            except Exception:
                log.error("observer failed", request_id=exchange.id, traceback=traceback_text())
        is_probe = exchange.dialect is None and route_path(scope) in self.quiet
        if not is_probe or exchange.error is not None or exchange.status >= 400:
            record = record_of(exchange, scope, ended=perf_counter())
            if is_probe and exchange.error is None:
                # It said what it was asked: 503 while the gateway stops is no fault that somebody should look at.
                record = structs.replace(record, level="info")
            if (rules := self.rules()).changes:
                record = rules.told(record, exchange.choice, exchange.caller, exchange.metadata)
            self.record(record)


def record_of(exchange: Exchange, scope: Scope, *, ended: float) -> Record:
    call, caller, attempt, error = exchange.call, exchange.caller, exchange.attempt, exchange.error
    is_stream = call is not None and call.ask.stream
    started = exchange.started
    first_byte_at = attempt.first_byte_at if attempt is not None else None
    status = exchange.status or (error.status if error is not None else 500)
    client = scope.get("client")
    metadata = exchange.metadata
    user_agent, parent = exchange.headers.get(b"user-agent"), exchange.headers.get(b"traceparent")
    limits: dict[str, None] = {}
    budgets: dict[str, None] = {}
    for hold in exchange.holds:
        (budgets if hold.is_budget else limits)[hold.rule] = None
    if exchange.target_ticket is not None:
        for hold in exchange.target_ticket.holds:
            (budgets if hold.is_budget else limits)[hold.rule] = None
    return Record(
        timestamp=datetime.fromtimestamp(exchange.at, UTC),
        level="error" if status >= 500 else "info",
        request_id=exchange.id,
        method=scope.get("method", "GET"),  # the handshake of a WebSocket is one
        path=_safe(scope["path"]),
        status=status,
        outcome=exchange.outcome or Outcome.REFUSED,
        duration_ms=_ms(started, ended),
        request_type=exchange.dialect.name if exchange.dialect is not None else None,
        subject=caller.subject if caller is not None else None,
        token_id=caller.token_id if caller is not None else None,
        model=_safe(call.ask.model or call.ask.name) if call is not None else None,
        resolved_model=attempt.target.name if attempt is not None else None,
        stream=is_stream,
        usage=attempt.usage if attempt is not None else None,
        cost_nanousd=exchange.cost,
        over_limits=exchange.audited_rules,
        time_to_first_token_ms=_ms(started, first_byte_at) if first_byte_at else None,
        time_per_output_token_ms=_per_token_ms(attempt) if attempt is not None and is_stream else None,
        overhead_ms=_overhead_ms(exchange, ended),
        upstream_status=attempt.status if attempt is not None else None,
        spans=_spans(exchange) if exchange.guard_spans or error is not None or len(exchange.attempts) > 1 else (),
        gave_up=exchange.gave_up,
        dropped_params=attempt.dropped_params if attempt is not None else (),
        error_type=error.type if error is not None else None,
        error_code=error.code if error is not None else None,
        error_message=_visible(error.message) if error is not None else None,
        client=client[0] if client else None,
        user_agent=_safe(user_agent.decode("latin-1")) or None if user_agent else None,
        teams=tuple(sorted(caller.teams)) if caller is not None and caller.teams else (),
        limit_rules=tuple(limits),
        budget_rules=tuple(budgets),
        metadata={_safe(name): _safe(value) for name, value in metadata.items()} if metadata else NO_METADATA,
        applied=exchange.applied,
        traceparent=traceparent_of(parent) if parent is not None else None,
        side_calls=_side_calls(exchange) if exchange.side_calls else (),
    )


def _side_calls(exchange: Exchange) -> tuple[SideCall, ...]:
    """Each with what it costs, as the ledger has it."""
    return tuple(SideCall(target.name, usage, target.cost(usage, exchange.at)) for target, usage in exchange.side_calls)


def _safe(text: str) -> str:
    """What callers choose may hold a key by mistake."""
    return _redacted(text) if len(text) <= MAX_CHARS else _visible(redact_text(text, MAX_CHARS))


def _visible(text: str) -> str:
    """Without keys, and with marks that would act on a terminal, or turn its text around, written out."""
    text = redact_text(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


_redacted = lru_cache(maxsize=1024)(_visible)  # few different values come in, so looking costs nothing


def _ms(start: float, end: float) -> float:
    """Exact to the microsecond. Not `round`, which takes three times as long."""
    return int((end - start) * 1e6) / 1e3


def _spans(exchange: Exchange) -> tuple[Span, ...]:
    """None of a request that waited for nothing but one attempt, which was a success: the record says it all."""
    guards, attempts = exchange.guard_spans, exchange.attempts
    if not guards and (not attempts or (len(attempts) == 1 and attempts[0].error is None)):
        return ()
    return (*guards, *(attempt.span(exchange.started) for attempt in attempts))


def _per_token_ms(attempt: Attempt) -> float | None:
    first, last = attempt.first_byte_at, attempt.last_byte_at
    tokens = attempt.usage.output_tokens if attempt.usage is not None else 0
    if first is None or last is None or tokens < 2:
        return None
    return _ms(0.0, (last - first) / (tokens - 1))


def _overhead_ms(exchange: Exchange, ended: float) -> float | None:
    """Before the first provider was asked, between the first byte of the one that answered and the answer's head, and
    after its last byte."""
    attempt = exchange.attempt
    if attempt is None or attempt.sent_at is None:
        return _ms(exchange.started, ended) if exchange.status != ACCEPTED else None  # as long as its client likes
    own = attempt.sent_at - exchange.started
    if len(exchange.attempts) > 1:
        own -= attempt.began_at - exchange.attempts[0].began_at
    if attempt.first_byte_at is not None and exchange.answered_at is not None:
        own += max(0.0, exchange.answered_at - attempt.first_byte_at)
    if attempt.last_byte_at is not None:
        own += ended - max(attempt.last_byte_at, exchange.answered_at or 0.0)
    return _ms(0.0, own)
