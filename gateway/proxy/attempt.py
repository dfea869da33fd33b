"""One target, asked once."""

import asyncio
from collections.abc import Callable

import msgspec

from gateway.contract import Reading, Span, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import GatewayError, UpstreamError


class Attempt(msgspec.Struct, eq=False):
    """What belongs to one try, filled as it goes on. Moments are readings of the exchange's clock, in seconds.

    Args:
        tell_good: called when a good answer has begun, before any of it goes to the client.
        timer: ends the attempt when no answer has begun in time.
        usage: what the provider said; later, what is billed.
    """

    target: Target
    began_at: float
    tell_good: Callable[[], None]
    timer: asyncio.TimerHandle | None = None
    request: UpstreamRequest | None = None
    sent_at: float | None = None
    status: int | None = None
    """The provider's."""
    first_byte_at: float | None = None
    last_byte_at: float | None = None
    reading: Reading | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    ended_at: float | None = None
    error: GatewayError | None = None

    def answered(self) -> None:
        """A good answer has begun."""
        if self.timer is not None:
            self.timer.cancel()
        self.tell_good()

    def ended(self, at: float, error: GatewayError | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None  # it holds what interrupts the exchange, which holds this
        self.ended_at = at
        self.error = error

    @property
    def dropped_params(self) -> tuple[str, ...]:
        return self.request.dropped_params if self.request is not None else ()

    def hidden(self, data: bytes) -> bytes:
        """Without the secrets that were sent: some providers repeat them in what goes wrong."""
        return data if self.request is None else self.request.endpoint.hidden(data)

    def span(self, started: float) -> Span:
        """
        Args:
            started: when the request came in.
        """
        error, status = self.error, self.status or 200
        if error is not None and (self.status is None or isinstance(error, UpstreamError)):
            status = error.status
        ended_at = self.began_at if self.ended_at is None else self.ended_at
        return Span(
            kind="model",
            name=self.target.name,
            status=status,
            reason=error.code if error is not None else None,
            started_ms=int((self.began_at - started) * 1e6) / 1e3,
            duration_ms=int((ended_at - self.began_at) * 1e6) / 1e3,
        )
