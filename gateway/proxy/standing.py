"""Whether a session may go on: what let it in may be taken away while it lasts."""

from gateway.contract import Models, Tokens
from gateway.contract.caller import KnowsStill
from gateway.errors import Unauthorized, Unavailable
from gateway.proxy.admission import Admission
from gateway.proxy.exchange import Exchange


class Standing:
    """Asked now and then, and never for a message."""

    def __init__(self, *, tokens: Tokens, models: Models, admission: Admission) -> None:
        self.tokens = tokens
        self.models = models
        self.admission = admission

    async def check(self, exchange: Exchange) -> None:
        """
        Raises:
            Unauthorized: the token is not valid any more, or its owner has left.
            UnknownModel, Forbidden: the model is not for the caller any more.
            RateLimited: a budget is used up.
        """
        call, caller = exchange.call, exchange.caller
        assert call is not None
        if caller is not None and isinstance(self.tokens, KnowsStill):
            caller = self.tokens.still(caller)
            if caller is None:
                raise Unauthorized("the token with which this session was opened is no longer valid")
        self.models.find(call.ask.name, caller, exchange.metadata, call.dialect.model_type)
        try:
            await self.admission.check(exchange)
        except Unavailable:
            return  # what the session uses is counted as usual, and that decides what happens without counters
