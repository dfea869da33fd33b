"""Calls of models that guardrails make where there is no request to be paid for: to try texts, or for hooks."""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

from gateway.contract import Call, Choice, Target
from gateway.errors import RateLimited
from gateway.proxy.admission import Admission
from gateway.proxy.checks import usage_in
from gateway.proxy.exchange import Attempt, Exchange

Ask = Callable[[Call, Target], Awaitable[bytes]]


class BilledAsk:
    """Asks on behalf of a caller: each call has to pass its limits and budgets, and gets a bill of its own, as if the
    caller had made it.

    Args:
        refused: set when one of them had no room, which is for the caller to know and not for a guardrail.
    """

    def __init__(self, ask: Ask, admission: Admission, exchange: Exchange, metadata: Mapping[str, str]) -> None:
        self.refused: RateLimited | None = None
        self._ask = ask
        self._admission = admission
        self._exchange = exchange
        self._metadata = metadata
        self._count = 0

    async def __call__(self, call: Call, target: Target) -> bytes:
        """Raises RateLimited, and what asking raises."""
        admission, outer = self._admission, self._exchange
        self._count += 1
        own = Exchange(
            id=f"{outer.id}/{self._count}",
            dialect=call.dialect,
            caller=outer.caller,
            call=call,
            metadata=self._metadata,
            choice=Choice(target),
        )
        own.holds = [*admission.holds(own)]
        try:
            await admission.enter(own)
        except RateLimited as error:
            self.refused = error
            raise
        attempt = own.attempt = Attempt(target, perf_counter(), _nobody_waits)
        ended: BaseException | None = None
        try:
            attempt.sent_at = perf_counter()
            answer = await self._ask(call, target)
            attempt.status, attempt.usage = 200, usage_in(answer)
        except BaseException as error:
            ended = error
            raise
        finally:
            admission.leave(own, ended)
        return answer


def _nobody_waits() -> None:
    """For a first byte."""
