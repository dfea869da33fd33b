"""What orchestrators ask: alive, and ready."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from gateway._version import __version__
from gateway.contract.part import Part
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.drain import Drain


class AliveEndpoint:
    """200 as long as the event loop turns; it asks nothing of anybody else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 200, msgspec.json.encode({"status": "ok", "version": __version__}))


class ReadyEndpoint:
    """503 while the gateway stops, and until all its parts are ready: it has to have read its database once.

    What it can do without is told, but does not make it unready: a configuration that could not be reloaded, because
    the old one still serves; a database that is away, because all tokens that were known still work; and counters that
    cannot be reached, because each limit says what it does then.

    Args:
        config: tells which configuration is in force.
    """

    def __init__(self, parts: Sequence[Part], *, drain: Drain, config: Callable[[], Mapping[str, object]]) -> None:
        self.parts = parts
        self.drain = drain
        self.config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_starting = any(part.status is not None and not part.status.is_ready for part in self.parts)
        status = "stopping" if self.drain.is_stopping else "starting" if is_starting else "ready"
        state: dict[str, object] = {"status": status, "open_requests": len(self.drain), "config": self.config()}
        for name, problem in problems(self.parts).items():
            state[name] = {"status": "ok" if problem is None else "degraded", "problem": problem}
        await send_body(send, 200 if status == "ready" else 503, msgspec.json.encode(state))


def problems(parts: Iterable[Part]) -> dict[str, str | None]:
    """Name of a part that has a status -> what is wrong with it; None: nothing."""
    found: dict[str, str | None] = {}
    for part in parts:
        if part.status is not None:
            found[part.name] = found.get(part.name) or part.status.problem
    return found
