"""What is known of one request, from its first byte to its last."""

from collections.abc import MutableMapping
from time import perf_counter, time
from typing import Any

import msgspec

from gateway.contract import Call, Caller, Dialect, Observer, Outcome, Target
from gateway.errors import GatewayError
from gateway.usage import Usage

KEY = "gateway.exchange"


class Exchange(msgspec.Struct, kw_only=True, eq=False):
    """One request. Each step fills its own fields and overwrites nobody else's; None means "not yet" or "none".

    `started` and the other moments are readings of one monotonic clock, in seconds.
    """

    # log
    id: str = ""
    time: float = msgspec.field(default_factory=time)
    started: float = msgspec.field(default_factory=perf_counter)
    # edge
    headers: dict[bytes, bytes] = {}
    # router
    dialect: Dialect | None = None
    # auth
    caller: Caller | None = None
    # parse
    call: Call | None = None
    # guard, third-party middlewares
    observers: list[Observer] = []
    # dispatch
    target: Target | None = None
    upstream_status: int | None = None
    dropped_params: tuple[str, ...] = ()
    sent_at: float | None = None
    # relay
    first_byte_at: float | None = None
    answered_at: float | None = None
    last_byte_at: float | None = None
    events: int = 0
    usage: Usage | None = None
    # whoever ends it
    status: int = 0
    outcome: Outcome | None = None
    error: GatewayError | None = None

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "Exchange":
        """The one of this request. The first to ask makes it, so that each middleware also works alone."""
        state = scope.setdefault("state", {})
        found = state.get(KEY)
        if found is None:
            found = state[KEY] = cls(headers=dict(scope["headers"]))
        return found  # type: ignore[no-any-return]
