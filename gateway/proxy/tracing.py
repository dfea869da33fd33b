"""Tells providers which trace a request is part of."""

from collections.abc import Set

import msgspec

from gateway.contract.route import RouteTarget
from gateway.proxy.exchange import Exchange
from gateway.wire.headers import wrong_value
from gateway.wire.trace_context import MAX_STATE_BYTES, Sampling, context_of, span_id, traceparent, traceparent_of

ALL = "*"


class Tracing:
    """
    Args:
        accounts: whose providers are told; `*` is all.
        sampling: which traces are kept here, as they are told, too.
    """

    def __init__(self, accounts: Set[str], *, sampling: Sampling) -> None:
        self.accounts = accounts
        self.sampling = sampling

    def onto(self, route_target: RouteTarget, exchange: Exchange) -> RouteTarget:
        """With the headers; those that a manifest sets stay as they are. The last of the request's attempts is the
        parent of what the provider does.

        What the caller's own tracing says of itself (`tracestate`) goes along with the trace that it has begun.
        """
        if self.accounts.isdisjoint((route_target.target.account, ALL)):
            return route_target
        own, state = exchange.headers.get(b"traceparent"), exchange.headers.get(b"tracestate", b"").decode("latin-1")
        given = traceparent_of(own) if own is not None else None
        context = context_of(given, exchange.id)
        span = span_id(exchange.id, len(exchange.attempts))
        headers = {"traceparent": traceparent(context, span, is_sampled=self.sampling.keeps(context))}
        if given is not None and 0 < len(state) <= MAX_STATE_BYTES and wrong_value(state) is None:
            headers["tracestate"] = state
        return msgspec.structs.replace(route_target, set_headers={**headers, **route_target.set_headers})
