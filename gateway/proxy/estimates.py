"""Answers that the gateway can give by itself, where a provider cannot."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gateway.contract import Call
from gateway.errors import BadRequest, Refused
from gateway.proxy.exchange import Exchange
from gateway.proxy.relay import JSON
from gateway.proxy.responder import Responder
from gateway.proxy.writer import ResponseWriter

NO_SUCH_API = frozenset({404, 405, 501})
Estimate = Callable[[Call], bytes]
"""The body of an answer, which is JSON."""


class EstimateResponder:
    """
    Args:
        estimates: name of a dialect -> what answers its calls where a provider has no such API.
    """

    def __init__(self, responder: Responder, *, estimates: Mapping[str, Estimate]) -> None:
        self.responder = responder
        self.estimates = estimates

    def respond(self, exchange: Exchange, writer: ResponseWriter) -> Coroutine[Any, Any, None]:
        call = exchange.call
        assert call is not None
        estimate = self.estimates.get(call.dialect.name)
        answered = self.responder.respond(exchange, writer)
        return answered if estimate is None else self._or_estimate(answered, call, estimate, writer)

    async def _or_estimate(
        self, answered: Coroutine[Any, Any, None], call: Call, estimate: Estimate, writer: ResponseWriter
    ) -> None:
        try:
            await answered
        except (BadRequest, Refused) as error:
            if writer.has_content or (isinstance(error, Refused) and error.status not in NO_SUCH_API):
                raise
            await writer.whole(200, JSON, estimate(call))
