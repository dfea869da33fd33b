"""Slows down who guesses tokens."""

from collections.abc import Callable
from time import monotonic

from gateway.errors import RateLimited
from gateway.proxy.asgi import Scope


class Failures:
    """Counts refused tokens by client address: after `limit` in a window, the rest of the window is answered with 429.

    Valid tokens are not looked at, so nobody is shut out by a neighbour behind the same address. At most `max_clients`
    addresses are remembered; when they are used up, the oldest windows are forgotten first.
    """

    def __init__(
        self,
        *,
        limit: int = 100,
        window_s: float = 60.0,
        max_clients: int = 10_000,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.limit = limit
        self.window_s = window_s
        self.max_clients = max_clients
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def add(self, scope: Scope) -> None:
        """Raises RateLimited: this client had too many refused."""
        client = scope.get("client")
        name, now = client[0] if client else "", self._clock()
        began, count = self._seen.get(name, (now, 0))
        if began + self.window_s <= now:
            began, count = now, 0
        if count == 0:
            self._seen.pop(name, None)  # to the end of the order
            if len(self._seen) >= self.max_clients:
                del self._seen[next(iter(self._seen))]
        self._seen[name] = (began, count + 1)
        if count >= self.limit:
            raise RateLimited(
                "too many tokens from this address were refused; wait, and send a valid one",
                code="too_many_failures",
                retry_after_s=began + self.window_s - now,
            )
